// The resolver's thread: sockets of all namespaces in one epoll, answers in batches.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "network/dns.h"
#include "network/dns_forward.h"
#include "network/dns_records.h"
#include "network/dns_wire.h"

namespace engine::network {

using base::Result;
using base::Status;

namespace {

using dns::Answer;
using dns::Bytes;
using dns::Clock;
using dns::Query;
using dns::ReplyTo;

constexpr size_t kBatch = 64;
constexpr size_t kQueryRoom = 1536;  // longer queries do not exist in practice; they are cut and answered FORMERR
constexpr size_t kAnswerRoom = 4096;
constexpr size_t kMaxTcp = 256;          // connections in all …
constexpr size_t kMaxTcpPerClient = 32;  // … and of one container (CVE-2024-8418: one client must not block the others)
constexpr auto kTcpIdle = std::chrono::seconds(10);
constexpr size_t kMaxTcpAnswers = 1 << 20;  // bytes a client may leave unread

struct Client {
    DnsClient settings;
    DnsSockets sockets;
    uint64_t udp = 0, tcp = 0;  ///< numbers in the epoll
    uint64_t generation = 0;    ///< of the records that `zones` belongs to
    std::vector<const dns::Zone*> zones;
    size_t connections = 0;
    uint32_t turn = 0;  ///< rotates answers
};

struct TcpConnection {
    base::UniqueFd fd;
    Client* client = nullptr;
    std::vector<uint8_t> incoming, outgoing;
    bool writing = false;  ///< waits for room
    size_t under_way = 0;  ///< forwarded questions
    bool ended = false;    ///< the client sends no more
    Clock::time_point deadline;
};

enum Kind : uint64_t { kWake = 0, kUdp = 1, kListen = 2, kTcp = 3, kUpstream = 4 };

/// Packet buffers of one recvmmsg/sendmmsg round, set up once.
struct Round {
    std::array<mmsghdr, kBatch> in{}, out{};
    std::array<iovec, kBatch> in_parts{}, out_parts{};
    std::array<sockaddr_in, kBatch> peers{};
    // Not filled: pages that no burst ever needs cost nothing.
    std::unique_ptr<uint8_t[]> in_bytes = std::make_unique_for_overwrite<uint8_t[]>(kBatch * kQueryRoom),
                               out_bytes = std::make_unique_for_overwrite<uint8_t[]>(kBatch * kAnswerRoom);
    Round() {
        for (size_t i = 0; i < kBatch; i++) {
            in_parts[i] = {in_bytes.get() + i * kQueryRoom, kQueryRoom};
            in[i].msg_hdr.msg_iov = &in_parts[i];
            in[i].msg_hdr.msg_iovlen = 1;
            in[i].msg_hdr.msg_name = &peers[i];
            out[i].msg_hdr.msg_iov = &out_parts[i];
            out[i].msg_hdr.msg_iovlen = 1;
        }
    }
};

class DnsLoop : public DnsServer {
public:
    DnsLoop()
        : forwarder_({[this](int fd, uint64_t number, bool writing) {
                          return watch(fd, writing ? EPOLLOUT | EPOLLIN : EPOLLIN, number << 3 | kUpstream);
                      },
                      [this](const ReplyTo& to, std::vector<uint8_t> answer) { reply(to, std::move(answer)); }}) {}

    ~DnsLoop() override {
        stopping_ = true;
        wake();
        if (thread_.joinable()) thread_.join();
    }

    Status init() {
        epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
        event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!epoll_ || !event_) return base::fail_errno("start the resolver");
        if (!watch(event_.get(), EPOLLIN, kWake)) return base::fail_errno("start the resolver");
        records_ = std::make_shared<const dns::Records>(std::vector<DnsNetwork>{});
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::exception& error) {
            return base::fail(base::Code::unavailable, std::string("start the resolver: ") + error.what());
        }
        return {};
    }

