#include "log/log_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <limits>

#include "base/file.h"
#include "base/text.h"
#include "log/log_cursor.h"

namespace engine::log {

using base::Result;
using base::Status;

namespace {

constexpr size_t kLongestLine = 1u << 20;

/// Puts lines together out of chunks; hands each on when its end has come.
class LineAssembler {
public:
    LineAssembler(const std::function<bool(const LogLine&)>& sink, LogCursor::Start start)
        : sink_(sink), carry_(std::move(start.carry)), carry_time_(start.carry_time), skip_(start.skip_lines) {}

    /// False: the sink wants no more.
    bool add(const Chunk& chunk, std::string_view bytes) {
        std::string& carry = carry_[chunk.stream];
        while (!bytes.empty()) {
            const void* found = std::memchr(bytes.data(), '\n', bytes.size());
            if (!found) {
                carry.append(bytes);
                carry_time_[chunk.stream] = chunk.time;
                return carry.size() < kLongestLine || flush(chunk.stream);
            }
            size_t length = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
            std::string_view text = bytes.substr(0, length);
            if (!carry.empty()) {
                carry.append(text);
                text = carry;
            }
            if (skip_ != 0) {
                skip_--;
            } else if (!sink_(LogLine{chunk.time, chunk.stream == 1, true, text})) {
                return false;
            }
            carry.clear();
            bytes.remove_prefix(length + 1);
        }
        return true;
    }

    /// What has no end yet.
    bool finish() { return flush(0) && flush(1); }

private:
    bool flush(size_t stream) {
        if (carry_[stream].empty()) return true;
        if (carry_time_[stream] == 0) return true;  // from before the start, and nothing came of it
        if (skip_ != 0) {
            // the long line that a tail leaves out: its parts are left out with it
            carry_[stream].clear();
            return true;
        }
        bool more = sink_(LogLine{carry_time_[stream], stream == 1, false, carry_[stream]});
        carry_[stream].clear();
        return more;
    }

    const std::function<bool(const LogLine&)>& sink_;
    std::array<std::string, 2> carry_;
    std::array<Time, 2> carry_time_;
    uint64_t skip_;
};

/// Waits for new bytes, a change of state or cancel.
class Waiter {
public:
    Waiter(const std::string& folder, const Follow& follow) : folder_(folder), follow_(follow) {}

    Status arm() {
        inotify_ = base::UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!inotify_) return base::fail_errno("watch log \"" + folder_ + "\"");
        TRY_VOID(watch());
        return {};
    }
    bool cancelled() const { return follow_.cancel && follow_.cancel->load(std::memory_order_relaxed); }

    /// True: `live` may have changed, or time has passed; false: there is more in the log. The wake_fd stays readable until it is
    /// seen here, so between two calls nothing is missed.
    Result<bool> wait() {
        for (;;) {
            if (!watching_) TRY_VOID(watch());
            pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {follow_.wake_fd, POLLIN, 0}};
            // A folder that is yet to come is looked for again; cancel has no fd.
            int timeout = follow_.cancel || !watching_ ? 250 : -1;
            const int ready = ::poll(fds, follow_.wake_fd >= 0 ? 2 : 1, timeout);
            if (ready < 0 && errno != EINTR) return base::fail_errno("wait for log \"" + folder_ + "\"");
            const bool more = drain();
            if (fds[1].revents != 0 && follow_.woken) follow_.woken();
            if (ready <= 0 || fds[1].revents != 0) return true;
            if (!more) continue;
            gather();
            return false;
        }
    }

private:
    /// One piece after the other: the next ones come together. The first after a pause is passed on at once.
    void gather() {
        using std::chrono::steady_clock;
        constexpr auto kPause = std::chrono::milliseconds(2);
        if (steady_clock::now() - last_ < 2 * kPause) {
            timespec pause{0, std::chrono::nanoseconds(kPause).count()};
            ::nanosleep(&pause, nullptr);
        }
        last_ = steady_clock::now();
    }
    /// Whether an index was written to, or a file has come: bytes count once their record is there.
    bool drain() {
        bool more = false;
        alignas(inotify_event) char buffer[4096];
        for (;;) {
            const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
            if (n <= 0) return more;
            for (const char* at = buffer; at < buffer + n;) {
                inotify_event event;
                std::memcpy(&event, at, sizeof event);
                const std::string_view name(at + sizeof event, event.len == 0 ? 0 : ::strnlen(at + sizeof event, event.len));
                more = more || event.mask != IN_MODIFY || name.ends_with(".idx");
                at += sizeof event + event.len;
            }
            // A further event would have had room.
            if (static_cast<size_t>(n) + sizeof(inotify_event) + NAME_MAX + 1 <= sizeof buffer) return more;
        }
    }
    Status watch() {
        if (::inotify_add_watch(inotify_.get(), folder_.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) >= 0) {
            watching_ = true;
            return {};
        }
        return errno == ENOENT ? Status{} : base::fail_errno("watch log \"" + folder_ + "\"");
    }
    const std::string& folder_;
    const Follow& follow_;
    base::UniqueFd inotify_;
    bool watching_ = false;
    std::chrono::steady_clock::time_point last_{};
};

