#include "network/remove_link.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace engine::network {
namespace {

/// The kernel's answer to RTM_DELLINK as an errno. System calls only: it is called beside threads, after fork.
int delete_link(int netlink, int index) {
    struct {
        nlmsghdr header;
        ifinfomsg link;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_DELLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.link.ifi_index = index;
    if (::send(netlink, &request, sizeof request, 0) < 0) return errno;
    alignas(nlmsghdr) char answer[1024];
    ssize_t n;
    do n = ::recv(netlink, answer, sizeof answer, 0);
    while (n < 0 && errno == EINTR);
    if (n < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) return n < 0 ? errno : EPROTO;
    return -static_cast<nlmsgerr*>(NLMSG_DATA(reinterpret_cast<nlmsghdr*>(answer)))->error;
}

[[noreturn]] void sit_out(int netlink, int index, int socket, int report) {
    // Nothing else of the command's: neither its folder nor its pipes must be busy because of us.
    (void)!::chdir("/");
    std::array<int, 3> kept{netlink, socket, report};
    std::sort(kept.begin(), kept.end());
    int from = 0;
    for (int fd : kept) {
        if (fd > from) (void)::syscall(SYS_close_range, from, fd - 1, 0);
        from = std::max(from, fd + 1);
    }
    (void)::syscall(SYS_close_range, from, ~0u, 0);
    const int error = delete_link(netlink, index);
    (void)!::write(report, &error, sizeof error);
    ::_exit(0);
}

base::Status answer_of(int error, const std::string& name) {
    if (error == 0 || error == ENODEV) return {};
    return base::fail_errno("remove link \"" + name + "\"", error);
}

}  // namespace

base::Status remove_link(const Netlink& netlink, int index, const std::string& name, int socket) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return answer_of(delete_link(netlink.fd(), index), name);
    base::UniqueFd answers(ends[0]), report(ends[1]);
    // A grandchild: nobody has to wait for it.
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();  // a Ctrl-C is not meant for it
        const pid_t grandchild = ::fork();
        if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
        sit_out(netlink.fd(), index, socket, report.get());
    }
    report.reset();
    int status = 0;
    pid_t ended = child;
    if (child > 0)
        do ended = ::waitpid(child, &status, 0);
        while (ended < 0 && errno == EINTR);
    if (ended < 0 || status != 0) return answer_of(delete_link(netlink.fd(), index), name);
    // The kernel tells of the end of a link only when all of it is over: short naps that grow.
    for (long nap = 100'000; netlink.index(name) == index; nap = std::min(nap * 2, 5'000'000L)) {
        pollfd state{answers.get(), POLLIN, 0};
        timespec time{0, nap};
        if (::ppoll(&state, 1, &time, nullptr) != 1) continue;
        int error = 0;
        if (::read(answers.get(), &error, sizeof error) == sizeof error) return answer_of(error, name);
        return answer_of(delete_link(netlink.fd(), index), name);  // somebody killed it
    }
    return {};
}

}  // namespace engine::network