    Status serve(DnsClient settings, DnsSockets sockets) override {
        std::lock_guard lock(mutex_);
        drop(settings.container_id);
        auto client = std::make_unique<Client>();
        client->settings = std::move(settings);
        client->sockets = std::move(sockets);
        client->udp = next_++;
        client->tcp = next_++;
        for (int fd : {client->sockets.udp.get(), client->sockets.tcp.get()}) {
            if (fd < 0) continue;
            // The loop must never wait in one socket.
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            bool udp = fd == client->sockets.udp.get();
            if (!watch(fd, EPOLLIN, (udp ? client->udp << 3 | kUdp : client->tcp << 3 | kListen)))
                return base::fail_errno("serve names to container " + client->settings.container_id.substr(0, 12));
        }
        by_number_[client->udp] = by_number_[client->tcp] = client.get();
        clients_[client->settings.container_id] = std::move(client);
        return {};
    }

    Status update(DnsClient settings) override {
        std::lock_guard lock(mutex_);
        auto found = clients_.find(settings.container_id);
        if (found == clients_.end())
            return base::fail(base::Code::not_found, "container " + settings.container_id.substr(0, 12) + " is not served");
        found->second->settings = std::move(settings);
        found->second->generation = 0;
        return {};
    }

    void forget(const std::string& container_id) override {
        std::lock_guard lock(mutex_);
        drop(container_id);
    }

    void set_records(std::shared_ptr<const DnsRecords> records) override {
        std::lock_guard lock(mutex_);
        records_ = std::static_pointer_cast<const dns::Records>(std::move(records));
        generation_++;
    }

