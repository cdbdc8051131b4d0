#include "model/explain.h"

#include <algorithm>

#include "base/text.h"
#include "model/discover.h"
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

class History {
public:
    explicit History(const Loaded& loaded) : loaded_(loaded) {}

    /// Of a value and, when its parts were written in places of their own, of each part.
    void of(const Node& node, const std::string& path, bool part) {
        bool whole = node.is_scalar() || node.size() == 0 || is_one_place(node, node.place);
        if (!whole) {
            for (const Node::Member& member : members(node)) of(member.value, path + "." + member.key, true);
            for (size_t index = 0; index < items(node).size(); ++index) of(items(node)[index], path + "[" + std::to_string(index) + "]", true);
            return;
        }
        if (part) text_ += path + ": " + one_line(node) + "\n";
        chain(node);
    }
    const std::string& text() const { return text_; }

private:
    static const Node::Mapping& members(const Node& node) {
        static const Node::Mapping none;
        return node.is_mapping() ? node.members() : none;
    }
    static const Node::Sequence& items(const Node& node) {
        static const Node::Sequence none;
        return node.is_sequence() ? node.items() : none;
    }
    static std::string one_line(const Node& node) {
        if (node.is_scalar()) return node.is_null() ? "null" : scalar_text(node);
        return node.is_mapping() ? "{…}" : "[…]";
    }
    /// Made of one short text, or not from a file at all.
    static bool is_one_place(const Node& node, const Place& place) {
        auto same = [&](const Node& child) { return child.place == place && (child.is_scalar() || is_one_place(child, place)); };
        for (const Node::Member& member : members(node)) {
            if (!same(member.value)) return false;
        }
        return std::all_of(items(node).begin(), items(node).end(), same);
    }

    void line(const Place& place, const std::string& text, const std::string& note) {
        text_ += "  " + place_text(loaded_.project.files->pos(place)) + ": " + text + (note.empty() ? "" : "  (" + note + ")") + "\n";
    }

    void chain(const Node& node) {
        const Origin* origin = node.before.get();
        // The newest is the value itself, unless interpolation made it of the text at the same place.
        bool interpolated = origin != nullptr && origin->place == node.place && !origin->uses.empty();
        if (!interpolated) line(node.place, one_line(node), "");
        for (; origin != nullptr; origin = origin->before.get()) {
            // What a text became and the text itself stand at one place: the text says both.
            const Origin* made_of = origin->before.get();
            if (origin->uses.empty() && made_of != nullptr && made_of->place == origin->place && !made_of->uses.empty()) {
                line(origin->place, made_of->text, origin->note);
                origin = made_of;
            } else {
                line(origin->place, origin->text, origin->note);
            }
            for (const std::string& use : origin->uses) text_ += "    " + use + "\n";
        }
    }

    const Loaded& loaded_;
    std::string text_;
};

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
        std::string out = tell_variable(what, project.environment, loaded.sources) + "\n";
        if (used == loaded.variables.end()) return out + "no file uses it\n";
        out += "used at\n";
        for (const base::SourcePos& pos : used->second.used_at) out += "  " + place_text(pos) + "\n";
        return out;
    }
    if (node == nullptr && project.tree) {
        // A variable that only containers see: env_file gives those, and files do not know them.
        std::string out;
        for (const auto& [name, service] : project.services) {
            std::string inside = "services." + name + ".environment." + what;
            const Node* value = service.environment.contains(what) ? find_path(project.tree.get(), inside) : nullptr;
            if (value == nullptr) continue;
            out += inside + ": " + value_text(*value) + "\n";
            History history(loaded);
            history.of(*value, inside, false);
            out += history.text();
        }
        if (!out.empty()) return what + " is no variable of the files, only of containers\n" + out;
    }
    if (node == nullptr) {
        return base::fail(base::Code::not_found, "nothing to explain: " + base::quote(what) + " is neither an attribute that is set nor a variable");
    }
    std::string out = path + (node->is_scalar() ? ": " : ":") + value_text(*node);
    if (!out.ends_with('\n')) out += '\n';
    History history(loaded);
    history.of(*node, path, false);
    out += history.text();
    if (std::string text = schema_description(path); !text.empty()) out += "  — " + text + "\n";
    return out;
}

}  // namespace compose::model
