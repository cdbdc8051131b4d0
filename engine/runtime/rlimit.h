#pragma once
// Resource limits by name.
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/types.h"
#include "runtime/plan_data.h"

namespace engine::runtime {

/// "nofile" → RLIMIT_NOFILE; nullopt when unknown.
std::optional<int> rlimit_number(std::string_view name);
std::string rlimit_name(int number);
/// One step a limit. invalid: an unknown name, or soft above hard: `ulimit soft limit must be less than or equal to hard limit: 2 > 1`.
base::Status add_rlimits(PlanData& plan, const std::vector<Ulimit>& limits);

}  // namespace engine::runtime
