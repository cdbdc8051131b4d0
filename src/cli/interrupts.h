#pragma once
// SIGINT, SIGTERM and SIGHUP as values: a flag that long work polls, and an fd that a loop can wait on.
#include <atomic>
#include <functional>
#include <thread>

namespace compose::cli::interrupts {

/// A closed pipe is EPIPE at the write, not the end of the process. At the program's start.
void ignore_broken_pipes();
/// Installs the handlers; later calls do nothing. Commands that never ask for it are ended by a signal as any program.
void install();
/// True from the first signal on.
const std::atomic<bool>& flag();
/// How many have come.
int count();
/// The last one's number, 0: none.
int last_signal();

/// Calls `on_signal(count)` in a thread of its own for every signal from now on, and once for those that came before.
class Watch {
public:
    explicit Watch(std::function<void(int count)> on_signal);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

private:
    std::function<void(int)> on_signal_;
    int stop_fd_;
    std::thread thread_;
};

}  // namespace compose::cli::interrupts
