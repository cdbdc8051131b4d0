// Relative paths of a file become relative to the project directory, or absolute (compose-spec: each attribute's chapter).
#include <climits>
#include <cstdlib>
#include <functional>

#include "base/text.h"
#include "model/canonical.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

bool is_absolute(std::string_view path) { return path.starts_with('/'); }

bool is_windows_absolute(std::string_view path) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (path.size() > 2 && letter(path[0]) && path[1] == ':') return path[2] == '\\' || path[2] == '/';
    return path.starts_with("\\\\");
}

bool is_remote_context(std::string_view context) {
    for (std::string_view prefix : {"https://", "http://", "git://", "ssh://", "github.com/", "git@"}) {
        if (context.starts_with(prefix)) return true;
    }
    return context.find("://") != std::string_view::npos || context.starts_with("service:");
}

class Resolver {
public:
    Resolver(std::string folder, std::string home, Report& report)
        : folder_(std::move(folder)), home_(std::move(home)), report_(report) {}

    void run(Node& root) {
        each(root.find("services"), [this](const std::string& name, Node& service) { this->service(service, "services." + name); });
        for (const char* kind : {"configs", "secrets"}) {
            each(root.find(kind), [this](const std::string&, Node& object) { file(object.find("file")); });
        }
        each(root.find("volumes"), [this](const std::string&, Node& volume) {
            const Node* driver = volume.find("driver");
            Node* options = volume.find("driver_opts");
            if (driver == nullptr || options == nullptr || !(*driver == Node("local"))) return;
            const Node* mode = options->find("o");
            if (mode != nullptr && *mode == Node("bind")) file(options->find("device"));
        });
    }

private:
    static void each(Node* mapping, const std::function<void(const std::string&, Node&)>& visit) {
        if (mapping == nullptr || !mapping->is_mapping()) return;
        for (Node::Member& member : mapping->members()) visit(member.key, member.value);
    }
    static void each_item(Node* list, const std::function<void(size_t, Node&)>& visit) {
        if (list == nullptr || !list->is_sequence()) return;
        for (size_t index = 0; index < list->items().size(); ++index) visit(index, list->items()[index]);
    }

    std::string expand_user(const std::string& path) const {
        if (!path.starts_with('~') || home_.empty()) return path;
        return join_path(home_, path.substr(1));
    }

    /// An empty path stays empty.
    void path(Node* node) const {
        if (node == nullptr || !node->is_string()) return;
        std::string& value = node->as_string();
        value = expand_user(value);
        if (!value.empty() && !is_absolute(value)) value = join_path(folder_, value);
    }

    /// A path that may be one of Windows; an empty one is the folder.
    void file(Node* node) const {
        if (node == nullptr || !node->is_string()) return;
        std::string& value = node->as_string();
        value = expand_user(value);
        if (!is_absolute(value) && !is_windows_absolute(value)) value = join_path(folder_, value);
    }

    void context(Node* node) const {
        if (node == nullptr || !node->is_string() || is_remote_context(node->as_string())) return;
        path(node);
    }

    void watched(Node* node) const {
        path(node);
        if (node == nullptr || !node->is_string() || !is_absolute(node->as_string())) return;
        char real[PATH_MAX];
        if (::realpath(node->as_string().c_str(), real) != nullptr) node->as_string() = real;
    }

    void service(Node& service, const std::string& at) {
        if (Node* build = service.find("build")) {
            context(build->find("context"));
            each(build->find("additional_contexts"), [this](const std::string&, Node& value) { context(&value); });
            each(build->find("ssh"), [this](const std::string&, Node& value) { file(&value); });
        }
        each_item(service.find("env_file"), [this](size_t, Node& entry) { path(entry.find("path")); });
        each_item(service.find("label_file"), [this](size_t, Node& entry) { path(&entry); });
        extends(service.find("extends"));
        if (Node* develop = service.find("develop")) {
            each_item(develop->find("watch"), [this](size_t, Node& rule) { watched(rule.find("path")); });
        }
        each_item(service.find("volumes"), [&](size_t index, Node& volume) {
            const Node* type = volume.find("type");
            if (type == nullptr || !(*type == Node("bind"))) return;
            Node* source = volume.find("source");
            if (source == nullptr) {  // an empty one, of a variable that is not set, is the project directory, as in Docker Compose
                report_.error(volume.place, at + ".volumes[" + std::to_string(index) + "]",
                              "invalid mount config for type \"bind\": field Source must not be empty");
                return;
            }
            file(source);
        });
    }

    void extends(Node* node) const {
        if (node == nullptr) return;
        if (node->is_sequence()) {
            for (Node& one : node->items()) path(one.find("file"));
        } else {
            path(node->find("file"));
        }
    }

    std::string folder_, home_;
    Report& report_;
};

}  // namespace

std::string join_path(const std::string& folder, const std::string& path) {
    if (folder.empty() && path.empty()) return "";
    if (folder.empty()) return clean_path(path);
    return clean_path(folder + "/" + path);
}

void resolve_paths(Node& root, const std::string& folder, const std::string& home, Report& report) {
    Resolver(folder, home, report).run(root);
}

}  // namespace compose::model
