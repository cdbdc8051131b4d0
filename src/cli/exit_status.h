#pragma once
// Exit statuses, one table. Docker Compose gives 1 for every error; a command run by `exec` has the shell's 126 and 127.
#include "base/error.h"

namespace compose::cli {

inline constexpr int kInterrupted = 130;

/// What a failed command exits with.
constexpr int exit_status(base::Code code) {
    switch (code) {
        case base::Code::interrupted: return kInterrupted;
        default: return 1;
    }
}

/// What `exec` exits with when its command could not be run.
constexpr int exec_status(base::Code code) {
    switch (code) {
        case base::Code::cannot_execute: return 126;
        case base::Code::no_such_command: return 127;
        default: return exit_status(code);
    }
}

}  // namespace compose::cli
