// start, kill, delete, pause, resume.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "oci/container_plan.h"
#include "runtime/hooks.h"
#include "oci/inside.h"
#include "oci/systemd_unit.h"
#include "oci/verbs.h"
#include "runtime/plan_data.h"
#include "runtime/sealed_exec.h"

namespace engine::oci {
namespace {
using base::Code;
using base::Result;

std::string state_json(const Record& record, const Spec& spec, const char* status) {
    return boost::json::serialize(state_object(record, status, spec.annotations));
}

/// Until the process has ended or the time is over; works for processes that are no children of ours.
bool wait_for_end(const base::PidFd& process, int milliseconds) {
    pollfd wait{process.fd(), POLLIN, 0};
    int n;
    do n = ::poll(&wait, 1, milliseconds);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

base::Status destroy(const Store& store, const Record& record) {
    if (auto group = runtime::Cgroup::open(record.cgroup)) {
        // Without a pid namespace of its own the first process' end left the others.
        if (group->populated()) TRY_VOID(group->kill_all());
        if (record.unit.empty()) TRY_VOID(group->remove());
    }
    if (!record.unit.empty()) {
        TRY_VOID(stop_unit(record.unit));
        // v1: systemd knows its own hierarchy only.
        if (auto group = runtime::Cgroup::open(record.cgroup)) (void)group->remove();  // or systemd is at it
    }
    store.remove(record.id);
    auto spec = read_spec(record.config);
    if (!spec) return {};
    if (auto ran = runtime::run_hooks(spec->hooks.poststop, "poststop", state_json(record, *spec, "stopped")); !ran) base::log::warn(ran.error().message());
    return {};
}

/// What the sealed page says after the byte: nothing and the end of the file when the program runs.
base::Status read_report(const Spec& spec, int report, const base::PidFd& process) {
    runtime::SealedExecReport said{};
    pollfd wait[2] = {{report, POLLIN, 0}, {process.fd(), POLLIN, 0}};
    for (;;) {
        int n = ::poll(wait, 2, -1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno("poll");
        ssize_t got = ::read(report, &said, sizeof said);
        if (got == static_cast<ssize_t>(sizeof said)) {
            runtime::PlanData words;
            words.argv = spec.process->args;
            return words.exec_failure(said.error, static_cast<runtime::Detail>(said.detail));
        }
        if (got == 0) return {};  // end of file: executed, or gone before it could say anything
        if (errno != EAGAIN && errno != EINTR) return base::fail_errno("read the report of the start");
        if ((wait[1].revents & POLLIN) != 0) return {};
    }
}
}  // namespace

base::Status start(const Store& store, const std::string& id) {
    base::FileLock lock = TRY(store.lock(id));
    Record record = TRY(store.load(id));
    Spec spec = TRY(read_spec(record.config));
    switch (store.status(record)) {
        case Status::created: break;
        case Status::stopped: return base::fail(Code::conflict, "cannot start a container that has stopped");
        case Status::running:
        case Status::paused: return base::fail(Code::conflict, "cannot start an already running container");
        default: return base::fail(Code::conflict, "cannot start a container that is being created");
    }
    base::PidFd process = TRY(store.process(record));
    for (const Hook& hook : spec.hooks.start_container)
        if (auto ran = run_hook_inside(record, spec, process, hook, state_json(record, spec, "created")); !ran) {
            (void)process.signal(SIGKILL);
            return std::move(ran).context("error running startContainer hook");
        }
    base::UniqueFd report = TRY(base::open_at(AT_FDCWD, store.report_path(id), O_RDONLY | O_NONBLOCK));
    base::UniqueFd go = TRY(base::open_at(AT_FDCWD, store.go_path(id), O_WRONLY | O_NONBLOCK));
    TRY_VOID(base::write_all(go.get(), "g"));
    go.reset();
    base::Status started = read_report(spec, report.get(), process);
    ::unlink(store.go_path(id).c_str());
    ::unlink(store.report_path(id).c_str());
    if (!started) return std::move(started).context("unable to start container process");
    if (auto ran = runtime::run_hooks(spec.hooks.poststart, "poststart", state_json(record, spec, "running")); !ran) base::log::warn(ran.error().message());
    return {};
}

base::Status kill(const Store& store, const std::string& id, int signal, bool all) {
    Record record = TRY(store.load(id));
    auto spec = read_spec(record.config);
    auto group = runtime::Cgroup::open(record.cgroup);
    auto process = store.process(record);
    if (all && group && group->populated()) {
        if (signal == SIGKILL) return group->kill_all();
        (void)TRY(group->signal_all(signal));
        return {};
    }
    if (!process) return std::move(process.error());
    bool own_pids = !spec || spec->has(CLONE_NEWPID);
    // A killed first process ends all of its pid namespace; without one the others would stay.
    if (signal == SIGKILL && !own_pids && group) return group->kill_all();
    TRY_VOID(process->signal(signal));
    // v1 keeps a frozen process from dying.
    if (signal == SIGKILL && group && runtime::cgroup_version() == runtime::CgroupVersion::v1 && group->frozen()) (void)group->thaw();  // or it is gone already
    return {};
}

base::Status remove(const Store& store, const std::string& id, bool force) {
    auto lock = store.lock(id);
    if (!lock) return force && lock.error().code == Code::not_found ? base::Status{} : base::Status(std::move(lock.error()));
    auto loaded = store.load(id);
    if (!loaded) {
        // A create that was killed before it had written anything.
        if (!force || loaded.error().code != Code::not_found) return std::move(loaded.error());
        store.remove(id);
        return {};
    }
    Record record = std::move(*loaded);
    Status status = store.status(record);
    if (status != Status::stopped && status != Status::created && !force)
        return base::fail(Code::conflict, "cannot delete container " + id + " that is not stopped: " + to_text(status));
    if (status != Status::stopped) {
        if (auto process = store.process(record)) {
            (void)process->signal(SIGKILL);
            auto group = runtime::Cgroup::open(record.cgroup);
            if (group && status == Status::paused) (void)group->kill_all();
            if (!wait_for_end(*process, 10'000)) return base::fail(Code::timeout, "container init still running");
        }
    }
    return destroy(store, record);
}

base::Status pause(const Store& store, const std::string& id) {
    Record record = TRY(store.load(id));
    Status status = store.status(record);
    if (status != Status::running && status != Status::created) return base::fail(Code::conflict, "container not running or created: " + std::string(to_text(status)));
    return TRY(runtime::Cgroup::open(record.cgroup)).freeze();
}

base::Status resume(const Store& store, const std::string& id) {
    Record record = TRY(store.load(id));
    if (store.status(record) != Status::paused) return base::fail(Code::conflict, "container not paused");
    return TRY(runtime::Cgroup::open(record.cgroup)).thaw();
}

}  // namespace engine::oci
