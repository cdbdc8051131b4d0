#include "cli/format.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "cli/table.h"

namespace compose::cli {

namespace json = boost::json;
using base::Code;
using base::fail;
using base::Result;

/// A piece of a template: text, an action's expression, or a block with its bodies.
struct Template::Node {
    enum class Kind : uint8_t { text, expression, condition, range, with } kind = Kind::text;
    std::string text;                          ///< text, or the source of the expression
    std::vector<std::vector<std::string>> pipe;  ///< commands of the pipe, each its words
    std::vector<Node> body, otherwise;
};

namespace {

using Node = Template::Node;
using Kind = Node::Kind;

/// The words of an action: names, "strings", numbers, ( and ) and |.
Result<std::vector<std::string>> words_of(std::string_view source) {
    std::vector<std::string> words;
    for (size_t i = 0; i < source.size();) {
        char c = source[i];
        if (c == ' ' || c == '\t' || c == '\n') {
            ++i;
        } else if (c == '|' || c == '(' || c == ')') {
            words.emplace_back(1, c);
            ++i;
            // (index .List 0).Name: the fields of what the brackets give stay with the bracket
            if (c == ')' && i < source.size() && source[i] == '.')
                for (; i < source.size() && std::string_view(" \t\n|()\"`").find(source[i]) == std::string_view::npos; ++i) words.back() += source[i];
        } else if (c == '"' || c == '`') {
            std::string word(1, '"');
            size_t j = i + 1;
            for (; j < source.size() && source[j] != c; ++j) {
                if (c == '"' && source[j] == '\\' && j + 1 < source.size()) {
                    char escaped = source[++j];
                    word += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
                } else {
                    word += source[j];
                }
            }
            if (j >= source.size()) return fail(Code::invalid, "template parsing error: unterminated quoted string");
            words.push_back(word);
            i = j + 1;
        } else {
            size_t j = i;
            while (j < source.size() && std::string_view(" \t\n|()\"`").find(source[j]) == std::string_view::npos) ++j;
            words.emplace_back(source.substr(i, j - i));
            i = j;
        }
    }
    return words;
}

/// `text` up to the end or to the block's {{else}} or {{end}}, whose source is left in `closing`.
Result<std::vector<Node>> nodes_of(std::string_view& text, std::string& closing, int depth) {
    std::vector<Node> nodes;
    if (depth > 32) return fail(Code::invalid, "template parsing error: blocks nested too deeply");
    bool trim_next = false;
    while (!text.empty()) {
        size_t open = text.find("{{");
        std::string plain(text.substr(0, open));
        if (trim_next) plain.erase(0, std::min(plain.find_first_not_of(" \t\r\n"), plain.size()));
        trim_next = false;
        bool trim_before = open != std::string_view::npos && text.substr(open).starts_with("{{- ");
        if (trim_before) plain.erase(plain.find_last_not_of(" \t\r\n") + 1);
        if (!plain.empty()) nodes.push_back({Kind::text, plain, {}, {}, {}});
        if (open == std::string_view::npos) {
            text = {};
            break;
        }
        text.remove_prefix(open + (trim_before ? 3 : 2));
        size_t close = text.find("}}");
        if (close == std::string_view::npos) return fail(Code::invalid, "template parsing error: unclosed action");
        std::string source = base::trim(text.substr(0, close));
        text.remove_prefix(close + 2);
        if (source.ends_with(" -")) {
            trim_next = true;
            source = base::trim(source.substr(0, source.size() - 1));
        }
        if (source.starts_with("/*")) continue;
        if (source == "end" || source == "else" || source.starts_with("else if ")) {
            closing = source;
            return nodes;
        }
        Node node{Kind::expression, source, {}, {}, {}};
        for (auto [word, kind] : {std::pair{"if ", Kind::condition}, {"range ", Kind::range}, {"with ", Kind::with}})
            if (source.starts_with(word)) node.kind = kind, node.text = source.substr(std::string_view(word).size());
        auto words = TRY(words_of(node.text));
        node.pipe.emplace_back();
        int parentheses = 0;
        for (auto& word : words) {
            parentheses += word == "(" ? 1 : word[0] == ')' ? -1 : 0;
            if (word == "|" && parentheses == 0)
                node.pipe.emplace_back();
            else
                node.pipe.back().push_back(word);
        }
        for (auto& command : node.pipe)
            if (command.empty()) return fail(Code::invalid, "template parsing error: missing value for command in " + base::quote("{{" + source + "}}"));
        if (node.kind != Kind::expression) {
            std::string end;
            node.body = TRY(nodes_of(text, end, depth + 1));
            if (end.starts_with("else if ")) {
                // {{else if X}}…{{end}} is {{else}}{{if X}}…{{end}}{{end}} with one {{end}} written
                std::string nested = "{{" + end.substr(5) + "}}" + std::string(text) + "{{end}}";
                std::string_view rest = nested;
                node.otherwise = TRY(nodes_of(rest, end, depth + 1));
                if (end == "end") text = text.substr(text.size() - std::min(text.size(), rest.size() < 7 ? 0 : rest.size() - 7));
            } else if (end == "else") {
                node.otherwise = TRY(nodes_of(text, end, depth + 1));
            }
            if (end != "end") return fail(Code::invalid, "template parsing error: unexpected EOF");
        }
        nodes.push_back(std::move(node));
    }
    closing.clear();
    return nodes;
}

bool truth(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null: return false;
        case json::kind::bool_: return value.get_bool();
        case json::kind::int64: return value.get_int64() != 0;
        case json::kind::uint64: return value.get_uint64() != 0;
        case json::kind::double_: return value.get_double() != 0;
        case json::kind::string: return !value.get_string().empty();
        case json::kind::array: return !value.get_array().empty();
        case json::kind::object: return !value.get_object().empty();
    }
    return false;
}

/// As Go prints a value: strings bare, lists [a b], maps map[k:v].
std::string show(const json::value& value) {
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_null()) return "<no value>";
    if (value.is_array()) {
        std::vector<std::string> parts;
        for (const auto& item : value.get_array()) parts.push_back(show(item));
        return "[" + base::join(parts, " ") + "]";
    }
    if (value.is_object()) {
        std::vector<std::string> parts;
        for (const auto& item : value.get_object()) parts.push_back(std::string(item.key()) + ":" + show(item.value()));
        return "map[" + base::join(parts, " ") + "]";
    }
    return json::serialize(value);
}

