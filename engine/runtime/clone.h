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

}  // namespace engine::runtime
