#pragma once
// Processes as `ps -ef` shows them, read from /proc.
#include <sys/types.h>

#include <vector>

#include "engine/engine.h"

namespace engine::runtime {

/// One row for each that is still there.
std::vector<ProcessRow> process_rows(const std::vector<pid_t>& pids);

}  // namespace engine::runtime
