#pragma once
// A container's log on disk, read side (the files: log_writer.h). Needs no supervisor and never disturbs the writer.
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "engine/engine.h"

namespace engine::log {

/// How a reader that follows knows when to stop and what wakes it (besides new bytes, by inotify).
struct Follow {
    /// Whether more may come. Asked when everything has been read, with a wake_fd only after that has told; when it says no, what came meanwhile is still read and
    /// then the reader returns. Empty: ends at once.
    std::function<bool()> live;
    int wake_fd = -1;                            ///< readable when `live` may have changed (ChangeWatch::fd()); never read here
    std::function<void()> woken;                 ///< called when wake_fd is readable: must make it unreadable again
    const std::atomic<bool>* cancel = nullptr;   ///< looked at whenever something wakes the reader, and four times a second
    /// Called with the position (bytes of both streams since the log began) after bytes were handed on.
    std::function<void(uint64_t)> progress;
    uint64_t from = 0;                           ///< starts at this position instead of tail (an attach: from now on)
};

/// Lines in the order in which they were completed. A line without its end is handed on with ends_line = false when it is
/// longer than 1 MiB, or is the last there is. The text is valid during the call. Returning false from `sink` ends it.
/// A folder that is not there is an empty log.
base::Status read_log(const std::string& folder, const LogOptions& options, const Follow& follow,
                      const std::function<bool(const LogLine&)>& sink);

/// The same as bytes, to an fd (timestamps as a prefix when asked): the kernel copies, wherever whole chunks can go.
base::Status copy_log(const std::string& folder, const LogOptions& options, const Follow& follow, int fd);

/// stdout to one fd and stderr to another, byte by byte as written: what an attached terminal gets. -1: dropped.
base::Status copy_streams(const std::string& folder, const Follow& follow, int out_fd, int err_fd);

/// Bytes of both streams that were ever written: where an attach starts. 0 for an empty log.
uint64_t end_position(const std::string& folder);

/// The last `lines` lines as text, for messages (at most 4 KiB).
std::string last_lines(const std::string& folder, int lines);

}  // namespace engine::log
