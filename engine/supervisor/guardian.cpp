#include "supervisor/guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "runtime/own_cgroup.h"
#include "supervisor/supervisor.h"

namespace engine::supervisor {
namespace {

constexpr size_t kFirstCapacity = 256;
constexpr uint64_t kLinkMark = UINT64_MAX, kChildMark = UINT64_MAX - 1;

int64_t wall_clock() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}
int64_t steady_ms() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

/// Only SIGKILL ends us from outside: a kill of everything in a session must not take the containers' keeper. By handlers that
/// do nothing, as an ignored signal stays ignored over clone and exec, and a shell in a container could never trap it.
void shrug_off_signals() {
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)();
        uint64_t mask;
    } ignored_here{};
    // What our starter ignored, also the two that the C library hides.
    for (int signal = 1; signal <= 64; signal++) ::syscall(SYS_rt_sigaction, signal, &ignored_here, nullptr, sizeof(uint64_t));
    struct sigaction nothing {};
    nothing.sa_handler = [](int) {};
    nothing.sa_flags = SA_RESTART;
    for (int signal : {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM}) ::sigaction(signal, &nothing, nullptr);
}

/// The loop below takes no heap: the table is its own mapping, everything else is on the stack.
class Guardian {
public:
    explicit Guardian(GuardianArguments arguments)
        : arguments_(std::move(arguments)), state_(arguments_.paths.state_db()), socket_(arguments_.paths.supervisor_socket(arguments_.group)) {}

    bool start() {
        ::prctl(PR_SET_NAME, "compose");
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);
        ::umask(0022);
        (void)!::chdir("/");
        shrug_off_signals();
        if (!grow(kFirstCapacity)) return false;
        epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
        exits_ = ::open(exits_file(arguments_.paths, arguments_.group).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (epoll_ < 0 || exits_ < 0) return false;
        exits_size_ = ::lseek(exits_, 0, SEEK_END);
        adopt_table();
        return true;
    }