    Counters counters() const override {
        std::lock_guard lock(mutex_);
        return {answered_, forwarder_.forwarded, forwarder_.failed, malformed_};
    }

private:
    bool watch(int fd, uint32_t events, uint64_t data) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return true;
        return errno == EEXIST && epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0;
    }

    void wake() {
        uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof one);
    }

    void drop(const std::string& container_id) {
        auto found = clients_.find(container_id);
        if (found == clients_.end()) return;
        Client* client = found->second.get();
        forwarder_.forget(client->udp);
        for (auto at = connections_.begin(); at != connections_.end();) {
            if (at->second.client == client) {
                forwarder_.forget(at->first);
                at = connections_.erase(at);
            } else {
                ++at;
            }
        }
        by_number_.erase(client->udp);
        by_number_.erase(client->tcp);
        clients_.erase(found);
    }

    void run() {
        pthread_setname_np(pthread_self(), "dns");
        std::array<epoll_event, 64> events;
        int timeout = -1;
        while (!stopping_) {
            int count = epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
            if (count < 0 && errno != EINTR) return;
            std::lock_guard lock(mutex_);
            for (int i = 0; i < count; i++) handle(events[static_cast<size_t>(i)]);
            timeout = expire();
        }
    }

    /// Milliseconds to the next deadline; -1: none.
    int expire() {
        auto now = Clock::now();
        auto next = forwarder_.expire(now);
        for (auto at = connections_.begin(); at != connections_.end();) {
            auto following = std::next(at);
            if (at->second.deadline <= now) close(at->first);
            else next = std::min(next, at->second.deadline);
            at = following;
        }
        if (next == Clock::time_point::max()) return -1;
        return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count());
    }

    void handle(const epoll_event& event) {
        uint64_t number = event.data.u64 >> 3;
        switch (event.data.u64 & 7) {
            case kWake: {
                uint64_t value;
                (void)!read(event_.get(), &value, sizeof value);
                return;
            }
            case kUdp:
                if (auto found = by_number_.find(number); found != by_number_.end()) udp_round(*found->second);
                return;
            case kListen:
                if (auto found = by_number_.find(number); found != by_number_.end()) accept_some(*found->second);
                return;
            case kTcp:
                tcp_event(number, event.events);
                return;
            case kUpstream:
                forwarder_.ready(number, (event.events & EPOLLOUT) != 0);
                return;
        }
    }

    // ---- questions ----------------------------------------------------------------------------------------------------

    const std::vector<const dns::Zone*>& zones_of(Client& client) {
        if (client.generation != generation_) {
            client.generation = generation_;
            client.zones.clear();
            for (const std::string& network : client.settings.networks)
                if (const dns::Zone* zone = records_->zone(network)) client.zones.push_back(zone);
        }
        return client.zones;
    }

    static const dns::Addresses* find_name(const std::vector<const dns::Zone*>& zones, std::string_view name) {
        for (const dns::Zone* zone : zones)
            if (auto found = zone->names.find(name); found != zone->names.end()) return &found->second;
        return nullptr;
    }

    const dns::Addresses* find_own(Client& client, std::string_view name) {
        const auto& zones = zones_of(client);
        if (const auto* found = find_name(zones, name)) return found;
        for (const auto& [alias, target] : client.settings.links) {
            auto alias_wire = dns::wire_name(alias), target_wire = dns::wire_name(target);
            if (alias_wire && target_wire && *alias_wire == name) return find_name(zones, *target_wire);
        }
        return nullptr;
    }

    /// Below the name of one of the client's own networks: nobody else's business (netavark CVE-2025-8283).
    static bool below_own_suffix(const std::vector<const dns::Zone*>& zones, std::string_view name) {
        return std::any_of(zones.begin(), zones.end(), [&](const dns::Zone* zone) {
            return zone->own_suffix && name.size() > zone->suffix.size() && name.ends_with(zone->suffix);
        });
    }

    /// Answers what is known here. 0: not ours to answer, the caller forwards.
    size_t answer_here(Client& client, Bytes packet, std::span<uint8_t> out, bool tcp, Query& query, bool& ignore) {
        ignore = false;
        switch (dns::parse_query(packet, query)) {
            case dns::Verdict::drop:
                malformed_++;
                ignore = true;
                return 0;
            case dns::Verdict::malformed:
                malformed_++;
                return dns::header_only(packet, dns::kFormatError, out);
            case dns::Verdict::refuse:
                return dns::header_only(packet, dns::kNotImplemented, out);
            case dns::Verdict::query:
                break;
        }
        // The client's limit by UDP; what the buffer holds in any case.
        size_t limit = tcp ? out.size() : std::min<size_t>(query.udp_size, out.size());
        constexpr uint16_t kInternet = 1, kAnyClass = 255;
        if (query.cls != kInternet && query.cls != kAnyClass) return Answer(packet, query, out, limit).finish(dns::kRefused);
        if (const auto* addresses = find_own(client, query.name())) {
            Answer answer(packet, query, out, limit);
            uint32_t turn = client.turn++;
            if (query.type == dns::kA || query.type == dns::kAny) put(answer, addresses->v4, turn);
            if (query.type == dns::kAaaa || query.type == dns::kAny) put(answer, addresses->v6, turn);
            return answer.finish(dns::kNoError);
        }
        if (query.type == dns::kPtr) {
            if (auto address = dns::reverse_address(query.name()))
                for (const dns::Zone* zone : zones_of(client))
                    if (auto found = zone->reverse.find(*address); found != zone->reverse.end()) {
                        Answer answer(packet, query, out, limit);
                        answer.name(found->second);
                        return answer.finish(dns::kNoError);
                    }
        }
        if (below_own_suffix(zones_of(client), query.name())) return Answer(packet, query, out, limit).finish(dns::kNxDomain);
        // An internal network has no way out, not even by way of the resolver (CVE-2024-29018).
        if (!client.settings.forward)
            return Answer(packet, query, out, limit).finish(query.labels <= 1 ? dns::kNxDomain : dns::kServerFailure);
        return 0;
    }

    static void put(Answer& answer, const std::vector<Address>& addresses, uint32_t turn) {
        for (size_t i = 0; i < addresses.size(); i++) answer.address(addresses[(i + turn) % addresses.size()]);
    }

    const std::vector<std::string>& upstreams_of(const Client& client) {
        if (!client.settings.upstreams.empty()) return client.settings.upstreams;
        // The host's file changes with the network that a laptop is in: a look now and then.
        auto now = Clock::now();
        if (now - host_looked_ > std::chrono::seconds(2)) {
            host_looked_ = now;
            struct stat info {};
            if (stat("/etc/resolv.conf", &info) == 0 &&
                (info.st_mtim.tv_sec != host_changed_.tv_sec || info.st_mtim.tv_nsec != host_changed_.tv_nsec)) {
                host_changed_ = info.st_mtim;
                if (auto text = base::read_file("/etc/resolv.conf", 1 << 20)) host_servers_ = nameservers(*text);
            }
        }
        return host_servers_;
    }

    // ---- UDP ----------------------------------------------------------------------------------------------------------

    void udp_round(Client& client) {
        const int fd = client.sockets.udp.get();
        // Some rounds, then the other sockets have their turn (level-triggered: the rest comes again).
        for (int round = 0; round < 8; round++) {
            for (auto& message : round_.in) {
                message.msg_hdr.msg_namelen = sizeof(sockaddr_in);
                message.msg_hdr.msg_flags = 0;
            }
            int got = recvmmsg(fd, round_.in.data(), kBatch, MSG_DONTWAIT, nullptr);
            if (got <= 0) return;
            size_t ready = 0;
            for (size_t i = 0; i < static_cast<size_t>(got); i++) {
                Bytes packet(static_cast<const uint8_t*>(round_.in_parts[i].iov_base), round_.in[i].msg_len);
                std::span<uint8_t> out(round_.out_bytes.get() + ready * kAnswerRoom, kAnswerRoom);
                Query query;
                bool ignore;
                size_t size = answer_here(client, packet, out, false, query, ignore);
                if (ignore) continue;
                if (size == 0) {
                    forwarder_.ask(
                        packet, query,
                        {client.udp, false, std::string(reinterpret_cast<char*>(&round_.peers[i]), sizeof(sockaddr_in)), query.udp_size},
                        upstreams_of(client));
                    continue;
                }
                answered_++;
                round_.out_parts[ready] = {out.data(), size};
                round_.out[ready].msg_hdr.msg_name = &round_.peers[i];
                round_.out[ready].msg_hdr.msg_namelen = sizeof(sockaddr_in);
                ready++;
            }
            for (size_t sent = 0; sent < ready;) {
                int done = sendmmsg(fd, round_.out.data() + sent, static_cast<unsigned>(ready - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
                // One that cannot be sent (its socket is gone) is left out.
                sent += done > 0 ? static_cast<size_t>(done) : 1;
            }
            if (static_cast<size_t>(got) < kBatch) return;
        }
    }

    void reply(const ReplyTo& to, std::vector<uint8_t> answer) {
        if (to.tcp) {
            auto found = connections_.find(to.socket);
            if (found == connections_.end()) return;
            if (found->second.under_way > 0) found->second.under_way--;
            append(found->second, answer);
            flush(to.socket, found->second);
            return;
        }
        auto found = by_number_.find(to.socket);
        if (found == by_number_.end()) return;
        (void)!sendto(found->second->sockets.udp.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                      reinterpret_cast<const sockaddr*>(to.peer.data()), static_cast<socklen_t>(to.peer.size()));
    }

    // ---- TCP ----------------------------------------------------------------------------------------------------------

    void accept_some(Client& client) {
        for (int i = 0; i < 16; i++) {
            base::UniqueFd fd(accept4(client.sockets.tcp.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!fd) {
                // Out of fds: the queue is left alone until the next event; a level-triggered listener would spin.
                if (errno == EMFILE || errno == ENFILE) oldest_goes();
                return;
            }
            if (client.connections >= kMaxTcpPerClient || connections_.size() >= kMaxTcp) continue;
            uint64_t number = next_++;
            TcpConnection& connection = connections_[number];
            connection.fd = std::move(fd);
            connection.client = &client;
            connection.deadline = Clock::now() + kTcpIdle;
            client.connections++;
            if (!watch(connection.fd.get(), EPOLLIN | EPOLLRDHUP, number << 3 | kTcp)) close(number);
        }
    }

    void oldest_goes() {
        auto oldest = std::min_element(connections_.begin(), connections_.end(),
                                       [](const auto& a, const auto& b) { return a.second.deadline < b.second.deadline; });
        if (oldest != connections_.end()) close(oldest->first);
    }

    void close(uint64_t number) {
        auto found = connections_.find(number);
        if (found == connections_.end()) return;
        found->second.client->connections--;
        connections_.erase(found);
        forwarder_.forget(number);
    }

    static void append(TcpConnection& connection, Bytes answer) {
        connection.outgoing.push_back(static_cast<uint8_t>(answer.size() >> 8));
        connection.outgoing.push_back(static_cast<uint8_t>(answer.size()));
        connection.outgoing.insert(connection.outgoing.end(), answer.begin(), answer.end());
    }

    void tcp_event(uint64_t number, uint32_t events) {
        auto found = connections_.find(number);
        if (found == connections_.end()) return;
        TcpConnection& connection = found->second;
        if (events & (EPOLLERR | EPOLLHUP)) return close(number);
        uint8_t buffer[16384];
        while (!connection.ended) {
            ssize_t got = recv(connection.fd.get(), buffer, sizeof buffer, 0);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) break;
            if (got < 0) return close(number);
            if (got == 0) {
                connection.ended = true;
                watch(connection.fd.get(), connection.writing ? EPOLLOUT : 0u, number << 3 | kTcp);
                break;
            }
            connection.incoming.insert(connection.incoming.end(), buffer, buffer + got);
            if (!take_questions(number, connection)) return close(number);
            if (!connections_.contains(number)) return;
            if (static_cast<size_t>(got) < sizeof buffer) break;
        }
        flush(number, connection);
    }

    /// false: the client is to be got rid of.
    bool take_questions(uint64_t number, TcpConnection& connection) {
        size_t at = 0;
        while (connection.incoming.size() - at >= 2) {
            size_t size = static_cast<size_t>(connection.incoming[at]) << 8 | connection.incoming[at + 1];
            if (size < dns::kHeader) return false;
            if (connection.incoming.size() - at - 2 < size) break;
            // A copy: the forwarder may answer at once, which changes the connection.
            std::vector<uint8_t> packet(connection.incoming.begin() + static_cast<ssize_t>(at) + 2,
                                        connection.incoming.begin() + static_cast<ssize_t>(at + 2 + size));
            at += 2 + size;
            connection.deadline = Clock::now() + kTcpIdle;
            Query query;
            bool ignore;
            std::vector<uint8_t> out(65535);
            size_t answer = answer_here(*connection.client, packet, out, true, query, ignore);
            if (ignore) return false;
            if (answer > 0) {
                answered_++;
                append(connection, Bytes(out.data(), answer));
            } else {
                if (connection.under_way >= 64) return false;
                connection.under_way++;
                forwarder_.ask(packet, query, {number, true, {}, 65535}, upstreams_of(*connection.client));
            }
            if (connection.outgoing.size() > kMaxTcpAnswers) return false;
        }
        connection.incoming.erase(connection.incoming.begin(), connection.incoming.begin() + static_cast<ssize_t>(at));
        return true;
    }

    void flush(uint64_t number, TcpConnection& connection) {
        size_t sent = 0;
        bool broken = false;
        while (sent < connection.outgoing.size()) {
            ssize_t done = send(connection.fd.get(), connection.outgoing.data() + sent, connection.outgoing.size() - sent, MSG_NOSIGNAL);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) {
                broken = errno != EAGAIN;
                break;
            }
            sent += static_cast<size_t>(done);
        }
        connection.outgoing.erase(connection.outgoing.begin(), connection.outgoing.begin() + static_cast<ssize_t>(sent));
        // A broken one is not closed here: the caller may be reading from it. Its deadline does it at the end of the round.
        if (broken || (connection.ended && connection.outgoing.empty() && connection.under_way == 0)) {
            connection.deadline = Clock::time_point::min();
            return;
        }
        bool writing = !connection.outgoing.empty();
        if (writing == connection.writing) return;
        connection.writing = writing;
        watch(connection.fd.get(), (connection.ended ? 0u : EPOLLIN | EPOLLRDHUP) | (writing ? EPOLLOUT : 0u), number << 3 | kTcp);
    }

    base::UniqueFd epoll_, event_;
    mutable std::mutex mutex_;  // guards all below; the thread holds it while it handles a round of events
    dns::Forwarder forwarder_;
    std::shared_ptr<const dns::Records> records_;
    uint64_t generation_ = 1;
    std::map<std::string, std::unique_ptr<Client>> clients_;
    std::unordered_map<uint64_t, Client*> by_number_;
    std::map<uint64_t, TcpConnection> connections_;
    uint64_t next_ = 1;
    uint64_t answered_ = 0, malformed_ = 0;
    Round round_;
    std::vector<std::string> host_servers_;
    Clock::time_point host_looked_{};
    timespec host_changed_{-1, 0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<DnsServer>> DnsServer::start() {
    auto loop = std::make_unique<DnsLoop>();
    TRY_VOID(loop->init());
    return std::unique_ptr<DnsServer>(std::move(loop));
}

}  // namespace engine::network
