#pragma once
// Hooks of CDI devices (runtime-spec config.md, posix-platform hooks), for containers of our own start. createRuntime and prestart
// are run by the parent while the child waits, createContainer by the child in its mount namespace before the root is changed,
// poststart by the parent once the program runs. For them the root is attached at BUNDLE/rootfs, and BUNDLE/config.json says so.
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/hooks.h"

namespace engine::runtime {

struct PlanData;
struct CdiHook;
struct LaunchInput;
struct Resolved;

/// What parent and child of a plan with hooks share.
struct HookExchange {
    base::UniqueFd go_read, go_write, told_read, told_write;
    base::UniqueFd state;  ///< a memory file: the state that hooks get on their standard input
    std::string id, bundle;
    std::vector<Hook> prestart, create_runtime, create_container, poststart;
};

/// Sets plan.hooks and writes the bundle; returns where the root is to be attached ("" without hooks). unsupported: startContainer
/// hooks, and any hook without a bundle folder.
base::Result<std::string> prepare_hooks(PlanData& plan, const std::vector<CdiHook>& hooks, const LaunchInput& input, const Resolved& resolved);
/// The child's steps: tell, wait, run. `keeper`: as LaunchInput::go_keeper.
base::Status add_hooks(PlanData& plan, int keeper);
/// The parent's part after clone: the state is written, hooks of the host are run, the child is let go.
base::Status meet_hooks(HookExchange& hooks, int pid);
/// poststart; a failure is said and changes nothing.
void run_last_hooks(const HookExchange& hooks, int pid);

}  // namespace engine::runtime
