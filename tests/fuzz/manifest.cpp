// Indexes and manifests. What is accepted has digests that are safe as file names, and is never both at once.
#include <cstdint>
#include <string>

#include "image/digest.h"
#include "image/image_store.h"
#include "image/manifest.h"
#include "image/reference.h"

using namespace engine::image;

namespace {
void check_descriptor(const Descriptor& descriptor) {
    if (!valid_digest(descriptor.digest)) __builtin_trap();
    if (hex_of(descriptor.digest).find_first_of("/.") != std::string::npos) __builtin_trap();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    auto document = parse_document(text, "application/vnd.oci.image.index.v1+json");
    if (!document) return 0;
    if (document->manifest.has_value() == !document->manifests.empty() && !document->manifests.empty()) __builtin_trap();
    for (const Descriptor& item : document->manifests) check_descriptor(item);
    for (const char* platform : {"linux/amd64", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"})
        if (auto chosen = choose_platform(document->manifests, *parse_platform(platform)); chosen) check_descriptor(*chosen);
    if (document->manifest) {
        check_descriptor(document->manifest->config);
        for (const Descriptor& layer : document->manifest->layers) check_descriptor(layer);
        auto again = parse_document(manifest_to_json(*document->manifest));
        (void)again;
    } else {
        (void)index_to_json(document->manifests);
    }
    return 0;
}
