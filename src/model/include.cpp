// `include` (compose-spec 14-include.md): another project's files, with its own folder and variables, become a part of this.
#include <sys/stat.h>

#include <climits>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "model/canonical.h"
#include "model/hints.h"
#include "model/loader.h"

namespace compose::model {

namespace {

bool is_folder(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

/// Two names of one file are one file: a link must not hide a cycle.
std::string real_path(const std::string& path) {
    char buffer[PATH_MAX];
    return ::realpath(path.c_str(), buffer) != nullptr ? buffer : path;
}

/// `path` as seen from `folder`, by names alone.
std::string relative_to(const std::string& folder, const std::string& path) {
    std::vector<std::string> from = base::split(folder, '/'), to = base::split(path, '/');
    std::erase(from, "");
    std::erase(to, "");
    size_t common = 0;
    while (common < from.size() && common < to.size() && from[common] == to[common]) ++common;
    std::string out;
    for (size_t at = common; at < from.size(); ++at) out += out.empty() ? ".." : "/..";
    for (size_t at = common; at < to.size(); ++at) out += (out.empty() ? "" : "/") + to[at];
    return out.empty() ? "." : out;
}

std::vector<std::string> string_list(const Node* node) {
    std::vector<std::string> out;
    if (node == nullptr) return out;
    if (node->is_string()) out.push_back(node->as_string());
    if (node->is_sequence()) {
        for (const Node& item : node->items()) {
            if (item.is_string()) out.push_back(item.as_string());
        }
    }
    return out;
}

bool is_remote(const std::string& path) {
    return path.find("://") != std::string::npos || path.starts_with("git@") || path.starts_with("oci:");
}

}  // namespace

void Loader::apply_includes(Node& document, const std::string& file, Context& context) {
    Node* list = document.find("include");
    if (list == nullptr) return;
    Node entries = std::move(*list);
    document.erase("include");
    if (entries.is_null()) return;
    if (!entries.is_sequence()) {
        report_.error(entries.place, "include", "`include` must be a list, not " + with_article(entries.type_name()),
                      type_hint(entries, Wanted{.list = true}, "include"));
        return;
    }
    for (size_t index = 0; index < entries.items().size(); ++index) include_one(entries.items()[index], index, document, file, context);
}

void Loader::include_one(const Node& entry, size_t index, Node& document, const std::string& file, Context& context) {
    std::string path = "include[" + std::to_string(index) + "]";
    auto wrong = [&](std::string message, std::string suggestion = {}) {
        report_.error(entry.place, path, std::move(message), std::move(suggestion));
    };
    std::vector<std::string> paths, env_files;
    std::string project_directory;
    if (entry.is_string()) {
        paths = {entry.as_string()};
    } else if (entry.is_mapping()) {
        paths = string_list(entry.find("path"));
        env_files = string_list(entry.find("env_file"));
        if (const Node* folder = entry.find("project_directory"); folder != nullptr && folder->is_string()) project_directory = folder->as_string();
        for (const Node::Member& member : entry.members()) {
            if (member.key == "path" || member.key == "env_file" || member.key == "project_directory") continue;
            auto near = base::closest(member.key, {"path", "env_file", "project_directory"});
            report_.warning(member.place, path, "unknown property " + base::quote(member.key) + " is ignored",
                            near ? "did you mean " + base::quote(*near) + "?" : "");
        }
    } else {
        return wrong("must be a path or a mapping, not " + with_article(entry.type_name()));
    }
    if (paths.empty()) return;  // nothing to include, as Docker Compose sees it

    Context inner;
    std::vector<std::string> files;
    for (const std::string& one : paths) {
        if (is_remote(one)) return wrong("remote files cannot be included: " + one, "keep a copy beside the project");
        files.push_back(absolute_path(one, context.folder));
    }
    // Where relative paths of the included files start, as Docker Compose has it: a folder that is not there counts as its parent.
    if (project_directory.empty()) {
        inner.folder = folder_of(files[0]);
        inner.rel_folder = relative_to(context.folder, inner.folder);
    } else {
        inner.folder = absolute_path(project_directory, context.folder);
        if (project_directory.starts_with('/')) inner.rel_folder = project_directory;
        else inner.rel_folder = relative_to(context.folder, is_folder(inner.folder) ? inner.folder : folder_of(inner.folder));
    }
    inner.chain = context.chain;
    inner.chain.push_back(file);
    std::string real = real_path(files[0]);
    for (size_t at = 0; at < inner.chain.size(); ++at) {
        if (real_path(inner.chain[at]) != real) continue;
        std::string message = "include cycle detected: " + shown(inner.chain[0]);
        for (size_t next = 1; next < inner.chain.size(); ++next) message += " include " + shown(inner.chain[next]);
        return wrong(message + " include " + shown(files[0]));
    }

    // Its own variables: those that are known here win.
    std::vector<std::string> sources;
    if (env_files.empty()) {
        std::string dotenv = inner.folder + "/.env";
        if (base::exists(dotenv) && !is_folder(dotenv)) sources.push_back(dotenv);
    }
    for (const std::string& one : env_files) {
        std::string absolute = absolute_path(one, context.folder);
        if (!base::exists(absolute)) return wrong("stat " + absolute + ": no such file or directory");
        if (is_folder(absolute)) return wrong(absolute + " is not a file");
        sources.push_back(absolute);
    }
    Variables values;
    inner.sources = context.sources;
    for (const std::string& source : sources) {
        auto text = base::read_file(source, 8u << 20);
        if (!text) return wrong(text.error().message());
        std::map<std::string, int> lines;
        Lookup lookup = [&](std::string_view name) -> std::optional<std::string> {
            auto known = context.variables.find(std::string(name));
            if (known == context.variables.end()) return std::nullopt;
            return known->second;
        };
        auto done = parse_dotenv(*text, values, lookup, {}, options_.explain ? &lines : nullptr);
        for (const auto& [name, line] : lines) {
            note_source(inner.sources, name, shown(source) + ":" + std::to_string(line), values[name], context.variables.contains(name));
        }
        if (!done) {
            uint32_t number = report_.files.add(shown(source), source, std::make_shared<const std::string>(std::move(*text)));
            report_.error({number, static_cast<uint32_t>(std::max(done.error().line, 1)), 1}, "", "failed to read " + source + ": " + done.error().message);
            return;
        }
    }
    inner.variables = context.variables;
    for (auto& [name, value] : values) inner.variables.try_emplace(name, std::move(value));

    for (const std::string& one : files) {
        if (documents(one, entry.place, path) == nullptr) return;
    }
    Node model = load_model(files, inner, true);
    import(model, document, entry, path);
}

/// Adds what the included model defines; two different definitions of one name are an error.
bool Loader::import(Node& from, Node& into, const Node& entry, const std::string& path) {
    bool good = true;
    for (const char* kind : {"services", "volumes", "networks", "secrets", "configs", "models"}) {
        Node* source = from.find(kind);
        if (source == nullptr || !source->is_mapping()) continue;
        Node& target = into.at(kind);
        if (!target.is_mapping()) target = Node::mapping();
        for (Node::Member& member : source->members()) {
            const Node* known = target.find(member.key);
            if (target.size() > kMaxEntries) break;  // refused when the model is whole
            if (known == nullptr) {
                target.members().push_back(std::move(member));
            } else if (!(*known == member.value)) {
                std::string name = std::string(kind) + "." + member.key;
                report_.error(known->place ? known->place : entry.place, name, name + " conflicts with imported resource",
                              "give one of them another name, or change the included one in an override file");
                if (member.place) report_.relate({report_.files.pos(member.place)});
                good = false;
            }
        }
    }
    (void)path;
    return good;
}

}  // namespace compose::model
