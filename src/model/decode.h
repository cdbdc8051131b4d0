#pragma once
// A canonical tree → the typed Project.
#include "model/project.h"
#include "model/report.h"

namespace compose::model {

/// Fills name, services, networks, volumes, secrets, configs, models and extensions of `project`. Values whose text has no
/// meaning (durations, sizes, command lines) are errors; values of a wrong type are the schema's business and skipped.
void decode(const Node& root, Project& project, Report& report);

}  // namespace compose::model
