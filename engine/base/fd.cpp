#include "base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

namespace base {

void UniqueFd::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);  // Linux frees the number even on EINTR: never retried
    fd_ = fd;
}

Result<UniqueFd> UniqueFd::duplicate() const {
    int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return fail_errno("duplicate file descriptor " + std::to_string(fd_));
    return UniqueFd(copy);
}

Result<PidFd> PidFd::open(pid_t pid) {
    int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) return fail_errno("open process " + std::to_string(pid));
    return PidFd(pid, UniqueFd(fd));
}

Status PidFd::signal(int number) const {
    if (::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0) != 0)
        return fail_errno("send signal " + std::to_string(number) + " to process " + std::to_string(pid_));
    return {};
}

bool PidFd::alive() const {
    pollfd entry{fd_.get(), POLLIN, 0};
    return fd_ && ::poll(&entry, 1, 0) == 0;
}

ChildGuard::~ChildGuard() {
    if (!child_) return;
    (void)child_.signal(SIGKILL);  // ignored: it may have ended already
    siginfo_t info{};
    while (::waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(child_.fd()), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
}

Result<TempDir> TempDir::make(const std::string& parent, const std::string& prefix) {
    std::string name = parent + "/" + prefix + "XXXXXX";
    if (!::mkdtemp(name.data())) return fail_errno("make a temporary folder in \"" + parent + "\"");
    return TempDir(std::move(name));
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    if (this != &other) {
        if (!path_.empty()) (void)remove_tree(path_);
        path_ = std::exchange(other.path_, {});
    }
    return *this;
}

TempDir::~TempDir() {
    if (!path_.empty()) (void)remove_tree(path_);  // ignored: swept at the next start
}

}  // namespace base