Result<LogCursor::Start> start_of(LogCursor& cursor, const LogOptions& options, const Follow& follow) {
    LogCursor::Start start;
    if (follow.from != 0) {
        TRY_VOID(cursor.start_at_position(follow.from));
    } else if (options.since != 0 && options.tail < 0) {
        start = TRY(cursor.start_at_time(options.since));
    } else if (options.tail >= 0) {
        start = TRY(cursor.start_at_tail(static_cast<uint64_t>(options.tail)));
    } else {
        (void)TRY(cursor.refresh());
    }
    return start;
}

/// The loop of every reader: all that is there, then, when following, what comes. `take` returns false to end.
template <class Take>
Status walk(LogCursor& cursor, const std::string& folder, const LogOptions& options, const Follow& follow, bool merge, Take take) {
    Waiter waiter(folder, follow);
    const bool following = options.follow && follow.live;
    if (following) TRY_VOID(waiter.arm());
    bool last_round = !following;
    uint64_t handed = 0;
    bool there = true, ask = true;
    // The last lines without following: of what was there when they were counted.
    bool counted = !following && options.tail >= 0;
    for (;;) {
        if (!std::exchange(counted, false)) (void)TRY(cursor.refresh());
        uint64_t position = 0;
        while (auto chunk = cursor.next(merge)) {
            if (waiter.cancelled()) return {};
            // Each by its own time: a clock that was set may have put a later one before it.
            if ((options.until != 0 && chunk->time > options.until) || (there && chunk->time < options.since)) continue;
            if (!TRY(take(*chunk))) return {};
            position = chunk->end;
            // Segments that come meanwhile are opened soon, before rotation can take them away.
            if (following && ++handed % 64 == 0) (void)TRY(cursor.refresh());
        }
        there = false;  // what comes from now on is wanted, however the clock is set meanwhile
        if (position != 0 && follow.progress) follow.progress(position);
        if (last_round || waiter.cancelled()) return {};
        if (options.until != 0 && base::now() > options.until) return {};
        // Asked anew when something has told of a change: it is a look into the store.
        if (std::exchange(ask, false) && !follow.live()) {
            last_round = true;  // once more: what was written before it ended
            continue;
        }
        ask = TRY(waiter.wait()) || follow.wake_fd < 0;
    }
}

/// Calls `part` with the bytes of a chunk, in blocks.
template <class Part>
Result<bool> each_block(BlockReader& reader, const Chunk& chunk, Part part) {
    uint64_t done = 0;
    while (done < chunk.length) {
        std::string_view bytes = TRY(reader.read(chunk.fd, chunk.offset + done, chunk.length - done));
        if (bytes.empty()) break;
        if (!TRY(part(bytes))) return false;
        done += bytes.size();
    }
    return true;
}

