#pragma once
// Packed streams: what a layer is packed with is told by its first bytes, since media types lie.
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "image/archive.h"

namespace engine::image {

enum class Packing : uint8_t { plain, gzip, zstd };
/// Needs at least 4 bytes to tell.
Packing packing_of(std::string_view first_bytes);

/// Bombs: what a stream may unpack to.
struct UnpackLimits {
    uint64_t bytes = uint64_t{1} << 40;  ///< in all
    uint64_t ratio = 250;                ///< times its packed size, once it is larger than `ratio_from` unpacked; 0: any
    uint64_t ratio_from = uint64_t{4} << 30;  ///< below, files of zeros are what databases bring along
};

/// The unpacked bytes of `packed` (gzip of several members by ISA-L, zstd of several frames and skippable ones, or as it is).
/// Corrupt and truncated streams and bombs are `corrupt`.
Source unpacked(Source packed, const UnpackLimits& limits = {});

/// Packs with gzip (ISA-L, its level 1) into `sink`; call finish at the end.
class GzipWriter {
public:
    explicit GzipWriter(Sink sink);
    ~GzipWriter();
    base::Status write(std::string_view bytes);
    base::Status finish();

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace engine::image
