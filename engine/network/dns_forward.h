#pragma once
// Questions for the world outside: sent on to upstream servers from the host's namespace, one socket a question (a random
// port and id, and the kernel drops what comes from elsewhere). Internal to network/; used by the resolver's thread only.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "network/dns_wire.h"

namespace engine::network::dns {

using Clock = std::chrono::steady_clock;

/// Where an answer goes: the resolver's own business.
struct ReplyTo {
    uint64_t socket = 0;  ///< the UDP socket or the TCP connection
    bool tcp = false;
    std::string peer;  ///< UDP: raw socket address
    uint16_t udp_size = 512;
};

class Forwarder {
public:
    /// `watch` puts a socket into the resolver's epoll under a number (events given) or takes changes of it; `reply` sends.
    struct Hooks {
        std::function<bool(int fd, uint64_t number, bool for_writing)> watch;
        std::function<void(const ReplyTo&, std::vector<uint8_t>)> reply;
    };
    explicit Forwarder(Hooks hooks) : hooks_(std::move(hooks)) {}

    /// Sends a question on. When nobody answers in time: NXDOMAIN for a name of one label, else SERVFAIL.
    void ask(Bytes packet, const Query& query, ReplyTo to, const std::vector<std::string>& upstreams);
    /// A socket of ours has something.
    void ready(uint64_t number, bool writable);
    /// Gives up or goes on with what is overdue; returns the next time to come (max() when there is none).
    Clock::time_point expire(Clock::time_point now);
    /// Drops what would go to this socket.
    void forget(uint64_t socket);

    uint64_t forwarded = 0, failed = 0;

private:
    struct Pending {
        std::vector<uint8_t> packet;  ///< the question with our id
        uint16_t client_id = 0;
        bool single_label = false;
        ReplyTo to;
        std::vector<std::string> upstreams;
        size_t tries = 0;
        Clock::time_point started;
        base::UniqueFd fd;
        std::multimap<Clock::time_point, uint64_t>::iterator deadline;
        bool has_deadline = false;
        // TCP: what is still to be sent, and what has come.
        std::vector<uint8_t> outgoing, incoming;
        std::vector<uint8_t> last_error;  ///< SERVFAIL or REFUSED of an upstream, should nobody know better
        bool detached = false;            ///< answered already; still waits to see whether the upstream lives
    };

    void attempt(uint64_t number, Pending& pending);
    bool start_udp(uint64_t number, Pending& pending, const std::string& server);
    bool start_tcp(uint64_t number, Pending& pending, const std::string& server);
    void next(uint64_t number, Pending& pending);
    void give_up(uint64_t number, Pending& pending);
    void deliver(uint64_t number, Pending& pending, std::vector<uint8_t> answer);
    void read_tcp(uint64_t number, Pending& pending);
    void set_deadline(uint64_t number, Pending& pending, Clock::duration after);

    struct Health {
        Clock::time_point down_until{};
    };
    Hooks hooks_;
    std::unordered_map<uint64_t, Pending> pending_;
    std::multimap<Clock::time_point, uint64_t> deadlines_;
    std::map<std::string, Health> health_;
    uint64_t next_ = 1;
};

}  // namespace engine::network::dns
