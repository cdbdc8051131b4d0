#pragma once
// Finding and starting a supervisor; the client's half of guardian.h.
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "store/paths.h"

namespace engine::supervisor {

/// An empty fd: none runs.
base::Result<base::UniqueFd> connect_socket(const store::Paths& paths, const std::string& group);
/// The lock of guardian.h's start_lock. Empty: another holds it and `wait` is false.
base::Result<base::UniqueFd> take_start_lock(const store::Paths& paths, bool wait);
/// Starts a guardian; the fd gives a byte when its socket listens. The guardian shares the lock until then, so the caller may
/// let go of it at once.
base::Result<base::UniqueFd> spawn_guardian(const store::Paths& paths, const std::string& group, const base::UniqueFd& lock);
/// Of several commands at once, one starts it.
base::Result<base::UniqueFd> connect_or_spawn(const store::Paths& paths, const std::string& group);

}  // namespace engine::supervisor
