// The resolver inside a container's namespace: port 53 without holding it.
#include <gmock/gmock.h>

#include "kernel/network/fresh_host.h"
#include "network/dns.h"
#include "network/network.h"

namespace engine::network {
namespace {

using Packet = std::vector<uint8_t>;

Packet question(const std::string& label, uint16_t id, uint8_t type = 1) {
    Packet packet{static_cast<uint8_t>(id >> 8),     static_cast<uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0,
                  static_cast<uint8_t>(label.size())};
    packet.insert(packet.end(), label.begin(), label.end());
    for (uint8_t byte : {uint8_t{0}, uint8_t{0}, type, uint8_t{0}, uint8_t{1}}) packet.push_back(byte);
    return packet;
}

base::UniqueFd client(int netns, int type, const std::string& ip = "127.0.0.11") {
    socklen_t size;
    auto to = fresh::address(ip, 53, size);
    auto fd = fresh::socket_in(netns, AF_INET, type);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size), 0) << strerror(errno);
    timeval limit{10, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

Packet answer(const base::UniqueFd& fd) {
    Packet packet(4096);
    ssize_t got = recv(fd.get(), packet.data(), packet.size(), 0);
    packet.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return packet;
}

std::string last_address(const Packet& packet) {
    if (packet.size() < 16 || packet[7] == 0) return {};
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, packet.data() + packet.size() - 4, text, sizeof text);
    return text;
}

struct Served {
    base::NetnsFd netns;
    std::unique_ptr<DnsServer> server = std::move(*DnsServer::start());
    explicit Served(const std::string& dir, std::vector<std::string> upstreams = {"127.0.0.53"})
        : netns(std::move(*create_netns(dir + "/a"))) {
        server->set_records(DnsRecords::make({{"p_default", {{"0123456789abcdef", "p-web-1", "", {"web"}, "172.17.0.2", ""}}}}));
        serve(std::move(upstreams));
    }
    void serve(std::vector<std::string> upstreams) {
        auto sockets = open_dns_sockets(netns.get());
        ASSERT_TRUE(sockets) << sockets.error().message();
        DnsClient settings;
        settings.container_id = "a";
        settings.networks = {"p_default"};
        settings.upstreams = std::move(upstreams);
        ASSERT_TRUE(server->serve(settings, std::move(*sockets)));
    }
};

TEST(DnsKernel, udp_and_tcp_at_port_53_which_the_container_can_have_too) {
    fresh::host([](const std::string& dir) {
        Served served(dir);
        auto udp = client(served.netns.get(), SOCK_DGRAM);
        Packet asked = question("web", 1);
        ASSERT_EQ(send(udp.get(), asked.data(), asked.size(), 0), static_cast<ssize_t>(asked.size()));
        EXPECT_EQ(last_address(answer(udp)), "172.17.0.2");
        auto tcp = client(served.netns.get(), SOCK_STREAM);
        Packet framed{0, static_cast<uint8_t>(asked.size())};
        framed.insert(framed.end(), asked.begin(), asked.end());
        (void)!send(tcp.get(), framed.data(), framed.size(), 0);
        EXPECT_EQ(last_address(answer(tcp)), "172.17.0.2");
        // Without SO_REUSEADDR and on all addresses: as any DNS server in a container does it.
        auto own = fresh::socket_in(served.netns.get(), AF_INET, SOCK_DGRAM);
        socklen_t size;
        auto all = fresh::address("0.0.0.0", 53, size);
        EXPECT_EQ(bind(own.get(), reinterpret_cast<sockaddr*>(&all), size), 0) << strerror(errno);
        auto to_own = client(served.netns.get(), SOCK_DGRAM, "127.0.0.1");
        (void)!send(to_own.get(), "x", 1, 0);
        char byte = 0;
        EXPECT_EQ(recv(own.get(), &byte, 1, 0), 1);
        (void)!send(udp.get(), asked.data(), asked.size(), 0);
        EXPECT_EQ(last_address(answer(udp)), "172.17.0.2") << "the resolver's stay its own";
    });
}

TEST(DnsKernel, next_supervisor_opens_new_sockets) {
    fresh::host([](const std::string& dir) {
        Served served(dir);
        auto udp = client(served.netns.get(), SOCK_DGRAM);
        served.server->forget("a");
        served.serve({});
        Packet asked = question("web", 1);
        (void)!send(udp.get(), asked.data(), asked.size(), 0);
        EXPECT_EQ(last_address(answer(udp)), "172.17.0.2");
    });
}

/// An upstream in this namespace that answers A 10.9.8.7, after `silent` unanswered questions; by TCP too.
class Upstream {
public:
    explicit Upstream(const std::string& ip, int silent = 0, bool truncate = false)
        : udp_(fresh::bound(-1, SOCK_DGRAM, ip, 53)), tcp_(fresh::bound(-1, SOCK_STREAM, ip, 53)), silent_(silent), truncate_(truncate) {
        EXPECT_TRUE(udp_ && tcp_);
        thread_ = std::thread([this] { run(); });
    }
    ~Upstream() {
        stop_ = true;
        thread_.join();
    }
    std::atomic<int> asked{0};

private:
    static void fill(Packet& packet) {
        packet[2] |= 0x80;
        packet[3] |= 0x80;
        packet[7] = 1;
        for (int byte : {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 8, 7}) packet.push_back(static_cast<uint8_t>(byte));
    }
    void run() {
        while (!stop_) {
            pollfd fds[] = {{udp_.get(), POLLIN, 0}, {tcp_.get(), POLLIN, 0}};
            if (poll(fds, 2, 20) <= 0) continue;
            Packet packet(512);
            if (fds[0].revents) {
                sockaddr_storage peer{};
                socklen_t size = sizeof peer;
                ssize_t got = recvfrom(udp_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&peer), &size);
                if (got < 12 || asked++ < silent_) continue;
                packet.resize(static_cast<size_t>(got));
                if (truncate_) packet[2] |= 0x82;
                else fill(packet);
                sendto(udp_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
            }
            if (fds[1].revents) {
                base::UniqueFd fd(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                ssize_t got = recv(fd.get(), packet.data(), packet.size(), 0);
                if (got < 14) continue;
                packet.resize(static_cast<size_t>(got));
                packet.erase(packet.begin(), packet.begin() + 2);
                fill(packet);
                packet.insert(packet.begin(), {0, static_cast<uint8_t>(packet.size())});
                (void)!send(fd.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
            }
        }
    }
    base::UniqueFd udp_, tcp_;
    int silent_;
    bool truncate_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST(DnsKernel, forwards_and_asks_again_and_the_next_one) {
    fresh::host([](const std::string& dir) {
        Upstream second("127.0.0.54", 1);
        // The first upstream refuses at once (no socket), the second is silent once.
        Served served(dir, {"127.0.0.53", "127.0.0.54"});
        auto udp = client(served.netns.get(), SOCK_DGRAM);
        Packet asked = question("some", 0x4242);
        asked.resize(asked.size() - 5);
        for (char c : std::string("\4corp")) asked.push_back(static_cast<uint8_t>(c));
        for (int byte : {0, 0, 1, 0, 1}) asked.push_back(static_cast<uint8_t>(byte));
        (void)!send(udp.get(), asked.data(), asked.size(), 0);
        Packet got = answer(udp);
        EXPECT_EQ(last_address(got), "10.9.8.7");
        ASSERT_GT(got.size(), 2u);
        EXPECT_EQ(got[0], 0x42);
        EXPECT_EQ(second.asked, 2);
    });
}

TEST(DnsKernel, tcp_questions_go_by_tcp_and_truncation_is_passed_on) {
    fresh::host([](const std::string& dir) {
        Upstream upstream("127.0.0.53", 0, true);
        Served served(dir);
        auto udp = client(served.netns.get(), SOCK_DGRAM);
        Packet asked = question("outside", 9);
        (void)!send(udp.get(), asked.data(), asked.size(), 0);
        Packet cut = answer(udp);
        ASSERT_GT(cut.size(), 2u);
        EXPECT_TRUE(cut[2] & 2);
        auto tcp = client(served.netns.get(), SOCK_STREAM);
        Packet framed{0, static_cast<uint8_t>(asked.size())};
        framed.insert(framed.end(), asked.begin(), asked.end());
        (void)!send(tcp.get(), framed.data(), framed.size(), 0);
        EXPECT_EQ(last_address(answer(tcp)), "10.9.8.7");
    });
}

TEST(DnsKernel, flood_loses_nothing) {
    fresh::host([](const std::string& dir) {
        Served served(dir);
        auto udp = client(served.netns.get(), SOCK_DGRAM);
        constexpr int kAll = 20'000, kUnderWay = 32;
        int sent = 0, good = 0;
        while (good < kAll) {
            while (sent - good < kUnderWay && sent < kAll) {
                Packet asked = question("web", static_cast<uint16_t>(sent));
                ASSERT_GT(send(udp.get(), asked.data(), asked.size(), 0), 0);
                sent++;
            }
            ASSERT_EQ(last_address(answer(udp)), "172.17.0.2") << good;
            good++;
        }
        EXPECT_EQ(served.server->counters().answered, static_cast<uint64_t>(kAll));
    });
}

}  // namespace
}  // namespace engine::network
