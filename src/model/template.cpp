// The template grammar. As in Docker Compose the text of an operator is interpolated before it is known to be needed.
#include <array>

#include "model/interpolate.h"

namespace compose::model {

namespace {

constexpr int kMaxNesting = 64;
constexpr size_t kMaxResult = 16u << 20;  ///< bytes that one template may become

bool is_name_start(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

size_t name_length(std::string_view text) {
    if (text.empty() || !is_name_start(text[0])) return 0;
    size_t at = 1;
    while (at < text.size() && is_name(text[at])) ++at;
    return at;
}

/// Index of the `}` that closes the `${` at the start; only `${` nests. npos when there is none.
size_t closing_brace(std::string_view text) {
    int open = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '}' && --open == 0) return at;
        if (text.substr(at).starts_with("${")) {
            ++open;
            ++at;
        }
    }
    return std::string_view::npos;
}

constexpr std::array<std::string_view, 6> kOperators = {":?", ":-", ":+", "?", "-", "+"};

struct Braced {
    std::string_view name, op, rest;  ///< `${name op rest}`
};

/// Inside of the braces; nullopt when malformed. A text over several lines is malformed, as in Docker Compose.
std::optional<Braced> parse_braced(std::string_view inside) {
    Braced out;
    size_t length = name_length(inside);
    if (length == 0) return std::nullopt;
    out.name = inside.substr(0, length);
    std::string_view tail = inside.substr(length);
    if (tail.empty()) return out;
    for (std::string_view op : kOperators) {
        if (!tail.starts_with(op)) continue;
        out.op = op;
        out.rest = tail.substr(op.size());
        if (out.rest.find('\n') != std::string_view::npos) return std::nullopt;
        return out;
    }
    return std::nullopt;
}

std::expected<std::string, TemplateError> substitute_at(std::string_view text, const Lookup& lookup, const Unset& unset, int depth);

std::expected<std::string, TemplateError> expand(const Braced& braced, const Lookup& lookup, const Unset& unset, int depth) {
    std::optional<std::string> value = lookup(braced.name);
    if (braced.op.empty()) {
        if (!value && unset) unset(braced.name);
        return value.value_or("");
    }
    auto text = substitute_at(braced.rest, lookup, unset, depth + 1);
    if (!text) return text;
    bool given = value && (braced.op[0] != ':' || !value->empty());
    switch (braced.op.back()) {
        case '-': return given ? *value : *text;
        case '+': return given ? *text : std::string();
        default: break;
    }
    if (given) return *value;
    std::string message = "required variable " + std::string(braced.name) + " is missing a value";
    if (!text->empty()) message += ": " + *text;
    return std::unexpected(TemplateError{message, true, std::string(braced.name)});
}

std::expected<std::string, TemplateError> substitute_at(std::string_view text, const Lookup& lookup, const Unset& unset, int depth) {
    if (depth > kMaxNesting) return std::unexpected(TemplateError{"nested too deeply", false, {}});
    std::string out;
    for (size_t at = 0; at < text.size();) {
        if (out.size() > kMaxResult) return std::unexpected(TemplateError{"it becomes larger than " + std::to_string(kMaxResult >> 20) + " MiB", false, {}});
        size_t dollar = text.find('$', at);
        if (dollar == std::string_view::npos) {
            out += text.substr(at);
            break;
        }
        out += text.substr(at, dollar - at);
        std::string_view rest = text.substr(dollar + 1);
        if (rest.starts_with('$')) {
            out += '$';
            at = dollar + 2;
        } else if (rest.starts_with('{')) {
            size_t close = closing_brace(text.substr(dollar));
            std::optional<Braced> braced;
            if (close != std::string_view::npos) braced = parse_braced(rest.substr(1, close - 2));
            if (!braced) return std::unexpected(TemplateError{std::string(text), false, {}});
            auto value = expand(*braced, lookup, unset, depth);
            if (!value) return value;
            out += *value;
            at = dollar + close + 1;
        } else if (size_t length = name_length(rest); length > 0) {
            std::string_view name = rest.substr(0, length);
            std::optional<std::string> value = lookup(name);
            if (!value && unset) unset(name);
            out += value.value_or("");
            at = dollar + 1 + length;
        } else {
            out += '$';
            at = dollar + 1;
        }
    }
    return out;
}

void collect(std::string_view text, std::vector<VariableUse>& out, int depth) {
    for (size_t at = 0; depth <= kMaxNesting && at < text.size();) {
        size_t dollar = text.find('$', at);
        if (dollar == std::string_view::npos) return;
        std::string_view rest = text.substr(dollar + 1);
        if (rest.starts_with('{')) {
            size_t close = closing_brace(text.substr(dollar));
            if (close == std::string_view::npos) return;
            if (auto braced = parse_braced(rest.substr(1, close - 2))) {
                VariableUse use;
                use.name = std::string(braced->name);
                if (braced->op.ends_with('-')) use.default_value = std::string(braced->rest);
                if (braced->op.ends_with('+')) use.alternate = std::string(braced->rest);
                use.required = braced->op.ends_with('?');
                out.push_back(std::move(use));
                collect(braced->rest, out, depth + 1);
            }
            at = dollar + close + 1;
        } else if (size_t length = name_length(rest); length > 0) {
            VariableUse use;
            use.name = std::string(rest.substr(0, length));
            out.push_back(std::move(use));
            at = dollar + 1 + length;
        } else {
            at = dollar + (rest.starts_with('$') ? 2 : 1);
        }
    }
}

}  // namespace

std::expected<std::string, TemplateError> substitute(std::string_view text, const Lookup& lookup, const Unset& unset) {
    if (text.find('$') == std::string_view::npos) return std::string(text);
    return substitute_at(text, lookup, unset, 0);
}

std::vector<VariableUse> variables_of(std::string_view text) {
    std::vector<VariableUse> out;
    collect(text, out, 0);
    return out;
}

}  // namespace compose::model
