#pragma once
// Lines of many containers on one output: each with its container's name in front, whole, in large writes, and yet at once.
// Layout: behaviour.md §7.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace compose::cli {

struct LogStyle {
    bool prefix = true, colour = false, timestamps = false;
};

class LogPrinter {
public:
    LogPrinter(int fd, LogStyle style);
    LogPrinter(const LogPrinter&) = delete;
    LogPrinter& operator=(const LogPrinter&) = delete;
    ~LogPrinter();

    /// One container's lines. Its methods are called by one thread.
    class Source {
    public:
        Source(LogPrinter& printer, std::string name, size_t colour) : printer_(printer), name_(std::move(name)), colour_(colour) {}
        /// False once nobody reads the output any more.
        bool line(const engine::LogLine& line);
        /// The text of a last line that has no end is given one; all is written.
        void finish();

    private:
        friend class LogPrinter;
        LogPrinter& printer_;
        std::string name_, prefix_;
        size_t colour_, prefix_width_ = 0;
        std::mutex mutex_;
        std::string buffer_;
        size_t whole_ = 0;  ///< bytes of buffer_ that are whole lines
        bool inside_line_ = false;
    };
    /// Names given before the first line make one width for all.
    void expect(const std::string& name);
    Source& add(const std::string& name);
    /// A line of the program's own (`a-1 exited with code 3`), after what has been printed so far.
    void note(const std::string& text);
    /// `a-1`, in its colour when colours are on.
    std::string painted(const std::string& name) const;
    bool broken() const { return broken_.load(std::memory_order_relaxed); }
    int fd() const { return fd_; }

private:
    void flush_loop();
    void flush(Source& source, bool all);
    void write(std::string_view text);
    void wake();

    int fd_;
    LogStyle style_;
    mutable std::mutex sources_mutex_;
    std::vector<std::unique_ptr<Source>> sources_;
    std::atomic<size_t> name_width_{0};
    std::mutex output_mutex_;
    std::atomic<bool> broken_{false}, pending_{false};
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    std::thread flusher_;
};

}  // namespace compose::cli
