#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "network/firewall.h"
#include "network/netlink.h"
#include "network/network.h"
#include "network/remove_link.h"

namespace engine::network {

using base::Code;

namespace {

bool is_bridge(const NetworkInfo& network) { return network.spec.driver == "bridge" || network.spec.driver.empty(); }

std::string option(const NetworkSpec& spec, const std::string& name) {
    auto found = spec.driver_options.find(name);
    return found == spec.driver_options.end() ? "" : found->second;
}

Status check_link_name(const std::string& name, const std::string& network) {
    bool wrong = name.empty() || name.size() >= IFNAMSIZ || name == "." || name == "..";
    for (char c : name) wrong = wrong || c == '/' || c == ':' || static_cast<unsigned char>(c) <= ' ';
    if (wrong)
        return base::fail(Code::invalid, "network " + base::quote(network) + ": invalid link name " + base::quote(name) +
                                             ": 1 to 15 characters without / : and spaces");
    return {};
}

Status check_options(const NetworkSpec& spec) {
    for (const auto& [name, value] : spec.driver_options) {
        if (name.starts_with("com.docker.network.bridge.gateway_mode_") && !value.empty() && value != "nat")
            return base::fail(Code::unsupported, "network " + base::quote(spec.name) + ": " + name + " " + base::quote(value) +
                                                     " is not supported: only nat is");
        if (name == "com.docker.network.driver.mtu" || name == "com.docker.network.mtu") {
            auto mtu = base::parse_int(value);
            if (!mtu || *mtu < 68 || *mtu > 65535)
                return base::fail(Code::invalid, "network " + base::quote(spec.name) + ": " + name + " " + base::quote(value) +
                                                     " is not between 68 and 65535");
            if (spec.enable_ipv6 && *mtu < 1280)
                return base::fail(Code::invalid,
                                  "network " + base::quote(spec.name) + ": IPv6 needs an MTU of at least 1280, not " + value);
        }
    }
    return {};
}

/// Writes a kernel setting unless it has that value already (a write can cost a walk over all links).
Status set_value(const std::string& path, const std::string& value) {
    auto now = base::read_file(path, 4096);
    if (!now) {
        // A kernel without IPv6 has no such file; that matters only where IPv6 was asked for, and there the address fails.
        if (now.error().code == Code::not_found) return {};
        return now.error();
    }
    if (base::trim(*now) == value) return {};
    return base::write_file(path, value).context("set " + path + " to " + value);
}

Status enable_forwarding(bool v6) {
    TRY_VOID(set_value("/proc/sys/net/ipv4/ip_forward", "1"));
    if (!v6) return {};
    const std::string conf = "/proc/sys/net/ipv6/conf/";
    auto all = base::read_file(conf + "all/forwarding", 64);
    if (!all || base::trim(*all) == "1") return {};
    // Forwarding turns router advertisements off (accept_ra 1): links that lived by them go on doing so with 2.
    if (auto links = base::list_dir(conf))
        for (const std::string& link : *links) {
            if (link == "all" || link == "default" || link == "lo") continue;
            auto accepts = base::read_file(conf + link + "/accept_ra", 64);
            if (accepts && base::trim(*accepts) == "1")
                if (auto done = set_value(conf + link + "/accept_ra", "2"); !done) base::log::debug("ignored: " + done.error().message());
        }
    return set_value(conf + "all/forwarding", "1");
}

void put_bridge_kind(NetlinkBatch& batch) {
    size_t info = batch.open(IFLA_LINKINFO);
    batch.put_text(IFLA_INFO_KIND, "bridge");
    batch.close(info);
}

/// `type`: RTM_NEWADDR or RTM_DELADDR.
void put_address(NetlinkBatch& batch, uint16_t type, int index, const Address& address, const Prefix& subnet) {
    ifaddrmsg header{};
    header.ifa_family = address.v6 ? AF_INET6 : AF_INET;
    header.ifa_prefixlen = static_cast<uint8_t>(subnet.length);
    header.ifa_flags = address.v6 ? IFA_F_NODAD : 0;
    header.ifa_index = static_cast<uint32_t>(index);
    batch.begin(type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof header);
    batch.put_address(IFA_LOCAL, address);
    batch.put_address(IFA_ADDRESS, address);
    if (!address.v6) batch.put_address(IFA_BROADCAST, subnet.last());
}

/// The host's addresses in the network.
Status put_addresses(NetlinkBatch& batch, uint16_t type, int index, const NetworkInfo& network) {
    for (bool v6 : {false, true}) {
        const std::string& subnet_text = v6 ? network.subnet6 : network.subnet4;
        const std::string& gateway_text = v6 ? network.gateway6 : network.gateway4;
        if (subnet_text.empty() || gateway_text.empty()) continue;
        put_address(batch, type, index, TRY(Address::parse(gateway_text)), TRY(Prefix::parse(subnet_text)));
    }
    return {};
}

Result<std::string> link_kind(Netlink& netlink, int index) {
    std::string kind;
    ifinfomsg header{};
    header.ifi_index = index;
    NetlinkBatch batch;
    batch.begin(RTM_GETLINK, 0, &header, sizeof header);
    TRY(netlink.run_whole(batch, [&](size_t, const nlmsghdr& message) {
        each_attribute(IFLA_RTA(NLMSG_DATA(&message)), message.nlmsg_len - NLMSG_LENGTH(sizeof header),
                       [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type == IFLA_LINKINFO)
                               each_attribute(data, size, [&](uint16_t inner, const uint8_t* text, size_t length) {
                                   if (inner == IFLA_INFO_KIND)
                                       kind.assign(reinterpret_cast<const char*>(text),
                                                   strnlen(reinterpret_cast<const char*>(text), length));
                               });
                       });
    }));
    return kind;
}

}  // namespace

