#include "oci/command_line.h"

#include "base/text.h"

namespace engine::oci {
using base::Code;
using base::Result;

bool Parsed::on(std::string_view name) const {
    auto found = values.find(name);
    return found != values.end() && found->second.back() != "false";
}
std::string Parsed::text(std::string_view name, std::string otherwise) const {
    auto found = values.find(name);
    return found != values.end() ? found->second.back() : otherwise;
}
std::vector<std::string> Parsed::all(std::string_view name) const {
    auto found = values.find(name);
    return found != values.end() ? found->second : std::vector<std::string>{};
}
Result<int64_t> Parsed::number(std::string_view name, int64_t otherwise) const {
    auto found = values.find(name);
    if (found == values.end()) return otherwise;
    auto value = base::parse_int(found->second.back());
    if (!value) return base::fail(Code::invalid, "invalid value " + base::quote(found->second.back()) + " for flag -" + std::string(name) + ": parse error");
    return *value;
}

Result<Parsed> parse_options(std::span<const Option> options, const std::vector<std::string>& words) {
    Parsed out;
    for (size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--") {
            out.rest.insert(out.rest.end(), words.begin() + static_cast<long>(i) + 1, words.end());
            break;
        }
        if (word.size() < 2 || word[0] != '-') {
            out.rest.insert(out.rest.end(), words.begin() + static_cast<long>(i), words.end());
            break;
        }
        auto [name, value] = base::cut(std::string_view(word).substr(word[1] == '-' ? 2 : 1), '=');
        const Option* found = nullptr;
        for (const Option& option : options)
            if (option.name == name || (name.size() == 1 && option.letter == name[0])) found = &option;
        if (name == "help" || (name == "h" && found == nullptr)) {
            out.values["help"].emplace_back("true");
            continue;
        }
        if (found == nullptr) return base::fail(Code::invalid, "flag provided but not defined: -" + base::printable(name));
        std::string given;
        if (value) {
            given = *value;
        } else if (found->takes_value) {
            if (i + 1 >= words.size()) return base::fail(Code::invalid, "flag needs an argument: -" + name);
            given = words[++i];
        } else {
            given = "true";
        }
        if (!found->takes_value && given != "true" && given != "false")
            return base::fail(Code::invalid, "invalid boolean value " + base::quote(given) + " for -" + name);
        out.values[std::string(found->name)].push_back(given);
    }
    return out;
}

std::string verb_help(const Verb& verb) {
    std::string out = "Usage:  compose runtime [GLOBAL OPTIONS] " + std::string(verb.name) + " " + std::string(verb.operands) + "\n\n" + std::string(verb.summary) + "\n";
    if (verb.options.empty()) return out;
    out += "\nOptions:\n";
    for (const Option& option : verb.options) {
        std::string left = option.letter != 0 ? std::string("  -") + option.letter + ", --" : "      --";
        left += std::string(option.name) + (option.takes_value ? " value" : "");
        out += left + std::string(left.size() < 32 ? 32 - left.size() : 1, ' ') + std::string(option.help) + "\n";
    }
    return out;
}

}  // namespace engine::oci