Result<json::value> field(const json::value& from, std::string_view path) {
    json::value value = from;
    for (const std::string& name : base::split(path, '.')) {
        if (name.empty()) continue;
        const json::object* object = value.if_object();
        const json::value* found = object ? object->if_contains(name) : nullptr;
        if (!found) {
            std::vector<std::string> known;
            if (object)
                for (const auto& item : *object) known.emplace_back(item.key());
            return fail(Code::invalid, "template: can't evaluate field " + name + (known.empty() ? "" : " (there are " + base::join(known, ", ") + ")"));
        }
        value = json::value(*found);
    }
    return value;
}

std::string printf_like(const std::vector<json::value>& values) {
    std::string format = show(values[0]), result;
    size_t next = 1;
    for (size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%' || i + 1 >= format.size()) {
            result += format[i];
            continue;
        }
        size_t end = i + 1;
        while (end < format.size() && std::string_view("-0123456789.").find(format[end]) != std::string_view::npos) ++end;
        char verb = end < format.size() ? format[end] : 's';
        if (verb == '%') {
            result += '%';
        } else {
            std::string text = next < values.size() ? show(values[next++]) : "%!" + std::string(1, verb) + "(MISSING)";
            if (verb == 'q') text = base::quote(text);
            bool left = format[i + 1] == '-';
            auto wanted = static_cast<size_t>(base::parse_int(base::cut(format.substr(i + 1 + left, end - i - 1 - left), '.').first).value_or(0));
            if (text.size() < std::min<size_t>(wanted, 4096)) left ? text.append(wanted - text.size(), ' ') : text.insert(0, wanted - text.size(), ' ');
            result += text;
        }
        i = end;
    }
    return result;
}

