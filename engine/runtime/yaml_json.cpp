#include "runtime/yaml_json.h"

#include <yaml.h>

#include <map>
#include <set>

#include "base/text.h"

namespace engine::runtime {
namespace {
using base::Code;

constexpr size_t kMaxOutput = 16u << 20;
constexpr size_t kMaxDepth = 64;

struct YamlEvent {
    yaml_event_t raw{};
    YamlEvent() = default;
    ~YamlEvent() { yaml_event_delete(&raw); }
    YamlEvent(const YamlEvent&) = delete;
    YamlEvent& operator=(const YamlEvent&) = delete;
};

std::string_view yaml_text(const yaml_char_t* text) { return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text)); }

std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            constexpr char kDigits[] = "0123456789abcdef";
            out += "\\u00";
            out += kDigits[static_cast<unsigned char>(c) >> 4];
            out += kDigits[c & 15];
        } else {
            out += c;
        }
    }
    return out + '"';
}

/// A plain scalar of YAML's core schema.
std::string plain_value(std::string_view text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return "null";
    if (text == "true" || text == "True" || text == "TRUE") return "true";
    if (text == "false" || text == "False" || text == "FALSE") return "false";
    // File modes are written 0o660 or, as YAML 1.1 has it, 0660.
    std::string_view digits = text;
    bool minus = digits[0] == '-';
    if (minus || digits[0] == '+') digits.remove_prefix(1);
    int radix = 10;
    if (digits.starts_with("0x")) radix = 16;
    if (digits.starts_with("0o")) radix = 8;
    if (radix != 10) {
        digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of("01234567") == std::string_view::npos) {
        radix = 8;
        digits.remove_prefix(1);
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    uint64_t number = 0;
    bool whole = !digits.empty() && digits.size() <= 18;
    for (char c : digits) {
        size_t value = kDigits.substr(0, static_cast<size_t>(radix)).find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
        if (value == std::string_view::npos) whole = false;
        number = number * static_cast<uint64_t>(radix) + (whole ? value : 0);
    }
    if (whole && number <= INT64_MAX) return (minus ? "-" : "") + std::to_string(number);
    return json_string(text);
}

struct YamlToJson {
    yaml_parser_t parser{};
    std::string out;
    std::map<std::string, std::pair<size_t, size_t>, std::less<>> anchors;  ///< begin and length in `out`
    std::optional<base::Error> error;

    bool refuse(const yaml_event_t& event, const std::string& why) {
        if (!error) error = base::fail(Code::invalid, "line " + std::to_string(event.start_mark.line + 1) + ": " + why);
        return false;
    }
    bool next(YamlEvent& event) {
        if (yaml_parser_parse(&parser, &event.raw) != 0) return true;
        if (!error)
            error = base::fail(Code::invalid, "line " + std::to_string(parser.problem_mark.line + 1) + ": " + (parser.problem != nullptr ? parser.problem : "not well-formed"));
        return false;
    }
    void remember(const yaml_char_t* anchor, size_t begin) {
        if (anchor != nullptr) anchors[std::string(yaml_text(anchor))] = {begin, out.size() - begin};
    }

    bool node(const YamlEvent& event, size_t depth) {
        const yaml_event_t& raw = event.raw;
        if (depth > kMaxDepth) return refuse(raw, "nested too deeply");
        if (out.size() > kMaxOutput) return refuse(raw, "the file is too large");
        size_t begin = out.size();
        switch (raw.type) {
            case YAML_ALIAS_EVENT: {
                auto found = anchors.find(yaml_text(raw.data.alias.anchor));
                if (found == anchors.end()) return refuse(raw, "unknown anchor " + base::quote(yaml_text(raw.data.alias.anchor)));
                auto [from, length] = found->second;
                if (out.size() + length > kMaxOutput) return refuse(raw, "the file is too large");
                out += std::string(out, from, length);
                return true;
            }
            case YAML_SCALAR_EVENT: {
                std::string_view text(reinterpret_cast<const char*>(raw.data.scalar.value), raw.data.scalar.length);
                bool plain = raw.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && raw.data.scalar.tag == nullptr;
                out += plain ? plain_value(text) : json_string(text);
                remember(raw.data.scalar.anchor, begin);
                return true;
            }
            case YAML_SEQUENCE_START_EVENT: {
                out += '[';
                for (bool first = true;; first = false) {
                    YamlEvent entry;
                    if (!next(entry)) return false;
                    if (entry.raw.type == YAML_SEQUENCE_END_EVENT) break;
                    if (!first) out += ',';
                    if (!node(entry, depth + 1)) return false;
                }
                out += ']';
                remember(raw.data.sequence_start.anchor, begin);
                return true;
            }
            case YAML_MAPPING_START_EVENT: {
                out += '{';
                std::set<std::string, std::less<>> keys;
                while (true) {
                    YamlEvent key, value;
                    if (!next(key)) return false;
                    if (key.raw.type == YAML_MAPPING_END_EVENT) break;
                    if (key.raw.type != YAML_SCALAR_EVENT) return refuse(key.raw, "a key must be a text");
                    std::string name(reinterpret_cast<const char*>(key.raw.data.scalar.value), key.raw.data.scalar.length);
                    if (name == "<<") return refuse(key.raw, "merge keys are not supported");
                    if (!keys.insert(name).second) return refuse(key.raw, "the key " + base::quote(name) + " occurs twice");
                    if (keys.size() > 1) out += ',';
                    out += json_string(name) + ':';
                    if (!next(value) || !node(value, depth + 1)) return false;
                }
                out += '}';
                remember(raw.data.mapping_start.anchor, begin);
                return true;
            }
            default: return refuse(raw, "not well-formed");
        }
    }

    bool document() {
        while (true) {
            YamlEvent event;
            if (!next(event)) return false;
            if (event.raw.type == YAML_STREAM_END_EVENT) return true;
            if (event.raw.type == YAML_STREAM_START_EVENT || event.raw.type == YAML_DOCUMENT_END_EVENT) continue;
            if (!out.empty()) return refuse(event.raw, "only one document is expected");
            YamlEvent root;
            if (!next(root) || !node(root, 1)) return false;
        }
    }
};
}  // namespace

base::Result<std::string> json_from_yaml(std::string_view yaml) {
    YamlToJson reader;
    if (yaml_parser_initialize(&reader.parser) == 0) return base::fail(Code::internal, "no memory for the YAML parser");
    yaml_parser_set_input_string(&reader.parser, reinterpret_cast<const unsigned char*>(yaml.data()), yaml.size());
    bool good = reader.document();
    yaml_parser_delete(&reader.parser);
    if (!good) return std::move(*reader.error);
    if (reader.out.empty()) return base::fail(Code::invalid, "the file is empty");
    return std::move(reader.out);
}

}  // namespace engine::runtime
