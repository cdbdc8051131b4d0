#include "model/hints.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/interpolate.h"
#include "model/schema.h"

namespace compose::model {

namespace {

constexpr size_t kLongestExample = 60;

bool is_service_attribute(std::string_view name) {
    static const std::vector<std::string> names = service_attributes();
    return std::binary_search(names.begin(), names.end(), name);
}

/// `text` as an item of a list, quoted where YAML would see something else in it.
std::string as_item(const Node& node) {
    const std::string& text = node.as_string();
    bool plain = !node.quoted && !text.empty() && text.find_first_of(":#,[]{}&*!|>'\"%@`") == std::string::npos;
    return plain ? text : base::quote(text);
}

bool is_duration(std::string_view path) {
    constexpr std::array kNames = {"interval", "timeout", "start_period", "start_interval", "stop_grace_period", "delay", "monitor", "window"};
    std::string_view last = path.substr(path.rfind('.') + 1);
    return std::find(kNames.begin(), kNames.end(), last) != kNames.end();
}

/// A service that is no mapping: a line in a wrong column, a blank that lacks, or only the image's name.
std::string service_hint(const Node& node, std::string_view name) {
    if (is_service_attribute(name)) return base::quote(name) + " is an attribute of a service: indent it below one";
    if (node.is_null()) return "say what it is below its name, at least image: or build:";
    if (node.is_sequence()) return "leave out the dashes: attributes are keys";
    if (!node.is_string()) return {};
    const std::string& text = node.as_string();
    size_t colon = text.find(':');
    if (colon != std::string::npos && colon + 1 < text.size() && is_service_attribute(text.substr(0, colon))) {
        return "a blank lacks behind the colon: " + text.substr(0, colon + 1) + " " + text.substr(colon + 1);
    }
    return text.find_first_of(" \n") == std::string::npos ? "write image: " + text + " below it" : "";
}

std::string_view line_of(std::string_view text, size_t number) {
    for (size_t line = 1; line < number; ++line) {
        size_t end = text.find('\n');
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end + 1);
    }
    return text.substr(0, text.find('\n'));
}

size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(" \t"), line.size()); }

/// `key: a: b`, or a line under one that lacks its colon or has its value already.
std::string second_colon_hint(const SyntaxError& error, std::string_view line) {
    std::string_view before = line.substr(0, std::min(error.column - 1, line.size()));
    if (before.find(": ") != std::string_view::npos) return "put the value in quotes: a colon and a blank inside of it start a mapping";
    for (size_t number = error.line - 1; number > 0; --number) {
        std::string above = base::trim(line_of(error.text, number));
        if (above.empty() || above.front() == '#') continue;
        std::string where = "line " + std::to_string(number);
        if (above.find(':') == std::string::npos) return "does " + where + " lack a colon at its end?";
        return where + " has a value already, so nothing can be indented below it";
    }
    return {};
}

}  // namespace

std::string with_article(std::string_view type) {
    if (type == "null") return "empty";
    return (type == "integer" ? "an " : "a ") + std::string(type);
}

std::string type_hint(const Node& node, const Wanted& wanted, std::string_view path) {
    constexpr std::string_view kServices = "services.";
    if (node.tag == Node::Tag::timestamp) return wanted.text ? "put it in quotes" : "";
    if (path.starts_with(kServices) && path.find_first_of(".[", kServices.size()) == std::string_view::npos) {
        return service_hint(node, path.substr(kServices.size()));
    }
    if (node.is_null()) return "give it a value or leave it out";
    if (node.is_number() && wanted.boolean) return "write true or false";
    if (node.is_number() && is_duration(path)) return "write it with its unit, as " + scalar_text(node) + "s";
    if (node.is_scalar() && !node.is_string() && wanted.text) return "put it in quotes";
    if (node.is_string() && wanted.list && !wanted.text) {
        std::string item = as_item(node);
        return item.size() < kLongestExample ? "write [" + item + "]" : "";
    }
    if (node.is_sequence() && wanted.mapping && !wanted.list) {
        const auto& items = node.items();
        if (!items.empty() && items.front().is_string()) {
            std::string example = items.front().as_string() + ":";
            if (example.size() < kLongestExample && example.find('=') == std::string::npos) return "leave out the dashes, write the name as a key: " + example;
        }
        return "leave out the dashes";
    }
    if (node.is_mapping() && wanted.list && !wanted.mapping) return "start each entry with a dash";
    return {};
}

std::string_view present_name(std::string_view name) {
    static constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames = {{
        {"cmd", "command"},
        {"cpu", "cpus"},
        {"dependencies", "depends_on"},
        {"env", "environment"},
        {"envs", "environment"},
        {"hosts", "extra_hosts"},
        {"log_driver", "logging"},
        {"log_opt", "logging"},
        {"memory", "mem_limit"},
        {"mounts", "volumes"},
        {"name", "container_name"},
        {"net", "network_mode"},
        {"variables", "environment"},
        {"workdir", "working_dir"},
    }};
    for (const auto& [other, present] : kNames) {
        if (other == name) return present;
    }
    return {};
}

std::string syntax_hint(const SyntaxError& error) {
    auto says = [&](std::string_view part) { return error.problem.find(part) != std::string_view::npos; };
    auto in = [&](std::string_view part) { return error.context.find(part) != std::string_view::npos; };
    std::string_view line = line_of(error.text, error.line);
    if (line.substr(0, indent_of(line)).find('\t') != std::string_view::npos) return "indent with blanks, YAML takes no tabs";
    if (says("UTF-8")) return "save the file as UTF-8";
    if (says("cannot start any token") && error.column >= 1 && error.column <= line.size()) {
        char sign = line[error.column - 1];
        if (sign == '\t') return "indent with blanks, YAML takes no tabs";
        return std::string("put the value in quotes: ") + sign + " cannot be its first sign";
    }
    if (in("scanning an alias") || in("scanning an anchor")) return "put a value that starts with * or & in quotes";
    if (says("mapping values are not allowed")) return second_colon_hint(error, line);
    if (says("unexpected end of stream") && in("quoted scalar")) return "the quote that opens here is not closed";
    if (says("unknown escape character")) return "write \\\\ for a backslash, or use single quotes";
    if (says("block sequence entries are not allowed")) return "start the list on a line of its own";
    if (says("could not find expected ':'")) return "does line " + std::to_string(error.context_line) + " lack a colon?";
    if (in("flow mapping")) return "is a comma missing, or the } of line " + std::to_string(error.context_line) + "?";
    if (in("flow sequence")) return "is a comma missing, or the ] of line " + std::to_string(error.context_line) + "?";
    size_t column = indent_of(line) + 1;
    bool shifted = error.context_column > 0 && column != error.context_column && error.column == column;
    if (in("block mapping") && shifted) {
        return "it starts in column " + std::to_string(column) + ", the other keys in column " + std::to_string(error.context_column);
    }
    if (in("block collection")) {
        return "each entry of a list starts with a dash in one column" + (shifted ? ", here column " + std::to_string(error.context_column) : std::string());
    }
    return {};
}

}  // namespace compose::model
