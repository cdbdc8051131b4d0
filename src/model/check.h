#pragma once
// What must hold between the parts of a project, and what is legal but surely meant otherwise.
#include "model/project.h"
#include "model/report.h"

namespace compose::model {

/// References, exclusive attributes, cycles. Attributes that have errors already are left out.
void check_consistency(const Project& project, Report& report);
/// Warnings that need the whole project.
void warn_about(const Project& project, Report& report);
/// Warnings about how something is written in one file, before it is normalised.
void warn_about_text(const Node& root, Report& report);

}  // namespace compose::model
