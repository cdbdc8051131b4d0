#pragma once
// IP addresses as numbers, to find a free one.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace engine::store {

struct Address {
    __extension__ typedef unsigned __int128 Number;
    bool is_v6 = false;
    Number value = 0;

    static std::optional<Address> parse(const std::string& text);
    std::string text() const;
    /// 8 or 32 hexadecimal digits: text that sorts as the number does.
    std::string key() const;
    static Address from_key(const std::string& key);
    bool operator==(const Address&) const = default;
    bool operator<(const Address& other) const { return is_v6 != other.is_v6 ? other.is_v6 : value < other.value; }
};

struct Subnet {
    Address network;
    int prefix = 0;

    /// "10.0.0.0/24"; host bits are dropped.
    static std::optional<Subnet> parse(const std::string& text);
    Address first() const { return network; }
    Address last() const;
    bool contains(const Address& address) const;
    bool operator==(const Subnet&) const = default;
};

/// The lowest address of `range` that is not in `taken`, which is sorted.
std::optional<Address> lowest_free(const Subnet& range, const std::vector<Address>& taken);

}  // namespace engine::store