    [[noreturn]] void run() {
        for (;;) {
            fork_supervisor();
            serve();
        }
    }

private:
    bool grow(size_t capacity) {
        void* memory = ::mmap(nullptr, capacity * sizeof(Kept), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return false;
        auto* entries = static_cast<Kept*>(memory);
        for (size_t i = 0; i < capacity; i++) new (&entries[i]) Kept(i < table_.capacity ? table_.entries[i] : Kept{});
        if (table_.entries) ::munmap(table_.entries, table_.capacity * sizeof(Kept));
        table_ = {entries, capacity, &answered_};
        return true;
    }

    void watch(int fd, uint64_t mark) {
        epoll_event event{EPOLLIN, {.u64 = mark}};
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    }

    /// Entries of a supervisor that became a guardian as its own was killed.
    void adopt_table() {
        if (arguments_.table_fd < 0) return;
        struct stat status {};
        ::fstat(arguments_.table_fd, &status);
        TableHead head;
        if (::pread(arguments_.table_fd, &head, sizeof head, 0) != static_cast<ssize_t>(sizeof head) || head.magic != TableHead{}.magic || head.entry_size == 0) ::_exit(1);
        const size_t count = (static_cast<size_t>(status.st_size) - sizeof head) / head.entry_size;
        if (table_.capacity < count && !grow(count * 2)) ::_exit(1);
        for (size_t i = 0; i < count; i++) {
            const auto at = static_cast<off_t>(sizeof head + i * head.entry_size);
            (void)!::pread(arguments_.table_fd, static_cast<void*>(&table_.entries[i]), std::min<size_t>(head.entry_size, sizeof(Kept)), at);
            for (int fd : table_.entries[i].fds)
                if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            if (!table_.entries[i].exited) watch(table_.entries[i].fds[kPidFd], i);
        }
        ::close(arguments_.table_fd);
    }

    /// Nothing runs, and the state or the way to us is gone (a removed root): there is nothing to be kept for anybody.
    bool needless() const {
        for (size_t i = 0; i < table_.capacity; i++)
            if (table_.entries[i].used && !table_.entries[i].exited) return false;
        return ::access(state_.c_str(), F_OK) != 0 || ::access(socket_.c_str(), F_OK) != 0;
    }

    void fork_supervisor() {
        if (supervisor_started_ != 0 && needless()) end();
        // One that crashes at once, again and again, is started ever more slowly, 20 ms up to 5 s; one that somebody killed
        // is not to blame.
        const bool blameless = supervisor_started_ == 0 || steady_ms() - supervisor_started_ > 10'000 || (last_signal_ == SIGKILL && ++kills_ < 1000);
        delay_ = blameless ? 0 : std::clamp(delay_ * 2, 20, 5000);
        if (delay_ != 0) {
            timespec pause{delay_ / 1000, (delay_ % 1000) * 1'000'000L};
            ::nanosleep(&pause, nullptr);
        }
        reap_unknown();
        supervisor_started_ = steady_ms();
        int ends[2];
        while (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) pause_for_resources();
        pid_t guardian = ::getpid();
        pid_t child;
        while ((child = ::fork()) < 0) pause_for_resources();
        if (child == 0) {
            ::close(ends[0]);
            ::close(epoll_);
            ::close(exits_);
            supervisor_main({arguments_.paths, arguments_.group, table_, base::UniqueFd(ends[1]), base::UniqueFd(arguments_.listen_fd), guardian});
        }
        ::close(ends[1]);
        link_ = ends[0];
        supervisor_ = child;
        supervisor_fd_ = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
        watch(link_, kLinkMark);
        watch(supervisor_fd_, kChildMark);
        // What ended meanwhile and was not acknowledged is in the table that the supervisor has.
    }

    [[noreturn]] static void end() {
        runtime::leave_own_cgroup();
        ::_exit(0);
    }

    static void pause_for_resources() {
        timespec pause{0, 50'000'000};
        ::nanosleep(&pause, nullptr);
    }

    /// Until the supervisor has died.
    void serve() {
        epoll_event events[32];
        for (;;) {
            int count = ::epoll_wait(epoll_, events, 32, -1);
            bool died = false;
            for (int i = 0; i < count; i++) {
                uint64_t mark = events[i].data.u64;
                if (mark == kLinkMark) {
                    // An end of file alone is no death: the pidfd tells that.
                    if (!take_messages() && (events[i].events & EPOLLHUP) != 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, link_, nullptr);
                } else if (mark == kChildMark) {
                    died = true;
                } else {
                    reap(static_cast<size_t>(mark));
                }
            }
            if (died) {
                while (take_messages()) {
                }
                siginfo_t info{};
                ::waitid(P_PID, static_cast<id_t>(supervisor_), &info, WEXITED | __WALL);
                last_signal_ = info.si_code == CLD_EXITED ? 0 : info.si_status;
                ::close(link_);
                ::close(supervisor_fd_);
                link_ = supervisor_fd_ = -1;
                if (finished_) end();
                if (next_program_ >= 0) renew();
                return;
            }
        }
    }

    /// One message; false: none there.
    bool take_messages() {
        GuardMessage message;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kSentFds)];
        iovec data{&message, sizeof message};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        ssize_t n = ::recvmsg(link_, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n != static_cast<ssize_t>(sizeof message)) return false;
        int fds[kSentFds];
        size_t count = 0;
        for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            size_t here = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (size_t i = 0; i < here && count < kSentFds; i++) std::memcpy(&fds[count++], CMSG_DATA(each) + i * sizeof(int), sizeof(int));
        }
        switch (message.type) {
            case GuardMessage::keep: keep(message, fds, count); return true;
            case GuardMessage::drop_stdin:
                if (Kept* entry = find(message)) close_fd(entry->fds[kStdin]);
                break;
            case GuardMessage::forget: forget(message); break;
            case GuardMessage::finish: finished_ = true; break;
            case GuardMessage::renew:
                if (count == 1) {
                    next_program_ = fds[0];
                    return true;
                }
                break;
            default: break;
        }
        for (size_t i = 0; i < count; i++) ::close(fds[i]);
        return true;
    }

    /// The containers stay this process's children over exec. Returns when the program cannot be executed.
    void renew() {
        const int table = write_table(table_.entries, table_.capacity);
        ::fcntl(arguments_.listen_fd, F_SETFD, 0);
        GuardianArguments next = arguments_;
        next.ready_fd = next.lock_fd = -1;
        next.table_fd = table;
        auto argv = guardian_argv(next);
        std::vector<char*> pointers;
        for (auto& text : argv) pointers.push_back(text.data());
        pointers.push_back(nullptr);
        if (table >= 0) ::syscall(SYS_execveat, next_program_, "", pointers.data(), environ, AT_EMPTY_PATH);
        close_fd(next_program_);
        ::close(table);
        ::fcntl(arguments_.listen_fd, F_SETFD, FD_CLOEXEC);
        for (size_t i = 0; i < table_.capacity; i++)
            for (int fd : table_.entries[i].fds)
                if (fd >= 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }

    Kept* find(const GuardMessage& message) {
        for (size_t i = 0; i < table_.capacity; i++) {
            Kept& entry = table_.entries[i];
            if (entry.used && entry.pid == message.pid && entry.id == message.id) return &entry;
        }
        return nullptr;
    }

    void keep(const GuardMessage& message, const int* fds, size_t count) {
        size_t place = 0;
        while (place < table_.capacity && table_.entries[place].used) place++;
        if (place == table_.capacity && !grow(table_.capacity * 2)) {
            // Without memory it gets no go and is reaped as an unknown one.
            if ((message.fd_mask & (1u << kPidFd)) != 0 && count != 0) (void)::syscall(SYS_pidfd_send_signal, fds[0], SIGKILL, nullptr, 0);
            for (size_t i = 0; i < count; i++) ::close(fds[i]);
            return;
        }
        Kept& entry = table_.entries[place];
        entry = Kept{};
        entry.used = true;
        entry.pid = message.pid;
        entry.id = message.id;
        entry.started = message.time;
        if (message.token != 0) answered_[next_answered_++ % kAnswered] = {message.token, message.id};
        size_t next = 0;
        for (uint32_t i = 0; i < kKeptFds; i++)
            if ((message.fd_mask & (1u << i)) != 0 && next < count) entry.fds[i] = fds[next++];
        if (entry.fds[kPidFd] >= 0) watch(entry.fds[kPidFd], place);
        if ((message.fd_mask & (1u << kGo)) != 0 && next < count) {
            (void)!::write(fds[next], "G", 1);  // a child that was killed meanwhile reads nothing
            ::close(fds[next]);
        }
    }

    static void close_fd(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }

    void forget(const GuardMessage& message) {
        Kept* entry = find(message);
        if (!entry) return;
        if (entry->fds[kPidFd] >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, entry->fds[kPidFd], nullptr);
        for (int& fd : entry->fds) close_fd(fd);
        *entry = Kept{};
        // When every exit is in the store the file has done its duty.
        for (size_t i = 0; i < table_.capacity; i++)
            if (table_.entries[i].used && table_.entries[i].exited) return;
        if (exits_size_ != 0 && ::ftruncate(exits_, 0) == 0) exits_size_ = 0;
    }

    /// A container has ended: written down first, then told.
    void reap(size_t place) {
        Kept& entry = table_.entries[place];
        if (!entry.used || entry.exited) return;
        siginfo_t info{};
        if (!entry.foreign && ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(entry.fds[kPidFd]), &info, WEXITED | __WALL | WNOHANG) == 0) {
            if (info.si_pid == 0) return;  // not yet
            entry.status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : (info.si_status & 0x7f) | (info.si_code == CLD_DUMPED ? 0x80 : 0);
        } else {
            entry.foreign = true;
            entry.status = foreign_exit_status(entry.fds[kPidFd], entry.pid);
        }
        entry.exited = true;
        entry.time = wall_clock();
        ::epoll_ctl(epoll_, EPOLL_CTL_DEL, entry.fds[kPidFd], nullptr);
        ExitRecord record;
        record.id = entry.id;
        record.time = entry.time;
        record.pid = entry.pid;
        record.status = entry.status;
        if (::pwrite(exits_, &record, sizeof record, exits_size_) == static_cast<ssize_t>(sizeof record)) exits_size_ += static_cast<off_t>(sizeof record);
        GuardMessage message;
        message.type = GuardMessage::exited;
        message.id = entry.id;
        message.pid = entry.pid;
        message.status = entry.status;
        message.time = entry.time;
        (void)::send(link_, &message, sizeof message, MSG_NOSIGNAL);  // a dead supervisor's successor has the table
    }

    /// Children that no message named: probes and hooks of a supervisor that died, containers that it had only begun.
    void reap_unknown() {
        char text[4096];
        int children = ::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
        ssize_t n = children >= 0 ? ::read(children, text, sizeof text - 1) : 0;
        if (children >= 0) ::close(children);
        text[std::max<ssize_t>(n, 0)] = 0;
        for (char* at = text; *at;) {
            pid_t pid = static_cast<pid_t>(std::strtol(at, &at, 10));
            while (*at == ' ' || *at == '\n') at++;
            if (pid <= 0) break;
            bool known = false;
            for (size_t i = 0; i < table_.capacity; i++) known = known || (table_.entries[i].used && table_.entries[i].pid == pid);
            if (known) continue;
            ::kill(pid, SIGKILL);  // our child, not yet reaped: the number can't be another's
            ::waitpid(pid, nullptr, __WALL);
        }
    }

    GuardianArguments arguments_;
    std::string state_, socket_;  ///< paths, made before the loop
    GuardTable table_;
    std::array<Answered, kAnswered> answered_{};
    size_t next_answered_ = 0;
    int epoll_ = -1, exits_ = -1, link_ = -1, supervisor_fd_ = -1, next_program_ = -1;
    off_t exits_size_ = 0;
    pid_t supervisor_ = -1;
    int64_t supervisor_started_ = 0;
    int delay_ = 0, last_signal_ = 0, kills_ = 0;
    bool finished_ = false;
};

