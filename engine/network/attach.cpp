// Connecting namespaces to networks: one batch of links on the host for a whole wave, one batch in each namespace.
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "network/firewall.h"
#include "network/namespace.h"
#include "network/netlink.h"
#include "network/network.h"

namespace engine::network {

using base::Code;

namespace {

/// Between the containers of a machine a packet may be as large as IPv4 lets it, as on loopback: small writes gather in few packets.
/// What leaves the machine goes by the default route, which keeps to Ethernet's size there. A smaller MTU that was asked for holds for both.
constexpr uint32_t kInsideMtu = 65535, kOutsideMtu = 1500;

/// One link to make: all that both ends need, computed before anything is done.
struct Plug {
    const AttachRequest* request = nullptr;
    EndpointState state;  ///< completed
    Mac mac{};
    std::string host_name;
    uint32_t mtu = 0;  ///< 0: the parent's
    bool isolated = false;
};

/// One namespace of a wave on its way.
struct Wave {
    const std::vector<AttachRequest>* requests = nullptr;
    int netns = -1;
    std::optional<Netlink> inside;
    std::vector<Plug> plugs;
    Status status;
};

bool is_macvlan(const NetworkInfo& network) { return network.spec.driver == "macvlan"; }

uint32_t mtu_of(const NetworkInfo& network) {
    for (const char* name : {"com.docker.network.driver.mtu", "com.docker.network.mtu"}) {
        auto found = network.spec.driver_options.find(name);
        if (found == network.spec.driver_options.end()) continue;
        if (auto value = base::parse_int(found->second)) return static_cast<uint32_t>(*value);
    }
    return 0;
}

Result<Plug> plan_plug(const AttachRequest& request, const Netlink& inside, std::vector<std::string>& names) {
    Plug plug;
    plug.request = &request;
    plug.state = request.wanted;
    EndpointState& state = plug.state;
    const NetworkInfo& network = request.network;
    state.network = network.spec.name;
    state.network_id = network.id;
    for (bool v6 : {false, true}) {
        std::string& address = v6 ? state.ipv6 : state.ipv4;
        const std::string& subnet = v6 ? network.subnet6 : network.subnet4;
        if (address.empty()) continue;
        if (subnet.empty())
            return base::fail(Code::invalid, "address " + address + ": network " + base::quote(network.spec.name) + " has no such subnet");
        TRY(Address::parse(address));
        (v6 ? state.prefix6 : state.prefix4) = TRY(Prefix::parse(subnet)).length;
        (v6 ? state.gateway6 : state.gateway4) = network.spec.internal ? "" : v6 ? network.gateway6 : network.gateway4;
    }
    if (state.mac.empty()) {
        const std::string& address = state.ipv4.empty() ? state.ipv6 : state.ipv4;
        state.mac = mac_text(address.empty() ? Mac{} : mac_from(TRY(Address::parse(address))));
    }
    plug.mac = TRY(parse_mac(state.mac));
    auto taken = [&](const std::string& name) { return inside.index(name) || std::find(names.begin(), names.end(), name) != names.end(); };
    if (state.interface_name.empty()) {
        auto prefix = network.spec.driver_options.find("com.docker.network.container_iface_prefix");
        const std::string stem = prefix == network.spec.driver_options.end() ? "eth" : prefix->second;
        for (int n = 0; state.interface_name.empty() || taken(state.interface_name); n++) state.interface_name = stem + std::to_string(n);
    } else if (taken(state.interface_name)) {
        return base::fail(Code::conflict, "interface name " + base::quote(state.interface_name) + " is taken in the container");
    }
    if (state.interface_name.size() >= IFNAMSIZ || state.interface_name.find_first_of("/ \t\n") != std::string::npos)
        return base::fail(Code::invalid, "invalid interface name " + base::quote(state.interface_name));
    names.push_back(state.interface_name);
    // Random, never reused: the name of a link in a namespace that is dying stays taken for a while.
    plug.host_name = "cv" + base::random_hex(12);
    plug.mtu = mtu_of(network);
    if (plug.mtu == 0 && !is_macvlan(network)) plug.mtu = kInsideMtu;
    plug.isolated = !option_on(network, "com.docker.network.bridge.enable_icc", true);
    return plug;
}

void put_kind(NetlinkBatch& batch, const char* kind, size_t& info, size_t& data) {
    info = batch.open(IFLA_LINKINFO);
    batch.put_text(IFLA_INFO_KIND, kind);
    data = batch.open(IFLA_INFO_DATA);
}

/// A veth pair whose other end is born in the namespace with its name and address (but down: it has no partner yet then).
void put_veth(NetlinkBatch& batch, const Plug& plug, int netns, int bridge) {
    ifinfomsg header{};
    header.ifi_flags = header.ifi_change = IFF_UP;
    batch.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    batch.put_text(IFLA_IFNAME, plug.host_name);
    batch.put_u32(IFLA_MASTER, static_cast<uint32_t>(bridge));
    if (plug.mtu) batch.put_u32(IFLA_MTU, plug.mtu);
    // One queue: else each end gets as many as the machine has CPUs, with files in sysfs for each; a veth has no use for them.
    batch.put_u32(IFLA_NUM_TX_QUEUES, 1);
    batch.put_u32(IFLA_NUM_RX_QUEUES, 1);
    size_t info, data;
    put_kind(batch, "veth", info, data);
    size_t peer = batch.open(VETH_INFO_PEER);
    ifinfomsg inside{};
    batch.raw(&inside, sizeof inside);
    batch.put_text(IFLA_IFNAME, plug.state.interface_name);
    batch.put(IFLA_ADDRESS, plug.mac.data(), plug.mac.size());
    if (plug.mtu) batch.put_u32(IFLA_MTU, plug.mtu);
    batch.put_u32(IFLA_NUM_TX_QUEUES, 1);
    batch.put_u32(IFLA_NUM_RX_QUEUES, 1);
    batch.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(netns));
    batch.close(peer);
    batch.close(data);
    batch.close(info);
}

Status put_macvlan(NetlinkBatch& batch, const Plug& plug, int netns, const Netlink& host) {
    const auto& options = plug.request->network.spec.driver_options;
    const std::string& parent = options.at("parent");
    auto index = host.index(parent);
    if (!index) return base::fail(Code::not_found, "macvlan: no link " + base::quote(parent) + " on this host (driver_opts.parent)");
    static const std::map<std::string, uint32_t> kModes{{"", MACVLAN_MODE_BRIDGE},
                                                        {"bridge", MACVLAN_MODE_BRIDGE},
                                                        {"private", MACVLAN_MODE_PRIVATE},
                                                        {"vepa", MACVLAN_MODE_VEPA},
                                                        {"passthru", MACVLAN_MODE_PASSTHRU}};
    auto asked = options.find("macvlan_mode");
    auto mode = kModes.find(asked == options.end() ? "" : asked->second);
    if (mode == kModes.end())
        return base::fail(Code::invalid,
                          "macvlan: macvlan_mode " + base::quote(asked->second) + " is not one of bridge, private, vepa, passthru");
    ifinfomsg header{};
    header.ifi_flags = header.ifi_change = IFF_UP;
    batch.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    batch.put_text(IFLA_IFNAME, plug.state.interface_name);
    batch.put(IFLA_ADDRESS, plug.mac.data(), plug.mac.size());
    if (plug.mtu) batch.put_u32(IFLA_MTU, plug.mtu);
    batch.put_u32(IFLA_LINK, static_cast<uint32_t>(*index));
    batch.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(netns));
    size_t info, data;
    put_kind(batch, "macvlan", info, data);
    batch.put_u32(IFLA_MACVLAN_MODE, mode->second);
    batch.close(data);
    batch.close(info);
    return {};
}

