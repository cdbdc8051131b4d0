#pragma once
// The drivers journald and syslog: a thread that follows a container's log on disk and sends its lines on. The container
// writes to the disk as with every driver, so a receiver that is slow or gone never holds it up; where the thread is, is kept
// in FOLDER/shipped, so what could not be sent yet is sent by the next one.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"
#include "base/fd.h"
#include "log/log_writer.h"

namespace engine::log {

/// Where lines go. One call a line, from the shipper's thread.
class LogTarget {
public:
    virtual ~LogTarget() = default;
    /// An error: not sent, to be tried again.
    virtual base::Status send(Stream stream, Time time, std::string_view line, bool whole) = 0;
};
/// For the drivers journald and syslog.
std::unique_ptr<LogTarget> make_target(const LogSettings& settings);
/// Whether the host has a receiver: `journald is not enabled on this host`, `Unix syslog delivery error`.
base::Status check_target(const LogSettings& settings);

/// A syslog line as the formats of Docker's driver have it, with its frame's end. `format`: "", rfc3164, rfc5424, rfc5424micro.
std::string syslog_line(const std::string& format, int priority, Time time, const std::string& host, const std::string& tag, std::string_view text);
/// An entry of journald's native protocol.
std::string journal_entry(const Labels& fields, std::string_view text);

class LogShipper {
public:
    LogShipper(std::string folder, const LogSettings& settings);
    ~LogShipper();
    /// Nothing is written any more: sends what is left, then calls `done` from its thread. A receiver that is away for some
    /// seconds then is not waited for.
    void finish(std::function<void()> done);

private:
    void run();
    bool deliver(Stream stream, Time time, std::string_view text, bool whole);

    std::string folder_;
    bool may_drop_;
    std::unique_ptr<LogTarget> target_;
    base::UniqueFd wake_;
    std::atomic<bool> ended_{false}, cancel_{false};
    std::function<void()> done_;
    std::thread thread_;  ///< last
};

}  // namespace engine::log
