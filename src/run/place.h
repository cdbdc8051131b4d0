#pragma once
// Where the user wrote what a failed step is about.
#include <optional>

#include "base/error.h"
#include "model/project.h"
#include "plan/plan.h"

namespace compose::run {

/// The place of the attribute that most likely is the cause (`image` of a pull, `ports` of a port in use, `command` of one
/// that is not in the image …), else of the service, network or volume itself; nothing for a project made of labels alone.
std::optional<base::SourcePos> place_of(const model::Project& project, const plan::Step& step, const base::Error& error);

}  // namespace compose::run
