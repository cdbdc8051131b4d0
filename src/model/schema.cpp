// A validator for what our schema uses of JSON Schema draft 7 (type, properties, patternProperties, additionalProperties,
// required, items, oneOf, enum, uniqueItems, minimum, maximum, pattern, $ref), written for places and readable findings,
// which a general library does not give: of a `oneOf` it follows the branch whose type fits.
#include "model/schema.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>

#include <boost/json.hpp>

#include "base/text.h"
#include "model/hints.h"

namespace compose::model {

namespace {

namespace json = boost::json;

enum Type : unsigned { kNull = 1, kBool = 2, kInteger = 4, kNumber = 8, kString = 16, kArray = 32, kObject = 64 };

using Matcher = bool (*)(std::string_view);

bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_container_name(std::string_view text) {  // not anchored, as in Docker Compose
    for (size_t at = 0; at + 1 < text.size(); ++at) {
        char next = text[at + 1];
        if (is_alnum(text[at]) && (is_alnum(next) || next == '_' || next == '.' || next == '-')) return true;
    }
    return false;
}

bool is_pull_policy(std::string_view text) {  // not anchored either
    for (std::string_view word : {"always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"}) {
        if (text.find(word) != std::string_view::npos) return true;
    }
    constexpr std::string_view kEvery = "every_";
    for (size_t at = text.find(kEvery); at != std::string_view::npos; at = text.find(kEvery, at + 1)) {
        size_t digit = at + kEvery.size(), from = digit;
        while (digit < text.size() && text[digit] >= '0' && text[digit] <= '9') ++digit;
        if (digit > from && digit < text.size() && std::string_view("wdhms").find(text[digit]) != std::string_view::npos) return true;
    }
    return false;
}

/// The regular expressions that the schema uses, by hand: none of them can then be slow on hostile input.
Matcher matcher(std::string_view pattern) {
    static const std::map<std::string_view, Matcher> table = {
        {"^x-", [](std::string_view text) { return text.starts_with("x-"); }},
        {".+", [](std::string_view text) { return !text.empty(); }},
        {"^.+$", [](std::string_view text) { return !text.empty(); }},
        {"^[a-z]+$", [](std::string_view text) {
             return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
         }},
        {"^[a-zA-Z0-9._-]+$", [](std::string_view text) {
             return !text.empty() &&
                    std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
         }},
        {"[a-zA-Z0-9][a-zA-Z0-9_.-]+", is_container_name},
        {"always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+", is_pull_policy},
    };
    auto found = table.find(pattern);
    return found == table.end() ? nullptr : found->second;
}

struct Rule {
    unsigned types = 0;  ///< 0: any
    std::map<std::string, const Rule*, std::less<>> properties;
    std::vector<std::pair<Matcher, const Rule*>> patterns;
    bool closed = false;  ///< additionalProperties: false
    std::vector<std::string> required, allowed;  ///< allowed: enum
    const Rule* items = nullptr;
    std::vector<const Rule*> one_of;
    bool unique = false, deprecated = false;
    std::optional<double> minimum, maximum;
    std::string pattern;
    Matcher pattern_matcher = nullptr;
    std::string description;
};

/// Compiles the schema once; rules live as long as the process.
class Schema {
public:
    static const Schema& get() {
        static const Schema* schema = new Schema();  // never destroyed: no work at exit
        return *schema;
    }
    const Rule& root() const { return *root_; }

private:
    Schema() {
        json::monotonic_resource memory;
        json::value document = json::parse(schema_text(), &memory);
        definitions_ = &document.as_object().at("definitions").as_object();
        root_ = compile(document.as_object());
        definitions_ = nullptr;
    }

    static unsigned type_of(std::string_view name) {
        if (name == "null") return kNull;
        if (name == "boolean") return kBool;
        if (name == "integer") return kInteger;
        if (name == "number") return kNumber | kInteger;
        if (name == "string") return kString;
        if (name == "array") return kArray;
        return kObject;
    }

