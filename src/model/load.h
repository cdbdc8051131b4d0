#pragma once
// From files to a Project: discovery, .env, interpolation, includes, extends, merge, normalisation, checks.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/diagnostic.h"
#include "model/project.h"

namespace compose::model {

struct LoadOptions {
    std::vector<std::string> files;           ///< -f; empty: COMPOSE_FILE, else discovered in the folder and its parents
    std::string project_directory;            ///< --project-directory
    std::string project_name;                 ///< -p
    std::vector<std::string> env_files;       ///< --env-file
    std::vector<std::string> profiles;        ///< --profile; none: COMPOSE_PROFILES; "*" is all
    std::map<std::string, std::string> environment;  ///< of the caller (see process_environment)
    std::string working_dir;                  ///< absolute; empty: the process's
    std::string stdin_text;                   ///< read for `-f -` when `stdin_given`; else standard input is read
    bool stdin_given = false;

    bool no_interpolate = false, no_normalize = false, no_path_resolution = false, no_env_resolution = false,
         no_consistency = false;
    bool all_profiles = false;                ///< as --profile '*'
    bool compatibility = false;               ///< --compatibility
    bool raw = false;                         ///< stop before the typed project: only `tree` is filled in (config --no-interpolate)
    bool explain = false;                     ///< keep the history of every value (config --explain)
};

/// A variable that the files use: `${NAME:-default}`.
struct VariableUse {
    std::string name, default_value, alternate;  ///< `:-`/`-` and `:+`/`+` texts
    bool required = false;                       ///< `:?` or `?`
    std::vector<base::SourcePos> used_at;
};

/// Which setting of a variable counts, and which do not.
struct VariableSource {
    std::string from;                 ///< `.env:3`, `the environment`
    std::vector<std::string> hidden;  ///< `.env:3 says 1.2`, of those that it wins over
};
using VariableSources = std::map<std::string, VariableSource>;

struct Loaded {
    Project project;                       ///< meaningful only when ok()
    std::vector<Diagnostic> diagnostics;   ///< errors and warnings of the whole load
    std::map<std::string, VariableUse> variables;
    VariableSources sources;                   ///< of the variables that env files set

    bool ok() const;
    std::vector<Diagnostic> errors() const;
    std::vector<Diagnostic> warnings() const;
};

/// Loads a project. Never throws; every independent error is in the diagnostics.
Loaded load(const LoadOptions& options);

/// The process's environment as a map.
std::map<std::string, std::string> process_environment();

/// The name by -p, COMPOSE_PROJECT_NAME (caller, then .env), `name:` or the folder – without needing valid Compose files,
/// for commands that work on what runs (`ps`, `logs`, `down -p`). A wrong name is an error as behaviour.md §1 says.
base::Result<std::string> project_name(const LoadOptions& options);
/// Lower-case, without what a name may not hold: `My.Proj_1-X` → `myproj_1-x`.
std::string normalize_project_name(std::string_view name);

/// True when a Compose file is given or can be found; for commands that can do without.
bool has_config_file(const LoadOptions& options);

// ---- selections -------------------------------------------------------------------------------------------------------

enum class Dependencies : uint8_t { include, ignore };

/// The services named, and with `include` all that they depend on, ordered so that dependencies come first; none named:
/// all enabled ones. A service that a profile disables is enabled when it is named (compose-spec 15-profiles.md).
/// Unknown: `no such service: X` with a suggestion; a cycle: `dependency cycle detected: a -> b -> a`.
base::Result<std::vector<std::string>> select_services(Project& project, const std::vector<std::string>& names,
                                                       Dependencies dependencies = Dependencies::include);
/// Drops networks, volumes, configs, secrets and models that no enabled service uses, as Docker Compose does unless
/// --all-resources is given.
void remove_unused(Project& project);
/// Services that depend on this one, directly; sorted.
std::vector<std::string> dependents_of(const Project& project, std::string_view service);

/// The content of a config or secret: file read, variable or inline text. External ones are an error.
base::Result<std::string> content_of(const Project& project, const FileObject& object);

}  // namespace compose::model
