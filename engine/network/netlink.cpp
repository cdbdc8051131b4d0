#include "network/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace engine::network {

using base::Result;
using base::Status;

size_t NetlinkBatch::begin(uint16_t type, uint16_t flags, const void* header, size_t size) {
    finish();
    starts_.push_back(bytes_.size());
    nlmsghdr message{};
    message.nlmsg_type = type;
    // Errors are always answered; that a request is done is asked for with the last one only.
    message.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    raw(&message, sizeof message);
    raw(header, size);
    return starts_.size() - 1;
}

void Attributes::raw(const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void Attributes::put(uint16_t type, const void* data, size_t size) {
    nlattr attribute{static_cast<uint16_t>(NLA_HDRLEN + size), type};
    raw(&attribute, sizeof attribute);
    raw(data, size);
}

void Attributes::put_text(uint16_t type, std::string_view text) {
    std::string copy(text);
    put(type, copy.c_str(), copy.size() + 1);
}

size_t Attributes::open(uint16_t type) {
    size_t at = bytes_.size();
    nlattr attribute{0, static_cast<uint16_t>(type | NLA_F_NESTED)};
    raw(&attribute, sizeof attribute);
    return at;
}

void Attributes::close(size_t nest) {
    auto size = static_cast<uint16_t>(bytes_.size() - nest);
    std::memcpy(bytes_.data() + nest, &size, sizeof size);
}

void NetlinkBatch::finish() {
    if (starts_.empty()) return;
    auto size = static_cast<uint32_t>(bytes_.size() - starts_.back());
    std::memcpy(bytes_.data() + starts_.back(), &size, sizeof size);
}

Result<Netlink> Netlink::open(int protocol) {
    base::UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!fd) return base::fail_errno("open a netlink socket");
    // Errors without a copy of the request, so that many of them fit.
    int on = 1;
    setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    int size = 1 << 20;
    if (setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return Netlink(std::move(fd));
}

Result<std::vector<int>> Netlink::run(NetlinkBatch& batch) {
    batch.finish();
    std::vector<int> errors(batch.size(), 0);
    uint32_t first = sequence_;
    for (size_t i = 0; i < batch.starts_.size(); i++) {
        auto* message = reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + batch.starts_[i]);
        message->nlmsg_seq = sequence_++;
    }
    // A message of a batch is bounded by the send buffer (about 200 KiB): parts of at most 64 KiB.
    std::vector<uint8_t> buffer(64 << 10);
    for (size_t from = 0; from < batch.starts_.size();) {
        size_t begin = batch.starts_[from], to = from, end = begin;
        while (to < batch.starts_.size()) {
            size_t next = to + 1 < batch.starts_.size() ? batch.starts_[to + 1] : batch.bytes_.size();
            if (to > from && next - begin > (64u << 10)) break;
            end = next;
            to++;
        }
        auto* last = reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + batch.starts_[to - 1]);
        last->nlmsg_flags |= NLM_F_ACK;
        uint32_t last_sequence = last->nlmsg_seq;
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        ssize_t sent;
        do sent = sendto(fd_.get(), batch.bytes_.data() + begin, end - begin, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
        while (sent < 0 && errno == EINTR);
        if (sent < 0) return base::fail_errno("send to netlink");
        for (bool done = false; !done;) {
            ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return base::fail_errno("receive from netlink");
            auto left = static_cast<unsigned>(got);
            for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
                if (message->nlmsg_type != NLMSG_ERROR) continue;
                uint32_t at = message->nlmsg_seq - first;
                if (at >= errors.size()) continue;
                errors[at] = -static_cast<nlmsgerr*>(NLMSG_DATA(message))->error;
                done = done || message->nlmsg_seq == last_sequence;
            }
        }
        from = to;
    }
    return errors;
}

Result<std::vector<int>> Netlink::run_whole(NetlinkBatch& batch, const std::function<void(size_t, const nlmsghdr&)>& each) {
    batch.finish();
    std::vector<int> errors(batch.size(), 0);
    uint32_t first = sequence_;
    for (size_t start : batch.starts_) reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + start)->nlmsg_seq = sequence_++;
    auto wanted = static_cast<int>(batch.bytes_.size() + 4096);
    if (wanted > 128 << 10) setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted);
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    ssize_t sent;
    do sent = sendto(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return base::fail_errno("send to netlink");
    // The kernel works inside sendto: every answer is in the queue by now.
    std::vector<uint8_t> buffer(64 << 10);
    for (;;) {
        ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return errors;
        if (got < 0) return base::fail_errno("receive from netlink");
        auto left = static_cast<unsigned>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            uint32_t at = message->nlmsg_seq - first;
            if (at >= errors.size()) continue;
            if (message->nlmsg_type != NLMSG_ERROR) {
                if (each) each(at, *message);
            } else if (int error = -static_cast<nlmsgerr*>(NLMSG_DATA(message))->error; error != 0) {
                errors[at] = error;
            }
        }
    }
}