    const Rule* compile(const json::object& from) {
        if (auto* reference = from.if_contains("$ref")) {
            std::string name(reference->as_string());
            name = name.substr(name.rfind('/') + 1);
            if (auto known = named_.find(name); known != named_.end()) return known->second;
            return compile_into(named_[name] = add(), definitions_->at(name).as_object());
        }
        return compile_into(add(), from);
    }

    Rule* add() {
        rules_.push_back(std::make_unique<Rule>());
        return rules_.back().get();
    }

    const Rule* compile_into(Rule* rule, const json::object& from) {
        if (from.contains("$ref")) return compile(from);
        for (const auto& [key, value] : from) {
            if (key == "type") {
                if (value.is_string()) {
                    rule->types = type_of(value.as_string());
                } else {
                    for (const json::value& one : value.as_array()) rule->types |= type_of(one.as_string());
                }
            } else if (key == "properties") {
                for (const auto& [name, inner] : value.as_object()) rule->properties[std::string(name)] = compile(inner.as_object());
            } else if (key == "patternProperties") {
                for (const auto& [pattern, inner] : value.as_object()) {
                    rule->patterns.emplace_back(matcher(pattern), compile(inner.as_object()));
                }
            } else if (key == "additionalProperties") {
                rule->closed = value.is_bool() && !value.as_bool();
            } else if (key == "required") {
                for (const json::value& one : value.as_array()) rule->required.emplace_back(one.as_string());
            } else if (key == "enum") {
                for (const json::value& one : value.as_array()) rule->allowed.emplace_back(one.as_string());
            } else if (key == "items") {
                rule->items = compile(value.as_object());
            } else if (key == "oneOf") {
                for (const json::value& one : value.as_array()) rule->one_of.push_back(compile(one.as_object()));
            } else if (key == "uniqueItems") {
                rule->unique = value.as_bool();
            } else if (key == "deprecated") {
                rule->deprecated = value.as_bool();
            } else if (key == "minimum") {
                rule->minimum = value.to_number<double>();
            } else if (key == "maximum") {
                rule->maximum = value.to_number<double>();
            } else if (key == "pattern") {
                rule->pattern = std::string(value.as_string());
                rule->pattern_matcher = matcher(rule->pattern);
            } else if (key == "description" && value.is_string()) {
                rule->description = std::string(value.as_string());
            }
        }
        return rule;
    }

    const Rule* root_ = nullptr;
    const json::object* definitions_ = nullptr;
    std::map<std::string, Rule*> named_;
    std::vector<std::unique_ptr<Rule>> rules_;
};

unsigned type_of(const Node& node) {
    if (node.tag == Node::Tag::timestamp) return 0;
    if (node.is_null()) return kNull;
    if (node.is_bool()) return kBool;
    if (node.is_int()) return kInteger;
    if (node.is_double()) return std::trunc(node.as_double()) == node.as_double() ? kInteger | kNumber : kNumber;
    if (node.is_string()) return kString;
    return node.is_sequence() ? kArray : kObject;
}

/// All types that a value may have, also through oneOf.
unsigned types_of(const Rule& rule) {
    unsigned types = rule.types;
    for (const Rule* branch : rule.one_of) types |= types_of(*branch);
    return types;
}

std::string type_names(unsigned types) {
    std::vector<std::string> names;
    if (types & kObject) names.emplace_back("a mapping");
    if (types & kArray) names.emplace_back("a list");
    if (types & kString) names.emplace_back("a string");
    if (types & kNumber) names.emplace_back("a number");
    else if (types & kInteger) names.emplace_back("an integer");
    if (types & kBool) names.emplace_back("true or false");
    if (types & kNull) names.emplace_back("null");
    std::string out;
    for (size_t at = 0; at < names.size(); ++at) out += (at == 0 ? "" : at + 1 == names.size() ? " or " : ", ") + names[at];
    return out;
}

class Validator {
public:
    explicit Validator(Report& report) : report_(report) {}

