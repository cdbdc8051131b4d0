#pragma once
// A group's guardian and supervisor as a command sees them that waits for their answer.
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/paths.h"

namespace engine::supervisor {

/// From /proc/PID/stat and /proc/PID/status.
struct ProcessLook {
    char state = 0;         ///< 'T' stopped, 't' stopped by its tracer, 'Z' …; 0: not there
    pid_t parent = 0, tracer = 0;
    uint64_t start = 0;     ///< start time: tells a reused pid
};
/// Pure; the name in parentheses may hold anything.
ProcessLook parse_process(std::string_view stat, std::string_view status);
ProcessLook look_at_process(pid_t pid);

/// To be called about once a second while an answer is missing. A guardian or supervisor that was stopped (SIGSTOP) is sent
/// SIGCONT, which is said on stderr; one whose tracer holds it is left alone: said at once, and `unavailable` when that lasts
/// longer than `patience`. `group` nullopt: of all groups of this root. Cheap while both are known and alive.
base::Status wake_keepers(const store::Paths& paths, const std::optional<std::string>& group,
                          std::chrono::seconds patience = std::chrono::seconds(5));

}  // namespace engine::supervisor
