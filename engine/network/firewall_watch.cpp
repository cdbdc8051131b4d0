#include "network/firewall_watch.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "network/netlink.h"

namespace engine::network {

namespace {

/// The table's name stands first in every message of nf_tables.
bool about_table(const nlmsghdr& message, const std::string& table) {
    bool found = false;
    each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg), message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)),
                   [&](uint16_t type, const uint8_t* data, size_t size) {
                       if (type == NFTA_TABLE_NAME && size > 0)
                           found = std::string_view(reinterpret_cast<const char*>(data), size - 1) == table;
                   });
    return found;
}

class Watch : public FirewallWatch {
public:
    Watch(Netlink netlink, base::UniqueFd stop, std::string table, std::function<void()> changed)
        : netlink_(std::move(netlink)), stop_(std::move(stop)), table_(std::move(table)), changed_(std::move(changed)), thread_([this] {
              run();
          }) {}
    ~Watch() override {
        uint64_t one = 1;
        (void)!write(stop_.get(), &one, sizeof one);
        thread_.join();
    }

private:
    void run() {
        pthread_setname_np(pthread_self(), "firewall");
        std::vector<uint8_t> buffer(64 << 10);
        for (;;) {
            pollfd fds[] = {{netlink_.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
            if (poll(fds, 2, -1) < 0 && errno != EINTR) return;
            if (fds[1].revents) return;
            bool removed = false;
            for (;;) {
                ssize_t got = recv(netlink_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
                // Messages were lost in a flood of changes: better look once too often.
                if (got < 0 && errno == ENOBUFS) removed = true;
                else if (got <= 0) break;
                else removed = tells_of_removal(buffer.data(), static_cast<size_t>(got)) || removed;
            }
            if (removed) changed_();
        }
    }

    bool tells_of_removal(const uint8_t* bytes, size_t size) const {
        auto left = static_cast<unsigned>(size);
        for (const auto* message = reinterpret_cast<const nlmsghdr*>(bytes); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || message->nlmsg_len < NLMSG_LENGTH(sizeof(nfgenmsg))) continue;
            int type = message->nlmsg_type & 0xff;
            if ((type == NFT_MSG_DELTABLE || type == NFT_MSG_DELCHAIN || type == NFT_MSG_DELRULE) && about_table(*message, table_))
                return true;
        }
        return false;
    }

    Netlink netlink_;
    base::UniqueFd stop_;
    std::string table_;
    std::function<void()> changed_;
    std::thread thread_;
};

}  // namespace

base::Result<std::unique_ptr<FirewallWatch>> FirewallWatch::start(const std::string& table, std::function<void()> changed) {
    Netlink netlink = TRY(Netlink::open(NETLINK_NETFILTER));
    // Bound first: the kernel leaves out sockets without a port of their own.
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    int group = NFNLGRP_NFTABLES;
    if (bind(netlink.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        setsockopt(netlink.fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        return base::fail_errno("watch the firewall");
    base::UniqueFd stop(eventfd(0, EFD_CLOEXEC));
    if (!stop) return base::fail_errno("watch the firewall");
    try {
        return std::unique_ptr<FirewallWatch>(std::make_unique<Watch>(std::move(netlink), std::move(stop), table, std::move(changed)));
    } catch (const std::exception& error) {
        return base::fail(base::Code::unavailable, std::string("watch the firewall: ") + error.what());
    }
}

}  // namespace engine::network
