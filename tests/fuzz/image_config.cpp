// An image's configuration: what is accepted is written and read again as the same.
#include <cstdint>
#include <string>

#include "image/manifest.h"
#include "image/reference.h"

using namespace engine::image;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto image = parse_config(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!image) return 0;
    for (const std::string& layer : image->layers)
        if (!valid_digest(layer)) __builtin_trap();
    std::string text = config_to_json(*image);
    auto again = parse_config(text);
    if (!again || again->layers != image->layers || again->config.env != image->config.env || again->config.cmd != image->config.cmd) __builtin_trap();
    auto third = parse_config(config_to_json(*again));
    if (!third || third->id != again->id) __builtin_trap();
    return 0;
}
