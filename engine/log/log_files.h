#pragma once
// The files of a log folder, for this part alone (what they mean: log_writer.h).
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"

namespace engine::log {

constexpr uint32_t kIndexMagic = 0x31474c43;  // "CLG1"
constexpr uint16_t kRecordMagic = 0x4352;     // "RC"

/// First in N.idx.
struct IndexHeader {
    uint64_t base = 0;  ///< bytes of both streams in all segments before this one
    uint32_t magic = kIndexMagic;
    uint32_t number = 0;
};
static_assert(sizeof(IndexHeader) == 16);

struct IndexRecord {
    Time time = 0;
    uint32_t length = 0;
    uint16_t stream = 0;
    uint16_t magic = kRecordMagic;
};
static_assert(sizeof(IndexRecord) == 16);

/// "000001.idx" and the like.
std::string segment_file(uint32_t number, const char* suffix);
constexpr std::array<const char*, 2> kStreamSuffix{"out", "err"};
/// Numbers of the segments that have an index, ascending. An absent folder has none.
std::vector<uint32_t> segment_numbers(const std::string& folder);
/// Reads the records from byte `offset` on that are whole and sound; a torn one at the end is left for later.
base::Result<std::vector<IndexRecord>> read_records(int index_fd, uint64_t offset);
uint64_t file_size(int fd);

}  // namespace engine::log
