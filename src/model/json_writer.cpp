#include <cmath>

#include "base/text.h"
#include "model/interpolate.h"
#include "model/render.h"

namespace compose::model {

namespace {

void quote(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
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
        if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else if (byte < 0x80) {
            out += text[at];
        } else {
            // Whole UTF-8 characters pass; a stray byte becomes the replacement character, since JSON is Unicode.
            size_t length = byte >= 0xF0 && byte < 0xF5 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 0;
            bool whole = byte < 0xF5 && length > 0 && at + length <= text.size();
            for (size_t next = 1; whole && next < length; ++next) whole = (static_cast<unsigned char>(text[at + next]) & 0xC0) == 0x80;
            if (whole) {
                out += text.substr(at, length);
                at += length - 1;
            } else {
                out += "\xEF\xBF\xBD";
            }
        }
    }
    out += '"';
}

void write(std::string& out, const Node& node, bool compact, size_t depth) {
    auto line = [&](size_t level) {
        if (compact) return;
        out += '\n';
        out.append(level * 2, ' ');
    };
    if (node.is_mapping()) {
        out += '{';
        bool first = true;
        for (const Node::Member& member : node.members()) {
            if (!first) out += ',';
            first = false;
            line(depth + 1);
            quote(out, member.key);
            out += compact ? ":" : ": ";
            write(out, member.value, compact, depth + 1);
        }
        if (!first) line(depth);
        out += '}';
    } else if (node.is_sequence()) {
        out += '[';
        bool first = true;
        for (const Node& item : node.items()) {
            if (!first) out += ',';
            first = false;
            line(depth + 1);
            write(out, item, compact, depth + 1);
        }
        if (!first) line(depth);
        out += ']';
    } else if (node.is_string()) {
        quote(out, node.as_string());
    } else if (node.is_null()) {
        out += "null";
    } else if (node.is_double() && !std::isfinite(node.as_double())) {
        quote(out, number_text(node.as_double()));  // JSON has no such numbers
    } else {
        out += scalar_text(node);
    }
}

}  // namespace

std::string to_json(const Node& tree, bool compact) {
    std::string out;
    write(out, tree, compact, 0);
    return out;
}

void escape_dollars(Node& tree) {
    auto escape = [](std::string& text) {
        if (text.find('$') == std::string::npos) return;
        std::string out;
        for (char c : text) {
            out += c;
            if (c == '$') out += c;
        }
        text = std::move(out);
    };
    if (tree.is_string()) {
        escape(tree.as_string());
    } else if (tree.is_sequence()) {
        for (Node& item : tree.items()) escape_dollars(item);
    } else if (tree.is_mapping()) {
        for (Node::Member& member : tree.members()) {
            escape(member.key);
            escape_dollars(member.value);
        }
    }
}

// ---- hashes -------------------------------------------------------------------------------------------------------------

std::string config_hash(const Service& service) {
    Service plain = service;
    // What does not make another container (behaviour.md §6).
    plain.build.reset();
    plain.pull_policy.clear();
    plain.pull_refresh_after.clear();
    plain.scale.reset();
    plain.depends_on.clear();
    plain.profiles.clear();
    plain.extensions.clear();
    if (plain.deploy) plain.deploy->replicas.reset();
    Node tree = to_tree(plain, Form::json);
    tree.members().insert(tree.members().begin(), {"name", Node(service.name), Place{}});
    return base::sha256_hex(to_json(tree, true));
}

std::string config_hash(const Network& network) { return base::sha256_hex(to_json(to_tree(network, Form::json), true)); }
std::string config_hash(const Volume& volume) { return base::sha256_hex(to_json(to_tree(volume, Form::json), true)); }

}  // namespace compose::model