Result<json::value> call(const std::string& name, std::vector<json::value> values) {
    constexpr std::string_view kFunctions[] = {"and", "or", "printf", "print", "println", "json", "upper", "lower", "title", "not", "len", "eq",
                                               "ne", "lt", "le", "gt", "ge", "split", "join", "truncate", "slice", "index"};
    if (std::find(std::begin(kFunctions), std::end(kFunctions), name) == std::end(kFunctions))
        return fail(Code::invalid, "template parsing error: function " + base::quote(name) + " not defined");
    auto need = [&](size_t count) -> base::Status {
        if (values.size() < count) return fail(Code::invalid, "template: wrong number of arguments for " + name);
        return {};
    };
    if (name == "and" || name == "or") {
        TRY_VOID(need(1));
        for (auto& value : values)
            if (truth(value) == (name == "or")) return value;
        return values.back();
    }
    if (name == "printf" || name == "print" || name == "println") {
        TRY_VOID(need(1));
        if (name == "printf") return json::value(printf_like(values));
        std::vector<std::string> parts;
        for (auto& value : values) parts.push_back(show(value));
        return json::value(base::join(parts, name == "print" ? "" : " ") + (name == "println" ? "\n" : ""));
    }
    TRY_VOID(need(1));
    json::value& value = values.back();  // the piped value comes last
    if (name == "json") return json::value(json::serialize(value));
    if (name == "upper" || name == "lower" || name == "title") {
        std::string text = show(value);
        if (name == "lower") return json::value(base::to_lower(text));
        for (size_t i = 0; i < text.size(); ++i)
            if (name == "upper" || i == 0 || text[i - 1] == ' ') text[i] = static_cast<char>(toupper(static_cast<unsigned char>(text[i])));
        return json::value(text);
    }
    if (name == "not") return json::value(!truth(value));
    if (name == "len") {
        if (auto* list = value.if_array()) return json::value(list->size());
        if (auto* object = value.if_object()) return json::value(object->size());
        return json::value(show(value).size());
    }
    TRY_VOID(need(2));
    if (name == "eq") {
        for (size_t i = 1; i < values.size(); ++i)
            if (show(values[0]) == show(values[i])) return json::value(true);
        return json::value(false);
    }
    if (name == "ne") return json::value(show(values[0]) != show(values[1]));
    if (name == "lt" || name == "le" || name == "gt" || name == "ge") {
        double a = base::parse_int(show(values[0])).value_or(0), b = base::parse_int(show(values[1])).value_or(0);
        return json::value(name == "lt" ? a < b : name == "le" ? a <= b : name == "gt" ? a > b : a >= b);
    }
    if (name == "split" || name == "join") {
        // Docker's order: split TEXT SEPARATOR, join LIST SEPARATOR
        std::string separator = show(values[1]);
        if (name == "join") {
            std::vector<std::string> parts;
            if (auto* list = values[0].if_array())
                for (auto& item : *list) parts.push_back(show(item));
            return json::value(base::join(parts, separator));
        }
        json::array parts;
        std::string text = show(values[0]);
        for (size_t at = 0; !separator.empty();) {
            size_t end = text.find(separator, at);
            parts.emplace_back(text.substr(at, end == std::string::npos ? end : end - at));
            if (end == std::string::npos) break;
            at = end + separator.size();
        }
        return json::value(parts);
    }
    if (name == "truncate" || name == "slice") {
        auto length = static_cast<size_t>(base::parse_int(show(values[1])).value_or(0));
        return json::value(show(values[0]).substr(0, length));
    }
    if (name == "index") {
        json::value at = values[0];
        for (size_t i = 1; i < values.size(); ++i) {
            json::value next;
            if (auto* list = at.if_array()) {
                auto n = static_cast<size_t>(base::parse_int(show(values[i])).value_or(0));
                if (n >= list->size()) return fail(Code::invalid, "template: index out of range: " + show(values[i]));
                next = (*list)[n];
            } else if (auto* object = at.if_object()) {
                if (auto* found = object->if_contains(show(values[i]))) next = *found;
                if (next.is_null()) next = json::value("");
            }
            at = next;
        }
        return at;
    }
    return fail(Code::internal, "template function " + base::quote(name) + " has no meaning");
}

Result<json::value> evaluate(std::span<const std::string> words, std::optional<json::value> piped, const json::value& dot, const json::value& root, int depth);

/// One operand at words[at]; `at` moves past it.
Result<json::value> operand(std::span<const std::string> words, size_t& at, const json::value& dot, const json::value& root, int depth) {
    const std::string& word = words[at++];
    if (word == "(") {
        size_t begin = at;
        for (int level = 1; at < words.size(); ++at) {
            level += words[at] == "(" ? 1 : words[at][0] == ')' ? -1 : 0;
            if (level != 0) continue;
            const std::string& closing = words[at++];
            auto value = TRY(evaluate(words.subspan(begin, at - 1 - begin), std::nullopt, dot, root, depth + 1));
            return closing.size() > 1 ? field(value, closing.substr(1)) : Result<json::value>(std::move(value));
        }
        return fail(Code::invalid, "template parsing error: unclosed left paren");
    }
    if (word[0] == '"') return json::value(word.substr(1));
    if (word[0] == '$') return field(root, word.substr(1));
    if (word == ".") return dot;
    if (word[0] == '.') return field(dot, word);
    if (word == "true" || word == "false") return json::value(word == "true");
    if (auto number = base::parse_int(word)) return json::value(*number);
    return fail(Code::invalid, "template parsing error: function " + base::quote(word) + " not defined");
}

Result<json::value> evaluate(std::span<const std::string> words, std::optional<json::value> piped, const json::value& dot, const json::value& root, int depth) {
    if (depth > 32) return fail(Code::invalid, "template parsing error: parentheses nested too deeply");
    if (words.empty()) return fail(Code::invalid, "template parsing error: missing value for command");
    bool name = std::isalpha(static_cast<unsigned char>(words[0][0])) && words[0] != "true" && words[0] != "false";
    bool label = words[0] == ".Label";  // {{.Label "key"}}: Docker's method
    std::vector<json::value> values;
    size_t at = name || label ? 1 : 0;
    while (at < words.size()) values.push_back(TRY(operand(words, at, dot, root, depth)));
    if (piped) values.push_back(std::move(*piped));
    if (label) {
        auto labels = TRY(field(dot, ".Labels"));
        std::string key = values.empty() ? "" : show(values[0]);
        if (auto* object = labels.if_object()) return object->contains(key) ? object->at(key) : json::value("");
        for (const std::string& pair : base::split(show(labels), ',')) {
            auto [label_name, label_value] = base::cut(pair, '=');
            if (label_name == key) return json::value(label_value.value_or(""));
        }
        return json::value("");
    }
    if (name) return call(words[0], std::move(values));
    return values.empty() ? json::value() : std::move(values[0]);
}

