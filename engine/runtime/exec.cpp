#include "runtime/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup.h"
#include "runtime/clone.h"
#include "runtime/process_plan.h"
#include "runtime/terminal.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

std::string shown_name(const ContainerInfo& container) { return container.spec.name.empty() ? container.id.substr(0, 12) : container.spec.name; }

Result<base::PidFd> first_process(const ContainerInfo& container) {
    auto not_running = [&] { return base::fail(Code::not_running, "container " + shown_name(container) + " is not running"); };
    if (container.state.status == ContainerStatus::paused)
        return base::fail(Code::conflict, "Container " + shown_name(container) + " is paused, unpause the container before exec");
    if (container.state.pid <= 0) return not_running();
    auto process = base::PidFd::open(container.state.pid);
    if (!process) return not_running();
    if (container.state.pid_start != 0 && process_start_time(container.state.pid) != container.state.pid_start) return not_running();
    if (!process->alive()) return not_running();
    return std::move(*process);
}

}  // namespace

uint64_t process_start_time(pid_t pid) {
    std::string stat = base::read_file("/proc/" + std::to_string(pid) + "/stat").value_or("");
    size_t end = stat.rfind(')');
    if (end == std::string::npos) return 0;
    std::vector<std::string> fields = base::split(std::string_view(stat).substr(std::min(end + 2, stat.size())), ' ');
    return fields.size() > 19 ? static_cast<uint64_t>(base::parse_int(fields[19]).value_or(0)) : 0;
}

int exit_code(int wait_status) {
    if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
    return 128 + WTERMSIG(wait_status);
}