/// enable_icc=false: ports of a bridge that may not talk to each other.
void put_isolated(NetlinkBatch& batch, int index) {
    ifinfomsg header{};
    header.ifi_index = index;
    batch.begin(RTM_NEWLINK, 0, &header, sizeof header);
    size_t info = batch.open(IFLA_LINKINFO);
    batch.put_text(IFLA_INFO_SLAVE_KIND, "bridge");
    size_t data = batch.open(IFLA_INFO_SLAVE_DATA);
    batch.put_u8(IFLA_BRPORT_ISOLATED, 1);
    batch.close(data);
    batch.close(info);
}

/// Makes the links of a whole wave; a namespace whose link fails is marked and the others go on.
Status make_links(Netlink& host, std::vector<Wave>& waves) {
    NetlinkBatch batch;
    std::vector<std::pair<Wave*, Plug*>> owners;
    std::map<std::string, std::optional<int>> bridges;
    for (Wave& wave : waves) {
        for (Plug& plug : wave.plugs) {
            if (!wave.status) break;
            const NetworkInfo& network = plug.request->network;
            if (is_macvlan(network)) {
                wave.status = put_macvlan(batch, plug, wave.netns, host);
                if (!wave.status) break;
            } else {
                auto [found, fresh] = bridges.try_emplace(network.bridge);
                if (fresh) found->second = host.index(network.bridge);
                if (!found->second) {
                    wave.status = base::fail(Code::not_found, "bridge " + base::quote(network.bridge) + " of network " +
                                                                  base::quote(network.spec.name) + " is missing on the host");
                    break;
                }
                put_veth(batch, plug, wave.netns, *found->second);
            }
            owners.emplace_back(&wave, &plug);
        }
    }
    if (batch.empty()) return {};
    auto errors = TRY(host.run(batch));
    NetlinkBatch isolated;
    for (size_t i = 0; i < owners.size(); i++) {
        auto [wave, plug] = owners[i];
        if (errors[i] != 0 && wave->status) {
            std::string text = "connect to network " + base::quote(plug->request->network.spec.name) + ": create " +
                               base::quote(plug->state.interface_name);
            if (errors[i] == EOPNOTSUPP)
                wave->status = base::fail(Code::unsupported_kernel,
                                          text + ": the kernel lacks " + (is_macvlan(plug->request->network) ? "macvlan" : "veth"));
            else wave->status = base::fail_errno(text, errors[i]);
        }
        if (errors[i] == 0 && plug->isolated)
            if (auto index = host.index(plug->host_name)) put_isolated(isolated, *index);
    }
    if (!isolated.empty())
        for (int error : TRY(host.run(isolated)))
            if (error != 0) return base::fail_errno("isolate the ports of a bridge (enable_icc=false)", error);
    return {};
}