    void check(const Node& node, const Rule& rule, const std::string& path, Place place) {
        Place at = node.place ? node.place : place;
        if (!rule.one_of.empty()) {
            const Rule* branch = choose(node, rule);
            if (branch == nullptr) return wrong_type(node, types_of(rule), path, at);
            return check(node, *branch, path, at);
        }
        if (rule.types != 0 && (type_of(node) & rule.types) == 0) return wrong_type(node, rule.types, path, at);
        if (!rule.allowed.empty() && node.is_string()) check_enum(node, rule, path, at);
        if (rule.pattern_matcher != nullptr && node.is_string() && !rule.pattern_matcher(node.as_string())) {
            report_.error(at, path, base::quote(node.as_string()) + " does not match " + rule.pattern);
        }
        if (node.is_number()) {
            double value = node.as_double();
            if (rule.minimum && value < *rule.minimum) report_.error(at, path, "must be at least " + short_number(*rule.minimum));
            if (rule.maximum && value > *rule.maximum) report_.error(at, path, "must be at most " + short_number(*rule.maximum));
        }
        if (node.is_mapping()) check_members(node, rule, path, at, place ? place : at);
        if (node.is_sequence()) check_items(node, rule, path, at);
    }

private:
    static std::string short_number(double value) { return std::to_string(static_cast<int64_t>(value)); }

    static const Rule* choose(const Node& node, const Rule& rule) {
        unsigned type = type_of(node);
        for (const Rule* branch : rule.one_of) {
            if ((type & types_of(*branch)) != 0 || types_of(*branch) == 0) return branch;
        }
        return nullptr;
    }

    void wrong_type(const Node& node, unsigned types, const std::string& path, Place at) {
        std::string what = node.tag == Node::Tag::timestamp ? "an unquoted date" : with_article(node.type_name());
        Wanted wanted{(types & kObject) != 0, (types & kArray) != 0, (types & kString) != 0, (types & kNumber) != 0, (types & kBool) != 0};
        report_.error(at, path, "must be " + type_names(types) + ", not " + what, type_hint(node, wanted, path));
    }

    void check_enum(const Node& node, const Rule& rule, const std::string& path, Place at) {
        const std::string& value = node.as_string();
        if (std::find(rule.allowed.begin(), rule.allowed.end(), value) != rule.allowed.end()) return;
        auto near = base::closest(value, rule.allowed);
        std::vector<std::string> quoted;
        for (const std::string& one : rule.allowed) quoted.push_back("'" + one + "'");
        report_.error(at, path, "must be one of " + base::join(quoted, ", ") + ", not " + base::quote(value),
                      near ? "did you mean " + base::quote(*near) + "?" : "");
    }

    /// `key` is the place of what has this mapping as its value.
    void check_members(const Node& node, const Rule& rule, const std::string& path, Place at, Place key) {
        for (const Node::Member& member : node.members()) {
            if (member.key.starts_with('#')) continue;  // the loader's own
            const Rule* inner = nullptr;
            if (auto found = rule.properties.find(member.key); found != rule.properties.end()) inner = found->second;
            for (const auto& [match, branch] : rule.patterns) {
                if (inner != nullptr) break;
                if (match != nullptr && match(member.key)) inner = branch;
            }
            std::string child = path.empty() ? member.key : path + "." + member.key;
            if (inner != nullptr) {
                check(member.value, *inner, child, member.place ? member.place : at);
            } else if (rule.closed) {
                unknown(member, rule, path, at);
            }
        }
        for (const std::string& name : rule.required) {
            if (node.find(name) == nullptr) report_.error(key, path, "missing property " + base::quote(name));
        }
    }