/// The socket of a group; by its folder's fd, as a path may be longer than an address holds.
int listen_at(const store::Paths& paths, const std::string& group) {
    const std::string folder = paths.group_dir(group);
    base::UniqueFd dir(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!dir || !fd) return -1;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/supervisor.sock", dir.get());
    (void)::unlink(address.sun_path);  // of a group whose processes were killed: the starter holds the lock
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return -1;
    (void)::chmod(address.sun_path, 0600);
    if (::listen(fd.get(), 512) != 0) return -1;
    return fd.release();
}

}  // namespace

int write_table(const Kept* entries, size_t count) {
    const int table = ::memfd_create("guardian", 0);
    TableHead head;
    bool good = table >= 0 && ::pwrite(table, &head, sizeof head, 0) == static_cast<ssize_t>(sizeof head);
    off_t at = sizeof head;
    for (size_t i = 0; good && i < count; i++) {
        if (!entries[i].used) continue;
        for (int fd : entries[i].fds)
            if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
        good = ::pwrite(table, &entries[i], sizeof(Kept), at) == static_cast<ssize_t>(sizeof(Kept));
        at += static_cast<off_t>(sizeof(Kept));
    }
    if (good) return table;
    if (table >= 0) ::close(table);
    return -1;
}

std::string exits_file(const store::Paths& paths, const std::string& group) { return paths.group_dir(group) + "/exits"; }

