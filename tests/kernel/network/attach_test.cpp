// Bridges, namespaces and the links between them, with the real kernel.
#include <gmock/gmock.h>

#include "kernel/network/fresh_host.h"
#include "network/firewall.h"
#include "network/netlink.h"
#include "network/network.h"

namespace engine::network {
namespace {

using fresh::ask;
using fresh::EchoServer;

NetworkInfo planned(const std::string& name, const std::vector<NetworkInfo>& others = {},
                    const std::function<void(NetworkSpec&)>& change = {}) {
    NetworkSpec spec;
    spec.name = name;
    if (change) change(spec);
    auto info = plan_network(base::sha256_hex(name), spec, others);
    EXPECT_TRUE(info) << info.error().message();
    return info ? *info : NetworkInfo{};
}

NetworkInfo made(const std::string& name, const std::vector<NetworkInfo>& others = {},
                 const std::function<void(NetworkSpec&)>& change = {}) {
    NetworkInfo info = planned(name, others, change);
    auto done = create_bridge(info, "compose");
    EXPECT_TRUE(done) << done.error().message();
    return info;
}

AttachRequest joining(const NetworkInfo& network, const std::string& ipv4, const std::string& ipv6 = {}) {
    AttachRequest request;
    request.network = network;
    request.wanted.ipv4 = ipv4;
    request.wanted.ipv6 = ipv6;
    return request;
}

Sandbox sandbox(const std::string& dir, const std::string& name, std::vector<AttachRequest> networks, bool dns = false) {
    std::vector<SandboxRequest> requests(1);
    requests[0].pin_path = dir + "/netns/" + name;
    requests[0].networks = std::move(networks);
    requests[0].dns = dns;
    auto results = create_sandboxes(requests, "compose");
    EXPECT_TRUE(results[0]) << results[0].error().message();
    return results[0] ? std::move(*results[0]) : Sandbox{};
}

std::string inside(int netns, const std::string& path) {
    std::string text;
    EXPECT_TRUE(in_netns(netns, [&]() -> Status {
        text = base::trim(TRY(base::read_file(path)));
        return {};
    }));
    return text;
}

bool link_exists(const std::string& name) { return Netlink::open()->index(name).has_value(); }

TEST(Attach, two_containers_of_a_network_reach_each_other_and_the_host_reaches_them) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("p_default");
        EXPECT_EQ(net.subnet4, "172.17.0.0/16");
        Sandbox a = sandbox(dir, "a", {joining(net, "172.17.0.2")}), b = sandbox(dir, "b", {joining(net, "172.17.0.3")});
        ASSERT_EQ(a.endpoints.size(), 1u);
        EXPECT_EQ(a.endpoints[0].interface_name, "eth0");
        EXPECT_EQ(a.endpoints[0].mac, "02:42:ac:11:00:02");
        EXPECT_EQ(a.endpoints[0].gateway4, "172.17.0.1");
        EXPECT_EQ(a.endpoints[0].prefix4, 16);
        EchoServer server(b.netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(a.netns.get(), "172.17.0.3", 80), "172.17.0.2");
        EXPECT_EQ(ask(-1, "172.17.0.3", 80), "172.17.0.1");
        EXPECT_EQ(inside(a.netns.get(), "/proc/sys/net/ipv4/ip_unprivileged_port_start"), "0");
        EXPECT_EQ(inside(a.netns.get(), "/proc/sys/net/ipv4/ping_group_range"), "0\t2147483647");
        EXPECT_EQ(inside(a.netns.get(), "/proc/sys/net/ipv4/ip_forward"), "1");
    });
}

TEST(Attach, networks_are_isolated_and_one_on_both_reaches_both) {
    fresh::host([](const std::string& dir) {
        NetworkInfo l = made("l"), r = made("r", {l});
        EXPECT_EQ(r.subnet4, "172.18.0.0/16");
        Sandbox left = sandbox(dir, "left", {joining(l, "172.17.0.2")}), right = sandbox(dir, "right", {joining(r, "172.18.0.2")});
        Sandbox both = sandbox(dir, "both", {joining(l, "172.17.0.3"), joining(r, "172.18.0.3")});
        EXPECT_EQ(both.endpoints[1].interface_name, "eth1");
        EchoServer on_left(left.netns.get(), "0.0.0.0", 80), on_right(right.netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(both.netns.get(), "172.17.0.2", 80), "172.17.0.3");
        EXPECT_EQ(ask(both.netns.get(), "172.18.0.2", 80), "172.18.0.3");
        EXPECT_EQ(ask(left.netns.get(), "172.18.0.2", 80, 300), "");
    });
}

