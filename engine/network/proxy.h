#pragma once
// The user-space way to a published port: for [::1], for a family that the container lacks, and when nftables is not there.
// One thread, epoll; TCP by splice(2), UDP by a socket for each client. Internal to network/.
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "network/address.h"

namespace engine::network {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    SocketAddress() = default;
    SocketAddress(const Address& address, uint16_t port);
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
    uint16_t port() const;
};

class Proxy {
public:
    static base::Result<std::unique_ptr<Proxy>> start();
    virtual ~Proxy() = default;  ///< ends the thread and every connection
    /// Sends what comes in at a listening (or bound UDP) socket to `target`. The socket stays the caller's and must outlive
    /// the entry; returns its number.
    virtual base::Result<uint64_t> add(int fd, bool udp, const SocketAddress& target) = 0;
    /// Nothing new is taken in once this returns; connections through it are closed.
    virtual void remove(uint64_t number) = 0;
};

}  // namespace engine::network