std::string start_lock(const store::Paths& paths) { return paths.run + "/start.lock"; }

namespace {

/// The last but one group of numbers in /proc/PID/stat, of a process that has ended and is not reaped. No heap: also the guardian asks.
int32_t zombie_status(int pidfd, pid_t pid) {
    char path[64], text[2048];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    base::UniqueFd stat(::open(path, O_RDONLY | O_CLOEXEC));
    const ssize_t n = stat ? ::read(stat.get(), text, sizeof text - 1) : -1;
    // Reaped by now (POLLHUP): the number may have been another's.
    pollfd reaped{pidfd, 0, 0};
    if (n <= 0 || ::poll(&reaped, 1, 0) != 0) return kStatusUnknown;
    text[n] = 0;
    const char* at = std::strrchr(text, ')');
    if (!at || std::strncmp(at, ") Z", 3) != 0) return kStatusUnknown;
    for (int field = 2; field < 52 && at; field++) {
        at = std::strchr(at, ' ');
        if (at) at++;
    }
    return at ? static_cast<int32_t>(std::strtol(at, nullptr, 10)) : kStatusUnknown;
}

int32_t reaped_status(int pidfd) {
    // struct pidfd_info of linux/pidfd.h (6.15), which Debian 12's headers do not have.
    struct {
        uint64_t mask, cgroupid;
        uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
        int32_t exit_code;
    } info{};
    static_assert(sizeof info == 64);
    constexpr uint64_t exit_bit = 1u << 3;
    info.mask = exit_bit;
    constexpr unsigned long get_info = (3UL << 30) | (64UL << 16) | (0xffUL << 8) | 11;  // _IOWR(0xFF, 11, 64 bytes)
    if (::ioctl(pidfd, get_info, &info) != 0 || (info.mask & exit_bit) == 0) return kStatusUnknown;
    return info.exit_code;
}

}  // namespace

