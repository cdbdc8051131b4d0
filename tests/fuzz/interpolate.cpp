// A template of any bytes: substitution ends, and what has no `$` comes out as it went in.
#include <cstdint>
#include <cstdlib>

#include "model/interpolate.h"
#include "model/render.h"

using namespace compose::model;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    Lookup lookup = [](std::string_view name) -> std::optional<std::string> {
        if (name.starts_with('A')) return "value";
        if (name.starts_with('E')) return "";
        return std::nullopt;
    };
    auto done = substitute(text, lookup);
    if (text.find('$') == std::string_view::npos && (!done || *done != text)) abort();
    (void)variables_of(text);
    Node tree{text};
    escape_dollars(tree);
    auto back = substitute(tree.as_string(), lookup);
    if (!back || *back != text) abort();  // doubled dollars are the text itself
    return 0;
}