Result<int> wait_exit(const base::PidFd& process) {
    siginfo_t info{};
    int result;
    do result = ::waitid(P_PIDFD, static_cast<id_t>(process.fd()), &info, WEXITED);
    while (result != 0 && errno == EINTR);
    if (result != 0) return base::fail_errno("wait for process " + std::to_string(process.pid()));
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

void kill_group(const base::PidFd& process) {
    // Alive or a zombie of ours, so that the number is not another's.
    ::kill(-process.pid(), SIGKILL);
    (void)process.signal(SIGKILL);
}

Result<ExecProcess> exec_start(const ExecInput& input) {
    if (input.container == nullptr || input.image == nullptr || input.argv.empty()) return base::fail(Code::invalid, "exec: no command");
    const ContainerInfo& container = *input.container;
    const ContainerSpec& spec = container.spec;
    base::PidFd first = TRY(first_process(container));
    base::UniqueFd root = TRY(base::open_at(AT_FDCWD, "/proc/" + std::to_string(first.pid()) + "/root", O_PATH | O_DIRECTORY));
    // Looked at after the path by number was opened: the pid was still that process.
    if (!first.alive()) return base::fail(Code::not_running, "container " + shown_name(container) + " is not running");

    // The command of the container does not matter here, only its environment and folders.
    ContainerSpec without_command = spec;
    without_command.entrypoint = input.argv;
    without_command.command.reset();
    Resolved resolved = TRY(resolve(without_command, *input.image, container.id));
    Identity identity = TRY(find_user_in_root(root.get(), input.user.empty() ? resolved.user : input.user, spec.group_add));

    PlanData plan;
    plan.argv = input.argv;
    plan.env = merge_env(resolved.env, input.env);
    if (input.tty && !env_value(plan.env, "TERM")) plan.env.emplace_back("TERM=xterm");
    if (!env_value(plan.env, "HOME")) plan.env.push_back("HOME=" + identity.home);

    // Cgroups and the process's own /proc files first, while the host's are in sight.
    TRY_VOID(add_proc_settings(plan, spec, true));
    auto group = Cgroup::open(cgroup_path(container));
    if (group) {
        plan.cgroup_fd = group->folder_fd();
        for (const base::UniqueFd& procs : group->procs_fds()) plan.add(Op::enter_cgroup).fd = procs.get();
    }
    plan.pid_namespace = first.fd();
    Step& join = plan.add(Op::join_namespace);
    join.fd = first.fd();
    join.a = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

    ProcessSettings process;
    process.spec = &spec;
    process.identity = &identity;
    process.working_dir = input.working_dir.empty() ? resolved.working_dir : input.working_dir;
    process.privileged = input.privileged;
    process.tty = input.tty;
    process.stdio = input.stdio;
    process.cache_dir = input.cache_dir;
    process.keyring = "_ses." + container.id;
    if (process.working_dir[0] != '/') return base::fail(Code::invalid, "the working directory " + base::quote(process.working_dir) + " is invalid, it needs to be an absolute path");

    ExecProcess out;
    if (input.tty) {
        Pty pty = TRY(open_pty_inside(root.get(), identity.uid));
        copy_window_size(input.window_of, pty.master.get());
        out.terminal = std::move(pty.master);
        int slave = plan.keep(std::move(pty.slave));
        process.stdio = {slave, slave, slave};
    }
    TRY_VOID(add_process(plan, process));
    TRY_VOID(plan.seal());

    ClonedChild child = TRY(clone_child(plan, input.sibling));
    base::Status started = wait_for_exec(plan, child.report.get());
    if (!started) {
        if (!input.sibling) reap(child.process);
        return std::move(started.error());
    }
    out.process = std::move(child.process);
    return out;
}

Result<int> exec_process(const ContainerInfo& container, const ImageConfig& image, const ExecOptions& options, const std::string& cache_dir,
                         const std::function<Result<ExecProcess>(const ExecInput&)>& start) {
    ExecInput input;
    input.container = &container;
    input.image = &image;
    input.argv = options.argv;
    input.env = options.env;
    input.user = options.user;
    input.working_dir = options.working_dir;
    input.privileged = options.privileged;
    input.cache_dir = cache_dir;
    input.tty = options.tty;
    const StreamSet& local = options.streams;
    if (options.detach) {
        // A terminal without a person: its master must outlive us, so there is none.
        input.tty = false;
        (void)TRY(start(input));
        return 0;
    }
    if (!options.detach_keys.empty()) (void)TRY(DetachKeys::parse(options.detach_keys));

    base::UniqueFd to, from, from_error;
    CopyJob job;
    job.local = local;
    job.tty = options.tty;
    job.detach_keys = options.detach_keys;
    if (!options.interactive) job.local.in = -1;

    base::PidFd process;
    if (options.tty) {
        input.window_of = ::isatty(local.out) ? local.out : local.in;
        ExecProcess started = TRY(start(input));
        process = std::move(started.process);
        to = std::move(started.terminal);
        job.remote_in = job.remote_out = to.get();
    } else {
        int ends[3][2];
        base::UniqueFd theirs[3];
        for (int i = 0; i < 3; ++i) {
            if (i == 0 && (!options.interactive || local.in < 0)) continue;
            if (::pipe2(ends[i], O_CLOEXEC) != 0) return base::fail_errno("make a pipe");
            theirs[i].reset(ends[i][i == 0 ? 0 : 1]);
            (i == 0 ? to : i == 1 ? from : from_error).reset(ends[i][i == 0 ? 1 : 0]);
        }
        input.stdio = {theirs[0].get(), theirs[1].get(), theirs[2].get()};
        ExecProcess started = TRY(start(input));
        process = std::move(started.process);
        job.remote_in = to.get();
        job.remote_out = from.get();
        job.remote_err = from_error.get();
        job.close_input = [&to] { to.reset(); };
        job.on_signal = [&process](int number) { (void)process.signal(number); };
    }
    job.end_fd = process.fd();
    auto copied = copy_streams(job);
    if (copied && *copied == CopyEnd::detached) return 0;
    if (!copied || *copied == CopyEnd::local_gone) {
        // Nobody listens: the process learns it from its streams (SIGPIPE, or SIGHUP by the terminal); one that does not care is
        // not left behind.
        to.reset();
        from.reset();
        from_error.reset();
        for (int signal : {SIGHUP, SIGKILL}) {
            pollfd wait{process.fd(), POLLIN, 0};
            if (::poll(&wait, 1, 2000) != 0) break;
            (void)process.signal(signal);
        }
    }
    int code = TRY(wait_exit(process));
    if (!copied) return std::move(copied.error());
    return code;
}

}  // namespace engine::runtime
