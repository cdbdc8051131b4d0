// Published ports with the real kernel: who reaches them and as whom.
#include "network/ports.h"

#include <gmock/gmock.h>

#include "kernel/network/fresh_host.h"
#include "network/firewall.h"
#include "network/netlink.h"
#include "network/network.h"

namespace engine::network {
namespace {

using fresh::ask;
using fresh::EchoServer;

struct Stage {
    NetworkInfo net;
    Sandbox a, b;
    std::unique_ptr<Publisher> publisher;

    explicit Stage(const std::string& dir, bool v6 = false) {
        NetworkSpec spec;
        spec.name = "n";
        spec.enable_ipv6 = v6;
        if (v6) spec.pools.push_back({"fd00:c0de::/64", "", "", {}});
        net = *plan_network(base::sha256_hex("n"), spec, {});
        auto done = create_bridge(net, "compose");
        EXPECT_TRUE(done) << done.error().message();
        std::vector<SandboxRequest> requests(2);
        for (size_t i = 0; i < 2; i++) {
            requests[i].pin_path = dir + "/" + std::to_string(i);
            requests[i].dns = false;
            AttachRequest request;
            request.network = net;
            request.wanted.ipv4 = "172.17.0." + std::to_string(i + 2);
            if (v6) request.wanted.ipv6 = "fd00:c0de::" + std::to_string(i + 2);
            requests[i].networks = {request};
        }
        auto made = create_sandboxes(requests, "compose");
        for (auto& result : made) EXPECT_TRUE(result) << result.error().message();
        a = std::move(*made[0]);
        b = std::move(*made[1]);
        publisher = std::move(*Publisher::make("compose"));
    }
    std::vector<PortMapping> publish(std::vector<PortMapping> ports, bool v6 = false) {
        auto reserved = publisher->reserve("aaaa", ports);
        EXPECT_TRUE(reserved) << reserved.error().message();
        auto done = publisher->publish("aaaa", "172.17.0.2", v6 ? "fd00:c0de::2" : "");
        EXPECT_TRUE(done) << done.error().message();
        return reserved ? *reserved : std::vector<PortMapping>{};
    }
};

PortMapping port(const std::string& ip, uint16_t host, uint16_t container, const std::string& protocol = "tcp", uint16_t last = 0) {
    PortMapping mapping;
    mapping.host_ip = ip;
    mapping.host_port = host;
    mapping.host_port_last = last;
    mapping.container_port = container;
    mapping.protocol = protocol;
    return mapping;
}

TEST(Ports, all_addresses_of_the_host_and_both_loopbacks) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.a.netns.get(), "0.0.0.0", 80);
        auto bound = stage.publish({port("", 8080, 80)});
        ASSERT_EQ(bound.size(), 2u);
        EXPECT_EQ(bound[0].host_ip, "0.0.0.0");
        EXPECT_EQ(bound[1].host_ip, "::");
        EXPECT_EQ(ask(-1, "127.0.0.1", 8080), "172.17.0.1") << "loopback clients come as the gateway";
        EXPECT_EQ(ask(-1, "::1", 8080), "172.17.0.1") << "the proxy";
        EXPECT_EQ(ask(-1, "172.17.0.1", 8080), "172.17.0.1");
        EXPECT_EQ(ask(stage.b.netns.get(), "172.17.0.1", 8080), "172.17.0.1") << "a neighbour by way of the host";
        EXPECT_EQ(ask(stage.a.netns.get(), "172.17.0.1", 8080), "172.17.0.1") << "itself by way of the host";
        EXPECT_TRUE(stage.publisher->unpublish("aaaa"));
        EXPECT_EQ(ask(-1, "127.0.0.1", 8080), "");
        EXPECT_EQ(ask(-1, "::1", 8080), "");
        EXPECT_TRUE(fresh::bound(-1, SOCK_STREAM, "0.0.0.0", 8080)) << "free again";
        EXPECT_TRUE(Nft::open()->elements(engine_table("compose"), "publish_any4")->empty());
    });
}

