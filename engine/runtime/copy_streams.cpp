#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <optional>

#include "base/text.h"
#include "runtime/terminal.h"

namespace engine::runtime {
namespace {
using base::Result;

constexpr size_t kChunk = 64u << 10;

/// Signals as bytes in a pipe while it lives; the handlers before come back after. One at a time in a process.
class SignalPipe {
public:
    static Result<std::unique_ptr<SignalPipe>> make(bool endings, bool hangup) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return base::fail_errno("make a pipe");
        auto out = std::unique_ptr<SignalPipe>(new SignalPipe);
        out->read_.reset(ends[0]);
        write_end_ = ends[1];
        out->take(SIGWINCH, note);
        out->take(SIGPIPE, SIG_IGN);  // a closed stdout is an error of write, not our end
        if (hangup) out->take(SIGHUP, note);
        if (endings)
            for (int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) out->take(number, note);
        return out;
    }
    ~SignalPipe() {
        for (auto& [number, action] : old_) ::sigaction(number, &action, nullptr);
        ::close(std::exchange(write_end_, -1));
    }
    int fd() const { return read_.get(); }

private:
    SignalPipe() = default;
    static void note(int number) {
        int saved = errno;
        auto byte = static_cast<char>(number);
        (void)!::write(write_end_, &byte, 1);
        errno = saved;
    }
    void take(int number, void (*handler)(int)) {
        struct sigaction action{}, old{};
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        ::sigaction(number, &action, &old);
        old_.emplace_back(number, old);
    }
    static inline volatile int write_end_ = -1;
    base::UniqueFd read_;
    std::vector<std::pair<int, struct sigaction>> old_;
};

class Copier {
public:
    explicit Copier(const CopyJob& job) : job_(job), in_(job.local.in), to_(job.remote_in) {
        outputs_[0] = {job.remote_out, job.local.out};
        outputs_[1] = {job.remote_err, job.local.err};
        if (job.remote_err == job.remote_out) outputs_[1].from = -1;
    }

    Result<CopyEnd> run() {
        if (job_.tty || job_.watch_keys) keys_ = TRY(DetachKeys::parse(job_.detach_keys));
        terminal_ = (job_.tty || job_.watch_keys) && job_.local.in >= 0 && ::isatty(job_.local.in);
        auto signals = TRY(SignalPipe::make(static_cast<bool>(job_.on_signal), terminal_));
        std::optional<RawMode> raw;
        if (job_.tty || job_.watch_keys) raw.emplace(TRY(RawMode::enter(job_.local.in)));
        // Our ends only: a process that does not read must not stop us from showing what it writes.
        NonBlocking input(to_), output(outputs_[0].from), error(outputs_[1].from);
        window();
        bool input_done = to_ < 0;
        for (;;) {
            if (!input_done && in_ < 0 && pending_.empty()) {
                input_done = true;
                to_ = -1;
                if (job_.close_input) job_.close_input();
            }
            bool drained = outputs_[0].from < 0 && outputs_[1].from < 0;
            if (drained && job_.end_fd < 0) return CopyEnd::output_closed;
            pollfd wait[6] = {{pending_.size() < kChunk && (to_ >= 0 || keys_) ? in_ : -1, POLLIN, 0},
                              {pending_.empty() ? -1 : to_, POLLOUT, 0},
                              {outputs_[0].from, POLLIN, 0},
                              {outputs_[1].from, POLLIN, 0},
                              {job_.end_fd, POLLIN, 0},
                              {signals->fd(), POLLIN, 0}};
            if (::poll(wait, 6, -1) < 0) {
                if (errno == EINTR) continue;
                return base::fail_errno("poll");
            }
            if (wait[5].revents != 0) take_signals(signals->fd());
            for (int i = 0; i < 2; ++i)
                if (wait[2 + i].revents != 0 && !copy_output(outputs_[i])) return CopyEnd::local_gone;
            if (wait[0].revents != 0 && read_input()) return CopyEnd::detached;
            if (gone_) return CopyEnd::local_gone;
            if (wait[1].revents != 0) write_input();
            if (wait[4].revents != 0) {
                // What it wrote is in the pipes by now; what its descendants may still write is not waited for.
                for (Output& one : outputs_)
                    while (one.from >= 0 && one.ready)
                        if (!copy_output(one)) return CopyEnd::local_gone;
                return CopyEnd::process_ended;
            }
        }
    }

private:
    struct Output {
        int from = -1, to = -1;
        bool ready = true;
    };
    /// O_NONBLOCK for a while, put back after.
    struct NonBlocking {
        int fd, flags;
        explicit NonBlocking(int f) : fd(f), flags(f >= 0 ? ::fcntl(f, F_GETFL) : -1) {
            if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        }
        ~NonBlocking() {
            if (flags >= 0 && (flags & O_NONBLOCK) == 0) ::fcntl(fd, F_SETFL, flags);
        }
        NonBlocking(const NonBlocking&) = delete;
    };

