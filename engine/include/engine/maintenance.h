#pragma once
// What is done to all projects of a root at once: after a restart of the machine, and after an update of the program.
#include <string>
#include <vector>

#include "engine/engine.h"

namespace engine {

struct Restored {
    std::string id, name, project;
    Status status;
};
/// As Docker's daemon does when it comes up: starts what ran when the machine went down and has a restart policy, and of what had
/// been stopped those with `always`; one that others share a namespace with comes before them. Containers that were to remove
/// themselves are removed. What runs is left alone. `report` (may be empty) is called for each as it is done.
Result<std::vector<Restored>> restore(const EngineOptions& options, const std::function<void(const Restored&)>& report);

/// Stops what runs of all projects, each with its own signal and grace period, side by side, and remembers that it ran: what an
/// orderly end of the machine does, so that restore() brings it back. `report` (may be empty) as each has ended, one at a time.
Result<std::vector<Restored>> halt(const EngineOptions& options, const std::function<void(const Restored&)>& report);

struct HandedOver {
    std::string project;  ///< the group
    Status status;
};
/// Every running supervisor, with its guardian, goes over to this process's own program; the containers notice nothing. One that
/// runs it already is left alone.
Result<std::vector<HandedOver>> hand_over(const EngineOptions& options);

}  // namespace engine