TEST(Ports, one_address_is_not_another) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.a.netns.get(), "0.0.0.0", 80), second(stage.b.netns.get(), "0.0.0.0", 80);
        stage.publish({port("127.0.0.2", 8080, 80)});
        ASSERT_TRUE(stage.publisher->reserve("bbbb", {port("127.0.0.3", 8080, 80)}));
        ASSERT_TRUE(stage.publisher->publish("bbbb", "172.17.0.3", ""));
        EXPECT_EQ(ask(-1, "127.0.0.2", 8080), "172.17.0.1");
        EXPECT_EQ(ask(-1, "127.0.0.3", 8080), "172.17.0.1");
        EXPECT_EQ(ask(-1, "127.0.0.1", 8080), "");
        EXPECT_EQ(ask(stage.b.netns.get(), "172.17.0.1", 8080, 300), "");
    });
}

// A loopback-only port stays so even for neighbours that send to 127.0.0.1 through a link that takes such packets
// (moby CVE-2025-54388).
TEST(Ports, loopback_ports_are_closed_to_containers) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.a.netns.get(), "0.0.0.0", 80), own(-1, "127.0.0.1", 81);
        stage.publish({port("127.0.0.1", 8080, 80)});
        ASSERT_EQ(ask(-1, "127.0.0.1", 8080), "172.17.0.1");
        // The neighbour routes 127.0.0.1 to the host: lo down, a route through the gateway, route_localnet.
        ASSERT_TRUE(in_netns(stage.b.netns.get(), []() -> Status {
            for (const char* name : {"all", "eth0"})
                TRY_VOID(base::write_file(std::string("/proc/sys/net/ipv4/conf/") + name + "/route_localnet", "1"));
            base::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            ifreq request{};
            std::memcpy(request.ifr_name, "lo", 3);
            if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) return base::fail_errno("lo down");
            return {};
        }));
        EXPECT_EQ(ask(stage.b.netns.get(), "127.0.0.1", 8080, 300), "");
        EXPECT_EQ(ask(stage.b.netns.get(), "127.0.0.1", 81, 300), "");
    });
}

TEST(Ports, clash_names_the_holder) {
    fresh::host([](const std::string&) {
        auto publisher = std::move(*Publisher::make("compose"));
        auto holder = fresh::bound(-1, SOCK_STREAM, "0.0.0.0", 5432);
        auto failed = publisher->reserve("aaaa", {port("", 8081, 80), port("0.0.0.0", 5432, 80)});
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, base::Code::conflict);
        EXPECT_EQ(failed.error().message(), "publish 0.0.0.0:5432: port is already allocated: address in use by pid " +
                                                std::to_string(getpid()) + " (kernel_network)");
        EXPECT_TRUE(fresh::bound(-1, SOCK_STREAM, "0.0.0.0", 8081)) << "all or none";
        holder.reset();
        ASSERT_TRUE(publisher->reserve("aaaa", {port("", 5432, 80)}));
        auto own = publisher->reserve("bbbb", {port("127.0.0.1", 5432, 80)});
        ASSERT_FALSE(own);
        EXPECT_THAT(own.error().message(), testing::HasSubstr("port is already allocated: address in use by container aaaa"));
        auto udp = fresh::bound(-1, SOCK_DGRAM, "127.0.0.1", 53);
        auto taken = publisher->reserve("cccc", {port("127.0.0.1", 53, 53, "udp")});
        ASSERT_FALSE(taken);
        EXPECT_THAT(taken.error().message(), testing::HasSubstr("publish 127.0.0.1:53: port is already allocated: address in use by pid"));
    });
}