int32_t foreign_exit_status(int pidfd, pid_t pid) {
    // Its parent is another, who may reap it at any moment, and some take their time.
    if (const int32_t status = zombie_status(pidfd, pid); status != kStatusUnknown) return status;
    pollfd reaped{pidfd, 0, 0};
    (void)::poll(&reaped, 1, 200);
    return reaped_status(pidfd);
}

std::vector<std::string> guardian_argv(const GuardianArguments& arguments) {
    return {"compose-guardian", arguments.paths.root, arguments.paths.run, arguments.group, std::to_string(arguments.ready_fd),
            std::to_string(arguments.lock_fd), std::to_string(arguments.listen_fd), std::to_string(arguments.table_fd)};
}

std::optional<GuardianArguments> parse_guardian_argv(int argc, char** argv) {
    if (argc != 8 || std::string_view(argv[0]) != "compose-guardian") return std::nullopt;
    GuardianArguments arguments;
    arguments.paths.root = argv[1];
    arguments.paths.run = argv[2];
    arguments.group = argv[3];
    auto number = [&](int i) { return static_cast<int>(base::parse_int(argv[i]).value_or(-1)); };
    arguments.ready_fd = number(4);
    arguments.lock_fd = number(5);
    arguments.listen_fd = number(6);
    arguments.table_fd = number(7);
    return arguments;
}

void guardian_main(GuardianArguments arguments) {
    if (arguments.listen_fd < 0) {
        // Freshly started by a command: away from it.
        ::setsid();
        pid_t child = ::fork();
        if (child != 0) {
            // The move takes its time, and nobody need wait for it: no container runs before the supervisor has made its own (Starter::run).
            if (child > 0 && ::fork() == 0) {
                (void)::syscall(SYS_close_range, 3, ~0u, 0);
                (void)!::chdir("/");
                runtime::enter_own_cgroup(child);
                ::_exit(0);
            }
            ::_exit(child < 0 ? 1 : 0);
        }
        ::setsid();
        arguments.listen_fd = listen_at(arguments.paths, arguments.group);
        if (arguments.listen_fd < 0) ::_exit(1);
    }
    const int ready = arguments.ready_fd, lock = arguments.lock_fd;
    Guardian guardian(std::move(arguments));
    if (!guardian.start()) ::_exit(1);
    if (ready >= 0) {
        (void)!::write(ready, "R", 1);
        ::close(ready);
    }
    if (lock >= 0) ::close(lock);
    guardian.run();
}

}  // namespace engine::supervisor
