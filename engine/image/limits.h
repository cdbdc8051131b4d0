#pragma once
// What an image or archive may make this machine do. Each bound can be set by a variable of the environment.
#include <cstdint>

#include "base/error.h"

namespace engine::image {

struct ImageLimits {
    uint64_t entries = 5'000'000;            ///< of a layer or archive: COMPOSE_IMAGE_ENTRIES
    uint64_t bytes = uint64_t{1} << 40;      ///< unpacked size of a layer or archive: COMPOSE_IMAGE_SIZE ("200g")
    uint64_t ratio = 250;                    ///< unpacked to packed, beyond 4 GiB unpacked; 0: any: COMPOSE_IMAGE_RATIO
};

/// The defaults with what the environment says. invalid names the variable.
base::Result<ImageLimits> image_limits();

}  // namespace engine::image
