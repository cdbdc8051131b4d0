#include "model/explain.h"

#include "base/text.h"
#include "model/interpolate.h"
#include "model/render.h"
#include "model/schema.h"

namespace compose::model {

namespace {

std::string place_text(const base::SourcePos& pos) {
    if (pos.file.empty()) return "(default)";
    return pos.file + ":" + std::to_string(pos.line) + ":" + std::to_string(pos.column);
}

/// Longest member first, since names may hold dots.
const Node* find_path(const Node* node, std::string_view path) {
    while (node != nullptr && !path.empty()) {
        if (path.front() == '.') path.remove_prefix(1);
        if (path.front() == '[') {
            size_t end = path.find(']');
            auto index = end == std::string_view::npos ? std::nullopt : base::parse_int(path.substr(1, end - 1));
            if (!index || !node->is_sequence() || *index < 0 || static_cast<size_t>(*index) >= node->items().size()) return nullptr;
            node = &node->items()[static_cast<size_t>(*index)];
            path.remove_prefix(end + 1);
            continue;
        }
        const Node* next = nullptr;
        size_t length = 0;
        if (node->is_mapping()) {
            for (const Node::Member& member : node->members()) {
                bool fits = !member.key.empty() && path.starts_with(member.key) && member.key.size() > length &&
                            (path.size() == member.key.size() || path[member.key.size()] == '.' || path[member.key.size()] == '[');
                if (!fits) continue;
                next = &member.value;
                length = member.key.size();
            }
        } else if (node->is_sequence()) {  // KEY=VALUE items
            for (const Node& item : node->items()) {
                if (item.is_string() && item.as_string().substr(0, item.as_string().find('=')) == path) return &item;
            }
        }
        if (next == nullptr) return nullptr;
        node = next;
        path.remove_prefix(length);
    }
    return node;
}

std::string variable_text(const Loaded& loaded, const std::string& name) {
    auto value = loaded.project.environment.find(name);
    auto origin = loaded.variable_origins.find(name);
    if (value == loaded.project.environment.end()) return name + " is not set";
    std::string from = origin != loaded.variable_origins.end() ? origin->second : name == "COMPOSE_PROJECT_NAME" ? "the project" : "the environment";
    return name + "=" + value->second + " from " + from;
}

void history(const Loaded& loaded, const Node& node, std::string& out) {
    auto line = [&](const Place& place, const std::string& text, const std::string& note) {
        out += "  " + place_text(loaded.project.files->pos(place)) + ": " + text + (note.empty() ? "" : "  (" + note + ")") + "\n";
    };
    const Origin* origin = node.before.get();
    // The newest is the value itself, unless interpolation made it of the text at the same place.
    bool interpolated = origin != nullptr && origin->place == node.place && origin->text.find('$') != std::string::npos;
    if (!interpolated) line(node.place, node.is_scalar() ? scalar_text(node) : std::string(node.type_name()), "");
    for (; origin != nullptr; origin = origin->before.get()) {
        bool uses = origin->text.find('$') != std::string::npos && !origin->note.empty();
        line(origin->place, origin->text, uses ? "" : origin->note);
        if (!uses) continue;
        for (const VariableUse& use : variables_of(origin->text)) out += "    " + variable_text(loaded, use.name) + "\n";
    }
}

std::string value_text(const Node& node) {
    if (node.is_scalar()) return node.is_null() ? "null" : scalar_text(node);
    return "\n" + to_yaml(node);
}

}  // namespace

base::Result<std::string> explain(const Loaded& loaded, const std::string& what) {
    const Project& project = loaded.project;
    auto used = loaded.variables.find(what);
    bool known_variable = used != loaded.variables.end() || project.environment.contains(what);
    const Node* node = project.tree ? find_path(project.tree.get(), what) : nullptr;
    std::string path = what;
    if (node == nullptr && project.tree) {
        path = "services." + what;
        node = find_path(project.tree.get(), path);
    }
    if (node == nullptr && known_variable) {
        std::string out = variable_text(loaded, what) + "\n";
        if (used == loaded.variables.end()) return out + "no file uses it\n";
        out += "used at\n";
        for (const base::SourcePos& pos : used->second.used_at) out += "  " + place_text(pos) + "\n";
        return out;
    }
    if (node == nullptr) {
        return base::fail(base::Code::not_found, "nothing to explain: " + base::quote(what) + " is neither an attribute that is set nor a variable");
    }
    std::string out = path + ": " + value_text(*node);
    if (!out.ends_with('\n')) out += '\n';
    history(loaded, *node, out);
    if (std::string text = schema_description(path); !text.empty()) out += "  — " + text + "\n";
    return out;
}

}  // namespace compose::model
