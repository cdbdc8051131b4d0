#include "image/limits.h"

#include <stdlib.h>

#include <optional>
#include <string>

#include "base/text.h"

namespace engine::image {

base::Result<ImageLimits> image_limits() {
    ImageLimits limits;
    struct Place {
        const char* name;
        uint64_t* value;
        bool bytes;
    };
    for (const Place& place : {Place{"COMPOSE_IMAGE_ENTRIES", &limits.entries, false}, Place{"COMPOSE_IMAGE_SIZE", &limits.bytes, true},
                               Place{"COMPOSE_IMAGE_RATIO", &limits.ratio, false}}) {
        const char* text = ::getenv(place.name);
        if (!text || !*text) continue;
        std::optional<int64_t> number = place.bytes ? base::parse_bytes(text) : base::parse_int(text);
        if (!number || *number < 0) return base::fail(base::Code::invalid, std::string(place.name) + "=" + base::quote(text) + " is not a " + (place.bytes ? "size such as 200g" : "whole number"));
        *place.value = static_cast<uint64_t>(*number);
    }
    return limits;
}

}  // namespace engine::image