    void window() {
        if (job_.window_changed)
            job_.window_changed();
        else if (job_.tty)
            copy_window_size(::isatty(job_.local.out) ? job_.local.out : job_.local.in, job_.remote_in >= 0 ? job_.remote_in : job_.remote_out);
    }

    void take_signals(int fd) {
        char numbers[64];
        ssize_t n;
        while ((n = ::read(fd, numbers, sizeof numbers)) > 0)
            for (ssize_t i = 0; i < n; ++i) {
                if (numbers[i] == SIGWINCH)
                    window();
                else if (numbers[i] == SIGHUP && terminal_)
                    gone_ = true;
                else if (job_.on_signal)
                    job_.on_signal(numbers[i]);
            }
    }

    /// false: our side is gone.
    bool copy_output(Output& output) {
        ssize_t n = ::read(output.from, buffer_, sizeof buffer_);
        output.ready = n > 0;
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
        if (n <= 0) {  // EOF; EIO: a terminal whose last user is gone
            output.from = -1;
            return true;
        }
        return output.to < 0 || write_local(output.to, std::string_view(buffer_, static_cast<size_t>(n)));
    }

    static bool write_local(int fd, std::string_view bytes) {
        while (!bytes.empty()) {
            ssize_t n = ::write(fd, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) {  // somebody else's O_NONBLOCK on a shared terminal
                pollfd wait{fd, POLLOUT, 0};
                ::poll(&wait, 1, -1);
                continue;
            }
            if (n < 0) return false;
            bytes.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }

    /// true: the detach keys were typed.
    bool read_input() {
        ssize_t n = ::read(in_, buffer_, sizeof buffer_);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return false;
        if (n <= 0) {
            in_ = -1;
            gone_ = terminal_;  // a raw one has no other end
            return false;
        }
        std::string_view bytes(buffer_, static_cast<size_t>(n));
        bool detached = false;
        if (keys_)
            detached = keys_->feed(bytes, pending_);
        else
            pending_ += bytes;
        if (to_ < 0) pending_.clear();
        else write_input();
        return detached;
    }

    void write_input() {
        while (!pending_.empty() && to_ >= 0) {
            ssize_t n = ::write(to_, pending_.data(), pending_.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n < 0) {  // the process closed its stdin: the rest has no reader
                pending_.clear();
                in_ = -1;
                return;
            }
            pending_.erase(0, static_cast<size_t>(n));
        }
    }

    const CopyJob& job_;
    int in_, to_;
    bool terminal_ = false, gone_ = false;
    Output outputs_[2];
    std::optional<DetachKeys> keys_;
    std::string pending_;
    char buffer_[kChunk];
};
}  // namespace

Result<CopyEnd> copy_streams(const CopyJob& job) {
    auto copier = std::make_unique<Copier>(job);
    return copier->run();
}

}  // namespace engine::runtime