std::string table_name(const std::string& root, const std::string& default_root) {
    return root == default_root ? "compose" : "compose_" + base::sha256_hex(root).substr(0, 8);
}

Result<NetworkInfo> plan_network(const std::string& id, const NetworkSpec& spec, std::span<const NetworkInfo> existing) {
    NetworkInfo info;
    info.id = id;
    info.spec = spec;
    if (info.spec.driver.empty() || info.spec.driver == "default") info.spec.driver = "bridge";
    const std::string where = "network " + base::quote(spec.name);
    if (info.spec.driver == "host" || info.spec.driver == "null" || info.spec.driver == "none") return info;
    if (info.spec.driver == "macvlan") {
        if (option(spec, "parent").empty())
            return base::fail(Code::invalid, where + ": macvlan needs driver_opts.parent: the host's link to stand on, such as eth0");
    } else if (info.spec.driver == "ipvlan" || info.spec.driver == "overlay") {
        return base::fail(Code::unsupported, where + ": driver " + base::quote(spec.driver) + " is not supported: use bridge or macvlan");
    } else if (info.spec.driver != "bridge") {
        return base::fail(Code::unsupported, where + ": driver " + base::quote(spec.driver) + " is not known: use bridge or macvlan");
    }
    if (!spec.ipam_driver.empty() && spec.ipam_driver != "default")
        return base::fail(Code::unsupported, where + ": ipam driver " + base::quote(spec.ipam_driver) + " is not supported: use default");
    TRY_VOID(check_options(spec));
    if (is_bridge(info)) {
        std::string named = option(spec, "com.docker.network.bridge.name");
        info.bridge = named.empty() ? "cp" + id.substr(0, 12) : named;
        TRY_VOID(check_link_name(info.bridge, spec.name));
        for (const NetworkInfo& other : existing)
            if (other.bridge == info.bridge)
                return base::fail(Code::conflict, where + ": link name " + base::quote(info.bridge) + " is that of network " +
                                                      base::quote(other.spec.name));
    }
    std::vector<Prefix> networks;
    for (const NetworkInfo& other : existing)
        for (const std::string& text : {other.subnet4, other.subnet6})
            if (auto prefix = Prefix::parse(text)) networks.push_back(*prefix);
    Netlink netlink = TRY(Netlink::open());
    auto host = TRY(used_prefixes(netlink).context("read the host's routes"));
    // A network on a host link shares that link's subnet: only what was asked for counts.
    TRY_VOID(fill_subnets(info, networks, host));
    return info;
}