Result<json::value> evaluate(const Node& node, const json::value& dot, const json::value& root) {
    std::optional<json::value> value;
    for (const auto& command : node.pipe) value = TRY(evaluate(command, std::move(value), dot, root, 0));
    return std::move(*value);
}

base::Status fill_into(std::string& result, const std::vector<Node>& nodes, const json::value& dot, const json::value& root) {
    for (const Node& node : nodes) {
        if (node.kind == Kind::text) {
            result += node.text;
            continue;
        }
        json::value value = TRY(evaluate(node, dot, root));
        if (node.kind == Kind::expression) {
            result += show(value);
        } else if (!truth(value)) {
            TRY_VOID(fill_into(result, node.otherwise, dot, root));
        } else if (node.kind == Kind::range) {
            if (auto* list = value.if_array())
                for (auto& item : *list) TRY_VOID(fill_into(result, node.body, item, root));
            if (auto* object = value.if_object())
                for (auto& item : *object) TRY_VOID(fill_into(result, node.body, item.value(), root));
        } else {
            TRY_VOID(fill_into(result, node.body, node.kind == Kind::with ? value : dot, root));
        }
    }
    return {};
}

/// `\t` and `\n` written as two characters are what the shell passes on.
std::string unescape(std::string_view text) {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n'))
            result += text[++i] == 't' ? '\t' : '\n';
        else
            result += text[i];
    }
    return result;
}

/// The heading of a column of `table {{.Name}}\t{{.Status}}`: the field's name in capitals.
std::string heading_of(const std::string& cell) {
    size_t dot = cell.find('.'), end = dot == std::string::npos ? dot : cell.find_first_of(" }|)", dot + 1);
    if (dot == std::string::npos) return cell;
    std::string words;
    for (char c : cell.substr(dot + 1, end - dot - 1)) {
        if (std::isupper(static_cast<unsigned char>(c)) && !words.empty() && !std::isupper(static_cast<unsigned char>(words.back()))) words += ' ';
        words += c;
    }
    for (char& c : words) c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
    return words;
}

}  // namespace

Result<Template> Template::parse(const std::string& text) {
    std::string unescaped = unescape(text), closing;
    std::string_view rest = unescaped;
    auto nodes = TRY(nodes_of(rest, closing, 0));
    if (!closing.empty()) return fail(Code::invalid, "template parsing error: unexpected {{" + closing + "}}");
    Template result;
    result.nodes_ = std::make_shared<const std::vector<Node>>(std::move(nodes));
    return result;
}

Result<std::string> Template::fill(const Row& row) const {
    std::string result;
    json::value dot(row);
    TRY_VOID(fill_into(result, *nodes_, dot, dot));
    return result;
}

std::string text_of(const Row& row, std::string_view name) {
    const json::value* value = row.if_contains(name);
    return value ? show(*value) : std::string();
}

Result<std::string> render(const Listing& listing, const std::string& format) {
    std::string result;
    if (format == "json") {
        if (listing.json_array) return json::serialize(json::array(listing.rows.begin(), listing.rows.end())) + "\n";
        for (const Row& row : listing.rows) result += json::serialize(row) + "\n";
        return result;
    }
    if (format.empty() || format == "table" || format == "pretty") {
        Table table(listing.heading);
        for (const Row& row : listing.rows) table.add(listing.cells(row));
        return table.text();
    }
    if (format.starts_with("table ")) {
        std::string text = unescape(base::trim(format.substr(6)));
        std::vector<std::string> cells = base::split(text, '\t'), heading;
        for (const std::string& cell : cells) heading.push_back(heading_of(cell));
        Table table(heading);
        for (const Row& row : listing.rows) {
            std::vector<std::string> filled;
            for (const std::string& cell : cells) filled.push_back(TRY(TRY(Template::parse(cell)).fill(row)));
            table.add(filled);
        }
        return table.text();
    }
    if (format.find("{{") == std::string::npos)
        return fail(Code::invalid, "unsupported format " + base::quote(format) + ": use table, json or a template such as '{{.Name}}'");
    Template filled = TRY(Template::parse(format));
    for (const Row& row : listing.rows) result += TRY(filled.fill(row)) + "\n";
    return result;
}

}  // namespace compose::cli