// An "outside": a namespace linked to the host by a veth pair, 10.9.0.1 here and 10.9.0.2 there.
base::NetnsFd outside(const std::string& dir) {
    auto netns = create_netns(dir + "/outside");
    EXPECT_TRUE(netns);
    NetworkSpec spec;
    spec.name = "uplink";
    spec.pools.push_back({"10.9.0.0/24", "10.9.0.1", "", {}});
    NetworkInfo uplink = *plan_network(base::sha256_hex("uplink"), spec, {});
    // A table of its own: for the engine under test this is a foreign link.
    EXPECT_TRUE(create_bridge(uplink, "other"));
    EXPECT_TRUE(attach(netns->get(), {joining(uplink, "10.9.0.2")}, "other"));
    auto nft = Nft::open();
    EXPECT_TRUE(nft);
    EXPECT_TRUE(close_network(*nft, "other", uplink));
    return std::move(*netns);
}

TEST(Attach, traffic_to_the_outside_is_masqueraded_and_the_outside_cannot_come_in) {
    fresh::host([](const std::string& dir) {
        base::NetnsFd world = outside(dir);
        NetworkInfo net = made("n"), closed = made("closed", {net}, [](NetworkSpec&spec) { spec.internal = true; });
        Sandbox a = sandbox(dir, "a", {joining(net, "172.17.0.2")}), b = sandbox(dir, "b", {joining(closed, "172.18.0.2")});
        Sandbox c = sandbox(dir, "c", {joining(closed, "172.18.0.3")});
        EchoServer server(world.get(), "0.0.0.0", 80), own(a.netns.get(), "0.0.0.0", 81), inner(c.netns.get(), "0.0.0.0", 82);
        EXPECT_EQ(ask(a.netns.get(), "10.9.0.2", 80), "10.9.0.1");
        EXPECT_EQ(ask(world.get(), "172.17.0.2", 81, 300), "");
        EXPECT_EQ(ask(b.netns.get(), "10.9.0.2", 80, 300), "") << "internal";
        EXPECT_EQ(b.endpoints[0].gateway4, "");
        EXPECT_EQ(ask(b.netns.get(), "172.18.0.3", 82), "172.18.0.2");
        EXPECT_EQ(ask(-1, "172.18.0.3", 82), "172.18.0.1") << "the host reaches internal networks";
    });
}

TEST(Attach, ipv6_addresses_and_routes) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("six", {}, [](NetworkSpec& spec) {
            spec.enable_ipv6 = true;
            spec.pools.push_back({"fd00:c0de:9::/64", "", "", {}});
        });
        EXPECT_EQ(net.gateway6, "fd00:c0de:9::1");
        Sandbox a = sandbox(dir, "a", {joining(net, "172.17.0.2", "fd00:c0de:9::77")}),
                b = sandbox(dir, "b", {joining(net, "172.17.0.3", "fd00:c0de:9::2")});
        EchoServer server(a.netns.get(), "::", 80);
        EXPECT_EQ(ask(b.netns.get(), "fd00:c0de:9::77", 80), "fd00:c0de:9::2");
        EXPECT_EQ(ask(-1, "fd00:c0de:9::77", 80), "fd00:c0de:9::1");
        EXPECT_EQ(base::trim(*base::read_file("/proc/sys/net/ipv6/conf/" + net.bridge + "/accept_ra")), "0") << "CVE-2020-13401";
    });
}

TEST(Attach, subnets_of_the_host_are_avoided) {
    fresh::host([](const std::string&) {
        made("one");  // this one's store knows nothing of the other's network
        EXPECT_EQ(planned("two").subnet4, "172.18.0.0/16");
        auto clash = plan_network(
            "x",
            [] {
                NetworkSpec spec;
                spec.name = "three";
                spec.pools.push_back({"10.1.0.0/16", "", "", {}});
                return spec;
            }(),
            std::vector<NetworkInfo>{planned("four", {}, [](NetworkSpec& spec) {
                spec.pools.push_back({"10.0.0.0/8", "", "", {}});
            })});
        ASSERT_FALSE(clash);
        EXPECT_THAT(clash.error().message(), testing::HasSubstr("Pool overlaps with other one on this address space"));
    });
}

