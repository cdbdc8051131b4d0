#include <cmath>

#include "base/text.h"
#include "model/interpolate.h"
#include "model/render.h"
#include "model/yaml_reader.h"

namespace compose::model {

namespace {

bool is_base60(std::string_view text) {
    size_t at = 0;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    bool colon = false;
    for (; at < text.size(); ++at) {
        if (text[at] == ':') colon = true;
        else if ((text[at] < '0' || text[at] > '9') && text[at] != '_' && text[at] != '.') return false;
    }
    return colon;
}

/// Words that YAML 1.1 readers take for booleans.
bool is_old_bool(std::string_view text) {
    if (text.size() > 3) return false;
    std::string lower = base::to_lower(text);
    return lower == "y" || lower == "n" || lower == "yes" || lower == "no" || lower == "on" || lower == "off";
}

bool is_printable(std::string_view text) {
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) return false;
    }
    // C1 controls, the line separators of Unicode and the byte order mark.
    for (std::string_view odd : {"\xC2\x80", "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xEF\xBB\xBF"}) {
        if (text.find(odd) != std::string_view::npos) return false;
    }
    return true;
}

bool is_plain(std::string_view text) {
    if (text.empty() || text.front() == ' ' || text.back() == ' ' || text.back() == ':') return false;
    Node meaning = resolve_plain_scalar(text);
    if (!meaning.is_string() || meaning.tag != Node::Tag::none || is_old_bool(text) || is_base60(text)) return false;
    if (text == "<<" || text == "=" || text == "---" || text == "..." || text.starts_with("--- ") || text.starts_with("... ")) return false;
    if (std::string_view("!&*|>%@`\"'#,[]{}").find(text.front()) != std::string_view::npos) return false;
    if (std::string_view("-?:").find(text.front()) != std::string_view::npos && (text.size() == 1 || text[1] == ' ')) return false;
    return text.find(": ") == std::string_view::npos && text.find(" #") == std::string_view::npos;
}

std::string double_quoted(std::string_view text) {
    std::string out = "\"";
    for (size_t at = 0; at < text.size(); ++at) {
        auto byte = static_cast<unsigned char>(text[at]);
        switch (byte) {
            case '"': out += "\\\""; continue;
            case '\\': out += "\\\\"; continue;
            case '\n': out += "\\n"; continue;
            case '\t': out += "\\t"; continue;
            case '\r': out += "\\r"; continue;
            default: break;
        }
        static constexpr char kHex[] = "0123456789abcdef";
        if (byte < 0x20 || byte == 0x7F) {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else if (byte == 0xC2 && at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0) {
            auto low = static_cast<unsigned char>(text[++at]);
            out += "\\x";
            out += kHex[low >> 4];
            out += kHex[low & 15];
        } else if (text.substr(at).starts_with("\xE2\x80\xA8") || text.substr(at).starts_with("\xE2\x80\xA9")) {
            out += text[at + 2] == '\xA8' ? "\\L" : "\\P";
            at += 2;
        } else if (text.substr(at).starts_with("\xEF\xBB\xBF")) {
            out += "\\ufeff";
            at += 2;
        } else {
            out += text[at];
        }
    }
    return out + "\"";
}

std::string single_quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text) {
        if (c == '\'') out += '\'';
        out += c;
    }
    return out + "'";
}

class Writer {
public:
    std::string out;

    void document(const Node& node) {
        if (node.is_mapping() && node.size() > 0) mapping(node, 0, false);
        else if (node.is_sequence() && node.size() > 0) sequence(node, 0);
        else out += scalar(node, 0) + "\n";
    }

private:
    void indent(size_t depth) { out.append(depth * 2, ' '); }

    void mapping(const Node& node, size_t depth, bool first_is_placed) {
        bool placed = first_is_placed;
        for (const Node::Member& member : node.members()) {
            if (!placed) indent(depth);
            placed = false;
            out += is_plain(member.key) ? member.key : is_printable(member.key) ? single_or_double(member.key) : double_quoted(member.key);
            out += ':';
            value(member.value, depth);
        }
    }

    void value(const Node& node, size_t depth) {
        if (node.is_mapping() && node.size() > 0) {
            out += '\n';
            mapping(node, depth + 1, false);
        } else if (node.is_sequence() && node.size() > 0) {
            out += '\n';
            sequence(node, depth + 1);
        } else {
            out += ' ' + scalar(node, depth + 1) + '\n';
        }
    }

    void sequence(const Node& node, size_t depth) {
        for (const Node& item : node.items()) {
            indent(depth);
            out += '-';
            if (item.is_mapping() && item.size() > 0) {
                out += ' ';
                mapping(item, depth + 1, true);
            } else if (item.is_sequence() && item.size() > 0) {
                out += '\n';
                sequence(item, depth + 1);
            } else {
                out += ' ' + scalar(item, depth + 1) + '\n';
            }
        }
    }

    static std::string single_or_double(std::string_view text) {
        Node meaning = resolve_plain_scalar(text);
        bool other = !meaning.is_string() || meaning.tag != Node::Tag::none || is_old_bool(text) || is_base60(text);
        return text.empty() || other ? double_quoted(text) : single_quoted(text);
    }

    static std::string scalar(const Node& node, size_t depth) {
        if (node.is_null()) return "null";
        if (node.is_mapping()) return "{}";
        if (node.is_sequence()) return "[]";
        if (node.is_double()) {
            if (std::isinf(node.as_double())) return node.as_double() > 0 ? ".inf" : "-.inf";
            if (std::isnan(node.as_double())) return ".nan";
            return number_text(node.as_double());
        }
        if (!node.is_string()) return scalar_text(node);
        const std::string& text = node.as_string();
        if (is_printable(text)) return is_plain(text) ? text : single_or_double(text);
        if (is_block(text)) return block(text, depth);
        return double_quoted(text);
    }

    /// Lines that a literal block can hold: printable (tabs too), the first not empty or indented, one newline at most at the end.
    static bool is_block(const std::string& text) {
        if (text.find('\n') == std::string::npos || text.front() == '\n' || text.front() == ' ' || text.front() == '\t') return false;
        if (text.ends_with("\n\n")) return false;
        for (const std::string& line : base::split(text, '\n')) {
            std::string without_tabs;
            for (char c : line) {
                if (c != '\t') without_tabs += c;
            }
            if (!is_printable(without_tabs) || line.ends_with(' ') || line.ends_with('\t')) return false;
        }
        return true;
    }

    static std::string block(std::string_view text, size_t depth) {
        std::string lines = text.ends_with('\n') ? "|" : "|-";
        if (text.ends_with('\n')) text.remove_suffix(1);
        for (const std::string& line : base::split(text, '\n')) {
            lines += '\n';
            if (!line.empty()) lines += std::string(depth * 2, ' ') + line;
        }
        return lines;
    }
};

}  // namespace

std::string to_yaml(const Node& tree) {
    Writer writer;
    writer.document(tree);
    return std::move(writer.out);
}

}  // namespace compose::model
