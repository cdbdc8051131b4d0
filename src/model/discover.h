#pragma once
// Before any Compose file is read: which files, which folder, which variables, which name.
#include <string>
#include <vector>

#include "model/dotenv.h"
#include "model/load.h"
#include "model/report.h"

namespace compose::model {

struct Found {
    std::vector<std::string> files;      ///< absolute, "-" for standard input
    std::string folder;                  ///< the project directory, absolute
    std::vector<std::string> env_files;  ///< absolute; given by --env-file or COMPOSE_ENV_FILES
    Variables variables;                 ///< caller's over those of env files
    VariableSources sources;             ///< of the variables that env files set
};

/// Follows compose-spec 02-model.md and behaviour.md §1. Findings go to `report`; `files` may be empty.
Found discover(const LoadOptions& options, Report& report);

/// Notes that an env file sets `name` at `place`; `set_before`: the caller or an outer project has set it already, and wins.
void note_source(VariableSources& sources, const std::string& name, const std::string& place, const std::string& value, bool set_before);
/// `TAG=1.2 from .env:3 (…)`.
std::string tell_variable(const std::string& name, const Variables& variables, const VariableSources& sources);

/// Absolute, clean.
std::string absolute_path(const std::string& path, const std::string& working_dir);
std::string current_folder(const LoadOptions& options);
bool is_truthy(const std::string& text);
/// The text of the error for a name that breaks the rules, or empty.
std::string check_project_name(const std::string& name);

}  // namespace compose::model