void put_up(NetlinkBatch& batch, int index) {
    ifinfomsg header{};
    header.ifi_index = index;
    header.ifi_flags = header.ifi_change = IFF_UP;
    batch.begin(RTM_NEWLINK, 0, &header, sizeof header);
}

void put_inside_address(NetlinkBatch& batch, int index, const Address& address, int length, uint8_t scope = RT_SCOPE_UNIVERSE) {
    ifaddrmsg header{};
    header.ifa_family = address.v6 ? AF_INET6 : AF_INET;
    header.ifa_prefixlen = static_cast<uint8_t>(length);
    header.ifa_flags = address.v6 ? IFA_F_NODAD : 0;  // the engine leases addresses: nobody else has it
    header.ifa_scope = scope;
    header.ifa_index = static_cast<uint32_t>(index);
    batch.begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &header, sizeof header);
    batch.put_address(IFA_LOCAL, address);
    batch.put_address(IFA_ADDRESS, address);
    if (!address.v6) batch.put_address(IFA_BROADCAST, Prefix{address, length}.last());
}

void put_default_route(NetlinkBatch& batch, int index, const Address& gateway, uint32_t link_mtu) {
    rtmsg header{};
    header.rtm_family = gateway.v6 ? AF_INET6 : AF_INET;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_BOOT;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    batch.begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    batch.put_address(RTA_GATEWAY, gateway);
    batch.put_u32(RTA_OIF, static_cast<uint32_t>(index));
    if (link_mtu != kInsideMtu) return;
    size_t metrics = batch.open(RTA_METRICS);
    batch.put_u32(RTAX_MTU, kOutsideMtu);
    batch.close(metrics);
}

