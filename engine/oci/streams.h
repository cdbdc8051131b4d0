#pragma once
// Staying with a process in the foreground.
#include "base/fd.h"

namespace engine::oci {

/// Copies the terminal (if there is one) to and from ours, passes signals on, and returns the process's exit code.
base::Result<int> follow(const base::PidFd& process, base::UniqueFd terminal);

}  // namespace engine::oci