TEST(Ports, free_ports_and_ranges) {
    fresh::host([](const std::string&) {
        auto publisher = std::move(*Publisher::make("compose"));
        auto free = publisher->reserve("a", {port("127.0.0.1", 0, 80), port("", 0, 81)});
        ASSERT_TRUE(free) << free.error().message();
        ASSERT_EQ(free->size(), 3u);
        EXPECT_GE((*free)[0].host_port, 1024);
        EXPECT_EQ((*free)[1].host_port, (*free)[2].host_port);
        auto holder = fresh::bound(-1, SOCK_STREAM, "0.0.0.0", 7000);
        auto range = publisher->reserve("b", {port("0.0.0.0", 7000, 80, "tcp", 7002)});
        ASSERT_TRUE(range);
        EXPECT_EQ((*range)[0].host_port, 7001);
        ASSERT_TRUE(publisher->reserve("c", {port("0.0.0.0", 7000, 80, "tcp", 7002)}));
        auto full = publisher->reserve("d", {port("0.0.0.0", 7000, 80, "tcp", 7002)});
        ASSERT_FALSE(full);
        EXPECT_THAT(full.error().message(), testing::HasSubstr("all ports of the range are allocated"));
        EXPECT_EQ(publisher->reserve("e", {port("0.0.0.0", 1, 80, "icmp")}).error().code, base::Code::invalid);
        EXPECT_THAT(publisher->reserve("f", {port("203.0.113.9", 99, 80)}).error().message(),
                    testing::HasSubstr("this host has no address 203.0.113.9"));
    });
}

std::string udp_ask(int netns, const std::string& ip, uint16_t number, const std::string& text, base::UniqueFd* keep = nullptr) {
    socklen_t size;
    auto to = fresh::address(ip, number, size);
    base::UniqueFd made;
    base::UniqueFd& fd = keep ? *keep : made;
    if (!fd) fd = fresh::socket_in(netns, to.ss_family, SOCK_DGRAM);
    connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size);
    (void)!send(fd.get(), text.data(), text.size(), 0);
    pollfd waiting{fd.get(), POLLIN, 0};
    if (poll(&waiting, 1, 2000) != 1) return {};
    char buffer[256];
    ssize_t got = recv(fd.get(), buffer, sizeof buffer, 0);
    return got < 0 ? "" : std::string(buffer, static_cast<size_t>(got));
}

class UdpEcho {
public:
    UdpEcho(int netns, uint16_t number, std::string prefix)
        : fd_(fresh::bound(netns, SOCK_DGRAM, "0.0.0.0", number)), prefix_(std::move(prefix)) {
        thread_ = std::thread([this] {
            for (;;) {
                char buffer[2048];
                sockaddr_storage peer{};
                socklen_t size = sizeof peer;
                ssize_t got = recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
                if (stop_ || got < 0) return;
                std::string answer = prefix_ + std::string(buffer, static_cast<size_t>(got));
                sendto(fd_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
            }
        });
    }
    ~UdpEcho() {
        stop_ = true;
        shutdown(fd_.get(), SHUT_RDWR);  // wakes recvfrom
        thread_.join();
    }

private:
    base::UniqueFd fd_;
    std::string prefix_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST(Ports, udp_beside_tcp_and_a_client_follows_to_the_next_container) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        UdpEcho first(stage.a.netns.get(), 90, "a:"), second(stage.b.netns.get(), 90, "b:");
        EchoServer tcp(stage.a.netns.get(), "0.0.0.0", 90);
        stage.publish({port("", 9000, 90, "udp"), port("", 9000, 90)});
        base::UniqueFd client;
        EXPECT_EQ(udp_ask(-1, "127.0.0.1", 9000, "one", &client), "a:one");
        EXPECT_EQ(udp_ask(-1, "::1", 9000, "two"), "a:two");
        EXPECT_EQ(ask(-1, "127.0.0.1", 9000), "172.17.0.1");
        EXPECT_TRUE(stage.publisher->unpublish("aaaa"));
        ASSERT_TRUE(stage.publisher->reserve("bbbb", {port("", 9000, 90, "udp")}));
        ASSERT_TRUE(stage.publisher->publish("bbbb", "172.17.0.3", ""));
        EXPECT_EQ(udp_ask(-1, "127.0.0.1", 9000, "three", &client), "b:three") << "the same client socket: no stale flow";
    });
}

TEST(Ports, ipv6_containers_are_reached_by_ipv6) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir, true);
        EchoServer server(stage.a.netns.get(), "::", 80);
        stage.publish({port("", 8080, 80)}, true);
        EXPECT_EQ(ask(-1, "::1", 8080), "fd00:c0de::1");
        EXPECT_EQ(ask(-1, "fd00:c0de::1", 8080), "fd00:c0de::1");
        EXPECT_EQ(ask(stage.b.netns.get(), "fd00:c0de::1", 8080), "fd00:c0de::1");
    });
}

