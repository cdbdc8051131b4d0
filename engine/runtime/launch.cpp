#include "runtime/launch.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/clone.h"
#include "runtime/plan_data.h"
#include "runtime/sealed_exec.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

/// Memory is shared with the child until exec, and the child may already be seen in a namespace of others: nothing there may
/// trace it or read its memory, nor the engine's through it.
void hide_memory() {
    static const bool done = [] {
        if (::geteuid() == 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        return true;
    }();
    (void)done;
}

/// All signals blocked while the child is cloned: a handler must not run in it. The child has none left (CLEAR_SIGHAND) and
/// unblocks before exec.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &saved_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }

private:
    sigset_t saved_;
};
}  // namespace

LaunchPlan::LaunchPlan(std::unique_ptr<PlanData> data) : data_(std::move(data)) {}
LaunchPlan::LaunchPlan(LaunchPlan&&) noexcept = default;
LaunchPlan& LaunchPlan::operator=(LaunchPlan&&) noexcept = default;
LaunchPlan::~LaunchPlan() = default;
std::string LaunchPlan::text() const { return data_->text(); }
base::UniqueFd LaunchPlan::take_terminal() { return std::move(data_->terminal); }
const std::vector<std::string>& LaunchPlan::argv() const { return data_->argv; }
const std::vector<std::string>& LaunchPlan::env() const { return data_->env; }

Result<ClonedChild> clone_child(PlanData& plan, bool sibling) {
    hide_memory();
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe");
    base::UniqueFd report(ends[0]), given(ends[1]);
    base::UniqueFd child_end = TRY(above_streams(std::move(given)));
    ArenaHead* head = plan.head();
    head->report_fd = child_end.get();
    if (head->go_fd >= 0)
        snprintf(head->report_text, sizeof head->report_text, "%d,%d", head->late_fd, head->go_fd);
    else
        snprintf(head->report_text, sizeof head->report_text, "%d", child_end.get());

    int pidfd = -1;
    clone_args args{};
    args.flags = plan.clone_flags | CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (sibling ? CLONE_PARENT : 0);
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    args.exit_signal = sibling ? 0 : SIGCHLD;  // the kernel takes the parent's with CLONE_PARENT and refuses another
    args.stack = reinterpret_cast<uint64_t>(plan.stack_bottom());
    args.stack_size = plan.stack_size();
    if (plan.cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<uint64_t>(plan.cgroup_fd);
    }
    base::UniqueFd own_pid_namespace;
    if (plan.pid_namespace >= 0) {
        // Only for children of this thread, and only until the clone.
        own_pid_namespace = TRY(base::open_at(AT_FDCWD, "/proc/thread-self/ns/pid", O_RDONLY));
        if (::setns(plan.pid_namespace, CLONE_NEWPID) != 0) return base::fail_errno("join the pid namespace");
    }
    long pid;
    {
        SignalsBlocked blocked;
        pid = clone_and_run(head, &args, sizeof args);
    }
    if (own_pid_namespace && ::setns(own_pid_namespace.get(), CLONE_NEWPID) != 0 && pid >= 0) {
        base::Error error = base::fail_errno("come back to the own pid namespace");
        ::kill(static_cast<pid_t>(pid), SIGKILL);
        return error;
    }
    if (pid < 0) return base::fail_errno("start a process", static_cast<int>(-pid));
    return ClonedChild{base::PidFd(static_cast<pid_t>(pid), base::UniqueFd(pidfd)), std::move(report)};
}

base::Status wait_for_exec(const PlanData& plan, int report) {
    // EOF: the program's exec closed the child's end, or the child is gone. Bytes: the sealed page says why it could not execute.
    SealedExecReport said{};
    ssize_t n;
    do n = ::read(report, &said, sizeof said);
    while (n < 0 && errno == EINTR);
    if (n == static_cast<ssize_t>(sizeof said)) return plan.exec_failure(said.error, static_cast<Detail>(said.detail));
    const ArenaHead* head = plan.head();
    if (__atomic_load_n(&head->failed_step, __ATOMIC_ACQUIRE) >= 0) return plan.failure();
    if (head->reached_exec == 0) return base::fail(Code::interrupted, "the new process was killed before its program started");
    return {};
}

Result<base::UniqueFd> above_streams(base::UniqueFd fd) {
    if (fd.get() > 2) return fd;
    base::UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    if (!moved) return base::fail_errno("duplicate a file descriptor");
    return moved;
}

void reap(const base::PidFd& process) {
    siginfo_t info{};
    int result;
    do result = ::waitid(P_PIDFD, static_cast<id_t>(process.fd()), &info, WEXITED);
    while (result != 0 && errno == EINTR);
}

Starting::Starting(LaunchPlan plan, base::PidFd process, base::UniqueFd report, bool sibling)
    : plan_(std::move(plan)), process_(std::move(process)), report_(std::move(report)), sibling_(sibling) {}
Starting::Starting(Starting&& other) noexcept
    : plan_(std::move(other.plan_)), process_(std::move(other.process_)), report_(std::move(other.report_)), sibling_(other.sibling_),
      done_(std::exchange(other.done_, true)) {}

Starting::~Starting() {
    if (done_) return;
    (void)process_.signal(SIGKILL);
    // The child runs on the plan's memory: it must be gone before that is.
    char sink[64];
    for (ssize_t n = 1; n > 0 || (n < 0 && errno == EINTR);) n = ::read(report_.get(), sink, sizeof sink);
    if (!sibling_) reap(process_);
}

Result<base::PidFd> Starting::finish() {
    done_ = true;
    base::Status started = wait_for_exec(plan_.data(), report_.get());
    if (!started) {
        if (!sibling_) reap(process_);
        return std::move(started.error());
    }
    if (plan_.data().hooks) run_last_hooks(*plan_.data().hooks, process_.pid());
    return std::move(process_);
}

Result<Starting> start(LaunchPlan plan, const LaunchOptions& options) {
    ClonedChild child = TRY(clone_child(plan.data(), options.sibling));
    PlanData& data = plan.data();
    Starting out(std::move(plan), std::move(child.process), std::move(child.report), options.sibling);
    if (data.hooks) TRY_VOID(meet_hooks(*data.hooks, out.pid()));  // an error kills the child
    return out;
}

Result<base::PidFd> launch(LaunchPlan plan, const LaunchOptions& options) {
    Starting starting = TRY(start(std::move(plan), options));
    return starting.finish();
}

}  // namespace engine::runtime
