#pragma once
// Change notification between processes without a daemon: a counter in a file of the run folder, mapped by everyone. Who
// commits to the state increments it and wakes the sleepers; who waits sleeps in the kernel until it differs.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace engine::store {

/// Tells the waiters that the state has changed. Call after the commit.
class ChangeSignal {
public:
    /// `path` is RUN/changed; made when absent.
    static base::Result<ChangeSignal> open(const std::string& path);
    ChangeSignal(ChangeSignal&& other) noexcept;
    ChangeSignal& operator=(ChangeSignal&&) = delete;
    ~ChangeSignal();
    void notify();

private:
    friend class ChangeWatch;
    ChangeSignal(base::UniqueFd fd, uint32_t* counter) : fd_(std::move(fd)), counter_(counter) {}
    base::UniqueFd fd_;
    uint32_t* counter_;
};

/// Waits for changes. Order that misses none: open the watch, read the state, wait, read the state again.
class ChangeWatch {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;
    static base::Result<ChangeWatch> open(const std::string& path);

    /// True: something changed since open or the last wait. False: the deadline passed or `cancel` became true. A cancel
    /// flag that is set without a signal to this thread is seen within 100 ms; a change wakes at once.
    base::Result<bool> wait(const Deadline& deadline, const std::atomic<bool>* cancel = nullptr);
    /// For event loops: readable after a change (inotify); `drain` empties it.
    base::Result<int> fd();
    void drain();

private:
    ChangeWatch(std::string path, ChangeSignal signal, uint32_t seen) : path_(std::move(path)), signal_(std::move(signal)), seen_(seen) {}
    std::string path_;
    ChangeSignal signal_;
    uint32_t seen_;
    base::UniqueFd inotify_;
};

}  // namespace engine::store
