#include "runtime/terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>

#include "base/file.h"
#include "base/text.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

// One raw terminal a process: what a signal handler puts back before the process ends.
std::atomic<int> raw_fd{-1};
termios raw_saved;
struct sigaction raw_old[3];
constexpr int kEnding[3] = {SIGINT, SIGTERM, SIGHUP};

void restore_and_end(int number) {
    if (int fd = raw_fd.exchange(-1); fd >= 0) ::tcsetattr(fd, TCSANOW, &raw_saved);
    struct sigaction plain{};
    plain.sa_handler = SIG_DFL;
    ::sigaction(number, &plain, nullptr);
    ::raise(number);
}
}  // namespace

Result<RawMode> RawMode::enter(int fd) {
    RawMode out;
    if (fd < 0 || ::tcgetattr(fd, &out.saved_) != 0) return out;
    termios raw = out.saved_;
    ::cfmakeraw(&raw);
    int none = -1;
    raw_saved = out.saved_;
    if (!raw_fd.compare_exchange_strong(none, fd)) return base::fail(Code::conflict, "the terminal is already in raw mode");
    if (::tcsetattr(fd, TCSADRAIN, &raw) != 0) {
        raw_fd = -1;
        return base::fail_errno("set the terminal to raw mode");
    }
    for (int i = 0; i < 3; ++i) {
        struct sigaction action{};
        action.sa_handler = restore_and_end;
        ::sigaction(kEnding[i], nullptr, &raw_old[i]);
        // Another handler there ends the copy in its own way, and the destructor restores.
        if (raw_old[i].sa_handler == SIG_DFL) ::sigaction(kEnding[i], &action, nullptr);
    }
    out.fd_ = fd;
    return out;
}

RawMode::RawMode(RawMode&& other) noexcept : fd_(std::exchange(other.fd_, -1)), saved_(other.saved_) {}

RawMode::~RawMode() {
    if (fd_ < 0) return;
    ::tcsetattr(fd_, TCSADRAIN, &saved_);
    raw_fd = -1;
    for (int i = 0; i < 3; ++i) {
        struct sigaction now{};
        ::sigaction(kEnding[i], nullptr, &now);
        if (now.sa_handler == restore_and_end) ::sigaction(kEnding[i], &raw_old[i], nullptr);
    }
}

Result<Pty> open_pty_from(base::UniqueFd ptmx) {
    int unlock = 0;
    if (::ioctl(ptmx.get(), TIOCSPTLCK, &unlock) != 0) return base::fail_errno("unlock a terminal");
    base::UniqueFd slave(::ioctl(ptmx.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!slave) return base::fail_errno("open a terminal");
    return Pty{std::move(ptmx), std::move(slave)};
}

Result<Pty> open_pty() {
    base::UniqueFd master(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master) return base::fail_errno("open /dev/ptmx");
    return open_pty_from(std::move(master));
}

Result<Pty> open_pty_inside(int root, uint32_t uid) {
    base::UniqueFd path = TRY(base::open_in_root(root, "dev/pts/ptmx", O_PATH | O_NOFOLLOW));
    struct stat info{};
    struct statfs filesystem{};
    if (::fstat(path.get(), &info) != 0 || ::fstatfs(path.get(), &filesystem) != 0) return base::fail_errno("look at the container's /dev/pts/ptmx");
    if (filesystem.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(info.st_mode) || info.st_rdev != makedev(5, 2))
        return base::fail(Code::permission, "the container's /dev/pts/ptmx is not a terminal multiplexer");
    base::UniqueFd multiplexer = TRY(base::open_at(AT_FDCWD, base::proc_path(path.get()), O_RDWR | O_NOCTTY));
    Pty pty = TRY(open_pty_from(std::move(multiplexer)));
    if (::fchown(pty.slave.get(), uid, 5) != 0) return base::fail_errno("give the terminal to user " + std::to_string(uid));
    return pty;
}

void copy_window_size(int from, int to) {
    winsize size{};
    if (from >= 0 && to >= 0 && ::ioctl(from, TIOCGWINSZ, &size) == 0 && (size.ws_row != 0 || size.ws_col != 0)) ::ioctl(to, TIOCSWINSZ, &size);
}

Result<DetachKeys> DetachKeys::parse(std::string_view text) {
    DetachKeys out;
    if (text.empty()) text = "ctrl-p,ctrl-q";
    for (const std::string& key : base::split(text, ',')) {
        if (key.size() == 1) {
            out.keys_ += key;
            continue;
        }
        // moby/term ascii.go: ctrl- with a letter or one of @ [ \ ] ^ _
        std::string lower = base::to_lower(key);
        char last = lower.size() == 6 && lower.starts_with("ctrl-") ? lower[5] : '\0';
        if (last >= 'a' && last <= 'z')
            out.keys_ += static_cast<char>(last - 'a' + 1);
        else if (last == '@')
            out.keys_ += '\0';
        else if (last >= '[' && last <= '_')
            out.keys_ += static_cast<char>(last - '[' + 27);
        else
            return base::fail(Code::invalid, "Unknown character: '" + base::printable(key) + "'");
    }
    return out;
}

bool DetachKeys::feed(std::string_view bytes, std::string& out) {
    for (char byte : bytes) {
        if (byte == keys_[matched_]) {
            if (++matched_ == keys_.size()) {
                matched_ = 0;
                return true;
            }
            continue;
        }
        // What looked like the beginning goes on after all; this byte may begin the sequence anew.
        out.append(keys_, 0, matched_);
        matched_ = byte == keys_[0] ? 1 : 0;
        if (matched_ == 1 && keys_.size() == 1) return true;
        if (matched_ == 0) out += byte;
    }
    return false;
}

}  // namespace engine::runtime
