#pragma once
// Networks and the namespaces of containers: bridges, addresses, veth pairs. Everything here talks to the kernel by
// rtnetlink and nfnetlink in batches; nothing here knows of the store: who calls keeps addresses leased and names unique.
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"
#include "network/dns.h"
#include "network/pool.h"

namespace engine::network {

using base::Result;
using base::Status;

/// The nft table of an engine: `compose` for the default root, `compose_<8 digits>` for another, so that engines with
/// different roots do not disturb each other.
std::string table_name(const std::string& root, const std::string& default_root = "/var/lib/compose");

// ---- networks ---------------------------------------------------------------------------------------------------------

/// Fills in what a network needs before it is stored: link name, subnets and gateways, chosen beside `existing` networks
/// and the host's routes and addresses. Errors: invalid (spec), unsupported (driver), conflict (pool overlaps; no free pool).
Result<NetworkInfo> plan_network(const std::string& id, const NetworkSpec& spec, std::span<const NetworkInfo> existing);

/// Makes the bridge with its addresses and firewall entries, turns on forwarding. Idempotent: repairs what is missing.
/// Drivers without a bridge (null, host) do nothing.
Status create_bridge(const NetworkInfo& network, const std::string& table);
/// Removes link and firewall entries; what is absent is fine.
Status remove_bridge(const NetworkInfo& network, const std::string& table);
/// The address that `host-gateway` means to a container on these networks: the first gateway, else an address of the host.
std::string host_gateway(std::span<const NetworkInfo> networks);

// ---- namespaces of containers -----------------------------------------------------------------------------------------

/// A new network namespace, bound at `pin_path` (made, folder included) so that it outlives its processes; lo is up and the
/// defaults of a container's sysctls are set (ip_unprivileged_port_start 0, ping_group_range, ip_forward 1).
/// An existing pin is opened as it is.
Result<base::NetnsFd> create_netns(const std::string& pin_path);
/// Opens a pinned namespace; not_found when nothing is bound there.
Result<base::NetnsFd> open_netns(const std::string& pin_path);
/// Unmounts and removes the pin; the namespace ends with its last process. Absent is fine.
Status remove_netns(const std::string& pin_path);
/// Runs `work` in a thread of its own that has entered the namespace.
Status in_netns(int netns, const std::function<Status()>& work);
/// Writes /proc/sys/net values (`net.core.somaxconn`); anything outside `net.` is an error.
Status set_sysctls(int netns, const std::map<std::string, std::string>& sysctls);

/// One network that a container joins.
struct AttachRequest {
    NetworkInfo network;
    EndpointState wanted;  ///< ipv4/ipv6 (leased), mac (empty: from the address), interface_name (empty: next free ethN)
    int gateway_priority = 0;
    std::vector<std::string> link_local_ips;
};

/// Connects a namespace to networks, in the given order (eth0, eth1 …); the default route goes to the highest
/// gateway_priority, then the first that has a gateway and is not internal. Returns each endpoint completed (prefix,
/// gateways, MAC, interface name). All or nothing. `table`: its firewall entries are verified and repaired.
/// Also for a running container (`network connect`): existing interfaces stay, an existing default route stays.
Result<std::vector<EndpointState>> attach(int netns, const std::vector<AttachRequest>& requests, const std::string& table);
/// Removes these interfaces from the namespace; absent is fine. The default route moves to one of `remaining` if it went.
Status detach(int netns, const std::vector<EndpointState>& gone, const std::vector<EndpointState>& remaining);

/// All of the above for one container of a wave.
struct SandboxRequest {
    std::string pin_path;  ///< a namespace that is there is kept (others may live in it); its links are made anew
    std::vector<AttachRequest> networks;
    std::map<std::string, std::string> sysctls;
    bool dns = true;  ///< open the resolver's sockets
};
struct Sandbox {
    base::NetnsFd netns;
    std::vector<EndpointState> endpoints;
    DnsSockets dns;
};
/// Namespaces, links, addresses, routes and resolver sockets for many containers at once: one netlink batch on the host and
/// one in each namespace. The answer has one Result a request, in order; a failed one has left nothing behind.
std::vector<Result<Sandbox>> create_sandboxes(std::span<const SandboxRequest> requests, const std::string& table);

}  // namespace engine::network
