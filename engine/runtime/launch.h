#pragma once
// Starting a container's first process. prepare() computes everything into a flat LaunchPlan; start() clones a child that
// only walks it with system calls; finish() waits until the program runs or says why it does not.
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"
#include "engine/types.h"
#include "runtime/cgroup.h"

namespace engine::runtime {

/// A mount of the spec whose source was found: one of `host_path` and `tree` is set; neither for a tmpfs.
struct ResolvedMount {
    Mount mount;
    std::string host_path;  ///< the folder or file to bind; mount.subpath is applied below it, inside it
    base::MountFd tree;     ///< a detached tree (image mounts, volumes with driver options), of the subpath already
};

/// A file bound into the container: configs, secrets, hosts, hostname, resolv.conf.
struct FileBind {
    std::string target, host_path;
    bool read_only = false;
};

/// Namespaces of others that the process joins; -1: a new one (or the host's where the spec says "host").
struct JoinFds {
    int net = -1, pid = -1, ipc = -1, uts = -1;
    int ipc_process = -1;  ///< pidfd of the container whose ipc namespace is joined: its /dev/shm is shared too
};

struct LaunchInput {
    const ContainerInfo* container = nullptr;
    const ImageConfig* image = nullptr;
    base::MountFd root;                 ///< the overlay, detached and writable (image/rootfs.h): read_only is set by the plan
    std::vector<ResolvedMount> mounts;  ///< any order; mounted by depth of target
    std::vector<FileBind> files;        ///< bound after the mounts, in order
    JoinFds join;                       ///< net: the pinned namespace. All are borrowed until start() returns
    const Cgroup* cgroup = nullptr;     ///< nullptr: stays in the caller's
    StreamSet stdio;                    ///< borrowed; -1 is /dev/null. Not used with tty: see LaunchPlan::take_terminal
    int go = -1;                        ///< borrowed: the program begins once a byte can be read here; -1: at once
    int go_keeper = -1;                 ///< borrowed: its hang-up, or the end of `go`, gives the start up (Code::interrupted)
    std::string init_path;              ///< catatonit on the host, for `init: true`; empty: found in the usual places
    std::string bundle_dir;             ///< a folder of this container's own, made for hooks of CDI devices; empty: such hooks are refused
    std::string cache_dir;              ///< where compiled seccomp filters are kept; empty: not kept
};

struct PlanData;

class LaunchPlan {
public:
    LaunchPlan(LaunchPlan&&) noexcept;
    LaunchPlan& operator=(LaunchPlan&&) noexcept;
    ~LaunchPlan();

    /// One line a step, for people and tests: `mount proc on /proc nosuid,nodev,noexec`.
    std::string text() const;
    /// With tty: the master of the container's terminal (from the container's own devpts). Once.
    base::UniqueFd take_terminal();
    const std::vector<std::string>& argv() const;
    const std::vector<std::string>& env() const;

    /// Internal to the runtime.
    explicit LaunchPlan(std::unique_ptr<PlanData> data);
    PlanData& data() const { return *data_; }

private:
    std::unique_ptr<PlanData> data_;
};

struct LaunchOptions {
    bool sibling = false;  ///< CLONE_PARENT with exit signal 0: the child is our parent's (the guardian's)
};

/// A child on its way to exec. Dropped without finish(): killed, and reaped unless it is a sibling.
class Starting {
public:
    Starting(Starting&&) noexcept;
    Starting& operator=(Starting&&) = delete;
    ~Starting();
    /// Readable (EOF) as soon as finish() does not block.
    int fd() const { return report_.get(); }
    pid_t pid() const { return process_.pid(); }
    /// Blocks until the program runs. Errors: cannot_execute, no_such_command with Docker's text (`exec: "x": executable file
    /// not found in $PATH`); any step's failure as a sentence. After an error the child is gone (a sibling is the parent's
    /// to reap).
    base::Result<base::PidFd> finish();

private:
    friend base::Result<Starting> start(LaunchPlan, const LaunchOptions&);
    Starting(LaunchPlan plan, base::PidFd process, base::UniqueFd report, bool sibling);
    LaunchPlan plan_;
    base::PidFd process_;
    base::UniqueFd report_;
    bool sibling_ = false;
    bool done_ = false;
};

/// The program of `init: true`: the wanted one, else catatonit or tini in the usual places; not_found when there is none.
base::Result<std::string> find_init(const std::string& wanted);
/// Opens sources, looks up the user, compiles the filter, allocates the terminal: all that can fail early. Touches nothing that
/// the host can see but missing mount points inside the container's own layer.
base::Result<LaunchPlan> prepare(LaunchInput input);
/// Clones the child; does not wait. Safe beside threads; signals are blocked meanwhile.
base::Result<Starting> start(LaunchPlan plan, const LaunchOptions& options = {});
/// start() and finish().
base::Result<base::PidFd> launch(LaunchPlan plan, const LaunchOptions& options = {});

}  // namespace engine::runtime