TEST(Attach, drivers_and_options_that_are_not_there_say_so) {
    fresh::host([](const std::string&) {
        struct Row {
            const char *driver, *option, *value, *error;
        } rows[] = {
            {"ipvlan", "", "", "driver \"ipvlan\" is not supported: use bridge or macvlan"},
            {"weave", "", "", "driver \"weave\" is not known"},
            {"macvlan", "", "", "macvlan needs driver_opts.parent"},
            {"bridge", "com.docker.network.bridge.gateway_mode_ipv4", "routed", "only nat is"},
            {"bridge", "com.docker.network.driver.mtu", "zero", "is not between 68 and 65535"},
            {"bridge", "com.docker.network.bridge.name", "a/b", "invalid link name \"a/b\""},
            {"bridge", "com.docker.network.bridge.name", "longer-than-fifteen", "invalid link name"},
        };
        for (const Row& row : rows) {
            NetworkSpec spec;
            spec.name = "n";
            spec.driver = row.driver;
            if (*row.option) spec.driver_options[row.option] = row.value;
            auto planned_network = plan_network(base::sha256_hex("n"), spec, {});
            ASSERT_FALSE(planned_network) << row.driver << row.option;
            EXPECT_THAT(planned_network.error().message(), testing::HasSubstr(row.error));
        }
    });
}

TEST(Attach, macvlan_stands_on_a_link_of_the_host) {
    fresh::host([](const std::string& dir) {
        NetworkInfo lan = made("lan", {}, [](NetworkSpec& spec) { spec.pools.push_back({"10.7.0.0/24", "", "", {}}); });
        Sandbox carrier = sandbox(dir, "carrier", {joining(lan, "10.7.0.2")});  // a bridge without a port has no carrier
        NetworkInfo net = planned("mac", {}, [&](NetworkSpec& spec) {
            spec.driver = "macvlan";
            spec.driver_options["parent"] = lan.bridge;
            spec.pools.push_back({"10.7.1.0/24", "", "", {}});
        });
        ASSERT_TRUE(create_bridge(net, "compose"));
        std::vector<SandboxRequest> requests(2);
        for (size_t i = 0; i < 2; i++) {
            requests[i].pin_path = dir + "/" + std::to_string(i);
            requests[i].networks = {joining(net, "10.7.1." + std::to_string(i + 2))};
            requests[i].dns = false;
        }
        auto results = create_sandboxes(requests, "compose");
        if (!results[0] && results[0].error().code == base::Code::unsupported_kernel) {
            printf("the kernel has no macvlan: checked the error only\n");
            return;
        }
        for (auto& result : results) ASSERT_TRUE(result) << result.error().message();
        EchoServer server(results[1]->netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(results[0]->netns.get(), "10.7.1.3", 80), "10.7.1.2");
        requests[0].networks[0].network.spec.driver_options["parent"] = "nolink";
        requests[0].pin_path = dir + "/x";
        auto missing = create_sandboxes(std::span(requests).first(1), "compose");
        ASSERT_FALSE(missing[0]);
        EXPECT_THAT(missing[0].error().message(), testing::HasSubstr("no link \"nolink\" on this host"));
        EXPECT_TRUE(remove_bridge(net, "compose"));
    });
}

TEST(Attach, default_route_goes_by_priority_and_moves_on_detach) {
    fresh::host([](const std::string& dir) {
        NetworkInfo one = made("one"), two = made("two", {one});
        std::vector<AttachRequest> requests{joining(one, "172.17.0.2"), joining(two, "172.18.0.2")};
        requests[1].gateway_priority = 5;
        requests[0].wanted.interface_name = "front";
        Sandbox a = sandbox(dir, "a", requests);
        EXPECT_EQ(a.endpoints[0].interface_name, "front");
        EXPECT_EQ(a.endpoints[1].interface_name, "eth0");
        auto gateway = [&] {
            std::istringstream in(inside(a.netns.get(), "/proc/thread-self/net/route"));
            std::string line, link, destination, via;
            while (std::getline(in, line)) {
                std::istringstream fields(line);
                if (fields >> link >> destination >> via && destination == "00000000") return link + " " + via;
            }
            return std::string();
        };
        EXPECT_EQ(gateway(), "eth0 010012AC");
        EXPECT_TRUE(detach(a.netns.get(), {a.endpoints[1]}, {a.endpoints[0]}));
        EXPECT_EQ(gateway(), "front 010011AC");
        EXPECT_TRUE(detach(a.netns.get(), {a.endpoints[1]}, {a.endpoints[0]})) << "absent is fine";
        auto again = attach(a.netns.get(), {joining(two, "172.18.0.9")}, "compose");
        ASSERT_TRUE(again) << again.error().message();
        EXPECT_EQ((*again)[0].interface_name, "eth0");
        EXPECT_EQ(gateway(), "front 010011AC") << "an existing default route stays";
    });
}

