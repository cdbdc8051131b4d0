#pragma once
// The table of `stats` and `container stats`.
#include <functional>
#include <vector>

#include "cli/command.h"
#include "engine/engine.h"

namespace compose::cli {

/// Prints once or, with --no-stream=false, again and again until a signal comes; `containers_of` is asked anew each time.
/// Flags: format, no-stream, no-trunc. The exit status.
Result<int> show_stats(engine::Engine& engine, const Arguments& arguments, const std::function<Result<std::vector<engine::ContainerInfo>>()>& containers_of);

}  // namespace compose::cli
