// The resolver on ordinary loopback sockets: names, replicas, forwarding, and what containers may send that is no DNS.
#include "network/dns.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ldns/ldns.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "network/dns_forward.h"
#include "network/dns_wire.h"

namespace engine::network {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Packet = std::vector<uint8_t>;

struct Port {
    base::UniqueFd fd;
    uint16_t number = 0;
};

Port loopback(int type) {
    Port port;
    port.fd.reset(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(port.fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    if (type == SOCK_STREAM) EXPECT_EQ(listen(port.fd.get(), 64), 0);
    socklen_t size = sizeof address;
    getsockname(port.fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port.number = ntohs(address.sin_port);
    return port;
}

base::UniqueFd connected(int type, uint16_t number) {
    base::UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(number);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
}

Packet question(const std::string& name, uint16_t type, uint16_t id = 0x1234, bool edns = false, uint16_t edns_size = 1232) {
    Packet packet{static_cast<uint8_t>(id >> 8), static_cast<uint8_t>(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, static_cast<uint8_t>(edns)};
    std::istringstream labels(name);
    for (std::string label; std::getline(labels, label, '.');) {
        packet.push_back(static_cast<uint8_t>(label.size()));
        packet.insert(packet.end(), label.begin(), label.end());
    }
    for (int byte : {0, type >> 8, type & 255, 0, 1}) packet.push_back(static_cast<uint8_t>(byte));
    if (edns)
        for (int byte : {0, 0, 41, edns_size >> 8, edns_size & 255, 0, 0, 0, 0, 0, 0}) packet.push_back(static_cast<uint8_t>(byte));
    return packet;
}

/// An answer as an independent implementation (ldns) reads it.
struct Read {
    bool valid = false, truncated = false, edns = false;
    int rcode = -1;
    std::vector<std::string> data;
    uint32_t ttl = 0;
};

Read read(const Packet& packet) {
    Read result;
    ldns_pkt* parsed = nullptr;
    if (ldns_wire2pkt(&parsed, packet.data(), packet.size()) != LDNS_STATUS_OK) return result;
    result.valid = ldns_pkt_qr(parsed) && ldns_pkt_ra(parsed) && !ldns_pkt_aa(parsed);
    result.truncated = ldns_pkt_tc(parsed);
    result.rcode = ldns_pkt_get_rcode(parsed);
    result.edns = ldns_pkt_edns(parsed);
    ldns_rr_list* answers = ldns_pkt_answer(parsed);
    for (size_t i = 0; i < ldns_rr_list_rr_count(answers); i++) {
        ldns_rr* record = ldns_rr_list_rr(answers, i);
        char* text = ldns_rdf2str(ldns_rr_rdf(record, 0));
        result.data.emplace_back(text);
        result.ttl = ldns_rr_ttl(record);
        free(text);
    }
    ldns_pkt_free(parsed);
    return result;
}

Packet exchange_udp(const base::UniqueFd& fd, const Packet& packet, int milliseconds = 10'000) {
    if (send(fd.get(), packet.data(), packet.size(), 0) < 0) return {};
    pollfd waiting{fd.get(), POLLIN, 0};
    if (poll(&waiting, 1, milliseconds) != 1) return {};
    Packet answer(65536);
    ssize_t got = recv(fd.get(), answer.data(), answer.size(), 0);
    answer.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return answer;
}

Packet read_tcp(int fd) {
    Packet answer;
    size_t wanted = 2;
    while (answer.size() < wanted) {
        pollfd waiting{fd, POLLIN, 0};
        if (poll(&waiting, 1, 10'000) != 1) return {};
        uint8_t byte[4096];
        ssize_t got = recv(fd, byte, std::min(sizeof byte, wanted - answer.size()), 0);
        if (got <= 0) return {};
        answer.insert(answer.end(), byte, byte + got);
        if (wanted == 2 && answer.size() == 2) wanted = 2 + (static_cast<size_t>(answer[0]) << 8 | answer[1]);
    }
    return {answer.begin() + 2, answer.end()};
}

void send_tcp(int fd, const Packet& packet) {
    Packet framed{static_cast<uint8_t>(packet.size() >> 8), static_cast<uint8_t>(packet.size())};
    framed.insert(framed.end(), packet.begin(), packet.end());
    EXPECT_EQ(send(fd, framed.data(), framed.size(), MSG_NOSIGNAL), static_cast<ssize_t>(framed.size()));
}

class Dns : public testing::Test {
protected:
    void serve(DnsClient client) {
        Port udp = loopback(SOCK_DGRAM), tcp = loopback(SOCK_STREAM);
        udp_port_ = udp.number;
        tcp_port_ = tcp.number;
        client.container_id = "client";
        auto done = server_->serve(client, {std::move(udp.fd), std::move(tcp.fd)});
        ASSERT_TRUE(done) << done.error().message();
        udp_ = connected(SOCK_DGRAM, udp_port_);
    }
    void SetUp() override {
        server_ = std::move(*DnsServer::start());
        DnsNetwork front{"p_front", {}}, back{"p_back", {}};
        for (int i = 1; i <= 3; i++)
            front.members.push_back({"c0ffee00000" + std::to_string(i) + "ffffffff",
                                     "p-many-" + std::to_string(i),
                                     "",
                                     {"many"},
                                     "172.17.0." + std::to_string(10 + i),
                                     ""});
        front.members.push_back({"abcdefabcdefabcdef", "p-db-1", "dbhost", {"db", "Primary.DB"}, "172.17.0.2", "fd00::2"});
        back.members.push_back({"abcdefabcdefabcdef", "p-db-1", "dbhost", {"db", "postgres"}, "172.18.0.2", ""});
        server_->set_records(DnsRecords::make({front, back}));
        DnsClient client;
        client.networks = {"p_front"};
        client.forward = false;
        client.links = {{"linked", "p-db-1"}};
        serve(client);
    }
    Read ask(const std::string& name, uint16_t type = dns::kA) { return read(exchange_udp(udp_, question(name, type))); }

    std::unique_ptr<DnsServer> server_;
    uint16_t udp_port_ = 0, tcp_port_ = 0;
    base::UniqueFd udp_;
};

TEST_F(Dns, every_name_of_a_member) {
    for (const char* name : {"db", "p-db-1", "abcdefabcdef", "dbhost", "primary.db", "PRIMARY.db", "db.p_front", "p-db-1.p_front",
                             "dbhost.P_FRONT", "linked"}) {
        Read answer = ask(name);
        EXPECT_TRUE(answer.valid) << name;
        EXPECT_EQ(answer.rcode, 0) << name;
        EXPECT_THAT(answer.data, ElementsAre("172.17.0.2")) << name;
        EXPECT_EQ(answer.ttl, 600u);
    }
    EXPECT_THAT(ask("db", dns::kAaaa).data, ElementsAre("fd00::2"));
}

TEST_F(Dns, replicas_all_and_rotated) {
    std::set<std::string> first;
    for (int i = 0; i < 3; i++) {
        Read answer = ask("many");
        EXPECT_THAT(answer.data, UnorderedElementsAre("172.17.0.11", "172.17.0.12", "172.17.0.13"));
        first.insert(answer.data.at(0));
    }
    EXPECT_EQ(first.size(), 3u);
}

TEST_F(Dns, known_name_of_another_type_is_empty_not_absent) {
    for (uint16_t type : {uint16_t{dns::kAaaa}, uint16_t{15}, uint16_t{16}, uint16_t{33}, uint16_t{65}}) {
        Read answer = ask("many", type);
        EXPECT_EQ(answer.rcode, 0) << type;
        EXPECT_THAT(answer.data, IsEmpty());
    }
}

TEST_F(Dns, names_of_other_networks_and_own_suffix_are_unknown) {
    EXPECT_EQ(ask("postgres").rcode, dns::kNxDomain);
    EXPECT_EQ(ask("nobody").rcode, dns::kNxDomain);
    EXPECT_EQ(ask("nobody.p_front").rcode, dns::kNxDomain) << "netavark CVE-2025-8283";
    EXPECT_EQ(ask("www.example.com").rcode, dns::kServerFailure) << "internal: CVE-2024-29018";
    EXPECT_TRUE(server_->update([] {
        DnsClient client;
        client.container_id = "client";
        client.networks = {"p_back", "p_front"};
        client.forward = false;
        return client;
    }()));
    EXPECT_THAT(ask("postgres").data, ElementsAre("172.18.0.2"));
    EXPECT_THAT(ask("db").data, ElementsAre("172.18.0.2")) << "the first of its networks";
    EXPECT_THAT(ask("many").data.size(), 3u);
}

TEST_F(Dns, reverse_names) {
    EXPECT_THAT(ask("2.0.17.172.in-addr.arpa", dns::kPtr).data, ElementsAre("p-db-1.p_front."));
    EXPECT_THAT(ask("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", dns::kPtr).data,
                ElementsAre("p-db-1.p_front."));
    for (const char* name : {"2.0.18.172.in-addr.arpa", "0.17.172.in-addr.arpa", "1.2.3.4.5.in-addr.arpa", "x.0.17.172.in-addr.arpa",
                             "999.0.17.172.in-addr.arpa", "in-addr.arpa"})
        EXPECT_NE(ask(name, dns::kPtr).rcode, 0) << name;
}

TEST_F(Dns, records_are_swapped_while_it_answers) {
    server_->set_records(DnsRecords::make({{"p_front", {{"0123456789abcdef", "p-new-1", "", {"new"}, "172.17.0.9", ""}}}}));
    EXPECT_THAT(ask("new").data, ElementsAre("172.17.0.9"));
    EXPECT_EQ(ask("db").rcode, dns::kNxDomain);
}

TEST_F(Dns, many_addresses_are_cut_by_udp_and_whole_by_tcp_and_edns) {
    DnsNetwork network{"p_front", {}};
    for (int i = 0; i < 200; i++)
        network.members.push_back({"", "p-big-" + std::to_string(i), "", {"big"}, "172.17.1." + std::to_string(i), ""});
    server_->set_records(DnsRecords::make({network}));
    Packet plain = exchange_udp(udp_, question("big", dns::kA));
    EXPECT_LE(plain.size(), 512u);
    EXPECT_TRUE(read(plain).truncated);
    Packet wide = exchange_udp(udp_, question("big", dns::kA, 1, true, 4096));
    EXPECT_LE(wide.size(), 4096u);
    Read edns = read(wide);
    EXPECT_TRUE(edns.valid);
    EXPECT_TRUE(edns.edns);
    EXPECT_FALSE(edns.truncated);
    EXPECT_EQ(edns.data.size(), 200u);
    auto tcp = connected(SOCK_STREAM, tcp_port_);
    send_tcp(tcp.get(), question("big", dns::kA, 1));
    send_tcp(tcp.get(), question("p-big-7", dns::kA, 2));
    EXPECT_EQ(read(read_tcp(tcp.get())).data.size(), 200u);
    EXPECT_THAT(read(read_tcp(tcp.get())).data, ElementsAre("172.17.1.7"));
}

TEST_F(Dns, garbage_is_answered_or_dropped_and_it_lives_on) {
    struct Row {
        const char* name;
        Packet packet;
        int rcode;  // -1: no answer
    } rows[] = {
        {"empty", {}, -1},
        {"short", {1, 2, 1, 0, 0, 1}, -1},
        {"an answer", {1, 2, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0}, -1},
        {"no question", {1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, dns::kFormatError},
        {"two questions", {1, 2, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1, 1, 'b', 0, 0, 1, 0, 1}, dns::kFormatError},
        {"name runs out", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 'a'}, dns::kFormatError},
        {"a pointer to itself", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}, dns::kFormatError},
        {"a reserved label", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 'a', 0, 0, 1, 0, 1}, dns::kFormatError},
        {"no type", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0}, dns::kFormatError},
        {"additional runs out", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 'a', 0, 0, 1, 0, 1, 0, 0, 41}, dns::kFormatError},
        {"65535 additional records", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 255, 255, 1, 'a', 0, 0, 1, 0, 1}, dns::kFormatError},
        {"update", {1, 2, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0}, dns::kNotImplemented},
        {"chaos", {1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 16, 0, 3}, dns::kRefused},
    };
    for (const Row& row : rows) {
        Packet answer = exchange_udp(udp_, row.packet, row.rcode < 0 ? 50 : 10'000);
        if (row.rcode < 0) EXPECT_TRUE(answer.empty()) << row.name;
        else {
            ASSERT_GE(answer.size(), 12u) << row.name;
            EXPECT_EQ(answer[3] & 15, row.rcode) << row.name;
            EXPECT_TRUE(answer[2] & 0x80) << row.name;
        }
    }
    Packet longest = question("", dns::kA);
    longest.resize(12);
    for (int i = 0; i < 4; i++) {
        longest.push_back(63);
        longest.insert(longest.end(), 63, 'a');
    }
    for (int byte : {0, 0, 1, 0, 1}) longest.push_back(static_cast<uint8_t>(byte));
    EXPECT_EQ(exchange_udp(udp_, longest)[3] & 15, dns::kFormatError) << "256 bytes of name";
    EXPECT_THAT(ask("db").data, ElementsAre("172.17.0.2"));
}

// Mutated and random packets through the parser and the server: whatever comes back must be readable by ldns.
TEST_F(Dns, fuzzed_packets) {
    std::mt19937 random(7);
    auto number = [&](size_t below) { return std::uniform_int_distribution<size_t>(0, below - 1)(random); };
    std::vector<Packet> seeds{question("db", dns::kA, 1, true), question("many.p_front", dns::kAaaa),
                              question("2.0.17.172.in-addr.arpa", dns::kPtr, 9, true, 4096)};
    for (int i = 0; i < 20'000; i++) {
        Packet packet = seeds[number(seeds.size())];
        for (size_t change = 0, changes = 1 + number(6); change < changes; change++) {
            size_t at = number(packet.size());
            switch (number(4)) {
                case 0:
                    packet[at] = static_cast<uint8_t>(number(256));
                    break;
                case 1:
                    packet.resize(at + 1);
                    break;
                case 2:
                    packet.insert(packet.begin() + static_cast<ssize_t>(at), number(80), static_cast<uint8_t>(number(256)));
                    break;
                default:
                    packet[at] ^= static_cast<uint8_t>(1 << number(8));
            }
        }
        // In a buffer of exactly its size, so that a sanitizer sees a read behind its end.
        Packet exact(packet.begin(), packet.end());
        exact.shrink_to_fit();
        dns::Query query;
        auto verdict = dns::parse_query(exact, query);
        if (verdict == dns::Verdict::query) {
            EXPECT_LE(query.question_end, exact.size());
            dns::text_name(query.name());
            dns::reverse_address(query.name());
        }
        dns::answers(exact, seeds[0]);
        Packet cut = exact;
        dns::truncate(cut);
        if (i % 20 == 0 && verdict != dns::Verdict::drop) {
            Packet answer = exchange_udp(udp_, exact);
            ASSERT_GE(answer.size(), 12u) << i;
        }
    }
    EXPECT_THAT(ask("db").data, ElementsAre("172.17.0.2"));
}

TEST_F(Dns, tcp_in_pieces_and_broken_frames) {
    auto slow = connected(SOCK_STREAM, tcp_port_);
    Packet packet = question("db", dns::kA);
    Packet framed{0, static_cast<uint8_t>(packet.size())};
    framed.insert(framed.end(), packet.begin(), packet.end());
    int on = 1;
    setsockopt(slow.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    for (uint8_t byte : framed) ASSERT_EQ(send(slow.get(), &byte, 1, MSG_NOSIGNAL), 1);
    EXPECT_THAT(read(read_tcp(slow.get())).data, ElementsAre("172.17.0.2"));
    // A frame that is shorter than a header ends the connection; others go on.
    auto broken = connected(SOCK_STREAM, tcp_port_);
    uint8_t tiny[] = {0, 1, 7};
    send(broken.get(), tiny, sizeof tiny, MSG_NOSIGNAL);
    EXPECT_TRUE(read_tcp(broken.get()).empty());
    // A client that holds more connections than it may does not keep the others waiting (CVE-2024-8418).
    std::vector<base::UniqueFd> idle;
    for (int i = 0; i < 60; i++) idle.push_back(connected(SOCK_STREAM, tcp_port_));
    EXPECT_THAT(ask("db").data, ElementsAre("172.17.0.2"));
    // Half-closed after the question: still answered.
    idle.clear();
    send_tcp(slow.get(), packet);
    shutdown(slow.get(), SHUT_WR);
    EXPECT_THAT(read(read_tcp(slow.get())).data, ElementsAre("172.17.0.2"));
}

TEST_F(Dns, forgotten_client_gets_nothing_more) {
    server_->forget("client");
    EXPECT_TRUE(exchange_udp(udp_, question("db", dns::kA), 100).empty());
    EXPECT_FALSE(server_->update({"client", {}, {}, {}, false}));
}

TEST_F(Dns, without_upstreams_unknown_names_fail_at_once) {
    DnsClient client;
    client.networks = {"p_front"};
    client.upstreams = {"not an address"};
    serve(client);
    EXPECT_EQ(ask("nobody").rcode, dns::kNxDomain);
    EXPECT_EQ(ask("www.example.com").rcode, dns::kServerFailure);
}

// The forwarder against upstreams of our own, in this thread.
class Forwarding : public testing::Test {
protected:
    Forwarding()
        : forwarder_({[this](int fd, uint64_t number, bool writing) {
                          watched_[number] = {fd, writing};
                          return true;
                      },
                      [this](const dns::ReplyTo&, Packet answer) { answers_.push_back(std::move(answer)); }}) {}
    void ask(const std::string& name, const std::vector<std::string>& upstreams) {
        Packet packet = question(name, dns::kA, 0x4242);
        dns::Query query;
        ASSERT_EQ(dns::parse_query(packet, query), dns::Verdict::query);
        forwarder_.ask(packet, query, {}, upstreams);
    }
    std::map<uint64_t, std::pair<int, bool>> watched_;
    std::vector<Packet> answers_;
    dns::Forwarder forwarder_;
};

TEST_F(Forwarding, nobody_answers) {
    // 127.0.0.1:53 refuses or is silent here; the clock is the caller's.
    ask("nobody", {"127.255.255.254"});
    auto now = dns::Clock::now();
    for (int i = 0; i < 20 && answers_.empty(); i++) {
        now += std::chrono::seconds(1);
        for (auto [number, entry] : std::map(watched_)) forwarder_.ready(number, false);
        forwarder_.expire(now);
    }
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(read(answers_[0]).rcode, dns::kNxDomain);
    EXPECT_EQ(answers_[0][0], 0x42);
    ask("www.example.com", {});
    EXPECT_EQ(read(answers_.at(1)).rcode, dns::kServerFailure);
}

TEST(DnsWire, only_the_answer_to_the_question_counts) {
    Packet asked = question("www.example.com", dns::kA, 7), answer = asked;
    answer[2] |= 0x80;
    EXPECT_TRUE(dns::answers(answer, asked));
    Packet other = answer;
    other[1] = 8;
    EXPECT_FALSE(dns::answers(other, asked)) << "id";
    other = answer;
    other[13] = 'x';
    EXPECT_FALSE(dns::answers(other, asked)) << "question";
    other = answer;
    other[13] = 'W';
    EXPECT_TRUE(dns::answers(other, asked)) << "case";
    EXPECT_FALSE(dns::answers(asked, asked)) << "a question";
}

TEST(DnsWire, names_of_people_and_machines) {
    EXPECT_EQ(*dns::wire_name("Web.p_n1."), std::string("\3web\4p_n1"));
    for (const std::string& text : {std::string(""), std::string("."), std::string("a..b"), std::string(64, 'a'), std::string(".a")})
        EXPECT_FALSE(dns::wire_name(text)) << text;
    EXPECT_EQ(dns::text_name("\3web\4p_n1"), "web.p_n1");
}

}  // namespace
}  // namespace engine::network