TEST(Attach, failed_attach_leaves_nothing) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("n");
        NetworkInfo missing = planned("missing", {net});
        std::vector<SandboxRequest> requests(2);
        requests[0].pin_path = dir + "/a";
        requests[0].networks = {joining(net, "172.17.0.2"), joining(missing, "172.18.0.2")};
        requests[0].dns = false;
        requests[1].pin_path = dir + "/b";
        requests[1].networks = {joining(net, "172.17.0.3")};
        requests[1].dns = false;
        auto results = create_sandboxes(requests, "compose");
        ASSERT_FALSE(results[0]);
        EXPECT_THAT(results[0].error().message(), testing::HasSubstr("missing"));
        EXPECT_FALSE(base::exists(dir + "/a"));
        ASSERT_TRUE(results[1]) << results[1].error().message();
        EXPECT_TRUE(base::exists(dir + "/b"));
    });
}

TEST(Attach, bridge_is_made_twice_and_removed_twice_and_the_table_goes_with_the_last) {
    fresh::host([](const std::string&) {
        NetworkInfo one = made("one"), two = made("two", {one});
        EXPECT_TRUE(create_bridge(one, "compose"));
        EXPECT_TRUE(link_exists(one.bridge));
        auto nft = Nft::open();
        EXPECT_TRUE(remove_bridge(one, "compose"));
        EXPECT_FALSE(link_exists(one.bridge));
        EXPECT_THAT(*nft->tables(1), testing::ElementsAre("compose"));
        EXPECT_TRUE(remove_bridge(one, "compose"));
        EXPECT_TRUE(remove_bridge(two, "compose"));
        EXPECT_THAT(*nft->tables(1), testing::IsEmpty());
    });
}

TEST(Attach, flushed_ruleset_comes_back_with_the_next_attach) {
    fresh::host([](const std::string& dir) {
        NetworkInfo l = made("l"), r = made("r", {l});
        auto nft = Nft::open();
        NftBatch flush;
        flush.delete_table(engine_table("compose"));
        ASSERT_TRUE(nft->commit(flush, "flush"));
        Sandbox left = sandbox(dir, "left", {joining(l, "172.17.0.2")}), right = sandbox(dir, "right", {joining(r, "172.18.0.2")});
        EchoServer server(right.netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(left.netns.get(), "172.18.0.2", 80, 300), "");
        EXPECT_EQ(nft->elements(engine_table("compose"), "bridges")->size(), 2u);
    });
}

TEST(Attach, icc_off_keeps_members_apart) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("n", {}, [](NetworkSpec& spec) { spec.driver_options["com.docker.network.bridge.enable_icc"] = "false"; });
        Sandbox a = sandbox(dir, "a", {joining(net, "172.17.0.2")}), b = sandbox(dir, "b", {joining(net, "172.17.0.3")});
        EchoServer server(b.netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(a.netns.get(), "172.17.0.3", 80, 300), "");
        EXPECT_EQ(ask(-1, "172.17.0.3", 80), "172.17.0.1");
    });
}

/// What the kernel would send in one packet from a namespace (-1: the host's) to an address (ip(7), IP_MTU).
int path_mtu(int netns, const char* address) {
    int mtu = -1;
    auto look = [&]() -> Status {
        base::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(9);
        inet_pton(AF_INET, address, &to.sin_addr);
        socklen_t size = sizeof mtu;
        if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 || getsockopt(fd.get(), IPPROTO_IP, IP_MTU, &mtu, &size) != 0)
            return base::fail_errno("path MTU");
        return {};
    };
    EXPECT_TRUE(netns < 0 ? look() : in_netns(netns, look));
    return mtu;
}

