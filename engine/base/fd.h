#pragma once
// Owners of kernel objects: file descriptors, processes, temporary folders. Raw ints only at the system call.
#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>

#include "base/error.h"

namespace base {

/// Owns one file descriptor; -1 is empty.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);
    /// A duplicate with O_CLOEXEC.
    Result<UniqueFd> duplicate() const;

private:
    int fd_ = -1;
};

/// A detached mount tree (open_tree, fsmount). Closing it unmounts what was not attached.
using MountFd = UniqueFd;
/// A network namespace held open.
using NetnsFd = UniqueFd;

/// A process: pid and pidfd as one value, so that a reused pid is never signalled. Does not kill on destruction.
class PidFd {
public:
    PidFd() = default;
    PidFd(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
    /// Opens the pidfd of a running process. ESRCH → not_found.
    static Result<PidFd> open(pid_t pid);

    pid_t pid() const { return pid_; }
    int fd() const { return fd_.get(); }
    explicit operator bool() const { return static_cast<bool>(fd_); }
    /// Sends a signal; a process that is gone is not_found.
    Status signal(int number) const;
    /// Whether it has not yet ended (poll on the pidfd).
    bool alive() const;

private:
    pid_t pid_ = -1;
    UniqueFd fd_;
};

/// A child of ours that is killed and reaped at scope exit unless released.
class ChildGuard {
public:
    explicit ChildGuard(PidFd child) : child_(std::move(child)) {}
    ChildGuard(ChildGuard&&) = default;
    ChildGuard& operator=(ChildGuard&&) = delete;
    ~ChildGuard();
    PidFd release() { return std::exchange(child_, PidFd{}); }
    const PidFd& get() const { return child_; }

private:
    PidFd child_;
};

/// A folder made with mkdtemp and removed with its content at scope exit.
class TempDir {
public:
    /// `parent` must exist; the name starts with `prefix`.
    static Result<TempDir> make(const std::string& parent, const std::string& prefix);
    TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TempDir& operator=(TempDir&& other) noexcept;
    ~TempDir();
    const std::string& path() const { return path_; }
    std::string release() { return std::exchange(path_, {}); }

private:
    explicit TempDir(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

/// Runs a function at scope exit. A second use for the same thing earns a type.
class Defer {
public:
    explicit Defer(std::function<void()> action) : action_(std::move(action)) {}
    Defer(const Defer&) = delete;
    Defer& operator=(const Defer&) = delete;
    ~Defer() {
        if (action_) action_();
    }
    void cancel() { action_ = nullptr; }

private:
    std::function<void()> action_;
};

}  // namespace base
