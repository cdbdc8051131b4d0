// Image references: what is accepted is written and read again as the same, and is safe as a path of a URL.
#include <cstdint>
#include <string>

#include "image/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using engine::image::Reference;
    std::string text(reinterpret_cast<const char*>(data), size);
    auto reference = Reference::parse(text);
    if (!reference) return 0;
    for (const std::string& form : {reference->canonical(), reference->familiar()}) {
        auto again = Reference::parse(form);
        if (!again || again->canonical() != reference->canonical()) __builtin_trap();
    }
    if (reference->path.empty() || reference->path.size() > 255 || reference->path.find("..") != std::string::npos || reference->path.front() == '/') __builtin_trap();
    for (unsigned char c : reference->path + reference->tag + reference->digest)
        if (c <= ' ' || c >= 127 || c == '?' || c == '#' || c == '%' || c == '\\') __builtin_trap();
    (void)engine::image::looks_like_id(text);
    return 0;
}