Status Netlink::dump(uint16_t type, const void* header, size_t size, const std::function<void(const nlmsghdr&)>& each) {
    NetlinkBatch batch;
    batch.begin(type, NLM_F_DUMP, header, size);
    batch.finish();
    auto* request = reinterpret_cast<nlmsghdr*>(batch.bytes_.data());
    uint32_t sequence = request->nlmsg_seq = sequence_++;
    if (send(fd_.get(), batch.bytes_.data(), batch.bytes_.size(), 0) < 0) return base::fail_errno("send to netlink");
    std::vector<uint8_t> buffer(64 << 10);
    for (;;) {
        ssize_t got = recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::fail_errno("receive from netlink");
        auto left = static_cast<unsigned>(got);
        for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_seq != sequence) continue;
            if (message->nlmsg_type == NLMSG_DONE) return {};
            if (message->nlmsg_type == NLMSG_ERROR) {
                int error = -static_cast<nlmsgerr*>(NLMSG_DATA(message))->error;
                if (error == 0) return {};
                return base::fail_errno("netlink dump", error);
            }
            each(*message);
        }
    }
}

std::optional<int> Netlink::index(const std::string& name) const {
    ifreq request{};
    if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
    std::memcpy(request.ifr_name, name.c_str(), name.size());
    // The ioctl answers for the socket's namespace, without a round trip of netlink.
    if (ioctl(fd_.get(), SIOCGIFINDEX, &request) != 0) return std::nullopt;
    return request.ifr_ifindex;
}

void each_attribute(const void* begin, size_t size, const std::function<void(uint16_t, const uint8_t*, size_t)>& each) {
    const auto* at = static_cast<const uint8_t*>(begin);
    while (size >= sizeof(nlattr)) {
        nlattr attribute;
        std::memcpy(&attribute, at, sizeof attribute);
        if (attribute.nla_len < sizeof(nlattr) || attribute.nla_len > size) return;
        each(attribute.nla_type & NLA_TYPE_MASK, at + NLA_HDRLEN, attribute.nla_len - NLA_HDRLEN);
        size_t step = NLA_ALIGN(attribute.nla_len);
        if (step >= size) return;
        at += step;
        size -= step;
    }
}

Result<std::vector<Prefix>> used_prefixes(Netlink& netlink) {
    std::vector<Prefix> prefixes;
    auto add = [&](int family, const uint8_t* data, size_t size, int length) {
        Prefix prefix;
        prefix.base.v6 = family == AF_INET6;
        prefix.length = length;
        if (data && size == prefix.base.size()) std::memcpy(prefix.base.bytes.data(), data, size);
        if (prefix.base.is_loopback() || (!prefix.base.v6 && prefix.base.bytes[0] >= 224) ||
            (prefix.base.v6 && prefix.base.bytes[0] >= 0xfe))
            return;
        prefixes.push_back(prefix);
    };
    rtmsg routes{};
    TRY_VOID(netlink.dump(RTM_GETROUTE, &routes, sizeof routes, [&](const nlmsghdr& message) {
        if (message.nlmsg_type != RTM_NEWROUTE) return;
        const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(&message));
        if (route->rtm_type != RTN_UNICAST || route->rtm_table == RT_TABLE_LOCAL) return;
        const uint8_t* data = nullptr;
        size_t data_size = 0;
        each_attribute(RTM_RTA(route), message.nlmsg_len - NLMSG_LENGTH(sizeof *route),
                       [&](uint16_t type, const uint8_t* value, size_t size) {
                           if (type == RTA_DST) data = value, data_size = size;
                       });
        add(route->rtm_family, data, data_size, route->rtm_dst_len);
    }));
    ifaddrmsg addresses{};
    TRY_VOID(netlink.dump(RTM_GETADDR, &addresses, sizeof addresses, [&](const nlmsghdr& message) {
        if (message.nlmsg_type != RTM_NEWADDR) return;
        const auto* address = static_cast<const ifaddrmsg*>(NLMSG_DATA(&message));
        each_attribute(IFA_RTA(address), message.nlmsg_len - NLMSG_LENGTH(sizeof *address),
                       [&](uint16_t type, const uint8_t* value, size_t size) {
                           if (type == IFA_ADDRESS) {
                               // Host bits are kept in the address: an overlap test needs the subnet.
                               Prefix prefix;
                               prefix.base.v6 = address->ifa_family == AF_INET6;
                               if (size != prefix.base.size()) return;
                               std::memcpy(prefix.base.bytes.data(), value, size);
                               if (auto subnet = Prefix::parse(prefix.base.text() + "/" + std::to_string(address->ifa_prefixlen)))
                                   add(address->ifa_family, subnet->base.bytes.data(), subnet->base.size(), subnet->length);
                           }
                       });
    }));
    return prefixes;
}

}  // namespace engine::network
