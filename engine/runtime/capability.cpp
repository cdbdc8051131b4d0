#include "runtime/capability.h"

#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/text.h"

namespace engine::runtime {
using base::Code;

std::optional<int> capability_number(std::string_view name) {
    std::string lower = base::to_lower(name);
    if (!lower.starts_with("cap_")) lower = "cap_" + lower;
    cap_value_t value = 0;
    if (::cap_from_name(lower.c_str(), &value) != 0 || lower.find_first_of("0123456789") == 4) return std::nullopt;
    return value;
}

std::string capability_name(int number) {
    char* text = ::cap_to_name(number);
    std::string out = text != nullptr ? text : "cap_" + std::to_string(number);
    ::cap_free(text);
    for (char& c : out) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

int last_capability() {
    static const int last = [] {
        int number = 0;
        while (number < 63 && ::prctl(PR_CAPBSET_READ, number + 1, 0, 0, 0) >= 0) ++number;
        return number;
    }();
    return last;
}

CapabilitySet own_capabilities() {
    static const CapabilitySet own = [] {
        CapabilitySet set = 0;
        for (int number = 0; number <= last_capability(); ++number)
            if (::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1) set |= CapabilitySet{1} << number;
        return set;
    }();
    return own;
}

base::Result<CapabilitySet> container_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop, bool privileged) {
    CapabilitySet added = 0, dropped = 0;
    bool add_all = false, drop_all = false;
    auto collect = [](const std::vector<std::string>& names, const char* verb, CapabilitySet& set, bool& all) -> base::Status {
        for (const std::string& name : names) {
            std::string upper = base::to_lower(name);
            if (upper == "all") {
                all = true;
                continue;
            }
            auto number = capability_number(name);
            if (!number) return base::fail(Code::invalid, std::string("unknown capability to ") + verb + ": " + base::quote(name) + " (names are those of capabilities(7), with or without CAP_)");
            set |= CapabilitySet{1} << *number;
        }
        return {};
    };
    TRY_VOID(collect(add, "add", added, add_all));
    TRY_VOID(collect(drop, "drop", dropped, drop_all));
    if (privileged) return own_capabilities();
    if (CapabilitySet lacking = added & ~own_capabilities(); lacking != 0)
        return base::fail(Code::permission, "cannot add " + capability_name(__builtin_ctzll(lacking)) + ": the engine does not have it itself");
    // Docker: ALL in both lists cancels to what is named.
    CapabilitySet set = add_all ? own_capabilities() : drop_all ? 0 : kDefaultCapabilities & own_capabilities();
    return (set & ~dropped) | added;
}

}  // namespace engine::runtime
