#pragma once
// The control group of the engine's own processes that outlive a command.
#include <sys/types.h>

namespace engine::runtime {

/// Takes a process (0: this one) out of the groups by which systemd finds what belongs to a login session or a unit, into one of the
/// engine's own (/compose/supervisors): the end of that session must not take the containers' keepers with it. Where groups can't be
/// made (no rights, nested) it stays where it is.
void enter_own_cgroup(pid_t pid = 0);
/// The same for a process that is about to begin containers, best beside other work. With v1's controllers also when it is there
/// already: a move waits for an RCU grace period (10 to 20 ms), which the moves that follow soon need not wait for again.
void enter_own_cgroup_before_others();
/// Before the last of them ends: removes the group when no other process is in it.
void leave_own_cgroup();

}  // namespace engine::runtime
