// Ports, volumes, command lines, durations, sizes, plain scalars of any bytes.
#include <algorithm>
#include <cstdint>

#include "model/short_forms.h"
#include "model/yaml_reader.h"

using namespace compose::model;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    // A range of tens of thousands of ports is right, and written out; with sanitizers that takes most of the time.
    size_t digits = 0, longest = 0;
    for (char c : text) longest = std::max(longest, digits = c >= '0' && c <= '9' ? digits + 1 : 0);
    if (longest < 4 || text.find('-') == std::string_view::npos) (void)parse_port(text);
    (void)parse_volume(text);
    (void)split_command(text);
    (void)parse_compose_duration(text);
    (void)parse_size(text);
    (void)is_ip_address(text);
    (void)is_file_path(text);
    (void)clean_path(text);
    (void)resolve_plain_scalar(text);
    return 0;
}
