#pragma once
// Cloning a child that walks a sealed plan; internal to launch and exec.
#include "base/fd.h"
#include "runtime/plan_data.h"

namespace engine::runtime {

struct ClonedChild {
    base::PidFd process;
    base::UniqueFd report;  ///< EOF at exec or end
};
base::Result<ClonedChild> clone_child(PlanData& plan, bool sibling);
/// Blocks until exec or the child's end. The plan's memory is the child's stack: keep it until then.
base::Status wait_for_exec(const PlanData& plan, int report);
void reap(const base::PidFd& process);
/// The same file at a number of 3 or more: what the child still needs after its streams took 0, 1 and 2.
base::Result<base::UniqueFd> above_streams(base::UniqueFd fd);

}  // namespace engine::runtime