TEST(Ports, flushed_ruleset_is_put_back_and_the_proxy_bridges_the_gap) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.a.netns.get(), "0.0.0.0", 80);
        stage.publish({port("", 8080, 80)});
        auto nft = Nft::open();
        NftBatch flush;
        flush.delete_table(engine_table("compose"));
        ASSERT_TRUE(nft->commit(flush, "flush"));
        EXPECT_EQ(ask(-1, "127.0.0.1", 8080), "172.17.0.1") << "by the listening socket";
        EXPECT_TRUE(stage.publisher->verify());
        EXPECT_EQ(nft->elements(engine_table("compose"), "publish_any4")->size(), 1u);
        EXPECT_TRUE(stage.publisher->verify());
        // Another publisher (the next supervisor) finds its predecessor's entries with another address.
        EXPECT_TRUE(forget_published("compose", "172.17.0.2", ""));
        EXPECT_EQ(nft->elements(engine_table("compose"), "publish_any4")->size(), 0u);
    });
}

TEST(Ports, guard_puts_networks_and_ports_back_by_itself) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        stage.publish({port("", 8080, 80)});
        ASSERT_TRUE(stage.publisher->guard({stage.net}));
        auto nft = Nft::open();
        NftBatch flush;
        flush.delete_table(engine_table("compose"));
        ASSERT_TRUE(nft->commit(flush, "flush"));
        auto holds = [&](const char* set) {
            auto elements = nft->elements(engine_table("compose"), set);
            return elements && elements->size() == 1;
        };
        EXPECT_TRUE(fresh::eventually([&] { return holds("bridges") && holds("publish_any4"); }));
        NftBatch rules;
        rules.flush_chain(engine_table("compose"), "forward");
        ASSERT_TRUE(nft->commit(rules, "flush rules"));
        EXPECT_TRUE(fresh::eventually([&] { return nft->chains(engine_table("compose"), {"forward"})->at(0)->rules > 0; }));
        // The end of the network is not to be undone.
        ASSERT_TRUE(stage.publisher->unpublish("aaaa"));
        ASSERT_TRUE(remove_bridge(stage.net, "compose"));
        stage.publisher.reset();
        EXPECT_THAT(*nft->tables(1), testing::IsEmpty());
    });
}

TEST(Ports, next_supervisor_takes_over_entries_that_lead_elsewhere) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.b.netns.get(), "0.0.0.0", 80);
        stage.publish({port("0.0.0.0", 8080, 80)});
        stage.publisher.reset();
        auto next = std::move(*Publisher::make("compose"));
        ASSERT_TRUE(next->reserve("bbbb", {port("0.0.0.0", 8080, 80)}));
        auto done = next->publish("bbbb", "172.17.0.3", "");
        ASSERT_TRUE(done) << done.error().message();
        EXPECT_EQ(ask(-1, "127.0.0.1", 8080), "172.17.0.1");
    });
}

TEST(Ports, proxied_bulk_arrives_unchanged_and_half_close_is_kept) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        // Counts to the end of what comes, then answers with the number: needs the client's half-close to pass.
        auto listener = fresh::bound(stage.a.netns.get(), SOCK_STREAM, "0.0.0.0", 80);
        std::thread sink([&] {
            base::UniqueFd client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
            std::vector<char> buffer(1 << 16);
            uint64_t total = 0, sum = 0;
            for (ssize_t got; (got = read(client.get(), buffer.data(), buffer.size())) > 0;) {
                for (ssize_t i = 0; i < got; i++) sum = sum * 31 + static_cast<unsigned char>(buffer[static_cast<size_t>(i)]);
                total += static_cast<uint64_t>(got);
            }
            std::string answer = std::to_string(total) + " " + std::to_string(sum);
            (void)!write(client.get(), answer.data(), answer.size());
        });
        stage.publish({port("::1", 8080, 80)});
        socklen_t size;
        auto to = fresh::address("::1", 8080, size);
        base::UniqueFd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), size), 0);
        std::string bytes(20'000'003, '\0');
        uint64_t sum = 0;
        uint32_t state = 1;
        for (char& c : bytes) {
            state = state * 1664525 + 1013904223;
            c = static_cast<char>(state >> 24);
            sum = sum * 31 + static_cast<unsigned char>(c);
        }
        EXPECT_TRUE(base::write_all(client.get(), bytes));
        shutdown(client.get(), SHUT_WR);
        EXPECT_EQ(*base::read_all(client.get()), std::to_string(bytes.size()) + " " + std::to_string(sum));
        sink.join();
    });
}

