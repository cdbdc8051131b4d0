#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "oci/console.h"
#include "oci/container_plan.h"
#include "oci/inside.h"
#include "oci/streams.h"
#include "oci/verbs.h"
#include "runtime/capability.h"
#include "runtime/clone.h"
#include "runtime/exec.h"
#include "runtime/terminal.h"

namespace engine::oci {
namespace {
using base::Code;
using base::Result;
using runtime::Op;
using runtime::Step;

struct JoinInput {
    const Record& record;
    const Spec& spec;
    const Process& process;
    const base::PidFd& first;
    const Filter* filter = nullptr;
    StreamSet stdio{0, 1, 2};
    unsigned preserve_fds = 0;
    std::string cgroup;   ///< below the container's; empty: its own
    std::string keyring;
};
struct Joined {
    base::PidFd process;
    base::UniqueFd terminal;
};

base::Status enter_group(runtime::PlanData& plan, const JoinInput& input) {
    std::string path = input.record.cgroup;
    if (!input.cgroup.empty()) {
        if (input.cgroup.find(':') != std::string::npos) return base::fail(Code::unsupported, "--cgroup: one sub-group for all controllers is supported, not one a controller");
        path += (input.cgroup[0] == '/' ? "" : "/") + input.cgroup;
        while (path.ends_with('/')) path.pop_back();
    }
    auto group = runtime::Cgroup::open(path);
    if (!group) return input.cgroup.empty() ? base::Status{} : base::Status(std::move(group.error()));
    if (group->folder_fd() >= 0) plan.cgroup_fd = plan.keep(TRY(base::open_at(group->folder_fd(), ".", O_RDONLY | O_DIRECTORY)));
    for (const base::UniqueFd& procs : group->procs_fds()) plan.add(Op::enter_cgroup).fd = plan.keep(TRY(procs.duplicate()));
    return {};
}

Result<Joined> join_container(const JoinInput& input) {
    const Process& process = input.process;
    Joined out;
    runtime::PlanData plan;
    plan.argv = process.args;
    plan.env = process.env;
    base::UniqueFd root = TRY(base::open_at(AT_FDCWD, "/proc/" + std::to_string(input.first.pid()) + "/root", O_PATH | O_DIRECTORY));
    // Looked at after the path by number was opened: the pid was still that process.
    if (!input.first.alive()) return base::fail(Code::not_running, "container not running");
    if (!runtime::env_value(plan.env, "HOME")) {
        auto home = runtime::find_user_in_root(root.get(), std::to_string(process.user.uid), {});
        plan.env.push_back("HOME=" + (home ? home->home : std::string("/")));
    }
    ProcessInput steps;
    steps.process = &process;
    steps.spec = &input.spec;
    steps.filter = input.filter;
    steps.stdio = input.stdio;
    steps.preserve_fds = input.preserve_fds;
    steps.keyring = input.keyring;
    // Cgroups and the process's own /proc files first, while the host's are in sight.
    TRY_VOID(add_labels(plan, steps));
    if (process.oom_score_adj) {
        uint32_t value = plan.intern(std::to_string(*process.oom_score_adj));
        plan.add(Op::write_proc, "/proc/self/oom_score_adj").more = value;
    }
    TRY_VOID(enter_group(plan, input));
    plan.pid_namespace = input.first.fd();
    Step& join = plan.add(Op::join_namespace);
    join.fd = input.first.fd();
    join.a = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (input.spec.has(CLONE_NEWUSER)) {
        join.a |= CLONE_NEWUSER;
        plan.add(Op::become_root);
    }
    if (process.terminal) {
        runtime::Pty pty = TRY(runtime::open_pty_inside(root.get(), host_uid(input.spec, process.user.uid)));
        if (process.rows != 0) {
            winsize size{};
            size.ws_row = process.rows;
            size.ws_col = process.columns;
            ::ioctl(pty.master.get(), TIOCSWINSZ, &size);
        }
        out.terminal = std::move(pty.master);
        int slave = plan.keep(std::move(pty.slave));
        steps.stdio = {slave, slave, slave};
    }
    TRY_VOID(add_process_steps(plan, steps));
    TRY_VOID(plan.seal());
    runtime::ClonedChild child = TRY(runtime::clone_child(plan, false));
    base::Status started = runtime::wait_for_exec(plan, child.report.get());
    if (!started) {
        runtime::reap(child.process);
        return std::move(started.error());
    }
    out.process = std::move(child.process);
    return out;
}

Result<Process> process_of(const Spec& spec, const ExecRequest& request) {
    if (request.process) return *request.process;
    if (!spec.process) return base::fail(Code::invalid, "the container's configuration has no process");
    Process out = *spec.process;
    out.args = request.args;
    out.terminal = request.tty;
    out.rows = out.columns = 0;
    if (!request.cwd.empty()) out.cwd = request.cwd;
    if (!request.apparmor_profile.empty()) out.apparmor_profile = request.apparmor_profile;
    if (!request.selinux_label.empty()) out.selinux_label = request.selinux_label;
    if (request.no_new_privileges) out.no_new_privileges = true;
    for (const std::string& entry : request.env) out.env.push_back(entry);
    for (const std::string& name : request.capabilities) {
        auto number = runtime::capability_number(name);
        if (!number) return base::fail(Code::invalid, "--cap: unknown capability " + base::quote(name));
        runtime::CapabilitySet bit = runtime::CapabilitySet{1} << *number;
        for (runtime::CapabilitySet* set : {&out.capabilities.bounding, &out.capabilities.effective, &out.capabilities.permitted}) *set |= bit;
        // As runc: ambient ones follow where the container has some.
        if (out.capabilities.ambient != 0) {
            out.capabilities.inheritable |= bit;
            out.capabilities.ambient |= bit;
        }
    }
    if (!request.user.empty()) {
        auto [uid, gid] = base::cut(request.user, ':');
        auto uid_number = base::parse_int(uid), gid_number = base::parse_int(gid.value_or("0"));
        if (!uid_number || !gid_number || *uid_number < 0 || *gid_number < 0 || *uid_number > UINT32_MAX - 1 || *gid_number > UINT32_MAX - 1)
            return base::fail(Code::invalid, "--user: " + base::quote(request.user) + " is not UID or UID:GID in numbers");
        out.user.uid = static_cast<uint32_t>(*uid_number);
        if (gid) out.user.gid = static_cast<uint32_t>(*gid_number);
    }
    for (uint32_t group : request.groups) out.user.groups.push_back(group);
    return out;
}
}  // namespace

base::Status run_hook_inside(const Record& record, const Spec& spec, const base::PidFd& first, const Hook& hook, const std::string& state) {
    base::UniqueFd input(::memfd_create("hook-state", MFD_CLOEXEC));
    if (!input) return base::fail_errno("memfd_create");
    TRY_VOID(base::write_all(input.get(), state));
    ::lseek(input.get(), 0, SEEK_SET);
    Process process;
    process.args = hook.args;
    process.args[0] = hook.path;
    process.env = hook.env;
    process.capabilities = spec.process->capabilities;
    JoinInput join{record, spec, process, first};
    join.stdio = {input.get(), -1, -1};
    Joined running = TRY(join_container(join));
    pollfd wait{running.process.fd(), POLLIN, 0};
    int ended;
    do ended = ::poll(&wait, 1, hook.timeout > 0 ? hook.timeout * 1000 : -1);
    while (ended < 0 && errno == EINTR);
    if (ended == 0) runtime::kill_group(running.process);
    int code = TRY(runtime::wait_exit(running.process));
    if (ended == 0) return base::fail(Code::timeout, base::quote(hook.path) + ": hook ran past specified timeout of " + std::to_string(hook.timeout) + "s");
    if (code != 0) return base::fail(Code::invalid, base::quote(hook.path) + ": exit status " + std::to_string(code));
    return {};
}

Result<int> exec(const Store& store, const ExecRequest& request) {
    TRY_VOID(check_passed_files(request.preserve_fds));
    Record record = TRY(store.load(request.id));
    Status status = store.status(record);
    if (status == Status::stopped) return base::fail(Code::conflict, "cannot exec in a stopped container");
    if (status == Status::paused && !request.ignore_paused)
        return base::fail(Code::conflict, "cannot exec in a paused container (use --ignore-paused to override)");
    Spec spec = TRY(read_spec(record.config));
    Process process = TRY(process_of(spec, request));
    if (process.cwd.empty() || process.cwd[0] != '/') return base::fail(Code::invalid, "Cwd must be an absolute path");
    if (!request.console_socket.empty() && !(process.terminal && request.detach))
        return base::fail(Code::invalid, "cannot use console socket if runc will not detach or allocate tty");
    if (request.detach && process.terminal && request.console_socket.empty())
        return base::fail(Code::invalid, "cannot allocate tty if runc will detach without setting console socket");
    Filter filter = TRY(read_filter(spec, store.cache_folder()));
    if (filter.listener) return base::fail(Code::unsupported, "exec in a container with a seccomp listener is not supported");

    base::PidFd first = TRY(store.process(record));
    JoinInput join{record, spec, process, first};
    join.filter = &filter;
    join.preserve_fds = request.preserve_fds;
    join.cgroup = request.cgroup;
    join.keyring = "_ses." + record.id;
    Joined running = TRY(join_container(join).context("unable to start container process"));
    base::Status told;
    if (running.terminal && request.detach) told = send_terminal(request.console_socket, running.terminal.get());
    if (told && !request.pid_file.empty()) told = base::replace_file(request.pid_file, std::to_string(running.process.pid()));
    if (!told) {
        runtime::kill_group(running.process);
        (void)runtime::wait_exit(running.process);
        return std::move(told.error());
    }
    if (request.detach) return 0;
    return follow(running.process, std::move(running.terminal));
}

}  // namespace engine::oci
