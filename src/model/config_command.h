#pragma once
// The logic of `compose config`, without a command line: which view of the project to print and what to say of it.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/diagnostic.h"
#include "model/load.h"

namespace compose::model {

struct ConfigOptions {
    LoadOptions load;                    ///< global options and the --no-… flags
    std::vector<std::string> services;   ///< positional arguments
    std::string format;                  ///< --format: "", "yaml" or "json"
    bool list_services = false, list_volumes = false, list_networks = false, list_images = false, list_profiles = false,
         list_models = false, list_environment = false, list_variables = false;
    std::optional<std::string> hash;     ///< --hash: "*" or names with commas
    bool lock_image_digests = false, resolve_image_digests = false;
    bool quiet = false;
    bool all_resources = false;          ///< --all-resources: also what no service uses
    std::optional<std::string> explain;  ///< --explain: a path in the model or a variable
    /// Turns an image reference into `name@sha256:…`; needed only for the two digest flags.
    std::function<base::Result<std::string>(const std::string& image)> resolve_digest;
};

struct ConfigOutput {
    std::string text;                     ///< for standard output (or the file of -o)
    std::vector<Diagnostic> diagnostics;  ///< for standard error: with `-q --format json` as JSON lines, already in `text`
    int status = 0;                       ///< exit status
};

/// Never throws. On errors `text` is empty (but for `-q --format json`, where it holds one JSON object a finding).
ConfigOutput run_config(const ConfigOptions& options);

}  // namespace compose::model