/// The plug that gives the default route of a family.
const Plug* gateway_plug(const std::vector<Plug>& plugs, bool v6) {
    const Plug* best = nullptr;
    for (const Plug& plug : plugs) {
        if ((v6 ? plug.state.gateway6 : plug.state.gateway4).empty()) continue;
        if (!best || plug.request->gateway_priority > best->request->gateway_priority) best = &plug;
    }
    return best;
}

/// The namespace's half: addresses and routes. The calling thread is in the namespace (for IPv6's setting).
Status finish_inside(Wave& wave) {
    NetlinkBatch batch;
    std::vector<std::string> about;
    // In a namespace with IPv6, links that the container itself makes (a tunnel) shall have it as well.
    if (std::any_of(wave.plugs.begin(), wave.plugs.end(), [](const Plug& plug) { return !plug.state.ipv6.empty(); }))
        TRY_VOID(base::write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0").context("turn IPv6 on"));
    for (Plug& plug : wave.plugs) {
        const EndpointState& state = plug.state;
        auto index = wave.inside->index(state.interface_name);
        if (!index) return base::fail(Code::unavailable, "interface " + base::quote(state.interface_name) + " went away");
        if (!state.ipv6.empty())
            TRY_VOID(base::write_file("/proc/sys/net/ipv6/conf/" + state.interface_name + "/disable_ipv6", "0")
                         .context("turn IPv6 on for " + state.interface_name));
        put_up(batch, *index);
        about.push_back(state.interface_name + " up");
        for (const std::string& text : {state.ipv4, state.ipv6}) {
            if (text.empty()) continue;
            Address address = TRY(Address::parse(text));
            put_inside_address(batch, *index, address, address.v6 ? state.prefix6 : state.prefix4);
            about.push_back("address " + text);
        }
        for (const std::string& text : plug.request->link_local_ips) {
            Address address = TRY(Address::parse(text));
            put_inside_address(batch, *index, address, address.v6 ? 64 : 16, RT_SCOPE_LINK);
            about.push_back("address " + text);
        }
    }
    for (bool v6 : {false, true})
        if (const Plug* plug = gateway_plug(wave.plugs, v6)) {
            put_default_route(batch, *wave.inside->index(plug->state.interface_name),
                              TRY(Address::parse(v6 ? plug->state.gateway6 : plug->state.gateway4)), plug->mtu);
            about.push_back("default route");
        }
    if (batch.empty()) return {};
    auto errors = TRY(wave.inside->run(batch));
    for (size_t i = 0; i < errors.size(); i++)
        if (errors[i] != 0 && errors[i] != EEXIST) return base::fail_errno("set " + about[i], errors[i]);
    return {};
}

/// Removes what a failed one made: deleting the end inside takes the host's end along.
void undo_links(Wave& wave) {
    NetlinkBatch batch;
    for (const Plug& plug : wave.plugs) {
        auto index = wave.inside ? wave.inside->index(plug.state.interface_name) : std::nullopt;
        if (!index) continue;
        ifinfomsg header{};
        header.ifi_index = *index;
        batch.begin(RTM_DELLINK, 0, &header, sizeof header);
    }
    if (batch.empty()) return;
    if (auto done = wave.inside->run(batch); !done) base::log::debug("ignored: " + done.error().message());
}

/// A namespace that a killed process left, or that others still live in (network_mode: service:…): links of an earlier life go.
Status clear_links(Netlink& inside) {
    NetlinkBatch batch;
    ifinfomsg all{};
    TRY_VOID(inside.dump(RTM_GETLINK, &all, sizeof all, [&](const nlmsghdr& message) {
        const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
        std::string kind;
        each_attribute(IFLA_RTA(link), message.nlmsg_len - NLMSG_LENGTH(sizeof *link),
                       [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type != IFLA_LINKINFO) return;
                           each_attribute(data, size, [&](uint16_t inner, const uint8_t* text, size_t length) {
                               if (inner == IFLA_INFO_KIND)
                                   kind.assign(reinterpret_cast<const char*>(text), strnlen(reinterpret_cast<const char*>(text), length));
                           });
                       });
        if (kind != "veth" && kind != "macvlan") return;
        ifinfomsg gone{};
        gone.ifi_index = link->ifi_index;
        batch.begin(RTM_DELLINK, 0, &gone, sizeof gone);
    }));
    if (batch.empty()) return {};
    for (int error : TRY(inside.run(batch)))
        if (error != 0 && error != ENODEV) return base::fail_errno("remove an interface of an earlier start", error);
    return {};
}