TEST(Attach, packets_are_large_between_containers_and_ethernets_to_the_outside) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("n"), small = made("small", {net}, [](NetworkSpec& spec) { spec.driver_options["com.docker.network.driver.mtu"] = "1400"; });
        Sandbox a = sandbox(dir, "a", {joining(net, "172.17.0.2")}), b = sandbox(dir, "b", {joining(small, "172.18.0.2")});
        EXPECT_EQ(path_mtu(a.netns.get(), "172.17.0.3"), 65535);
        EXPECT_EQ(path_mtu(a.netns.get(), "198.51.100.1"), 1500);
        EXPECT_EQ(path_mtu(b.netns.get(), "172.18.0.3"), 1400);
        EXPECT_EQ(path_mtu(b.netns.get(), "198.51.100.1"), 1400);
        EXPECT_EQ(path_mtu(-1, "172.17.0.2"), 65535) << "the bridge goes along";
    });
}

TEST(Attach, mtu_mac_and_pin) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("n", {}, [](NetworkSpec& spec) { spec.driver_options["com.docker.network.driver.mtu"] = "1400"; });
        std::vector<AttachRequest> requests{joining(net, "172.17.0.2")};
        requests[0].wanted.mac = "02:00:00:00:00:07";
        Sandbox a = sandbox(dir, "a", requests);
        EXPECT_EQ(a.endpoints[0].mac, "02:00:00:00:00:07");
        auto reopened = open_netns(dir + "/netns/a");
        ASSERT_TRUE(reopened);
        a.netns.reset();
        std::string mtu;
        EXPECT_TRUE(in_netns(reopened->get(), [&]() -> Status {
            ifreq request{};
            std::memcpy(request.ifr_name, "eth0", 5);
            base::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            ioctl(fd.get(), SIOCGIFMTU, &request);
            mtu = std::to_string(request.ifr_mtu);
            return {};
        }));
        EXPECT_EQ(mtu, "1400");
        EXPECT_TRUE(remove_netns(dir + "/netns/a"));
        EXPECT_TRUE(remove_netns(dir + "/netns/a"));
        EXPECT_EQ(open_netns(dir + "/netns/a").error().code, base::Code::not_found);
    });
}

TEST(Attach, namespace_that_is_there_is_kept_and_its_links_made_anew) {
    fresh::host([](const std::string& dir) {
        NetworkInfo one = made("one"), two = made("two", {one});
        Sandbox first = sandbox(dir, "a", {joining(one, "172.17.0.2"), joining(two, "172.18.0.2")});
        Sandbox second = sandbox(dir, "a", {joining(two, "172.18.0.3")});
        ASSERT_EQ(second.endpoints.size(), 1u);
        EXPECT_EQ(second.endpoints[0].interface_name, "eth0");
        EchoServer server(first.netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(-1, "172.18.0.3", 80), "172.18.0.1") << "the same namespace";
        EXPECT_EQ(ask(-1, "172.17.0.2", 80, 300), "");
    });
}

TEST(Attach, fifty_at_once) {
    fresh::host([](const std::string& dir) {
        NetworkInfo net = made("n");
        std::vector<SandboxRequest> requests(50);
        for (size_t i = 0; i < requests.size(); i++) {
            requests[i].pin_path = dir + "/" + std::to_string(i);
            requests[i].networks = {joining(net, "172.17.0." + std::to_string(i + 2))};
        }
        auto results = create_sandboxes(requests, "compose");
        for (auto& result : results) ASSERT_TRUE(result) << result.error().message();
        EchoServer server(results[49]->netns.get(), "0.0.0.0", 80);
        EXPECT_EQ(ask(results[0]->netns.get(), "172.17.0.51", 80), "172.17.0.2");
    });
}

TEST(Attach, sysctls_are_written_and_those_outside_net_refused) {
    fresh::host([](const std::string& dir) {
        auto netns = create_netns(dir + "/a");
        ASSERT_TRUE(netns);
        EXPECT_TRUE(set_sysctls(netns->get(), {{"net.core.somaxconn", "1234"}}));
        EXPECT_EQ(inside(netns->get(), "/proc/sys/net/core/somaxconn"), "1234");
        EXPECT_EQ(set_sysctls(netns->get(), {{"kernel.hostname", "x"}}).error().code, base::Code::invalid);
        EXPECT_EQ(set_sysctls(netns->get(), {{"net.nonsense", "1"}}).error().code, base::Code::invalid);
        EXPECT_EQ(set_sysctls(netns->get(), {{"net/../kernel/hostname", "x"}}).error().code, base::Code::invalid);
    });
}

}  // namespace
}  // namespace engine::network