    void unknown(const Node::Member& member, const Rule& rule, const std::string& path, Place at) {
        Place place = member.place ? member.place : at;
        if (report_.full()) return report_.error(place, path, "unknown property " + base::quote(member.key));
        if (rule.properties.empty()) {
            report_.error(place, path, "invalid name " + base::quote(member.key),
                          "names hold letters, digits, dots, dashes and underscores");
            return;
        }
        std::vector<std::string> names;
        for (const auto& [name, inner] : rule.properties) names.push_back(name);
        std::string suggestion;
        std::string_view present = present_name(member.key);
        if (auto near = base::closest(member.key, names)) {
            suggestion = "did you mean " + base::quote(*near) + "?";
        } else if (rule.properties.contains(present)) {
            suggestion = "did you mean " + base::quote(present) + "?";
        } else if (path.empty() && (member.value.find("image") != nullptr || member.value.find("build") != nullptr)) {
            suggestion = "services stand below services:, indented";
        } else {
            for (const auto& [name, inner] : rule.properties) {
                if (has_property(*inner, member.key)) {
                    suggestion = "it belongs below " + base::quote(name);
                    break;
                }
            }
        }
        report_.error(place, path, "unknown property " + base::quote(member.key), suggestion);
    }

    static bool has_property(const Rule& rule, const std::string& name) {
        if (rule.properties.contains(name)) return true;
        return std::any_of(rule.one_of.begin(), rule.one_of.end(), [&](const Rule* branch) { return has_property(*branch, name); });
    }

    void check_items(const Node& node, const Rule& rule, const std::string& path, Place at) {
        const auto& items = node.items();
        if (rule.items != nullptr) {
            for (size_t index = 0; index < items.size(); ++index) {
                check(items[index], *rule.items, path + "[" + std::to_string(index) + "]", items[index].place ? items[index].place : at);
            }
        }
        if (rule.unique) check_unique(items, path, at);
    }

    void check_unique(const Node::Sequence& items, const std::string& path, Place at) {
        std::unordered_map<std::string_view, size_t> texts;  // strings, the usual case, in linear time
        std::vector<size_t> others;
        for (size_t index = 0; index < items.size(); ++index) {
            std::optional<size_t> twin;
            if (items[index].is_string()) {
                auto [known, fresh] = texts.emplace(items[index].as_string(), index);
                if (!fresh) twin = known->second;
            } else if (others.size() < 1000) {
                for (size_t other : others) {
                    if (items[other] == items[index]) twin = other;
                }
                others.push_back(index);
            }
            if (twin) {
                report_.error(items[index].place ? items[index].place : at, path,
                              "items at " + std::to_string(*twin) + " and " + std::to_string(index) + " are equal");
            }
        }
    }

    Report& report_;
};

}  // namespace

void validate_schema(const Node& root, Report& report) { Validator(report).check(root, Schema::get().root(), "", root.place); }

std::string schema_description(std::string_view path) {
    const Rule* rule = &Schema::get().root();
    while (!path.empty() && rule != nullptr) {
        size_t end = path.find_first_of(".[");
        std::string_view name = path.substr(0, end);
        path = end == std::string_view::npos ? std::string_view() : path.substr(end);
        bool index = path.starts_with('[');
        if (index) path = path.substr(std::min(path.size(), path.find(']') + 1));
        if (path.starts_with('.')) path.remove_prefix(1);
        const Rule* next = nullptr;
        std::function<void(const Rule&)> search = [&](const Rule& from) {
            if (next != nullptr) return;
            if (auto found = from.properties.find(name); found != from.properties.end()) next = found->second;
            for (const auto& [match, inner] : from.patterns) {
                if (next == nullptr && match != nullptr && match(name)) next = inner;
            }
            for (const Rule* branch : from.one_of) search(*branch);
        };
        search(*rule);
        if (index && next != nullptr && next->items != nullptr) next = next->items;
        rule = next;
    }
    return rule != nullptr ? rule->description : "";
}

std::vector<std::string> service_attributes() {
    std::vector<std::string> names;
    const Rule* services = Schema::get().root().properties.at("services");
    for (const auto& [name, rule] : services->patterns.front().second->properties) names.push_back(name);
    return names;
}

}  // namespace compose::model
