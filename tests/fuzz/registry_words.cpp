// The smaller texts: challenges of registries, base64 of config.json, registries.conf, platforms.
#include <cstdint>
#include <string>

#include "image/auth.h"
#include "image/image_store.h"
#include "image/registry_config.h"

using namespace engine::image;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string text(reinterpret_cast<const char*>(data), size);
    if (parse_challenges(text).size() > 16) __builtin_trap();
    if (auto bytes = base64_decode(text)) (void)base64_encode(*bytes);
    if (base64_decode(base64_encode(text)) != text) {
        // The padding that tools add is dropped, so a text that ends in zero bytes is kept by its length only.
        if (!text.ends_with('\0')) __builtin_trap();
    }
    (void)parse_registries_conf(text, "registries.conf");
    (void)parse_platform(text);
    (void)HttpClient::origin(text);
    (void)HttpClient::resolve_url("https://registry.example/v2/", text);
    return 0;
}
