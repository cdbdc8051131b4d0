#pragma once
// Hooks of the configuration (runtime-spec config.md#posix-platform-hooks): programs that get the state on stdin.
#include <string>
#include <vector>

#include "base/error.h"

namespace engine::runtime {

struct PlanData;

struct Hook {
    std::string path;
    std::vector<std::string> args, env;
    int timeout = 0;  ///< seconds; 0: none
    bool operator==(const Hook&) const = default;
};

/// Runs each in our own namespaces; the first that fails or overruns its time is the error, with what it printed.
base::Status run_hooks(const std::vector<Hook>& hooks, const std::string& name, const std::string& state);
/// A step of the container's child: createContainer hooks run where it is, before the root is changed.
base::Status add_hook_step(PlanData& plan, const Hook& hook, int state_file);

}  // namespace engine::runtime