Status copy_range(int out, int in, uint64_t offset, uint64_t length) {
    static thread_local bool sendfile_works = true;
    auto at = static_cast<off_t>(offset);
    while (length != 0) {
        if (sendfile_works) {
            ssize_t n = ::sendfile(out, in, &at, std::min<uint64_t>(length, 1u << 30));
            if (n > 0) {
                length -= static_cast<uint64_t>(n);
                continue;
            }
            if (n < 0 && errno == EINTR) continue;
            if (n == 0) return {};
            if (errno == EAGAIN) {
                pollfd ready{out, POLLOUT, 0};
                (void)::poll(&ready, 1, -1);
                continue;
            }
            if (errno != EINVAL && errno != ENOSYS) return base::fail_errno("write a log");
            sendfile_works = false;  // a file opened with O_APPEND, some terminals
        }
        char buffer[64 * 1024];
        ssize_t n = ::pread(in, buffer, std::min<uint64_t>(length, sizeof buffer), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno("read a log");
        if (n == 0) return {};
        TRY_VOID(base::write_all(out, {buffer, static_cast<size_t>(n)}));
        at += n;
        length -= static_cast<uint64_t>(n);
    }
    sendfile_works = true;
    return {};
}

/// Whole lines as bytes: long runs go from file to fd in the kernel; only a line that is cut by a change of stream is held.
class ByteCopier {
public:
    ByteCopier(int fd, LogCursor::Start start)
        : fd_(fd), carry_(std::move(start.carry)), carry_counts_{start.carry_time[0] != 0, start.carry_time[1] != 0}, skip_(start.skip_lines) {}

    Result<bool> add(Chunk chunk) {
        if (skip_ != 0) TRY_VOID(skip_lines(chunk));
        if (chunk.length == 0) return true;
        const uint64_t whole = TRY(whole_lines(chunk));
        std::string& carry = carry_[chunk.stream];
        if (whole != 0) {
            if (!carry.empty()) TRY_VOID(base::write_all(fd_, carry));
            carry.clear();
            TRY_VOID(copy_range(fd_, chunk.fd, chunk.offset, whole));
        }
        if (whole < chunk.length) {
            std::string rest(chunk.length - whole, '\0');
            ssize_t n = ::pread(chunk.fd, rest.data(), rest.size(), static_cast<off_t>(chunk.offset + whole));
            if (n < 0) return base::fail_errno("read a log");
            rest.resize(static_cast<size_t>(n));
            carry += rest;
            carry_counts_[chunk.stream] = true;
        }
        return true;
    }
    Status finish() {
        for (size_t stream = 0; stream < 2; stream++)
            if (carry_counts_[stream] && !carry_[stream].empty() && skip_ == 0) TRY_VOID(base::write_all(fd_, carry_[stream]));
        return {};
    }

private:
    /// Bytes up to and with the last newline; all of them when none is near the end (a line longer than any screen).
    static Result<uint64_t> whole_lines(const Chunk& chunk) {
        constexpr uint64_t near = 64 * 1024;
        char block[4096];
        uint64_t end = chunk.length;
        while (end != 0 && chunk.length - end < near) {
            uint64_t take = std::min<uint64_t>(end, end == chunk.length ? 256 : sizeof block);
            ssize_t n = ::pread(chunk.fd, block, take, static_cast<off_t>(chunk.offset + end - take));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail_errno("read a log");
            if (n == 0) break;
            if (const void* found = ::memrchr(block, '\n', static_cast<size_t>(n)))
                return end - take + static_cast<uint64_t>(static_cast<const char*>(found) - block) + 1;
            end -= take;
        }
        return end == 0 ? uint64_t{0} : chunk.length;
    }

    Status skip_lines(Chunk& chunk) {
        BlockReader reader;
        while (skip_ != 0 && chunk.length != 0) {
            std::string_view bytes = TRY(reader.read(chunk.fd, chunk.offset, chunk.length));
            if (bytes.empty()) break;
            size_t newline = bytes.find('\n');
            size_t used = newline == std::string_view::npos ? bytes.size() : newline + 1;
            if (newline != std::string_view::npos) skip_--;
            carry_[chunk.stream].clear();
            chunk.offset += used;
            chunk.length -= used;
        }
        return {};
    }

    int fd_;
    std::array<std::string, 2> carry_;
    std::array<bool, 2> carry_counts_;
    uint64_t skip_;
};

}  // namespace

