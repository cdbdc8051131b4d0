#pragma once
// Datagrams of a published port: each client has a socket of its own towards the container, so that answers find their way.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"

namespace engine::network {

struct SocketAddress;

class UdpRelay {
public:
    UdpRelay(int fd, const SocketAddress& target);
    ~UdpRelay();
    /// Passes on what waits at the published socket. `watch(fd)` is called for a new client's socket and gives the session's
    /// number (0: failed); `gone(number)` when a session had to make room.
    void receive(const std::function<uint64_t(int)>& watch, const std::function<void(uint64_t)>& gone);
    /// Passes the container's answers back to the client of a session.
    void answer(uint64_t session);
    /// Ends sessions that were silent for a minute.
    void sweep(const std::function<void(uint64_t)>& gone);
    std::vector<uint64_t> sessions() const;

private:
    struct Session;
    using Clock = std::chrono::steady_clock;
    void drop(std::map<std::string, Session>::iterator at, const std::function<void(uint64_t)>& gone);
    int fd_;
    std::string target_;                      // raw socket address
    std::map<std::string, Session> clients_;  // by raw socket address
    std::map<uint64_t, std::string> numbers_;
    Clock::time_point swept_;
};

}  // namespace engine::network
