#include "network/pool.h"

#include "base/text.h"

namespace engine::network {

using base::Code;

namespace {

bool free_of(const Prefix& candidate, std::span<const Prefix> taken) {
    return std::none_of(taken.begin(), taken.end(), [&](const Prefix& other) { return candidate.overlaps(other); });
}

struct Pool {
    Prefix subnet;
    std::optional<Prefix> range;
    Address gateway;
    std::vector<Address> aux;
};

/// The pool of one family as it was asked for, with the subnet and gateway that were settled.
base::Result<Pool> settled_pool(const NetworkInfo& network, bool v6) {
    const std::string& subnet = v6 ? network.subnet6 : network.subnet4;
    const std::string& gateway = v6 ? network.gateway6 : network.gateway4;
    if (subnet.empty())
        return base::fail(Code::invalid, "network " + base::quote(network.spec.name) + " has no " + (v6 ? "IPv6" : "IPv4") + " subnet");
    Pool pool;
    pool.subnet = TRY(Prefix::parse(subnet));
    pool.gateway = gateway.empty() ? pool.subnet.base : TRY(Address::parse(gateway));
    for (const IpamPool& asked : network.spec.pools) {
        auto configured = asked.subnet.empty() ? base::Result<Prefix>(pool.subnet) : Prefix::parse(asked.subnet);
        if (!configured || *configured != pool.subnet) continue;
        if (!asked.ip_range.empty()) {
            Prefix range = TRY(Prefix::parse(asked.ip_range));
            if (range.base.v6 == v6) pool.range = range;
        }
        for (const auto& [name, text] : asked.aux_addresses) {
            Address address = TRY(Address::parse(text));
            if (address.v6 == v6) pool.aux.push_back(address);
        }
    }
    return pool;
}

/// One configured pool: checked, its gateway chosen.
base::Status fill_family(const IpamPool& asked, const Prefix& subnet, std::span<const Prefix> networks, const NetworkInfo& info,
                         std::string& subnet_out, std::string& gateway_out) {
    const std::string where = "network " + base::quote(info.spec.name);
    if (!subnet_out.empty())
        return base::fail(Code::unsupported, where + ": more than one " + (subnet.base.v6 ? "IPv6" : "IPv4") + " subnet is not supported");
    if (!free_of(subnet, networks))
        return base::fail(Code::conflict, where + ": invalid pool request: Pool overlaps with other one on this address space: " +
                                              subnet.text() + "; choose another subnet or remove the other network");
    int usable_bits = (subnet.base.v6 ? 128 : 32) - subnet.length;
    if (usable_bits < 2)
        return base::fail(Code::invalid, where + ": subnet " + subnet.text() + " is too small for a gateway and a container");
    if (!asked.ip_range.empty()) {
        Prefix range = TRY(Prefix::parse(asked.ip_range));
        if (range.base.v6 == subnet.base.v6 && (!subnet.contains(range.base) || range.length < subnet.length))
            return base::fail(Code::invalid, where + ": ip_range " + range.text() + " is outside the subnet " + subnet.text());
    }
    for (const auto& [name, text] : asked.aux_addresses) {
        Address address = TRY(Address::parse(text));
        if (address.v6 == subnet.base.v6 && !subnet.contains(address))
            return base::fail(Code::invalid,
                              where + ": aux_addresses " + base::quote(name) + ": " + text + " is outside the subnet " + subnet.text());
    }
    if (asked.gateway.empty()) {
        // The first address that no aux address has.
        Address gateway = subnet.base.plus(1);
        auto reserved = [&](const Address& address) {
            return std::any_of(asked.aux_addresses.begin(), asked.aux_addresses.end(),
                               [&](const auto& aux) { return aux.second == address.text(); });
        };
        while (reserved(gateway)) gateway = gateway.plus(1);
        gateway_out = gateway.text();
    } else {
        Address gateway = TRY(Address::parse(asked.gateway));
        if (!subnet.contains(gateway))
            return base::fail(Code::invalid, where + ": gateway " + asked.gateway + " is outside the subnet " + subnet.text());
        if (gateway == subnet.base || (!gateway.v6 && gateway == subnet.last()))
            return base::fail(Code::invalid,
                              where + ": gateway " + asked.gateway + " is the network or broadcast address of " + subnet.text());
        gateway_out = gateway.text();
    }
    subnet_out = subnet.text();
    return {};
}

}  // namespace

base::Result<Prefix> choose_subnet4(std::span<const Prefix> taken) {
    for (uint32_t second = 17; second < 32; second++) {
        Prefix candidate{Address::v4(172u << 24 | second << 16), 16};
        if (free_of(candidate, taken)) return candidate;
    }
    for (uint32_t third = 0; third < 256; third += 16) {
        Prefix candidate{Address::v4(192u << 24 | 168u << 16 | third << 8), 20};
        if (free_of(candidate, taken)) return candidate;
    }
    // Beyond Docker's pools (some 30 networks): small subnets from a part of 10/8 that VPNs seldom use, so that the next
    // project still starts.
    for (uint32_t n = 0; n < 4096; n++) {
        Prefix candidate{Address::v4((10u << 24) + (208u << 16) + (n << 8)), 24};
        if (free_of(candidate, taken)) return candidate;
    }
    return base::fail(Code::conflict,
                      "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network; "
                      "remove networks that are no longer used or give the network a subnet (ipam.config.subnet)");
}

base::Result<Prefix> choose_subnet6(const std::string& id, std::span<const Prefix> taken) {
    for (int attempt = 0; attempt < 64; attempt++) {
        std::string digits = base::sha256_hex(id + "/" + std::to_string(attempt));
        Prefix candidate;
        candidate.base.v6 = true;
        candidate.length = 64;
        candidate.base.bytes[0] = 0xfd;  // RFC 4193: fd, 40 bits of a global id, 16 of a subnet (0)
        for (size_t i = 0; i < 5; i++) candidate.base.bytes[i + 1] = static_cast<uint8_t>(std::stoi(digits.substr(i * 2, 2), nullptr, 16));
        if (free_of(candidate, taken)) return candidate;
    }
    return base::fail(Code::conflict, "could not find a free IPv6 subnet: give the network one (ipam.config.subnet)");
}

base::Status fill_subnets(NetworkInfo& info, std::span<const Prefix> networks, std::span<const Prefix> host) {
    info.subnet4.clear(), info.subnet6.clear(), info.gateway4.clear(), info.gateway6.clear();
    const IpamPool* gateway_only = nullptr;
    for (const IpamPool& asked : info.spec.pools) {
        if (asked.subnet.empty()) {
            if (!asked.gateway.empty() || !asked.ip_range.empty()) gateway_only = &asked;
            continue;
        }
        Prefix subnet = TRY(Prefix::parse(asked.subnet));
        if (subnet.base.v6) {
            if (!info.spec.enable_ipv6) continue;  // as Docker: an IPv6 pool of a network without IPv6 is left alone
            TRY_VOID(fill_family(asked, subnet, networks, info, info.subnet6, info.gateway6));
        } else if (info.spec.enable_ipv4) {
            TRY_VOID(fill_family(asked, subnet, networks, info, info.subnet4, info.gateway4));
        }
    }
    if (gateway_only)
        return base::fail(Code::invalid, "network " + base::quote(info.spec.name) + ": ipam.config: gateway and ip_range need a subnet");
    if (!info.spec.enable_ipv4 && !info.spec.enable_ipv6)
        return base::fail(Code::invalid, "network " + base::quote(info.spec.name) + ": IPv4 or IPv6 must be enabled");
    std::vector<Prefix> taken(networks.begin(), networks.end());
    taken.insert(taken.end(), host.begin(), host.end());
    // A default route (length 0) covers everything and says nothing.
    std::erase_if(taken, [](const Prefix& prefix) { return prefix.length == 0; });
    if (info.spec.enable_ipv4 && info.subnet4.empty()) {
        Prefix subnet = TRY(choose_subnet4(taken));
        info.subnet4 = subnet.text();
        info.gateway4 = subnet.base.plus(1).text();
    }
    if (info.spec.enable_ipv6 && info.subnet6.empty()) {
        Prefix subnet = TRY(choose_subnet6(info.id, taken));
        info.subnet6 = subnet.text();
        info.gateway6 = subnet.base.plus(1).text();
    }
    return {};
}

base::Result<Address> allocate(const NetworkInfo& network, bool v6, const std::set<Address>& used, const std::string& requested,
                               const std::optional<Address>& last) {
    Pool pool = TRY(settled_pool(network, v6));
    auto unusable = [&](const Address& address) {
        return address == pool.subnet.base || (!v6 && address == pool.subnet.last()) || address == pool.gateway;
    };
    if (!requested.empty()) {
        Address address = TRY(Address::parse(requested));
        bool configured = std::any_of(network.spec.pools.begin(), network.spec.pools.end(), [&](const IpamPool& asked) {
            auto subnet = Prefix::parse(asked.subnet);
            return subnet && *subnet == pool.subnet;
        });
        if (!configured)
            return base::fail(Code::invalid,
                              "user specified IP address is supported only when connecting to networks with user configured subnets: " +
                                  requested + " on network " + base::quote(network.spec.name));
        if (!pool.subnet.contains(address))
            return base::fail(Code::invalid, "no configured subnet contains IP address " + requested + ": network " +
                                                 base::quote(network.spec.name) + " has " + pool.subnet.text());
        if (unusable(address) || used.contains(address))
            return base::fail(Code::conflict, "Address already in use: " + requested + " on network " + base::quote(network.spec.name));
        return address;
    }
    Prefix from = pool.range.value_or(pool.subnet);
    auto taken = [&](const Address& address) {
        return unusable(address) || used.contains(address) || std::find(pool.aux.begin(), pool.aux.end(), address) != pool.aux.end();
    };
    // Goes round once, from behind the last one; `used` is finite, so that the walk through a huge IPv6 pool is short.
    Address start = last && from.contains(*last) ? *last : from.base;
    Address candidate = start;
    do {
        if (!taken(candidate) && (!last || candidate != *last)) return candidate;
        candidate = candidate.plus(1);
        if (!from.contains(candidate)) candidate = from.base;
    } while (candidate != start);
    if (last && from.contains(*last) && !taken(*last)) return *last;
    return base::fail(Code::conflict,
                      "no available IP addresses on network " + base::quote(network.spec.name) + ": all of " + from.text() + " are in use");
}

base::Result<std::string> allocate_text(const NetworkInfo& network, bool v6, const std::vector<std::string>& used,
                                        const std::string& requested, const std::string& last) {
    std::set<Address> taken;
    for (const std::string& text : used)
        if (auto address = Address::parse(text)) taken.insert(*address);
    std::optional<Address> previous;
    if (auto address = Address::parse(last)) previous = *address;
    return TRY(allocate(network, v6, taken, requested, previous)).text();
}

}  // namespace engine::network
