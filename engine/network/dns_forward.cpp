#include "network/dns_forward.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "network/proxy.h"

namespace engine::network::dns {

namespace {

constexpr size_t kMaxPending = 2048;
constexpr auto kTry = std::chrono::milliseconds(1000);    // one upstream, one try
constexpr auto kWhole = std::chrono::milliseconds(4000);  // below the 5 s after which clients ask again
constexpr auto kDown = std::chrono::seconds(10);          // how long a silent upstream counts as down
constexpr size_t kMaxAnswer = 65535;

/// `8.8.8.8`, `fe80::1%eth0`.
std::optional<SocketAddress> server_address(const std::string& text) {
    auto [ip, scope] = base::cut(text, '%');
    auto address = Address::parse(ip);
    if (!address) return std::nullopt;
    SocketAddress server(*address, 53);
    if (address->v6 && scope) reinterpret_cast<sockaddr_in6*>(&server.storage)->sin6_scope_id = if_nametoindex(scope->c_str());
    return server;
}

uint16_t random_id() {
    uint16_t id = 0;
    (void)!getrandom(&id, sizeof id, 0);
    return id;
}

}  // namespace

void Forwarder::ask(Bytes packet, const Query& query, ReplyTo to, const std::vector<std::string>& upstreams) {
    forwarded++;
    uint64_t number = next_++;
    Pending pending;
    pending.packet.assign(packet.begin(), packet.end());
    pending.client_id = query.id;
    pending.single_label = query.labels <= 1;
    pending.to = std::move(to);
    pending.upstreams = upstreams;
    pending.started = Clock::now();
    if (upstreams.empty() || pending_.size() >= kMaxPending) {
        give_up(number, pending);
        return;
    }
    Pending& kept = pending_.emplace(number, std::move(pending)).first->second;
    // Nobody outside has answered for a while: a name of one label is most likely a service that is not there, and its
    // asker shall not wait. The question goes out all the same, to see whether the upstream is back.
    bool down = kept.single_label && std::all_of(upstreams.begin(), upstreams.end(), [&](const std::string& server) {
                    auto found = health_.find(server);
                    return found != health_.end() && found->second.down_until > kept.started;
                });
    if (down) {
        failed++;
        std::vector<uint8_t> answer = kept.packet;
        Query copy = query;
        std::vector<uint8_t> out(std::max<size_t>(512, answer.size() + 16));
        out.resize(Answer(answer, copy, out, out.size()).finish(kNxDomain));
        hooks_.reply(kept.to, std::move(out));
        kept.detached = true;
    }
    attempt(number, kept);
}

void Forwarder::attempt(uint64_t number, Pending& pending) {
    while (true) {
        // One round for a single label; two rounds otherwise, as far as the time goes.
        size_t most = pending.upstreams.size() * (pending.single_label || pending.detached ? 1 : 2);
        if (pending.tries >= most || Clock::now() - pending.started >= kWhole) {
            give_up(number, pending);
            return;
        }
        const std::string& server = pending.upstreams[pending.tries++ % pending.upstreams.size()];
        uint16_t id = random_id();
        pending.packet[0] = static_cast<uint8_t>(id >> 8);
        pending.packet[1] = static_cast<uint8_t>(id);
        if (pending.to.tcp ? start_tcp(number, pending, server) : start_udp(number, pending, server)) {
            auto left = kWhole - (Clock::now() - pending.started);
            set_deadline(number, pending, std::min<Clock::duration>(kTry, left));
            return;
        }
    }
}

bool Forwarder::start_udp(uint64_t number, Pending& pending, const std::string& server) {
    auto address = server_address(server);
    if (!address) return false;
    pending.fd.reset(socket(address->family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!pending.fd || connect(pending.fd.get(), address->get(), address->size) != 0) return false;
    if (send(pending.fd.get(), pending.packet.data(), pending.packet.size(), 0) < 0) return false;
    return hooks_.watch(pending.fd.get(), number, false);
}

bool Forwarder::start_tcp(uint64_t number, Pending& pending, const std::string& server) {
    auto address = server_address(server);
    if (!address) return false;
    pending.fd.reset(socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!pending.fd || (connect(pending.fd.get(), address->get(), address->size) != 0 && errno != EINPROGRESS)) return false;
    pending.outgoing = {static_cast<uint8_t>(pending.packet.size() >> 8), static_cast<uint8_t>(pending.packet.size())};
    pending.outgoing.insert(pending.outgoing.end(), pending.packet.begin(), pending.packet.end());
    pending.incoming.clear();
    return hooks_.watch(pending.fd.get(), number, true);
}

void Forwarder::next(uint64_t number, Pending& pending) {
    pending.fd.reset();
    attempt(number, pending);
}

void Forwarder::set_deadline(uint64_t number, Pending& pending, Clock::duration after) {
    if (pending.has_deadline) deadlines_.erase(pending.deadline);
    pending.deadline = deadlines_.emplace(Clock::now() + after, number);
    pending.has_deadline = true;
}

void Forwarder::give_up(uint64_t number, Pending& pending) {
    if (!pending.detached) {
        failed++;
        if (!pending.last_error.empty()) {
            deliver(number, pending, std::move(pending.last_error));
            return;
        }
        Query query;
        std::vector<uint8_t> out(std::max<size_t>(512, pending.packet.size() + 16));
        if (parse_query(pending.packet, query) == Verdict::query) {
            pending.packet[0] = static_cast<uint8_t>(pending.client_id >> 8);
            pending.packet[1] = static_cast<uint8_t>(pending.client_id);
            out.resize(Answer(pending.packet, query, out, out.size()).finish(pending.single_label ? kNxDomain : kServerFailure));
            hooks_.reply(pending.to, std::move(out));
        }
    }
    if (pending.has_deadline) deadlines_.erase(pending.deadline);
    pending_.erase(number);
}

void Forwarder::deliver(uint64_t number, Pending& pending, std::vector<uint8_t> answer) {
    if (!pending.detached) {
        answer[0] = static_cast<uint8_t>(pending.client_id >> 8);
        answer[1] = static_cast<uint8_t>(pending.client_id);
        if (!pending.to.tcp && answer.size() > pending.to.udp_size) truncate(answer);
        hooks_.reply(pending.to, std::move(answer));
    }
    if (pending.has_deadline) deadlines_.erase(pending.deadline);
    pending_.erase(number);
}

void Forwarder::ready(uint64_t number, bool writable) {
    auto found = pending_.find(number);
    if (found == pending_.end()) return;
    Pending& pending = found->second;
    if (pending.to.tcp) {
        if (writable && !pending.outgoing.empty()) {
            ssize_t sent = send(pending.fd.get(), pending.outgoing.data(), pending.outgoing.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN && errno != EINTR) return next(number, pending);
            if (sent > 0) pending.outgoing.erase(pending.outgoing.begin(), pending.outgoing.begin() + sent);
            if (pending.outgoing.empty()) hooks_.watch(pending.fd.get(), number, false);
            return;
        }
        read_tcp(number, pending);
        return;
    }
    for (;;) {
        std::vector<uint8_t> answer(kMaxAnswer);
        ssize_t got = recv(pending.fd.get(), answer.data(), answer.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got < 0) return next(number, pending);  // refused: nobody listens there
        answer.resize(static_cast<size_t>(got));
        if (!answers(answer, pending.packet)) continue;  // not to our question: waits on
        const std::string server = pending.upstreams[(pending.tries - 1) % pending.upstreams.size()];
        health_.erase(server);
        uint8_t code = rcode_of(answer);
        bool more = pending.tries < pending.upstreams.size();
        if ((code == kServerFailure || code == kRefused) && more) {
            pending.last_error = std::move(answer);
            return next(number, pending);
        }
        return deliver(number, pending, std::move(answer));
    }
}

void Forwarder::read_tcp(uint64_t number, Pending& pending) {
    uint8_t buffer[16384];
    for (;;) {
        ssize_t got = recv(pending.fd.get(), buffer, sizeof buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return next(number, pending);
        pending.incoming.insert(pending.incoming.end(), buffer, buffer + got);
        if (pending.incoming.size() < 2) continue;
        size_t size = static_cast<size_t>(pending.incoming[0]) << 8 | pending.incoming[1];
        if (pending.incoming.size() < 2 + size) continue;
        std::vector<uint8_t> answer(pending.incoming.begin() + 2, pending.incoming.begin() + 2 + static_cast<ssize_t>(size));
        if (!answers(answer, pending.packet)) return next(number, pending);
        return deliver(number, pending, std::move(answer));
    }
}

Clock::time_point Forwarder::expire(Clock::time_point now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        uint64_t number = deadlines_.begin()->second;
        auto found = pending_.find(number);
        if (found == pending_.end()) {
            deadlines_.erase(deadlines_.begin());
            continue;
        }
        Pending& pending = found->second;
        deadlines_.erase(pending.deadline);
        pending.has_deadline = false;
        const std::string server = pending.upstreams[(pending.tries - 1) % pending.upstreams.size()];
        if (health_.size() > 256) health_.clear();
        health_[server].down_until = now + kDown;
        next(number, pending);
    }
    return deadlines_.empty() ? Clock::time_point::max() : deadlines_.begin()->first;
}

void Forwarder::forget(uint64_t socket) {
    for (auto at = pending_.begin(); at != pending_.end();) {
        if (at->second.to.socket != socket) {
            ++at;
            continue;
        }
        if (at->second.has_deadline) deadlines_.erase(at->second.deadline);
        at = pending_.erase(at);
    }
}

}  // namespace engine::network::dns
