#include "model/discover.h"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "base/file.h"
#include "base/text.h"
#include "model/short_forms.h"

extern "C" char** environ;

namespace compose::model {

namespace {

constexpr const char* kFileNames[] = {"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};
constexpr const char* kOverrideNames[] = {"compose.override.yml", "compose.override.yaml", "docker-compose.override.yml",
                                          "docker-compose.override.yaml"};

std::string parent(const std::string& path) {
    size_t slash = path.rfind('/');
    return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

template <size_t N>
std::vector<std::string> present(const char* const (&names)[N], const std::string& folder) {
    std::vector<std::string> out;
    for (const char* name : names) {
        std::string path = folder == "/" ? folder + name : folder + "/" + name;
        if (base::exists(path)) out.push_back(path);
    }
    return out;
}

class Discovery {
public:
    Discovery(const LoadOptions& options, Report& report) : options_(options), report_(report), here_(current_folder(options)) {}

    Found run() {
        found_.variables = options_.environment;
        for (const std::string& file : options_.files) found_.files.push_back(file == "-" ? file : absolute_path(file, here_));
        choose_env_files();
        read_dotenv();
        files_from_variable();
        files_by_default();
        found_.folder = folder();
        read_dotenv();  // the folder may be another one now; what is set stays
        return std::move(found_);
    }

private:
    std::string folder() const {
        if (!options_.project_directory.empty()) return absolute_path(options_.project_directory, here_);
        for (const std::string& file : found_.files) {
            if (file != "-") return parent(file);
        }
        return here_;
    }

    std::optional<std::string> variable(const std::string& name) const {
        auto found = found_.variables.find(name);
        if (found == found_.variables.end()) return std::nullopt;
        return found->second;
    }

    void choose_env_files() {
        std::vector<std::string> files = options_.env_files;
        if (files.empty()) {
            auto listed = options_.environment.find("COMPOSE_ENV_FILES");
            if (listed != options_.environment.end() && !listed->second.empty()) files = base::split(listed->second, ',');
        }
        for (const std::string& file : files) found_.env_files.push_back(absolute_path(file, here_));
    }

    void read_dotenv() {
        std::vector<std::string> files = found_.env_files;
        bool given = !files.empty();
        if (!given) {
            auto off = options_.environment.find("COMPOSE_DISABLE_ENV_FILE");
            if (off != options_.environment.end() && is_truthy(off->second)) return;
            std::string file = folder() + "/.env";
            struct stat info{};
            if (::stat(file.c_str(), &info) != 0 || S_ISDIR(info.st_mode)) return;
            files.push_back(std::move(file));
        }
        if (files == read_) return;
        read_ = files;
        Variables values;
        for (const std::string& file : files) read_one(file, values);
        for (auto& [name, value] : values) found_.variables.try_emplace(name, value);
    }

    void read_one(const std::string& file, Variables& values) {
        struct stat info{};
        if (::stat(file.c_str(), &info) != 0) return report_.file_error("", "couldn't find env file: " + file);
        if (S_ISDIR(info.st_mode)) return report_.file_error("", file + " is a directory");
        auto text = base::read_file(file, 8u << 20);
        if (!text) return report_.file_error("", text.error().message());
        auto shared = std::make_shared<const std::string>(std::move(*text));
        std::map<std::string, int> lines;
        std::vector<std::string> unset;
        auto done = parse_dotenv(
            *shared, values, [this](std::string_view name) { return variable(std::string(name)); },
            [&](std::string_view name) { unset.emplace_back(name); }, &lines);
        uint32_t index = report_.files.add(shown(file), file, shared);
        if (!done) {
            report_.error({index, static_cast<uint32_t>(std::max(done.error().line, 1)), 1}, "", "failed to read " + file + ": " + done.error().message);
        }
        for (const std::string& name : unset) {
            report_.warning({index, 1, 1}, "", "The " + base::quote(name) + " variable is not set. Defaulting to a blank string.");
        }
        for (const auto& [name, line] : lines) {
            note_source(found_.sources, name, shown(file) + ":" + std::to_string(line), values[name], found_.variables.contains(name));
        }
    }

    std::string shown(const std::string& path) const {
        std::string prefix = here_ == "/" ? here_ : here_ + "/";
        return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
    }

    void files_from_variable() {
        if (!found_.files.empty()) return;
        auto list = variable("COMPOSE_FILE");
        if (!list || list->empty()) return;
        char separator = ':';
        if (auto given = variable("COMPOSE_PATH_SEPARATOR"); given && !given->empty()) separator = (*given)[0];
        for (const std::string& file : base::split(*list, separator)) {
            if (!file.empty()) found_.files.push_back(file == "-" ? file : absolute_path(file, here_));
        }
    }

    void files_by_default() {
        if (!found_.files.empty()) return;
        for (std::string folder = this->folder();; folder = parent(folder)) {
            std::vector<std::string> candidates = present(kFileNames, folder);
            if (!candidates.empty()) {
                choose(candidates, "config");
                std::vector<std::string> overrides = present(kOverrideNames, folder);
                if (!overrides.empty()) choose(overrides, "override");
                return;
            }
            if (folder == "/") return;
        }
    }

    void choose(const std::vector<std::string>& candidates, const char* kind) {
        if (candidates.size() > 1) {
            report_.warning({}, "", std::string("Found multiple ") + kind + " files with supported names: " + base::join(candidates, ", "));
            report_.warning({}, "", "Using " + candidates.front());
        }
        found_.files.push_back(candidates.front());
    }

    const LoadOptions& options_;
    Report& report_;
    std::string here_;
    Found found_;
    std::vector<std::string> read_;
};

}  // namespace

std::string current_folder(const LoadOptions& options) {
    if (!options.working_dir.empty()) return options.working_dir;
    char buffer[PATH_MAX];
    return ::getcwd(buffer, sizeof buffer) != nullptr ? buffer : "/";
}

std::string absolute_path(const std::string& path, const std::string& working_dir) {
    return clean_path(path.starts_with('/') ? path : working_dir + "/" + path);
}

bool is_truthy(const std::string& text) {
    std::string lower = base::to_lower(text);
    return lower == "1" || lower == "t" || lower == "true";
}

void note_source(VariableSources& sources, const std::string& name, const std::string& place, const std::string& value, bool set_before) {
    VariableSource& source = sources[name];
    if (set_before) {
        if (source.from.empty()) source.from = "the environment";
        source.hidden.push_back(place + " says " + value);
        return;
    }
    if (!source.from.empty()) source.hidden.push_back(source.from + " is overridden");
    source.from = place;
}

std::string tell_variable(const std::string& name, const Variables& variables, const VariableSources& sources) {
    auto value = variables.find(name);
    if (value == variables.end()) return name + " is not set";
    auto source = sources.find(name);
    std::string from = name == "COMPOSE_PROJECT_NAME" ? "the project's name" : "the environment";
    std::string out = name + "=" + value->second + " from " + (source != sources.end() ? source->second.from : from);
    if (source != sources.end() && !source->second.hidden.empty()) out += " (" + base::join(source->second.hidden, ", ") + ")";
    return out;
}

Found discover(const LoadOptions& options, Report& report) { return Discovery(options, report).run(); }

std::map<std::string, std::string> process_environment() {
    std::map<std::string, std::string> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        auto [name, value] = base::cut(*entry, '=');
        if (!name.empty() && value) out[name] = *value;
    }
    return out;
}

std::string normalize_project_name(std::string_view name) {
    std::string out;
    for (char c : base::to_lower(name)) {
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        if (!fits || (out.empty() && (c == '_' || c == '-'))) continue;
        out += c;
    }
    return out;
}

std::string check_project_name(const std::string& name) {
    if (normalize_project_name(name) == name && !name.empty()) return {};
    if (name.empty()) return "project name must not be empty";
    return "invalid project name " + base::quote(name) +
           ": must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number";
}

bool has_config_file(const LoadOptions& options) {
    Report report;
    return !discover(options, report).files.empty();
}

}  // namespace compose::model
