#pragma once
// Files of variables that services name: env_file and label_file.
#include "model/project.h"
#include "model/report.h"

namespace compose::model {

/// Below `environment` go the contents of `env_file` (compose-spec 05-services.md), and names without a value are resolved.
/// For enabled services; of those only for `only`, when it is given.
/// `tree`: also there, with where each value is from (config --explain).
void resolve_env_files(Project& project, Report& report, const std::string* only = nullptr, Node* tree = nullptr);
/// Below `labels` go the contents of `label_file`.
void resolve_label_files(Project& project, Report& report, const std::string* only = nullptr, Node* tree = nullptr);

}  // namespace compose::model
