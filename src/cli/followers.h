#pragma once
// What attached `up` and `logs -f` share: a thread a container that prints its lines as they come and knows when it has ended.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cli/log_printer.h"
#include "engine/engine.h"

namespace compose::cli {

struct EndedContainer {
    std::string id, name, short_name, service;
    int exit_code = 0;
    bool removed = false;
};

class Followers {
public:
    /// `ended` is called from the follower's thread, once a container has ended and its last line is printed.
    Followers(engine::Engine& engine, LogPrinter& printer, std::function<void(const EndedContainer&)> ended);
    Followers(const Followers&) = delete;
    Followers& operator=(const Followers&) = delete;
    /// Cancels and joins.
    ~Followers();

    /// Follows a container as the options say, unless it is being followed already; one that has been followed before goes on where
    /// that ended. `show`: its lines are printed, otherwise only its end is awaited.
    void follow(const engine::ContainerInfo& container, engine::LogOptions options, bool show);
    /// A thread at a time may wait: until none is followed any more, or `until` (called after each end) says so.
    void wait(const std::function<bool()>& until = {});
    /// Wakes `wait` so that it asks `until` again.
    void nudge();
    void cancel();

private:
    void run(engine::ContainerInfo container, engine::LogOptions options, bool show);

    engine::Engine& engine_;
    LogPrinter& printer_;
    std::function<void(const EndedContainer&)> ended_;
    std::atomic<bool> cancel_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> active_;
    std::map<std::string, uint64_t> left_off_;  ///< where the last follower of a container ended in its log
    std::vector<std::thread> threads_;
};

}  // namespace compose::cli