TEST(Ports, thousand_ports_in_one_change) {
    fresh::host([](const std::string& dir) {
        Stage stage(dir);
        EchoServer server(stage.a.netns.get(), "0.0.0.0", 1999);
        std::vector<PortMapping> ports;
        for (uint16_t n = 0; n < 1000; n++)
            ports.push_back(port("127.0.0.1", static_cast<uint16_t>(20000 + n), static_cast<uint16_t>(1000 + n)));
        stage.publish(ports);
        EXPECT_EQ(ask(-1, "127.0.0.1", 20999), "172.17.0.1");
        EXPECT_TRUE(stage.publisher->unpublish("aaaa"));
        EXPECT_TRUE(Nft::open()->elements(engine_table("compose"), "publish4")->empty());
    });
}

// iptables-nft's chain as Docker makes it: our bridges get an accept in front, which goes with the network.
TEST(Ports, docker_user_chain_gets_an_accept) {
    fresh::host([](const std::string&) {
        auto nft = Nft::open();
        NftTable filter{2 /* NFPROTO_IPV4 */, "filter"};
        NftBatch foreign;
        foreign.add_table(filter);
        foreign.add_chain(filter, "DOCKER-USER", "filter", 2 /* NF_INET_FORWARD */, 0);
        ASSERT_TRUE(nft->commit(foreign, "make DOCKER-USER"));
        NetworkSpec spec;
        spec.name = "n";
        NetworkInfo net = *plan_network(base::sha256_hex("n"), spec, {});
        ASSERT_TRUE(create_bridge(net, "compose"));
        ASSERT_TRUE(create_bridge(net, "compose")) << "once only";
        auto rules = *nft->rules(filter, "DOCKER-USER");
        ASSERT_EQ(rules.size(), 2u);
        EXPECT_EQ(rules[0].comment, "compose " + net.bridge);
        ASSERT_TRUE(remove_bridge(net, "compose"));
        EXPECT_TRUE(nft->rules(filter, "DOCKER-USER")->empty());
    });
}

// firewalld's chain ends with a reject; ufw's FORWARD has the policy drop.
TEST(Ports, other_firewalls_let_containers_pass) {
    fresh::host([](const std::string&) {
        auto nft = Nft::open();
        NftTable firewalld{1 /* NFPROTO_INET */, "firewalld"};
        NftBatch foreign;
        foreign.add_table(firewalld);
        foreign.add_chain(firewalld, "filter_FORWARD", "filter", 2, 10);
        NftRule reject;
        reject.verdict(0 /* NF_DROP */);
        foreign.add_rule(firewalld, "filter_FORWARD", reject);
        ASSERT_TRUE(nft->commit(foreign, "make firewalld"));
        NetworkSpec spec;
        spec.name = "n";
        NetworkInfo net = *plan_network(base::sha256_hex("n"), spec, {});
        ASSERT_TRUE(create_bridge(net, "compose"));
        auto rules = *nft->rules(firewalld, "filter_FORWARD");
        ASSERT_EQ(rules.size(), 3u);
        EXPECT_EQ(rules[0].comment, "compose " + net.bridge);
        EXPECT_EQ(rules[2].comment, "");
        ASSERT_TRUE(remove_bridge(net, "compose"));
        EXPECT_EQ(nft->rules(firewalld, "filter_FORWARD")->size(), 1u);
    });
}

}  // namespace
}  // namespace engine::network
