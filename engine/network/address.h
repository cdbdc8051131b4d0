#pragma once
// IP addresses, subnets and MAC addresses as values.
#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace engine::network {

/// An IPv4 or IPv6 address; IPv4 lives in the first four bytes. Ordered by family, then by number.
struct Address {
    bool v6 = false;
    std::array<uint8_t, 16> bytes{};

    /// invalid for anything that inet_pton refuses.
    static base::Result<Address> parse(std::string_view text);
    static Address v4(uint32_t host_order);
    std::string text() const;
    size_t size() const { return v6 ? 16 : 4; }
    uint32_t number4() const;  ///< IPv4 in host order
    /// This address plus `offset`, wrapping within the family.
    Address plus(uint64_t offset) const;
    bool is_any() const;
    bool is_loopback() const;
    auto operator<=>(const Address&) const = default;
};

/// A subnet: base address (host bits cleared by `parse`) and prefix length.
struct Prefix {
    Address base;
    int length = 0;

    /// `10.1.0.0/16`; host bits are cleared, as Docker does.
    static base::Result<Prefix> parse(std::string_view text);
    std::string text() const;
    bool contains(const Address& address) const;
    bool overlaps(const Prefix& other) const;
    Address last() const;  ///< highest address (IPv4: broadcast)
    auto operator<=>(const Prefix&) const = default;
};

using Mac = std::array<uint8_t, 6>;
base::Result<Mac> parse_mac(std::string_view text);
std::string mac_text(const Mac& mac);
/// 02:42:<IPv4>, as Docker: stable for an address. For IPv6 only: 02:42 and the last four bytes.
Mac mac_from(const Address& address);

}  // namespace engine::network