Status read_log(const std::string& folder, const LogOptions& options, const Follow& follow, const std::function<bool(const LogLine&)>& sink) {
    LogCursor cursor(folder);
    LineAssembler lines(sink, TRY(start_of(cursor, options, follow)));
    BlockReader reader;
    bool wanted = true;
    TRY_VOID(walk(cursor, folder, options, follow, false, [&](const Chunk& chunk) -> Result<bool> {
        return each_block(reader, chunk, [&](std::string_view bytes) -> Result<bool> { return wanted = lines.add(chunk, bytes); });
    }));
    if (wanted) (void)lines.finish();
    return {};
}

Status copy_log(const std::string& folder, const LogOptions& options, const Follow& follow, int fd) {
    if (options.timestamps || (options.since != 0 && options.tail >= 0)) {
        std::string out;
        Status status;
        bool at_start = true;
        auto flush = [&] {
            if (status && !out.empty()) status = base::write_all(fd, out);
            out.clear();
            return static_cast<bool>(status);
        };
        Follow flushing = follow;
        if (follow.live) flushing.live = [&] { return flush() && follow.live(); };
        flushing.progress = [&](uint64_t position) {
            (void)flush();  // its failure is in status
            if (follow.progress) follow.progress(position);
        };
        TRY_VOID(read_log(folder, options, flushing, [&](const LogLine& line) {
            if (options.timestamps && at_start) out += base::format_time(line.time) + " ";
            out += line.text;
            if (line.ends_line) out += '\n';
            at_start = line.ends_line;
            return status && (out.size() < 64 * 1024 || flush());
        }));
        (void)flush();
        return status;
    }
    LogCursor cursor(folder);
    ByteCopier copier(fd, TRY(start_of(cursor, options, follow)));
    // With `since` and `until` each record's own time counts.
    TRY_VOID(walk(cursor, folder, options, follow, options.until == 0 && options.since == 0, [&](const Chunk& chunk) { return copier.add(chunk); }));
    return copier.finish();
}

Status copy_streams(const std::string& folder, const Follow& follow, int out_fd, int err_fd) {
    LogCursor cursor(folder);
    LogOptions options;
    options.follow = true;
    TRY_VOID(start_of(cursor, options, follow));
    return walk(cursor, folder, options, follow, true, [&](const Chunk& chunk) -> Result<bool> {
        int fd = chunk.stream == 0 ? out_fd : err_fd;
        if (fd >= 0) TRY_VOID(copy_range(fd, chunk.fd, chunk.offset, chunk.length));
        if (follow.progress) follow.progress(chunk.end);
        return true;
    });
}

uint64_t end_position(const std::string& folder) {
    auto numbers = segment_numbers(folder);
    while (!numbers.empty()) {
        base::UniqueFd index(::open((folder + "/" + segment_file(numbers.back(), "idx")).c_str(), O_RDONLY | O_CLOEXEC));
        IndexHeader header{};
        if (index && ::pread(index.get(), &header, sizeof header, 0) == static_cast<ssize_t>(sizeof header)) {
            uint64_t end = header.base;
            if (auto records = read_records(index.get(), sizeof header))
                for (const auto& each : *records) end += each.length;
            return end;
        }
        numbers.pop_back();
    }
    return 0;
}

std::string last_lines(const std::string& folder, int lines) {
    std::string text;
    LogOptions options;
    options.tail = lines;
    (void)read_log(folder, options, {}, [&](const LogLine& line) {  // ignored: it is only an addition to a message
        text += line.text;
        text += '\n';
        return true;
    });
    if (text.size() > 4096) text.erase(0, text.size() - 4096);
    return text;
}

}  // namespace engine::log
