#pragma once
// Another process in a running container: `exec`, hooks and health probes. Same capabilities, filter, limits and control
// group as the container's own process (Docker's rules).
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"
#include "engine/types.h"

namespace engine::runtime {

/// A process that was started inside; a child of the caller, who reaps it (wait_exit).
struct ExecProcess {
    base::PidFd process;
    base::UniqueFd terminal;  ///< with tty: the master
};

struct ExecInput {
    const ContainerInfo* container = nullptr;  ///< running; not_running otherwise
    const ImageConfig* image = nullptr;
    std::vector<std::string> argv, env;
    std::string user, working_dir;  ///< empty: the container's
    bool tty = false, privileged = false;
    StreamSet stdio;         ///< borrowed; -1 is /dev/null; not used with tty
    std::string cache_dir;   ///< as LaunchInput's
    int window_of = -1;      ///< with tty: a terminal whose size the new one gets at once
    bool sibling = false;    ///< CLONE_PARENT: the process is our parent's child
};

/// Starts and returns when the program runs. cannot_execute (126) and no_such_command (127; also an absent -w folder), texts as
/// Docker's: `OCI runtime exec failed` is left to the front end.
base::Result<ExecProcess> exec_start(const ExecInput& input);
/// SIGKILL to the process and all of its process group (it leads a session of its own): a probe that ran out of time.
void kill_group(const base::PidFd& process);
/// Blocks until a child has ended: its exit code, 128 + n for a signal.
base::Result<int> wait_exit(const base::PidFd& process);

/// The whole of `compose exec`: starts, copies streams (raw mode, window size and detach keys with tty; half-close without),
/// waits. The exit code, 0 when detached (options.detach or keys).
/// `start`: how the process comes into the container.
base::Result<int> exec_process(const ContainerInfo& container, const ImageConfig& image, const ExecOptions& options,
                               const std::string& cache_dir = {}, const std::function<base::Result<ExecProcess>(const ExecInput&)>& start = exec_start);

/// Field 22 of /proc/PID/stat, which tells a reused pid; 0 when there is no such process.
uint64_t process_start_time(pid_t pid);
/// Exit code from a wait status: 128 + n for a signal.
int exit_code(int wait_status);

}  // namespace engine::runtime
