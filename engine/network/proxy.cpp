#include "network/proxy.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/log.h"
#include "network/udp_relay.h"

namespace engine::network {

using base::Result;
using base::Status;

SocketAddress::SocketAddress(const Address& address, uint16_t number) {
    if (address.v6) {
        auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(number);
        std::memcpy(&six->sin6_addr, address.bytes.data(), 16);
        size = sizeof *six;
    } else {
        auto* four = reinterpret_cast<sockaddr_in*>(&storage);
        four->sin_family = AF_INET;
        four->sin_port = htons(number);
        std::memcpy(&four->sin_addr, address.bytes.data(), 4);
        size = sizeof *four;
    }
}

uint16_t SocketAddress::port() const {
    return ntohs(storage.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                                               : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

namespace {

constexpr int kPipeSize = 256 << 10;
constexpr size_t kMaxConnections = 2000;  // six fds each
constexpr int kTurns = 32;                // splices a connection may do before others have their turn

/// One direction of a connection: from a socket through a pipe to a socket.
struct Flow {
    base::UniqueFd read_end, write_end;
    size_t held = 0;        ///< bytes in the pipe
    bool ended = false;     ///< the source is at its end
    bool finished = false;  ///< and the destination knows

    bool open_pipe() {
        if (read_end) return true;
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
        fcntl(ends[1], F_SETPIPE_SZ, kPipeSize);
        return true;
    }
    enum class Outcome { waiting, more, broken };
    /// Moves bytes until both sides would block, the turns are used up, or something broke.
    Outcome pump(int from, int to) {
        for (int turn = 0; turn < kTurns; turn++) {
            bool moved = false;
            if (!ended) {
                if (!open_pipe()) return Outcome::broken;
                ssize_t got = splice(from, nullptr, write_end.get(), nullptr, kPipeSize, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
                if (got > 0) held += static_cast<size_t>(got), moved = true;
                else if (got == 0) ended = true;
                else if (errno != EAGAIN && errno != EINTR) return Outcome::broken;
            }
            if (held > 0) {
                ssize_t put = splice(read_end.get(), nullptr, to, nullptr, held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
                if (put > 0) held -= static_cast<size_t>(put), moved = true;
                else if (put < 0 && errno != EAGAIN && errno != EINTR) return Outcome::broken;
            }
            if (ended && held == 0) {
                if (!finished) shutdown(to, SHUT_WR);
                finished = true;
                return Outcome::waiting;
            }
            if (!moved) return Outcome::waiting;
        }
        return Outcome::more;
    }
};

struct Connection {
    uint64_t listener = 0;
    base::UniqueFd client, server;
    bool connected = false;
    Flow up, down;
};

struct Listener {
    int fd = -1;
    bool udp = false;
    SocketAddress target;
    std::unique_ptr<UdpRelay> relay;
};

// What an epoll entry means: the two low bits of its number.
enum Kind : uint64_t { kListener = 0, kConnection = 1, kRelay = 2, kWake = 3 };

class ProxyLoop : public Proxy {
public:
    ~ProxyLoop() override {
        stopping_ = true;
        wake();
        if (thread_.joinable()) thread_.join();
    }

    Status init() {
        epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
        event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!epoll_ || !event_ || !spare_) return base::fail_errno("start the port proxy");
        TRY_VOID(watch(event_.get(), EPOLLIN, kWake));
        try {
            thread_ = std::thread([this] { run(); });
        } catch (const std::exception& error) {
            return base::fail(base::Code::unavailable, std::string("start the port proxy: ") + error.what());
        }
        return {};
    }

    Result<uint64_t> add(int fd, bool udp, const SocketAddress& target) override {
        std::lock_guard lock(mutex_);
        uint64_t number = next_++;
        Listener& listener = listeners_[number];
        listener.fd = fd;
        listener.udp = udp;
        listener.target = target;
        if (udp) listener.relay = std::make_unique<UdpRelay>(fd, target);
        if (auto done = watch(fd, EPOLLIN, number << 2 | kListener); !done) {
            listeners_.erase(number);
            return done.error();
        }
        return number;
    }

    void remove(uint64_t number) override {
        std::lock_guard lock(mutex_);
        auto found = listeners_.find(number);
        if (found == listeners_.end()) return;
        epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
        if (found->second.relay)
            for (uint64_t session : found->second.relay->sessions()) relays_.erase(session);
        listeners_.erase(found);
        std::erase_if(connections_, [&](const auto& entry) { return entry.second->listener == number; });
    }

private:
    Status watch(int fd, uint32_t events, uint64_t data) {
        epoll_event event{};
        event.events = events;
        event.data.u64 = data;
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return base::fail_errno("watch a socket");
        return {};
    }

    void wake() {
        uint64_t one = 1;
        (void)!write(event_.get(), &one, sizeof one);
    }

    void run() {
        pthread_setname_np(pthread_self(), "ports");
        epoll_event events[64];
        while (!stopping_) {
            // UDP clients that fell silent are swept now and then; with none of them the thread sleeps for good.
            int timeout = !ready_.empty() ? 0 : relays_empty() ? -1 : 10'000;
            int count = epoll_wait(epoll_.get(), events, 64, timeout);
            if (count < 0 && errno != EINTR) return;
            std::lock_guard lock(mutex_);
            for (int i = 0; i < count; i++) handle(events[i]);
            std::vector<uint64_t> again;
            again.swap(ready_);
            for (uint64_t number : again) pump(number);
            sweep();
        }
    }

    bool relays_empty() {
        std::lock_guard lock(mutex_);
        return relays_.empty();
    }

    void handle(const epoll_event& event) {
        uint64_t number = event.data.u64 >> 2;
        switch (event.data.u64 & 3) {
            case kListener: {
                auto found = listeners_.find(number);
                if (found == listeners_.end()) return;
                if (found->second.udp) from_clients(number, found->second);
                else accept_some(number, found->second);
                return;
            }
            case kConnection:
                connection_event(number, event.events);
                return;
            case kRelay: {
                auto found = relays_.find(number);
                if (found != relays_.end()) found->second->answer(number);
                return;
            }
            default: {
                uint64_t value;
                (void)!read(event_.get(), &value, sizeof value);
            }
        }
    }

    void from_clients(uint64_t, Listener& listener) {
        listener.relay->receive(
            [&](int fd) -> uint64_t {
                uint64_t session = next_++;
                if (!watch(fd, EPOLLIN, session << 2 | kRelay)) return 0;
                relays_[session] = listener.relay.get();
                return session;
            },
            [&](uint64_t session) { relays_.erase(session); });
    }

    void sweep() {
        for (auto& [number, listener] : listeners_)
            if (listener.relay) listener.relay->sweep([&](uint64_t session) { relays_.erase(session); });
    }

    void accept_some(uint64_t number, Listener& listener) {
        for (int i = 0; i < 64; i++) {
            base::UniqueFd client(accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!client) {
                if (errno != EMFILE && errno != ENFILE) return;
                // Out of fds: one is taken in and closed with the spare, or the level-triggered loop would spin.
                spare_.reset();
                base::UniqueFd refused(accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC));
                refused.reset();
                spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
                base::log::debug("port proxy: out of file descriptors, a connection is refused");
                continue;
            }
            if (connections_.size() >= kMaxConnections) continue;
            auto connection = std::make_unique<Connection>();
            connection->listener = number;
            connection->server.reset(socket(listener.target.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            if (!connection->server) continue;
            if (connect(connection->server.get(), listener.target.get(), listener.target.size) != 0 && errno != EINPROGRESS) {
                reset_on_close(client.get());
                continue;
            }
            connection->client = std::move(client);
            uint64_t id = next_++;
            constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
            if (!watch(connection->server.get(), kEvents, id << 2 | kConnection) ||
                !watch(connection->client.get(), kEvents, id << 2 | kConnection))
                continue;
            connections_[id] = std::move(connection);
        }
    }

    /// The client shall see a reset, not an orderly end, when the container did not take its connection.
    static void reset_on_close(int fd) {
        linger now{1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }

    void connection_event(uint64_t number, uint32_t) { pump(number); }

    void pump(uint64_t number) {
        auto found = connections_.find(number);
        if (found == connections_.end()) return;
        Connection& connection = *found->second;
        if (!connection.connected) {
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(connection.server.get(), SOL_SOCKET, SO_ERROR, &error, &size);
            sockaddr_storage peer{};
            socklen_t peer_size = sizeof peer;
            if (error != 0) {
                reset_on_close(connection.client.get());
                connections_.erase(found);
                return;
            }
            if (getpeername(connection.server.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return;  // still on its way
            connection.connected = true;
        }
        auto up = connection.up.pump(connection.client.get(), connection.server.get());
        auto down = connection.down.pump(connection.server.get(), connection.client.get());
        if (up == Flow::Outcome::broken || down == Flow::Outcome::broken) {
            reset_on_close(connection.client.get());
            reset_on_close(connection.server.get());
            connections_.erase(found);
        } else if (connection.up.finished && connection.down.finished) {
            connections_.erase(found);
        } else if (up == Flow::Outcome::more || down == Flow::Outcome::more) {
            ready_.push_back(number);
        }
    }

    base::UniqueFd epoll_, event_, spare_;
    std::mutex mutex_;  // guards all below; the thread holds it while it handles a round of events
    std::map<uint64_t, Listener> listeners_;
    std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::unordered_map<uint64_t, UdpRelay*> relays_;
    std::vector<uint64_t> ready_;  // the thread's own
    uint64_t next_ = 1;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::start() {
    auto loop = std::make_unique<ProxyLoop>();
    TRY_VOID(loop->init());
    return std::unique_ptr<Proxy>(std::move(loop));
}

}  // namespace engine::network
