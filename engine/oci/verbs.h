#pragma once
// The verbs of an OCI runtime (runtime-spec runtime.md#operations), without their command line. No daemon is behind them: what
// `create` starts belongs to whoever adopts it when `create` has ended.
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "oci/store.h"
#include "runtime/cgroup.h"

namespace engine::oci {

struct CreateOptions {
    std::string id;
    std::string bundle = ".";
    std::string console_socket, pid_file;
    unsigned preserve_fds = 0;
    bool no_pivot = false, no_new_keyring = false;
    bool systemd = false;  ///< the control group is a unit of systemd's (systemd_unit.h)
    StreamSet stdio{0, 1, 2};
};
/// What is left in the hands of the caller when the container is there.
struct Created {
    Record record;
    base::PidFd process;      ///< our child, until we end
    base::UniqueFd terminal;  ///< the master, when nobody else was to get it
};
/// Everything but the user's program: it is started by start(). A failure leaves nothing behind.
base::Result<Created> create(const Store& store, const CreateOptions& options);
/// Lets the program run; an error says why it cannot be executed.
base::Status start(const Store& store, const std::string& id);
/// not_running: `container not running`.
base::Status kill(const Store& store, const std::string& id, int signal, bool all);
/// `force`: also one that runs, and no error when there is none.
base::Status remove(const Store& store, const std::string& id, bool force);
base::Status pause(const Store& store, const std::string& id);
base::Status resume(const Store& store, const std::string& id);

struct ExecRequest {
    std::string id;
    std::optional<Process> process;  ///< of --process; else the container's own with what follows
    std::vector<std::string> args, env, capabilities;
    std::string user, cwd, console_socket, pid_file, apparmor_profile, selinux_label, cgroup;
    std::vector<uint32_t> groups;
    bool tty = false, detach = false, no_new_privileges = false, ignore_paused = false;
    unsigned preserve_fds = 0;
};
/// The exit code of the process; 0 when detached.
base::Result<int> exec(const Store& store, const ExecRequest& request);

/// create, start, wait and delete: the exit code. Terminal and signals go to the container.
struct RunOptions {
    CreateOptions create;
    bool detach = false, keep = false;
};
base::Result<int> run(const Store& store, const RunOptions& options);

/// The specification's state, with runc's additions (rootfs, created, owner).
base::Result<std::string> state(const Store& store, const std::string& id);
base::Result<std::string> list(const Store& store, const std::string& format, bool quiet);
/// Pids as JSON, or ps -ef's table of those.
base::Result<std::string> ps(const Store& store, const std::string& id, const std::string& format);
base::Status update(const Store& store, const std::string& id, const boost::json::object& resources);
/// One line of JSON: what the control groups count.
base::Result<std::string> stats_line(const Record& record);
/// Writes stats every `interval` and out-of-memory events until the container ends; once and without waiting with `once`.
base::Status events(const Store& store, const std::string& id, std::chrono::nanoseconds interval, bool once);
std::string features();

}  // namespace engine::oci
