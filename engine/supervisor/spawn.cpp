// How a command finds the supervisor of a group, or starts one.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "supervisor/client.h"
#include "supervisor/guardian.h"
#include "supervisor/keepers.h"
#include "supervisor/spawn.h"

extern char** environ;

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::fail_errno;

namespace {

bool entered = false;

constexpr int kReadyFd = 3, kLockFd = 4;

/// The process that a guardian was forked from: it goes as soon as it runs, so nothing waits for it until the guardian is needed.
std::atomic<pid_t> leaving{0};

void reap_leaving() {
    const pid_t child = leaving.exchange(0);
    while (child > 0 && ::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace

void enter_if_asked(int argc, char** argv) {
    entered = true;
    auto arguments = parse_guardian_argv(argc, argv);
    if (!arguments) return;
    if (arguments->listen_fd < 0) {
        // Nothing of the command's: its pipes must not stay open because of us.
        (void)::syscall(SYS_close_range, kLockFd + 1, ~0u, 0);
    }
    guardian_main(std::move(*arguments));
}

Result<base::UniqueFd> connect_socket(const store::Paths& paths, const std::string& group) {
    base::UniqueFd folder(::open(paths.group_dir(group).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return errno == ENOENT ? Result<base::UniqueFd>(base::UniqueFd()) : fail_errno("open \"" + paths.group_dir(group) + "\"");
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return fail_errno("make a socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/supervisor.sock", folder.get());
    // It waits only where hundreds of others wait for an answer, too.
    timeval limit{1, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    while (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        if (errno == EINTR) continue;
        // ECONNREFUSED: its processes were killed and the name is left.
        if (errno == ENOENT || errno == ECONNREFUSED) return base::UniqueFd();
        if (errno != EAGAIN) return fail_errno("connect to the supervisor of \"" + group + "\"");
        TRY_VOID(wake_keepers(paths, group));
    }
    limit = {};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

Result<base::UniqueFd> take_start_lock(const store::Paths& paths, bool wait) {
    base::UniqueFd fd(::open(start_lock(paths).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("open \"" + start_lock(paths) + "\"");
    struct flock lock {};
    lock.l_type = F_WRLCK;
    const auto take = [&](int how) -> Result<bool> {
        while (::fcntl(fd.get(), how, &lock) != 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EACCES) return false;
            return fail_errno("lock \"" + start_lock(paths) + "\"");
        }
        return true;
    };
    if (TRY(take(F_OFD_SETLK))) return fd;
    if (!wait) return base::UniqueFd();
    // A fresh guardian holds it for a moment, unless it is stopped just then.
    std::mutex mutex;
    std::condition_variable ended;
    bool over = false;
    std::thread waker([&] {
        std::unique_lock guard(mutex);
        while (!ended.wait_for(guard, std::chrono::seconds(1), [&] { return over; })) (void)wake_keepers(paths, std::nullopt);  // ignored: it has been said
    });
    auto taken = take(F_OFD_SETLKW);
    {
        std::lock_guard guard(mutex);
        over = true;
    }
    ended.notify_one();
    waker.join();
    (void)TRY(std::move(taken));
    return fd;
}

Result<base::UniqueFd> spawn_guardian(const store::Paths& paths, const std::string& group, const base::UniqueFd& lock) {
    if (!entered) return fail(Code::internal, "this program does not call engine::supervisor::enter_if_asked first, so it can't start a supervisor");
    TRY_VOID(base::make_dirs(paths.group_dir(group), 0700));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    base::UniqueFd ready(ends[0]), child_end(ends[1]);
    // Away from the numbers that the child gets them at.
    base::UniqueFd ready_copy(::fcntl(child_end.get(), F_DUPFD_CLOEXEC, 10)), lock_copy(::fcntl(lock.get(), F_DUPFD_CLOEXEC, 10));
    child_end.reset();
    GuardianArguments arguments;
    arguments.paths = paths;
    arguments.group = group;
    arguments.ready_fd = kReadyFd;
    arguments.lock_fd = kLockFd;
    auto argv = guardian_argv(arguments);
    std::vector<char*> pointers;
    for (auto& text : argv) pointers.push_back(text.data());
    pointers.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ready_copy.get(), kReadyFd);
    posix_spawn_file_actions_adddup2(&actions, lock_copy.get(), kLockFd);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t child = -1;
    int error = ::posix_spawn(&child, "/proc/self/exe", &actions, &attributes, pointers.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return fail_errno("start the supervisor of \"" + group + "\"", error);
    reap_leaving();
    leaving = child;
    ready_copy.reset();  // our copy of the guardian's end: its death must be an end of file
    return ready;
}

Result<base::UniqueFd> connect_or_spawn(const store::Paths& paths, const std::string& group) {
    reap_leaving();
    auto connected = TRY(connect_socket(paths, group));
    if (connected) return connected;
    TRY_VOID(paths.make());
    auto lock = TRY(take_start_lock(paths, true));
    connected = TRY(connect_socket(paths, group));
    if (connected) return connected;
    auto ready = TRY(spawn_guardian(paths, group, lock));
    char byte = 0;
    ssize_t n;
    for (;;) {
        pollfd state{ready.get(), POLLIN, 0};
        if (::poll(&state, 1, 1000) == 0) {
            TRY_VOID(wake_keepers(paths, group));
            continue;
        }
        n = ::read(ready.get(), &byte, 1);
        if (n >= 0 || errno != EINTR) break;
    }
    reap_leaving();
    if (n != 1) return fail(Code::unavailable, "the supervisor of \"" + group + "\" did not start");
    connected = TRY(connect_socket(paths, group));
    if (!connected) return fail(Code::unavailable, "the supervisor of \"" + group + "\" does not answer");
    return connected;
}

}  // namespace engine::supervisor