void plan_wave(Wave& wave) {
    std::vector<std::string> names;
    for (const AttachRequest& request : *wave.requests)
        if (!request.wanted.interface_name.empty()) names.push_back(request.wanted.interface_name);
    std::vector<std::string> given;
    for (const AttachRequest& request : *wave.requests) {
        // A generated name avoids those asked for; an asked-for one must differ from all before it.
        auto plug = plan_plug(request, *wave.inside, request.wanted.interface_name.empty() ? names : given);
        if (!plug) {
            wave.status = std::move(plug.error()).with("connect to network " + base::quote(request.network.spec.name));
            wave.plugs.clear();
            return;
        }
        given.push_back(plug->state.interface_name);
        wave.plugs.push_back(std::move(*plug));
    }
}

Status open_firewall(std::span<const Wave> waves, const std::string& table) {
    std::vector<const NetworkInfo*> networks;
    for (const Wave& wave : waves)
        for (const AttachRequest& request : *wave.requests)
            if (!request.network.bridge.empty() && std::none_of(networks.begin(), networks.end(), [&](const NetworkInfo* other) {
                    return other->bridge == request.network.bridge;
                }))
                networks.push_back(&request.network);
    return open_networks(table, networks);
}

}  // namespace

Result<std::vector<EndpointState>> attach(int netns, const std::vector<AttachRequest>& requests, const std::string& table) {
    std::vector<Wave> waves(1);
    Wave& wave = waves[0];
    wave.requests = &requests;
    wave.netns = netns;
    TRY_VOID(open_firewall(waves, table));
    Netlink host = TRY(Netlink::open());
    TRY_VOID(in_netns(netns, [&]() -> Status {
        wave.inside = TRY(Netlink::open());
        plan_wave(wave);
        if (!wave.status) return wave.status;
        Status done = make_links(host, waves);
        if (done) done = wave.status;
        if (done) done = finish_inside(wave);
        if (!done) undo_links(wave);
        return done;
    }));
    std::vector<EndpointState> states;
    for (Plug& plug : wave.plugs) states.push_back(std::move(plug.state));
    return states;
}

namespace {
/// Of a link in the thread's namespace; 0: it is not there.
uint32_t link_mtu(const std::string& name) {
    ifreq request{};
    if (name.size() >= sizeof request.ifr_name) return 0;
    name.copy(request.ifr_name, name.size());
    base::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return fd && ::ioctl(fd.get(), SIOCGIFMTU, &request) == 0 ? static_cast<uint32_t>(request.ifr_mtu) : 0;
}
}  // namespace

