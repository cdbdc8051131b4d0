#pragma once
// Published ports: reserved by a bound socket, DNATed for everyone by nftables, proxied where nftables cannot ([::1], and
// as a fallback when somebody flushed the ruleset).
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"

namespace engine::network {

/// A thread of its own for the proxies, started with the first port. All methods may be called from any thread.
class Publisher {
public:
    /// `table` as of table_name().
    static base::Result<std::unique_ptr<Publisher>> make(const std::string& table);
    virtual ~Publisher() = default;  ///< closes sockets and ends proxies; firewall entries stay (the container may live on)

    /// Binds sockets for all ports of a container, or none; free ports are chosen (host_port 0, or the first free one up to
    /// host_port_last). Returns what was bound, one mapping a host address family: no host_ip gives 0.0.0.0 and [::].
    /// conflict: `publish 0.0.0.0:5432: port is already allocated: address in use by pid 812 (postgres)`.
    virtual base::Result<std::vector<PortMapping>> reserve(const std::string& container_id, const std::vector<PortMapping>& ports) = 0;
    /// Sends what arrives to the container: one firewall transaction. `networks`: those that it is on, for the checks.
    virtual base::Status publish(const std::string& container_id, const std::string& ipv4, const std::string& ipv6) = 0;
    /// For a wave: one transaction for all.
    struct Target {
        std::string container_id, ipv4, ipv6;
    };
    virtual base::Status publish_many(const std::vector<Target>& targets) = 0;
    /// Firewall entries, proxies, sockets and the conntrack entries of udp go. Unknown ids are fine.
    virtual base::Status unpublish(const std::string& container_id) = 0;
    virtual base::Status unpublish_many(const std::vector<std::string>& container_ids) = 0;
    /// Puts firewall entries back if somebody removed them (after a firewall reload); cheap when nothing is missing.
    virtual base::Status verify() = 0;
    /// From now on, these networks and all published ports are put back by themselves whenever somebody flushes the engine's
    /// table (`nft flush ruleset`, a firewall's restart). The list replaces the one before; networks whose bridge is gone are
    /// left alone. A thread that sleeps until then.
    virtual base::Status guard(std::vector<NetworkInfo> networks) = 0;
};

/// Removes entries of ports whose publisher is gone (the supervisor of a dead machine state): all that lead to `ipv4`/`ipv6`.
base::Status forget_published(const std::string& table, const std::string& ipv4, const std::string& ipv6);

}  // namespace engine::network
