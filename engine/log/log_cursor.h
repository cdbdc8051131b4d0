#pragma once
// Walks the chunks of a log in the order in which they were written, over all segments, and notices new ones.
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "log/log_files.h"

namespace engine::log {

/// Held open from the moment it is seen: rotation can't take away what a reader has still to read.
struct Segment {
    uint32_t number = 0;
    uint64_t base = 0;
    base::UniqueFd index;
    std::array<base::UniqueFd, 2> data;
    std::array<base::UniqueFd, 2> packed;       ///< what stands in for data until its bytes are needed
    uint64_t index_read = sizeof(IndexHeader);  ///< bytes of the index that are in `records`
    std::vector<IndexRecord> records;
    size_t next = 0;                            ///< the record that comes next
    std::array<uint64_t, 2> offset{0, 0};       ///< where its bytes are in each stream's file
};

/// Bytes that lie together in one stream's file and share a record (or several, when merged).
struct Chunk {
    Time time = 0;
    size_t stream = 0;
    int fd = -1;
    uint64_t offset = 0, length = 0;
    uint64_t end = 0;  ///< the log's position behind it
};

class LogCursor {
public:
    explicit LogCursor(std::string folder) : folder_(std::move(folder)) {}

    /// Looks for new segments and records. False: nothing new.
    base::Result<bool> refresh();
    /// The next chunk; `merge` joins those that follow it in the same file. nullopt: all seen so far is read.
    std::optional<Chunk> next(bool merge);

    /// Where to begin; before the first `next`. Each gives the bytes that began a line before that place (by stream).
    struct Start {
        std::array<std::string, 2> carry;
        std::array<Time, 2> carry_time{0, 0};  ///< when it counts as a line also without anything more; 0: it does not
        uint64_t skip_lines = 0;  ///< of the first chunk's stream, not to be shown
    };
    /// The last `lines` lines of what is there now: in the order in which they ended, then the one of each stream that has
    /// no end yet.
    base::Result<Start> start_at_tail(uint64_t lines);
    base::Result<Start> start_at_time(Time since);
    /// In the middle of a chunk if need be; no carry.
    base::Status start_at_position(uint64_t position);

private:
    base::Result<bool> open_segment(uint32_t number);
    base::Result<bool> read_more(Segment& segment);
    bool hold(Segment& segment, size_t stream);
    bool open_data(Segment& segment, size_t stream);
    base::Result<Start> start_at(size_t segment, size_t record);
    base::Result<std::string> line_before(size_t segment, size_t stream, uint64_t offset);
    base::Result<std::array<Time, 2>> unfinished();

    std::string folder_;
    std::deque<Segment> segments_;
    uint32_t last_number_ = 0;
    uint64_t skip_bytes_ = 0;
};

/// Reads one file in large blocks: small neighbouring chunks cost one system call together.
class BlockReader {
public:
    /// At most `length` bytes at `offset`, at least one; valid until the next call. Empty: the file is shorter.
    base::Result<std::string_view> read(int fd, uint64_t offset, uint64_t length);

private:
    int fd_ = -1;
    uint64_t begin_ = 0;
    std::string buffer_;
    size_t size_ = 0;
};

}  // namespace engine::log
