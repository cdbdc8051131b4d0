#include "network/udp_relay.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "network/proxy.h"

namespace engine::network {

struct UdpRelay::Session {
    base::UniqueFd fd;
    uint64_t number = 0;
    std::string control;  ///< the address that the client wrote to, as control message: answers come from there
    Clock::time_point used;
};

namespace {
constexpr size_t kMaxSessions = 1024;
constexpr auto kIdle = std::chrono::seconds(60);
constexpr size_t kDatagram = 65536;

/// The destination address of a datagram, ready to be the source of the answer.
std::string answering_control(msghdr& message) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        bool six = part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO;
        bool four = part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO;
        if (!six && !four) continue;
        if (four) {
            in_pktinfo info;
            std::memcpy(&info, CMSG_DATA(part), sizeof info);
            info.ipi_spec_dst = info.ipi_addr;
            info.ipi_ifindex = 0;
            std::memcpy(CMSG_DATA(part), &info, sizeof info);
        }
        return {reinterpret_cast<char*>(part), CMSG_SPACE(part->cmsg_len - CMSG_LEN(0))};
    }
    return {};
}
}  // namespace

UdpRelay::UdpRelay(int fd, const SocketAddress& target)
    : fd_(fd), target_(reinterpret_cast<const char*>(&target.storage), target.size), swept_(Clock::now()) {
    int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
}

UdpRelay::~UdpRelay() = default;

void UdpRelay::receive(const std::function<uint64_t(int)>& watch, const std::function<void(uint64_t)>& gone) {
    static thread_local std::vector<char> buffer(kDatagram);
    for (int i = 0; i < 64; i++) {
        sockaddr_storage client{};
        iovec part{buffer.data(), buffer.size()};
        alignas(cmsghdr) char control[128];
        msghdr message{};
        message.msg_name = &client;
        message.msg_namelen = sizeof client;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        ssize_t got = recvmsg(fd_, &message, MSG_DONTWAIT);
        if (got < 0) return;
        std::string key(reinterpret_cast<char*>(&client), message.msg_namelen);
        auto found = clients_.find(key);
        if (found == clients_.end()) {
            if (clients_.size() >= kMaxSessions) {
                auto oldest = std::min_element(clients_.begin(), clients_.end(),
                                               [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
                drop(oldest, gone);
            }
            Session session;
            const auto* target = reinterpret_cast<const sockaddr*>(target_.data());
            session.fd.reset(socket(target->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            if (!session.fd || connect(session.fd.get(), target, static_cast<socklen_t>(target_.size())) != 0) continue;
            session.number = watch(session.fd.get());
            if (session.number == 0) continue;
            numbers_[session.number] = key;
            found = clients_.emplace(key, std::move(session)).first;
        }
        found->second.used = Clock::now();
        found->second.control = answering_control(message);
        (void)!send(found->second.fd.get(), buffer.data(), static_cast<size_t>(got), 0);
    }
}

void UdpRelay::answer(uint64_t number) {
    static thread_local std::vector<char> buffer(kDatagram);
    auto key = numbers_.find(number);
    if (key == numbers_.end()) return;
    auto found = clients_.find(key->second);
    if (found == clients_.end()) return;
    Session& session = found->second;
    for (int i = 0; i < 64; i++) {
        ssize_t got = recv(session.fd.get(), buffer.data(), buffer.size(), 0);
        if (got < 0) return;  // also ECONNREFUSED: the container does not listen; the client learns it by silence
        session.used = Clock::now();
        iovec part{buffer.data(), static_cast<size_t>(got)};
        std::string client = key->second;
        msghdr message{};
        message.msg_name = client.data();
        message.msg_namelen = static_cast<socklen_t>(client.size());
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = session.control.data();
        message.msg_controllen = session.control.size();
        (void)!sendmsg(fd_, &message, MSG_DONTWAIT);
    }
}

void UdpRelay::drop(std::map<std::string, Session>::iterator at, const std::function<void(uint64_t)>& gone) {
    gone(at->second.number);
    numbers_.erase(at->second.number);
    clients_.erase(at);
}

void UdpRelay::sweep(const std::function<void(uint64_t)>& gone) {
    auto now = Clock::now();
    if (now - swept_ < kIdle / 4) return;
    swept_ = now;
    for (auto at = clients_.begin(); at != clients_.end();) {
        auto next = std::next(at);
        if (now - at->second.used > kIdle) drop(at, gone);
        at = next;
    }
}

std::vector<uint64_t> UdpRelay::sessions() const {
    std::vector<uint64_t> numbers;
    for (const auto& [number, key] : numbers_) numbers.push_back(number);
    return numbers;
}

}  // namespace engine::network
