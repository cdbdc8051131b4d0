#pragma once
// The control group of the engine's own processes that outlive a command.

namespace engine::runtime {

/// Takes this process out of the groups by which systemd finds what belongs to a login session or a unit, into one of the
/// engine's own (/compose/supervisors): the end of that session must not take the containers' keepers with it. Where groups can't be
/// made (no rights, nested) it stays where it is.
void enter_own_cgroup();
/// Before the last of them ends: removes the group when no other process is in it.
void leave_own_cgroup();

}  // namespace engine::runtime
