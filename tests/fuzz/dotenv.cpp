// An env file of any bytes, as dotenv and raw.
#include <cstdint>

#include "model/dotenv.h"

using namespace compose::model;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    Lookup lookup = [](std::string_view name) -> std::optional<std::string> {
        if (name.size() % 2 == 0) return std::nullopt;
        return std::string(name);
    };
    Variables one, two;
    std::map<std::string, int> lines;
    (void)parse_dotenv(text, one, lookup, {}, &lines);
    (void)parse_raw_env(text, two, lookup, &lines);
    return 0;
}
