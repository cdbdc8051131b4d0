#include "log/log_cursor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "log/compress.h"

namespace engine::log {

using base::Result;
using base::Status;

namespace {

constexpr size_t kBlock = 256 * 1024;

Result<uint64_t> count_newlines(int fd, uint64_t offset, uint64_t length) {
    static thread_local std::string buffer;
    buffer.resize(kBlock);
    uint64_t count = 0;
    while (length != 0) {
        ssize_t n = ::pread(fd, buffer.data(), std::min<uint64_t>(length, kBlock), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno("read a log");
        if (n == 0) break;
        count += static_cast<uint64_t>(std::count(buffer.data(), buffer.data() + n, '\n'));
        offset += static_cast<uint64_t>(n);
        length -= static_cast<uint64_t>(n);
    }
    return count;
}

}  // namespace

Result<std::string_view> BlockReader::read(int fd, uint64_t offset, uint64_t length) {
    if (fd != fd_ || offset < begin_ || offset >= begin_ + size_) {
        buffer_.resize(kBlock);
        ssize_t n;
        do {
            n = ::pread(fd, buffer_.data(), kBlock, static_cast<off_t>(offset));
        } while (n < 0 && errno == EINTR);
        if (n < 0) return base::fail_errno("read a log");
        fd_ = fd;
        begin_ = offset;
        size_ = static_cast<size_t>(n);
    }
    size_t at = static_cast<size_t>(offset - begin_);
    size_t length_here = static_cast<size_t>(std::min<uint64_t>(length, size_ - std::min(at, size_)));
    return std::string_view(buffer_.data() + at, length_here);
}

/// Opens the stream's file, plain or packed.
bool LogCursor::hold(Segment& segment, size_t stream) {
    if (segment.data[stream] || segment.packed[stream]) return true;
    auto plain = base::open_at(AT_FDCWD, folder_ + "/" + segment_file(segment.number, kStreamSuffix[stream]), O_RDONLY);
    if (plain) {
        segment.data[stream] = std::move(*plain);
        return true;
    }
    auto packed = base::open_at(AT_FDCWD, folder_ + "/" + packed_file(segment.number, kStreamSuffix[stream]), O_RDONLY);
    if (!packed) return false;
    segment.packed[stream] = std::move(*packed);
    return true;
}

bool LogCursor::open_data(Segment& segment, size_t stream) {
    if (!hold(segment, stream)) return false;
    if (segment.data[stream]) return true;
    auto plain = unpack(segment.packed[stream].get());
    if (!plain) {
        base::log::warn("log \"" + folder_ + "\": " + plain.error().message());
        return false;
    }
    segment.data[stream] = std::move(*plain);
    segment.packed[stream].reset();
    return true;
}

Result<bool> LogCursor::open_segment(uint32_t number) {
    auto index = base::open_at(AT_FDCWD, folder_ + "/" + segment_file(number, "idx"), O_RDONLY);
    if (!index) return index.error().sys_errno == ENOENT ? Result<bool>(false) : Result<bool>(std::move(index.error()));
    IndexHeader header{};
    if (::pread(index->get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) return false;  // not begun yet
    if (header.magic != kIndexMagic) return base::fail(base::Code::corrupt, "log \"" + folder_ + "\": segment " + std::to_string(number) + " is not a log");
    Segment segment;
    segment.number = number;
    segment.base = header.base;
    segment.index = std::move(*index);
    // Now, not when they are needed: rotation may unlink them meanwhile.
    (void)hold(segment, 0);
    (void)hold(segment, 1);
    segments_.push_back(std::move(segment));
    last_number_ = number;
    return true;
}

Result<bool> LogCursor::read_more(Segment& segment) {
    auto records = TRY(read_records(segment.index.get(), segment.index_read));
    if (records.empty()) return false;
    segment.index_read += records.size() * sizeof(IndexRecord);
    if (segment.next != 0 && segment.next == segment.records.size()) {  // all handed out: the memory of a follower stays small
        segment.records.clear();
        segment.next = 0;
    }
    segment.records.insert(segment.records.end(), records.begin(), records.end());
    return true;
}

Result<bool> LogCursor::refresh() {
    bool found = false;
    // New segments first: once one is there, the one before is complete. Numbers follow each other, so the folder is looked through only
    // at first and where rotation has taken away more than was seen.
    struct stat last {};
    if (segments_.empty() || ::fstat(segments_.back().index.get(), &last) != 0 || last.st_nlink == 0) {
        for (uint32_t number : segment_numbers(folder_))
            if (number > last_number_ && TRY(open_segment(number))) found = true;
    } else {
        while (TRY(open_segment(last_number_ + 1))) found = true;
    }
    for (Segment& segment : segments_)
        if (TRY(read_more(segment))) found = true;
    return found;
}

std::optional<Chunk> LogCursor::next(bool merge) {
    while (!segments_.empty()) {
        Segment& segment = segments_.front();
        if (segment.next == segment.records.size()) {
            if (segments_.size() == 1) return std::nullopt;
            segments_.pop_front();
            continue;
        }
        Chunk chunk;
        const IndexRecord& first = segment.records[segment.next];
        chunk.time = first.time;
        chunk.stream = first.stream;
        chunk.offset = segment.offset[chunk.stream];
        do {
            chunk.length += segment.records[segment.next].length;
            segment.next++;
        } while (merge && segment.next < segment.records.size() && segment.records[segment.next].stream == chunk.stream &&
                 chunk.length < (64u << 20));
        segment.offset[chunk.stream] += chunk.length;
        chunk.end = segment.base + segment.offset[0] + segment.offset[1];
        if (!open_data(segment, chunk.stream)) continue;  // rotated away before it was seen
        chunk.fd = segment.data[chunk.stream].get();
        if (skip_bytes_ != 0) {
            uint64_t skip = std::min(skip_bytes_, chunk.length);
            skip_bytes_ = 0;
            chunk.offset += skip;
            chunk.length -= skip;
            if (chunk.length == 0) continue;
        }
        return chunk;
    }
    return std::nullopt;
}

/// The bytes from the last newline before `offset` up to it, at most 1 MiB; also over the segments before.
Result<std::string> LogCursor::line_before(size_t number, size_t stream, uint64_t offset) {
    std::string carry;
    for (;;) {
        Segment& segment = segments_[number];
        while (offset != 0 && carry.size() < (1u << 20) && open_data(segment, stream)) {
            uint64_t take = std::min<uint64_t>(offset, carry.empty() ? 512 : kBlock);
            std::string block(take, '\0');
            ssize_t n = ::pread(segment.data[stream].get(), block.data(), take, static_cast<off_t>(offset - take));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail_errno("read a log");
            if (static_cast<uint64_t>(n) != take) return carry;
            size_t newline = block.rfind('\n');
            if (newline != std::string::npos) return block.substr(newline + 1) + carry;
            carry = block + carry;
            offset -= take;
        }
        if (offset != 0 || number == 0) return carry;
        number--;
        for (const auto& each : segments_[number].records)
            if (each.stream == stream) offset += each.length;
    }
}

Result<LogCursor::Start> LogCursor::start_at(size_t number, size_t record) {
    Start start;
    if (segments_.empty()) return start;
    Segment& segment = segments_[number];
    segment.next = record;
    segment.offset = {0, 0};
    for (size_t i = 0; i < record; i++) segment.offset[segment.records[i].stream] += segment.records[i].length;
    for (size_t stream = 0; stream < 2; stream++) start.carry[stream] = TRY(line_before(number, stream, segment.offset[stream]));
    // Segments before it are let go.
    for (size_t i = 0; i < number; i++) segments_.pop_front();
    return start;
}

/// When the last line of each stream was written to, where it has no end; 0: it has one.
Result<std::array<Time, 2>> LogCursor::unfinished() {
    std::array<Time, 2> times{0, 0};
    for (size_t stream = 0; stream < 2; stream++) {
        bool known = false;
        for (size_t s = segments_.size(); s-- > 0 && !known;) {
            Segment& segment = segments_[s];
            uint64_t end = 0;
            for (const auto& each : segment.records) {
                if (each.stream != stream || each.length == 0) continue;
                end += each.length;
                times[stream] = each.time;
            }
            if (end == 0) continue;
            known = true;
            char last = '\n';
            if (open_data(segment, stream) && ::pread(segment.data[stream].get(), &last, 1, static_cast<off_t>(end - 1)) < 0)
                return base::fail_errno("read a log");
            if (last == '\n') times[stream] = 0;
        }
    }
    return times;
}

Result<LogCursor::Start> LogCursor::start_at_tail(uint64_t lines) {
    (void)TRY(refresh());
    if (segments_.empty()) return Start{};
    const size_t last = segments_.size() - 1;
    auto times = TRY(unfinished());
    // A line without its end is a line too. Readers show these last, stderr's behind stdout's.
    for (size_t stream = 2; stream-- > 0;) {
        if (times[stream] == 0) continue;
        if (lines == 0) times[stream] = 0;
        else lines--;
    }
    if (lines == 0) {
        auto start = TRY(start_at(last, segments_[last].records.size()));
        start.carry_time = times;
        for (size_t stream = 0; stream < 2; stream++)
            if (times[stream] == 0) start.carry[stream].clear();  // a line that has begun is a line before the end
        return start;
    }
    uint64_t found = 0;
    for (size_t s = segments_.size(); s-- > 0;) {
        Segment& segment = segments_[s];
        std::array<uint64_t, 2> end{0, 0};
        for (const auto& each : segment.records) end[each.stream] += each.length;
        for (size_t r = segment.records.size(); r-- > 0;) {
            const IndexRecord& each = segment.records[r];
            end[each.stream] -= each.length;
            if (!open_data(segment, each.stream)) continue;
            found += TRY(count_newlines(segment.data[each.stream].get(), end[each.stream], each.length));
            if (found < lines) continue;
            auto start = TRY(start_at(s, r));
            start.carry_time = times;
            start.skip_lines = found - lines;
            return start;
        }
    }
    auto start = TRY(start_at(0, 0));
    start.carry_time = times;
    return start;
}

Result<LogCursor::Start> LogCursor::start_at_time(Time since) {
    (void)TRY(refresh());
    for (size_t s = 0; s < segments_.size(); s++) {
        const auto& records = segments_[s].records;
        for (size_t r = 0; r < records.size(); r++)
            if (records[r].time >= since) return start_at(s, r);
    }
    if (segments_.empty()) return Start{};
    return start_at(segments_.size() - 1, segments_.back().records.size());
}

Status LogCursor::start_at_position(uint64_t position) {
    (void)TRY(refresh());
    while (segments_.size() > 1 && segments_[1].base <= position) segments_.pop_front();
    if (segments_.empty()) return {};
    Segment& segment = segments_.front();
    uint64_t at = segment.base;
    for (segment.next = 0; segment.next < segment.records.size(); segment.next++) {
        const auto& each = segment.records[segment.next];
        if (at + each.length > position) {
            skip_bytes_ = position > at ? position - at : 0;
            break;
        }
        at += each.length;
        segment.offset[each.stream] += each.length;
    }
    return {};
}

}  // namespace engine::log
