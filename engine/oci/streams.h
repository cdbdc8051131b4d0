#pragma once
// Staying with a process in the foreground.
#include "base/fd.h"

namespace engine::oci {

/// Copies the terminal (if there is one) to and from ours, passes signals on, and returns the process's exit code.
base::Result<int> follow(const base::PidFd& process, base::UniqueFd terminal);

/// Files 3 … 3 + count - 1 must be the caller's: looked at before we open any of our own, which would get such a number.
base::Status check_passed_files(unsigned count);

}  // namespace engine::oci
