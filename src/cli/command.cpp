#include "cli/command.h"

#include "base/text.h"

namespace compose::cli {

const Flag* Arguments::find(std::string_view flag) const {
    for (const Flag& known : flags)
        if (known.name == flag) return &known;
    return nullptr;
}

bool Arguments::given(std::string_view flag) const { return values.find(flag) != values.end(); }

std::string Arguments::text(std::string_view flag) const {
    if (auto it = values.find(flag); it != values.end() && !it->second.empty()) return it->second.back();
    const Flag* known = find(flag);
    return known ? std::string(known->fallback) : std::string();
}

bool Arguments::on(std::string_view flag) const {
    std::string value = text(flag);
    return value == "true" || value == "1" || value == "t" || value == "T" || value == "TRUE" || value == "True";
}

std::vector<std::string> Arguments::list(std::string_view flag) const {
    auto it = values.find(flag);
    return it == values.end() ? std::vector<std::string>{} : it->second;
}

int64_t Arguments::integer(std::string_view flag) const { return base::parse_int(text(flag)).value_or(0); }

}  // namespace compose::cli
