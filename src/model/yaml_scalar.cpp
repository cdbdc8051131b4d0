// Plain scalars as go-yaml v3 resolves them when it decodes into an untyped value.
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "model/yaml_reader.h"

namespace compose::model {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Go's strconv.ParseInt(text, 0, 64) after underscores were removed.
std::optional<int64_t> parse_go_int(std::string_view text) {
    bool negative = false;
    if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    int base = 10;
    if (text.size() > 1 && text[0] == '0') {
        char kind = static_cast<char>(text[1] | 0x20);
        if (kind == 'x') base = 16;
        if (kind == 'o') base = 8;
        if (kind == 'b') base = 2;
        if (base != 10) {
            text.remove_prefix(2);
        } else {
            base = 8;
            text.remove_prefix(1);
        }
    }
    if (text.empty()) return std::nullopt;
    uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    uint64_t limit = uint64_t{1} << 63;
    if (negative ? value > limit : value >= limit) return std::nullopt;
    return negative ? static_cast<int64_t>(0 - value) : static_cast<int64_t>(value);
}

/// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool is_float(std::string_view text) {
    size_t at = 0;
    auto digits = [&] {
        size_t from = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return at - from;
    };
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() > 0) {
        if (at < text.size() && text[at] == '.') {
            ++at;
            digits();
        }
    } else {
        if (at >= text.size() || text[at] != '.') return false;
        ++at;
        if (digits() == 0) return false;
    }
    if (at < text.size() && (text[at] | 0x20) == 'e') {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (digits() == 0) return false;
    }
    return at == text.size();
}

/// A date (YYYY-M-D), or one with a time behind `T`, `t` or blanks.
bool is_timestamp(std::string_view text) {
    size_t at = 0;
    auto number = [&](size_t least, size_t most) {
        size_t from = at;
        while (at < text.size() && is_digit(text[at]) && at - from < most) ++at;
        return at - from >= least;
    };
    auto mark = [&](char c) { return at < text.size() && text[at] == c ? (++at, true) : false; };
    if (!number(4, 4) || !mark('-') || !number(1, 2) || !mark('-') || !number(1, 2)) return false;
    if (at == text.size()) return true;
    bool blank = text[at] == ' ';
    if (!blank && (text[at] | 0x20) != 't') return false;
    ++at;
    if (!number(1, 2) || !mark(':') || !number(1, 2) || !mark(':') || !number(1, 2)) return false;
    if (mark('.') && !number(1, 30)) return false;
    if (at == text.size()) return blank;
    if (blank) return false;
    if (mark('Z')) return at == text.size();
    if (!mark('+') && !mark('-')) return false;
    return number(2, 2) && mark(':') && number(2, 2) && at == text.size();
}

}  // namespace

Node resolve_plain_scalar(std::string_view text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Node();
    if (text == "true" || text == "True" || text == "TRUE") return Node(true);
    if (text == "false" || text == "False" || text == "FALSE") return Node(false);
    char first = text[0];
    if (first == '.' || first == '+' || first == '-') {
        std::string_view rest = first == '.' ? text : text.substr(1);
        if (rest == ".inf" || rest == ".Inf" || rest == ".INF") return Node(first == '-' ? -INFINITY : INFINITY);
        if (first == '.' && (rest == ".nan" || rest == ".NaN" || rest == ".NAN")) return Node(static_cast<double>(NAN));
    }
    if (!is_digit(first) && first != '.' && first != '+' && first != '-') return Node(text);
    if (is_digit(first) && is_timestamp(text)) {
        Node node{text};
        node.tag = Node::Tag::timestamp;
        return node;
    }
    std::string plain;
    for (char c : text) {
        if (c != '_') plain += c;
    }
    if (first != '.') {
        if (auto value = parse_go_int(plain)) return Node(*value);
    }
    if (is_float(plain)) return Node(std::strtod(plain.c_str(), nullptr));
    return Node(text);
}

}  // namespace compose::model
