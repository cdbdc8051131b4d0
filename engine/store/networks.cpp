#include "store/address.h"
#include "store/codec.h"
#include "store/store.h"
#include "store/store_impl.h"

namespace engine::store {
namespace {

base::Error no_such_network(std::string_view name) { return base::fail(base::Code::not_found, "network " + base::printable(name) + " not found"); }

/// Where dynamic addresses come from, and which are taken by the network itself.
struct Pool {
    Subnet subnet;
    Subnet range;
    std::vector<Address> reserved;
};

base::Result<Pool> pool_of(const NetworkInfo& network, const std::string& subnet_text, const std::string& gateway) {
    auto subnet = Subnet::parse(subnet_text);
    if (!subnet) return base::fail(base::Code::corrupt, "network " + network.spec.name + ": bad subnet \"" + subnet_text + "\"");
    Pool pool{*subnet, *subnet, {}};
    if (auto address = Address::parse(gateway)) pool.reserved.push_back(*address);
    for (const auto& asked : network.spec.pools) {
        auto same = Subnet::parse(asked.subnet);
        if (!same || !(*same == *subnet)) continue;
        if (auto range = Subnet::parse(asked.ip_range)) pool.range = *range;
        for (const auto& [name, text] : asked.aux_addresses)
            if (auto address = Address::parse(text)) pool.reserved.push_back(*address);
    }
    pool.reserved.push_back(subnet->first());
    if (!subnet->first().is_v6 && subnet->prefix < 31) pool.reserved.push_back(subnet->last());
    return pool;
}

}  // namespace

base::Status Store::insert_network(const NetworkInfo& network) {
    return impl_->write([&]() -> base::Status {
        {
            auto taken = TRY(impl_->query("SELECT 1 FROM networks WHERE name = ?"));
            taken.bind(network.spec.name);
            if (TRY(taken->step())) return base::fail(base::Code::conflict, "network with name " + network.spec.name + " already exists");
        }
        return impl_->run("INSERT INTO networks (id, name, info) VALUES (?, ?, ?)", network.id, network.spec.name, to_json(network));
    });
}

base::Result<NetworkInfo> Store::network(std::string_view name_or_id) {
    std::lock_guard lock(impl_->mutex);
    {
        auto query = TRY(impl_->query("SELECT info FROM networks WHERE name = ?1 OR id = ?1"));
        query.bind(name_or_id);
        if (TRY(query->step())) return from_json<NetworkInfo>(query->text(0));
    }
    if (name_or_id.empty() || name_or_id.find_first_not_of("0123456789abcdef") != std::string_view::npos) return no_such_network(name_or_id);
    auto prefix = TRY(impl_->query("SELECT info FROM networks WHERE id >= ? AND id < ? LIMIT 2"));
    prefix.bind(name_or_id, std::string(name_or_id) + "g");
    if (!TRY(prefix->step())) return no_such_network(name_or_id);
    std::string info = prefix->text(0);
    if (TRY(prefix->step()))
        return base::fail(base::Code::conflict, "multiple networks have an id that begins with " + std::string(name_or_id) + "; give more digits");
    return from_json<NetworkInfo>(info);
}

base::Result<std::vector<NetworkInfo>> Store::networks(const Labels& labels) {
    std::lock_guard lock(impl_->mutex);
    std::vector<NetworkInfo> found;
    auto query = TRY(impl_->query("SELECT info FROM networks ORDER BY sequence"));
    while (TRY(query->step())) {
        auto network = TRY(from_json<NetworkInfo>(query->text(0)));
        if (matches(network.spec.labels, labels)) found.push_back(std::move(network));
    }
    return found;
}

base::Status Store::update_network(const NetworkInfo& network) {
    return impl_->write([&]() -> base::Status {
        TRY_VOID(impl_->run("UPDATE networks SET name = ?, info = ? WHERE id = ?", network.spec.name, to_json(network), network.id));
        if (impl_->db.changes() == 0) return no_such_network(network.spec.name);
        return {};
    });
}

base::Status Store::erase_network(const std::string& id) {
    return impl_->write([&] { return impl_->run("DELETE FROM networks WHERE id = ?", id); });
}

base::Result<std::vector<std::string>> Store::network_users(const std::string& network_name, bool active) {
    std::lock_guard lock(impl_->mutex);
    std::vector<std::string> names;
    auto query = TRY(impl_->query("SELECT c.name, c.status FROM container_networks n JOIN containers c ON c.id = n.container WHERE n.network = ? ORDER BY c.sequence"));
    query.bind(network_name);
    while (TRY(query->step())) {
        auto status = static_cast<ContainerStatus>(query->number(1));
        if (!active || status == ContainerStatus::running || status == ContainerStatus::paused || status == ContainerStatus::restarting)
            names.push_back(query->text(0));
    }
    return names;
}

base::Result<EndpointState> Store::lease_address(const NetworkInfo& network, const std::string& container_id, const Endpoint& wanted) {
    EndpointState endpoint;
    endpoint.network = network.spec.name;
    endpoint.network_id = network.id;
    endpoint.aliases = wanted.aliases;
    endpoint.mac = wanted.mac;
    endpoint.interface_name = wanted.interface_name;

    // One family: the address already held, the asked-for one, or the lowest free one.
    auto lease = [&](int64_t family, const Pool& pool, const std::string& asked) -> base::Result<std::string> {
        std::optional<Address> want;
        if (!asked.empty()) {
            want = Address::parse(asked);
            if (!want) return base::fail(base::Code::invalid, "invalid IP address \"" + base::printable(asked) + "\"");
            if (network.spec.pools.empty())
                return base::fail(base::Code::invalid,
                                  "user specified IP address is supported only when connecting to networks with user configured subnets");
            if (!pool.subnet.contains(*want))
                return base::fail(base::Code::invalid, "no configured subnet of network " + network.spec.name + " contains IP address " + asked);
            for (const auto& reserved : pool.reserved)
                if (reserved == *want) return base::fail(base::Code::conflict, "Address already in use: " + asked + " belongs to the network itself");
        }
        std::vector<Address> taken;
        {
            auto query = TRY(impl_->query("SELECT address, container FROM leases WHERE network = ? AND family = ? ORDER BY address"));
            query.bind(network.id, family);
            while (TRY(query->step())) {
                auto address = Address::from_key(query->text(0));
                bool own = query->text(1) == container_id;
                if (own && (!want || address == *want)) return address.text();
                if (!own && want && address == *want) return base::fail(base::Code::conflict, "Address already in use: " + asked);
                if (!own) taken.push_back(address);
            }
        }
        if (!want) {
            taken.insert(taken.end(), pool.reserved.begin(), pool.reserved.end());
            std::sort(taken.begin(), taken.end());
            want = lowest_free(pool.range, taken);
            if (!want)
                return base::fail(base::Code::conflict, std::string("no available IPv") + (family == 6 ? "6" : "4") +
                                                            " addresses on this network's address pools: " + network.spec.name + " (" + network.id + ")");
        }
        TRY_VOID(impl_->run("DELETE FROM leases WHERE network = ? AND family = ? AND container = ?", network.id, family, container_id));
        TRY_VOID(impl_->run("INSERT INTO leases VALUES (?, ?, ?, ?)", network.id, family, want->key(), container_id));
        return want->text();
    };
    TRY_VOID(impl_->write([&]() -> base::Status {
        if (!network.subnet4.empty()) {
            auto pool = TRY(pool_of(network, network.subnet4, network.gateway4));
            endpoint.ipv4 = TRY(lease(4, pool, wanted.ipv4));
            endpoint.prefix4 = pool.subnet.prefix;
            endpoint.gateway4 = network.gateway4;
        } else if (!wanted.ipv4.empty()) {
            return base::fail(base::Code::invalid, "network " + network.spec.name + " has no IPv4 subnet for the address " + wanted.ipv4);
        }
        if (!network.subnet6.empty()) {
            auto pool = TRY(pool_of(network, network.subnet6, network.gateway6));
            endpoint.ipv6 = TRY(lease(6, pool, wanted.ipv6));
            endpoint.prefix6 = pool.subnet.prefix;
            endpoint.gateway6 = network.gateway6;
        } else if (!wanted.ipv6.empty()) {
            return base::fail(base::Code::invalid, "network " + network.spec.name + " has no IPv6 subnet for the address " + wanted.ipv6);
        }
        return {};
    }));
    return endpoint;
}

base::Status Store::release_addresses(const std::string& container_id) {
    {
        // Usually there is nothing to release: a look costs less than a commit.
        std::lock_guard lock(impl_->mutex);
        auto held = TRY(impl_->query("SELECT 1 FROM leases WHERE container = ? LIMIT 1"));
        held.bind(container_id);
        if (!TRY(held->step())) return {};
    }
    return impl_->write([&] { return impl_->run("DELETE FROM leases WHERE container = ?", container_id); });
}

}  // namespace engine::store