Status detach(int netns, const std::vector<EndpointState>& gone, const std::vector<EndpointState>& remaining) {
    return in_netns(netns, [&]() -> Status {
        Netlink inside = TRY(Netlink::open());
        NetlinkBatch batch;
        for (const EndpointState& endpoint : gone) {
            auto index = inside.index(endpoint.interface_name);
            if (!index) continue;
            ifinfomsg header{};
            header.ifi_index = *index;
            batch.begin(RTM_DELLINK, 0, &header, sizeof header);
        }
        if (!batch.empty())
            for (int error : TRY(inside.run(batch)))
                if (error != 0 && error != ENODEV) return base::fail_errno("remove an interface of the container", error);
        // Where the default route went with its interface, the next network gives it; EEXIST: it is still there.
        NetlinkBatch routes;
        for (bool v6 : {false, true})
            for (const EndpointState& endpoint : remaining) {
                const std::string& gateway = v6 ? endpoint.gateway6 : endpoint.gateway4;
                auto index = inside.index(endpoint.interface_name);
                if (gateway.empty() || !index) continue;
                put_default_route(routes, *index, TRY(Address::parse(gateway)), link_mtu(endpoint.interface_name));
                break;
            }
        if (!routes.empty())
            for (int error : TRY(inside.run(routes)))
                if (error != 0 && error != EEXIST) return base::fail_errno("set the default route", error);
        return {};
    });
}

std::vector<Result<Sandbox>> create_sandboxes(std::span<const SandboxRequest> requests, const std::string& table) {
    std::vector<Result<Sandbox>> results;
    std::vector<Wave> waves(requests.size());
    std::vector<Sandbox> sandboxes(requests.size());
    std::vector<bool> fresh(requests.size(), false);
    for (size_t i = 0; i < requests.size(); i++) waves[i].requests = &requests[i].networks;

    Status common = open_firewall(waves, table);
    auto host = Netlink::open();
    if (common && !host) common = host.error();
    auto each = [&](size_t i, const std::function<Status()>& step) {
        if (waves[i].status) waves[i].status = step();
    };
    if (common)
        common = run_in_thread([&]() -> Status {
            // One visit makes the namespace, its settings and its sockets; the sockets stay usable from outside.
            for (size_t i = 0; i < requests.size(); i++)
                each(i, [&]() -> Status {
                    const SandboxRequest& request = requests[i];
                    if (auto there = open_netns(request.pin_path)) {
                        sandboxes[i].netns = std::move(*there);
                        TRY_VOID(enter_netns(sandboxes[i].netns.get()));
                    } else {
                        TRY_VOID(base::make_dirs(request.pin_path.substr(0, request.pin_path.rfind('/')), 0700));
                        sandboxes[i].netns = TRY(enter_new_netns(request.pin_path));
                        fresh[i] = true;
                    }
                    waves[i].netns = sandboxes[i].netns.get();
                    waves[i].inside = TRY(Netlink::open());
                    if (!fresh[i]) TRY_VOID(clear_links(*waves[i].inside));
                    if (request.dns) sandboxes[i].dns = TRY(open_dns_sockets_here());
                    plan_wave(waves[i]);
                    return std::move(waves[i].status);
                });
            TRY_VOID(make_links(*host, waves));
            for (size_t i = 0; i < requests.size(); i++)
                each(i, [&]() -> Status {
                    bool v6 = std::any_of(waves[i].plugs.begin(), waves[i].plugs.end(),
                                          [](const Plug& plug) { return !plug.state.ipv6.empty(); });
                    if (v6 || !requests[i].sysctls.empty()) TRY_VOID(enter_netns(waves[i].netns));
                    TRY_VOID(finish_inside(waves[i]));
                    for (const auto& [name, value] : requests[i].sysctls) TRY_VOID(write_sysctl(name, value));
                    return {};
                });
            return {};
        });
    for (size_t i = 0; i < requests.size(); i++) {
        if (waves[i].status && !common) waves[i].status = common;
        if (waves[i].status) {
            for (Plug& plug : waves[i].plugs) sandboxes[i].endpoints.push_back(std::move(plug.state));
            results.emplace_back(std::move(sandboxes[i]));
            continue;
        }
        undo_links(waves[i]);
        if (fresh[i])
            if (auto removed = remove_netns(requests[i].pin_path); !removed) base::log::debug("ignored: " + removed.error().message());
        results.emplace_back(std::move(waves[i].status.error()));
    }
    return results;
}

}  // namespace engine::network