Status create_bridge(const NetworkInfo& network, const std::string& table) {
    if (!is_bridge(network)) return {};
    const std::string doing = "create network " + base::quote(network.spec.name);
    Netlink netlink = TRY(Netlink::open());
    TRY_VOID(enable_forwarding(!network.subnet6.empty()).context(doing));

    NetlinkBatch link;
    ifinfomsg header{};  // not yet up: IPv6 is settled first
    link.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    link.put_text(IFLA_IFNAME, network.bridge);
    // A fixed address: else the bridge takes the lowest of its ports and changes it as they come and go.
    Mac mac{0x02, 0x42};
    std::string digest = base::sha256_hex(network.id);
    for (size_t i = 0; i < 4; i++) mac[i + 2] = static_cast<uint8_t>(std::stoi(digest.substr(i * 2, 2), nullptr, 16));
    link.put(IFLA_ADDRESS, mac.data(), mac.size());
    std::string mtu = option(network.spec, "com.docker.network.driver.mtu");
    if (mtu.empty()) mtu = option(network.spec, "com.docker.network.mtu");
    if (auto value = base::parse_int(mtu)) link.put_u32(IFLA_MTU, static_cast<uint32_t>(*value));
    put_bridge_kind(link);
    int error = TRY(netlink.run(link))[0];
    if (error != 0 && error != EEXIST) return base::fail_errno(doing + ": create bridge " + base::quote(network.bridge), error);
    auto index = netlink.index(network.bridge);
    if (!index) return base::fail(Code::unavailable, doing + ": bridge " + base::quote(network.bridge) + " went away");
    if (error == EEXIST) {
        std::string kind = TRY(link_kind(netlink, *index));
        if (kind != "bridge")
            return base::fail(Code::conflict, doing + ": link " + base::quote(network.bridge) + " exists and is no bridge");
    }
    const std::string conf = "/conf/" + network.bridge + "/";
    TRY_VOID(set_value("/proc/sys/net/ipv6" + conf + "disable_ipv6", network.subnet6.empty() ? "1" : "0").context(doing));
    if (!network.subnet6.empty()) {
        // CVE-2020-13401: no container tells the host where its routes go.
        TRY_VOID(set_value("/proc/sys/net/ipv6" + conf + "accept_ra", "0").context(doing));
    }
    // Published loopback ports: answers arrive at the bridge for 127.0.0.1. The firewall's raw chain guards this.
    TRY_VOID(open_networks(table, std::vector<const NetworkInfo*>{&network}).context(doing));
    TRY_VOID(set_value("/proc/sys/net/ipv4" + conf + "route_localnet", "1").context(doing));

    NetlinkBatch rest;
    header = {};
    header.ifi_index = *index;
    header.ifi_flags = header.ifi_change = IFF_UP;
    rest.begin(RTM_NEWLINK, 0, &header, sizeof header);
    TRY_VOID(put_addresses(rest, RTM_NEWADDR, *index, network));
    auto errors = TRY(netlink.run(rest));
    for (int each : errors)
        if (each != 0 && each != EEXIST)
            return base::fail_errno(doing + ": give bridge " + base::quote(network.bridge) + " its addresses", each);
    return {};
}

Status remove_bridge(const NetworkInfo& network, const std::string& table) {
    if (!is_bridge(network) || network.bridge.empty()) return {};
    const std::string doing = "remove network " + base::quote(network.spec.name);
    auto nft = Nft::open();
    Status removed = [&]() -> Status {
        Netlink netlink = TRY(Netlink::open());
        auto index = netlink.index(network.bridge);
        if (!index) return {};
        // The addresses now: whoever chooses a subnet next must not find them.
        NetlinkBatch batch;
        TRY_VOID(put_addresses(batch, RTM_DELADDR, *index, network));
        if (!batch.empty()) (void)TRY(netlink.run(batch));  // absent is fine
        return remove_link(netlink, *index, network.bridge, nft ? nft->fd() : -1).context(doing);
    }();
    // After the link, whose presence tells a guard of the rules that they are to be put back; and whatever became of it:
    // clean-up does not stop at the first failure.
    Status closed = nft ? close_network(*nft, table, network) : std::move(nft.error());
    if (!removed) return removed;
    return std::move(closed).context(doing);
}

std::string host_gateway(std::span<const NetworkInfo> networks) {
    for (const NetworkInfo& network : networks)
        if (is_bridge(network) && !network.gateway4.empty()) return network.gateway4;
    for (const NetworkInfo& network : networks)
        if (is_bridge(network) && !network.gateway6.empty()) return network.gateway6;
    return {};
}

}  // namespace engine::network
