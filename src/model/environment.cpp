#include "model/environment.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "model/dotenv.h"
#include "model/provenance.h"

namespace compose::model {

namespace {

constexpr size_t kMaxEnvFile = 8u << 20;
constexpr size_t kEntry = 100;             ///< bytes that a variable costs besides its text
constexpr size_t kMaxCopies = 256u << 20;  ///< bytes that env files may put into all services together

struct FileOfVariables {
    Project& project;
    Report& report;
    std::map<std::string, std::shared_ptr<const std::string>> cache;  ///< many services share one file
    size_t copied = 0;

    /// False, with a finding, when the services hold too much by now.
    bool charge(size_t bytes, Place where, const std::string& path) {
        bool fitted = copied <= kMaxCopies;
        copied += bytes;
        if (copied <= kMaxCopies) return true;
        if (fitted) report.error(where, path, "env files put more than " + std::to_string(kMaxCopies >> 20) + " MiB into the services");
        return false;
    }

    /// The file's text; null after a finding, or when an optional file is absent.
    std::shared_ptr<const std::string> read(const std::string& file, bool required, const char* what, const std::string& path, const Node* at) {
        if (auto known = cache.find(file); known != cache.end()) return known->second;
        struct stat info{};
        Place where = at != nullptr ? at->place : Place{};
        if (::stat(file.c_str(), &info) != 0) {
            int error = errno;
            if (!required) return nullptr;
            report.error(where, path, std::string(what) + " " + file + " not found: stat " + file + ": " + base::errno_text(error),
                         std::string_view(what) == "env file" ? "create it, or say required: false beside its path" : "");
            return nullptr;
        }
        if (S_ISDIR(info.st_mode)) {
            report.error(where, path, "read " + file + ": is a directory");
            return nullptr;
        }
        auto text = base::read_file(file, kMaxEnvFile);
        if (!text) {
            report.error(where, path, text.error().message());
            return nullptr;
        }
        auto shared = std::make_shared<const std::string>(std::move(*text));
        cache[file] = shared;
        return shared;
    }

    void failed(const std::string& file, const std::shared_ptr<const std::string>& text, const DotenvError& error) {
        uint32_t index = report.files.add(file, file, text);
        report.error({index, static_cast<uint32_t>(std::max(error.line, 1)), 1}, "", "failed to read " + file + ": " + error.message);
    }
};

const Node* item_node(const Project& project, const std::string& service, std::string_view key, size_t index) {
    const Node* services = project.tree ? project.tree->find("services") : nullptr;
    const Node* node = services != nullptr ? services->find(service) : nullptr;
    node = node != nullptr ? node->find(key) : nullptr;
    if (node == nullptr || !node->is_sequence() || index >= node->items().size()) return nullptr;
    const Node* item = &node->items()[index];
    if (const Node* path = item->find("path")) return path->place ? path : item;
    return item;
}

}  // namespace

void resolve_env_files(Project& project, Report& report, const std::string* only, Node* tree) {
    FileOfVariables loader{project, report, {}};
    std::optional<Provenance> provenance;
    if (tree != nullptr) provenance.emplace(*tree, report, project.working_dir, "environment");
    for (auto& [name, service] : project.services) {
        if (only != nullptr && name != *only) continue;
        for (auto& [key, value] : service.environment) {
            if (value) continue;
            auto found = project.environment.find(key);
            if (found != project.environment.end()) value = found->second;
        }
        if (service.env_files.empty()) continue;
        Variables values;
        for (const auto& [key, value] : service.environment) {
            if (value) values[key] = *value;
        }
        Lookup lookup = [&](std::string_view key) -> std::optional<std::string> {
            std::string text(key);
            if (auto found = project.environment.find(text); found != project.environment.end()) return found->second;
            if (auto found = service.environment.find(text); found != service.environment.end()) return found->second;
            return std::nullopt;
        };
        for (size_t index = 0; index < service.env_files.size(); ++index) {
            const EnvFile& file = service.env_files[index];
            std::string path = "services." + name + ".env_file[" + std::to_string(index) + "]";
            const Node* at = item_node(project, name, "env_file", index);
            if (!file.format.empty() && file.format != "raw") {
                report.error(at != nullptr ? at->place : Place{}, path, "unsupported env_file format " + base::quote(file.format),
                             "the only format is \"raw\"");
                continue;
            }
            auto text = loader.read(file.path, file.required, "env file", path, at);
            if (!text || !loader.charge(text->size(), at != nullptr ? at->place : Place{}, path)) continue;
            std::map<std::string, int> lines;
            std::map<std::string, int>* noted = provenance ? &lines : nullptr;
            auto done = file.format == "raw" ? parse_raw_env(*text, values, lookup, noted) : parse_dotenv(*text, values, lookup, {}, noted);
            if (!done) loader.failed(file.path, text, done.error());
            if (provenance) provenance->note(file.path, text, lines, values);
        }
        size_t bytes = 0;
        for (const auto& [key, value] : values) bytes += key.size() + value.size() + kEntry;
        if (!loader.charge(bytes, {}, "services." + name + ".env_file")) return;
        Environment merged;
        for (auto& [key, value] : values) merged[key] = value;
        for (auto& [key, value] : service.environment) merged[key] = value;
        service.environment = std::move(merged);
        if (provenance) provenance->apply(name);
    }
}

void resolve_label_files(Project& project, Report& report, const std::string* only, Node* tree) {
    FileOfVariables loader{project, report, {}};
    std::optional<Provenance> provenance;
    if (tree != nullptr) provenance.emplace(*tree, report, project.working_dir, "labels");
    for (auto& [name, service] : project.services) {
        if (only != nullptr && name != *only) continue;
        if (service.label_files.empty()) continue;
        Variables values;
        Lookup lookup = [&](std::string_view key) -> std::optional<std::string> {
            auto found = service.labels.find(std::string(key));
            if (found == service.labels.end()) return std::nullopt;
            return found->second;
        };
        for (size_t index = 0; index < service.label_files.size(); ++index) {
            const std::string& file = service.label_files[index];
            std::string path = "services." + name + ".label_file[" + std::to_string(index) + "]";
            auto text = loader.read(file, true, "label file", path, item_node(project, name, "label_file", index));
            if (!text || !loader.charge(2 * text->size(), {}, path)) continue;
            std::map<std::string, int> lines;
            if (auto done = parse_dotenv(*text, values, lookup, {}, provenance ? &lines : nullptr); !done) loader.failed(file, text, done.error());
            if (provenance) provenance->note(file, text, lines, values);
        }
        if (provenance) provenance->apply(name);
        for (auto& [key, value] : values) service.labels.try_emplace(key, value);
    }
}

}  // namespace compose::model
