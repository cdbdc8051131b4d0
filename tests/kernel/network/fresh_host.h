#pragma once
// A host of one's own: a forked child in a new network and mount namespace, so that the machine is never touched.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "network/network.h"

namespace fresh {

inline constexpr int kSkipped = 77;

inline bool loopback_up() {
    base::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
    return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

/// Runs `body` in the child; its expectations count. `dir` is a folder for pins, gone afterwards.
inline void host(const std::function<void(const std::string& dir)>& body) {
    auto dir = base::TempDir::make("/tmp", "network-test-");
    ASSERT_TRUE(dir) << dir.error().message();
    fflush(nullptr);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
            fprintf(stderr, "unshare: %s\n", strerror(errno));
            _exit(kSkipped);
        }
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        EXPECT_TRUE(loopback_up());
        body(dir->path());
        fflush(nullptr);
        _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << "no permission for a network namespace";
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the child failed, status " << status;
}

/// Until it is true, or a generous deadline.
inline bool eventually(const std::function<bool()>& condition, int seconds = 20) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        poll(nullptr, 0, 5);
    }
    return true;
}

inline sockaddr_storage address(const std::string& ip, uint16_t port, socklen_t& size) {
    sockaddr_storage storage{};
    if (ip.find(':') != std::string::npos) {
        auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        inet_pton(AF_INET6, ip.c_str(), &six->sin6_addr);
        size = sizeof *six;
    } else {
        auto* four = reinterpret_cast<sockaddr_in*>(&storage);
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        inet_pton(AF_INET, ip.c_str(), &four->sin_addr);
        size = sizeof *four;
    }
    return storage;
}

/// A socket made in a namespace (-1: here).
inline base::UniqueFd socket_in(int netns, int family, int type) {
    base::UniqueFd fd;
    auto make = [&]() -> base::Status {
        fd.reset(socket(family, type | SOCK_CLOEXEC, 0));
        return {};
    };
    if (netns < 0) (void)make();
    else EXPECT_TRUE(engine::network::in_netns(netns, make));
    return fd;
}

inline base::UniqueFd bound(int netns, int type, const std::string& ip, uint16_t port) {
    socklen_t size;
    auto to = address(ip, port, size);
    auto fd = socket_in(netns, to.ss_family, type);
    int on = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&to), size) != 0) return {};
    if (type == SOCK_STREAM && listen(fd.get(), 16) != 0) return {};
    return fd;
}

/// A server in a namespace that answers each connection with the peer's address and what it read first, then closes.
class EchoServer {
public:
    EchoServer(int netns, const std::string& ip, uint16_t port) : fd_(bound(netns, SOCK_STREAM, ip, port)) {
        EXPECT_TRUE(fd_) << strerror(errno);
        thread_ = std::thread([this] { run(); });
    }
    ~EchoServer() {
        shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }

private:
    void run() {
        for (;;) {
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            base::UniqueFd client(accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC));
            if (!client) return;
            char text[64] = "?";
            if (peer.ss_family == AF_INET) inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&peer)->sin_addr, text, sizeof text);
            else inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(&peer)->sin6_addr, text, sizeof text);
            (void)!write(client.get(), text, strlen(text));
        }
    }
    base::UniqueFd fd_;
    std::thread thread_;
};

/// Connects from a namespace (-1: here) and reads to the end; "" when it fails or nothing came within the time.
inline std::string ask(int netns, const std::string& ip, uint16_t port, int milliseconds = 5000, const std::string& from = {}) {
    socklen_t size;
    auto to = address(ip, port, size);
    auto fd = socket_in(netns, to.ss_family, SOCK_STREAM | SOCK_NONBLOCK);
    if (!from.empty()) {
        socklen_t own_size;
        auto own = address(from, 0, own_size);
        if (bind(fd.get(), reinterpret_cast<sockaddr*>(&own), own_size) != 0) return {};
    }
    connect(fd.get(), reinterpret_cast<sockaddr*>(&to), size);
    pollfd waiting{fd.get(), POLLOUT, 0};
    if (poll(&waiting, 1, milliseconds) != 1) return {};
    std::string text;
    for (;;) {
        waiting.events = POLLIN;
        if (poll(&waiting, 1, milliseconds) != 1) return text;
        char buffer[256];
        ssize_t got = read(fd.get(), buffer, sizeof buffer);
        if (got <= 0) return text;
        text.append(buffer, static_cast<size_t>(got));
    }
}

}  // namespace fresh
