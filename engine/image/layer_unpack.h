#pragma once
// One layer from its packed stream to a staged folder, hashed on the way: fetching, unpacking and writing run side by side.
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "image/archive.h"
#include "image/layer_files.h"

namespace engine::image {

struct LayerInput {
    /// Gives all bytes to the sink, in order; returns when they are complete and known to be right.
    std::function<base::Status(const Sink&)> produce;
    uint64_t size_hint = 0;          ///< packed; small layers need no threads. 0: unknown
    std::string expected_diff_id;    ///< verified when not empty
    bool keep_blob = true;           ///< write the packed form beside
    bool pack_plain = false;         ///< a stream that is not packed is kept gzipped
    bool hash_blob = false;          ///< the producer does not verify it
    std::string subject;             ///< for errors
    const std::atomic<bool>* cancel = nullptr;
    std::function<void(uint64_t unpacked)> progress;
};

struct UnpackedLayer {
    std::string diff_id, blob;  ///< blob is empty unless hashed here
    uint64_t size = 0, blob_size = 0;
    bool packed_here = false;
    std::vector<std::pair<std::string, std::string>> links_below;
};

/// Into `staging.tree()` and `staging.blob()`. corrupt when a digest differs or the archive is hostile; nothing is visible yet.
base::Result<UnpackedLayer> unpack_layer(const Staging& staging, const LayerInput& input);

}  // namespace engine::image
