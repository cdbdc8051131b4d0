#pragma once
// The supervisor's process: see container_unit.h for what it does for each container.
#include <sys/types.h>

#include <string>

#include "base/fd.h"
#include "supervisor/guardian.h"

namespace engine::supervisor {

struct SupervisorArguments {
    store::Paths paths;
    std::string group;
    GuardTable table;       ///< as the guardian had it at the fork
    base::UniqueFd link;    ///< to the guardian
    base::UniqueFd listen;  ///< RUN/<group>/supervisor.sock
    pid_t guardian = -1;
};

/// Runs until nothing runs any more, then ends the process.
[[noreturn]] void supervisor_main(SupervisorArguments arguments);

}  // namespace engine::supervisor
