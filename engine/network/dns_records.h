#pragma once
// The names of networks, compiled. Internal to network/.
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "network/address.h"
#include "network/dns.h"

namespace engine::network::dns {

struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
};
template <class T>
using NameMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// What a name stands for on one network; a known name without addresses exists all the same.
struct Addresses {
    std::vector<Address> v4, v6;
};

struct Zone {
    std::string suffix;                      ///< wire form of the network's name; empty when it cannot be one
    bool own_suffix = false;                 ///< names below it are nobody else's: never forwarded
    NameMap<Addresses> names;                ///< by wire form
    std::map<Address, std::string> reverse;  ///< wire form of `name.network`
};

class Records : public DnsRecords {
public:
    explicit Records(const std::vector<DnsNetwork>& networks);
    const Zone* zone(std::string_view network) const;

private:
    NameMap<Zone> zones_;
};

}  // namespace engine::network::dns
