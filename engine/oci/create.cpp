#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "oci/console.h"
#include "oci/container_plan.h"
#include "runtime/hooks.h"
#include "oci/mount_words.h"
#include "oci/resources.h"
#include "oci/streams.h"
#include "oci/systemd_unit.h"
#include "oci/verbs.h"
#include "runtime/clone.h"
#include "runtime/exec.h"
#include "runtime/plan_data.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;

Result<std::pair<base::UniqueFd, base::UniqueFd>> pipe_above_streams() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe");
    base::UniqueFd first(ends[0]), second(ends[1]);
    base::UniqueFd reading = TRY(runtime::above_streams(std::move(first)));
    base::UniqueFd writing = TRY(runtime::above_streams(std::move(second)));
    return std::pair(std::move(reading), std::move(writing));
}

Result<Exchange> make_exchange() {
    Exchange out;
    auto [go_read, go_write] = TRY(pipe_above_streams());
    auto [told_read, told_write] = TRY(pipe_above_streams());
    out.go_read = std::move(go_read);
    out.go_write = std::move(go_write);
    out.told_read = std::move(told_read);
    out.told_write = std::move(told_write);
    base::UniqueFd input(::memfd_create("hook-state", MFD_CLOEXEC));
    if (!input) return base::fail_errno("memfd_create");
    out.hook_input = TRY(runtime::above_streams(std::move(input)));
    return out;
}

/// The two pipes with names that outlive us. The child keeps one end of each open.
base::Status make_start_pipes(const Store& store, const std::string& id, runtime::PlanData& plan) {
    for (const std::string& path : {store.go_path(id), store.report_path(id)})
        if (::mkfifo(path.c_str(), 0600) != 0) return base::fail_errno("make " + base::quote(path));
    auto open_high = [](const std::string& path, int flags) -> Result<base::UniqueFd> { return runtime::above_streams(TRY(base::open_at(AT_FDCWD, path, flags))); };
    // For reading and writing, so that its reader never meets an end of file.
    plan.go_fd = plan.keep(TRY(open_high(store.go_path(id), O_RDWR)));
    base::UniqueFd reader = TRY(base::open_at(AT_FDCWD, store.report_path(id), O_RDONLY | O_NONBLOCK));
    plan.late_fd = plan.keep(TRY(open_high(store.report_path(id), O_WRONLY)));
    plan.keep(std::move(reader));  // until the child has its copy: a pipe without a reader cannot be opened for writing
    return {};
}

std::string group_path(const Spec& spec, const std::string& id) {
    std::string path = spec.cgroups_path;
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (path.empty()) return "/compose-runtime/" + id;
    return path[0] == '/' ? path : "/" + path;
}

/// Files named in the environment of systemd's socket activation are passed on, as runc does.
unsigned activation_fds() {
    const char* text = getenv("LISTEN_FDS");  // NOLINT(concurrency-mt-unsafe)
    auto count = base::parse_int(text != nullptr ? text : "");
    return count && *count > 0 && *count <= 1000 ? static_cast<unsigned>(*count) : 0;
}

base::Status write_maps(const Spec& spec, pid_t pid) {
    const Namespace* user = spec.find(CLONE_NEWUSER);
    if (user == nullptr || !user->path.empty()) return {};
    std::string folder = "/proc/" + std::to_string(pid);
    if (::geteuid() != 0) (void)base::write_file(folder + "/setgroups", "deny");
    TRY_VOID(base::write_file(folder + "/uid_map", map_text(spec.uid_mappings)).context("write the uid map"));
    return base::write_file(folder + "/gid_map", map_text(spec.gid_mappings)).context("write the gid map");
}

struct Making {
    const Store& store;
    const CreateOptions& options;
    Spec spec;
    Record record;
    Exchange exchange;
    Filter filter;
    runtime::PlanData plan;
    std::optional<runtime::Cgroup> group;
    std::optional<Anchor> anchor;
    std::optional<runtime::ClonedChild> child;
    unsigned activation = activation_fds();

    std::string state_text(const char* status) const { return json::serialize(state_object(record, status, spec.annotations)); }

    /// Waits until the child says that it has come to the next meeting; false when it ended instead.
    bool told() const {
        char byte;
        ssize_t n;
        do n = ::read(exchange.told_read.get(), &byte, 1);
        while (n < 0 && errno == EINTR);
        return n == 1;
    }
    base::Status go() const { return base::write_all(exchange.go_write.get(), "g"); }

    base::Status send_listener() {
        int number = plan.head()->listener_fd;
        base::UniqueFd listener(static_cast<int>(::syscall(SYS_pidfd_getfd, child->process.fd(), number, 0)));
        if (!listener) return base::fail_errno("fetch the seccomp listener");
        json::object process;
        process["ociVersion"] = kSpecVersion;
        process["fds"] = json::array{"seccompFd"};
        process["pid"] = record.pid;
        process["metadata"] = filter.listener_metadata;
        process["state"] = state_object(record, "creating", spec.annotations);
        return send_files(filter.listener_path, json::serialize(process), {listener.get()});
    }

    base::Status prepare() {
        exchange = TRY(make_exchange());
        TRY_VOID(make_start_pipes(store, options.id, plan));
        filter = TRY(read_filter(spec, store.cache_folder()));
        std::optional<SystemdUnit> unit;
        if (options.systemd) unit = TRY(systemd_unit(spec.cgroups_path, options.id));
        record.cgroup = unit ? unit->path() : group_path(spec, options.id);
        auto writes = TRY(resource_writes(spec.resources, runtime::cgroup_version()));
        auto devices = TRY(resource_devices(spec.resources));
        if (auto old = runtime::Cgroup::open(record.cgroup); old && old->populated())
            return base::fail(Code::conflict, "container's cgroup is not empty: " + base::quote(record.cgroup) + " has processes of others");
        if (unit) {
            anchor.emplace(TRY(Anchor::make()));
            TRY_VOID(start_unit(*unit, "container " + options.id, anchor->pid(), writes, runtime::cgroup_version()));
            record.unit = unit->name;
        }
        group = TRY(runtime::Cgroup::create(record.cgroup, writes, devices, true));
        ContainerInput input;
        input.spec = &spec;
        input.id = options.id;
        input.bundle = record.bundle;
        input.cgroup = &*group;
        input.exchange = &exchange;
        input.filter = &filter;
        input.stdio = options.stdio;
        input.new_keyring = !options.no_new_keyring;
        input.pivot = !options.no_pivot;
        input.preserve_fds = options.preserve_fds + activation;
        if (activation != 0) {
            spec.process->env.push_back("LISTEN_FDS=" + std::to_string(activation));
            spec.process->env.emplace_back("LISTEN_PID=1");
        }
        TRY_VOID(plan_container(plan, input));
        return plan.seal();
    }

    base::Status launch() {
        child = TRY(runtime::clone_child(plan, false));
        anchor.reset();
        exchange.go_read.reset();
        exchange.told_write.reset();
        record.pid = child->process.pid();
        record.pid_start = runtime::process_start_time(record.pid);
        TRY_VOID(write_maps(spec, record.pid));
        if (spec.process->oom_score_adj)
            TRY_VOID(base::write_file("/proc/" + std::to_string(record.pid) + "/oom_score_adj", std::to_string(*spec.process->oom_score_adj)).context("set oom_score_adj"));
        TRY_VOID(store.save(record));
        if (!spec.hooks.create_container.empty()) TRY_VOID(base::write_all(exchange.hook_input.get(), state_text("creating")));
        TRY_VOID(go());
        if ((!spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty()) && told()) {
            TRY_VOID(runtime::run_hooks(spec.hooks.prestart, "prestart", state_text("creating")));
            TRY_VOID(runtime::run_hooks(spec.hooks.create_runtime, "createRuntime", state_text("creating")));
            TRY_VOID(go());
        }
        if (filter.listener && told()) {
            TRY_VOID(send_listener());
            TRY_VOID(go());
        }
        return runtime::wait_for_exec(plan, child->report.get());
    }

    base::Status hand_over() {
        if (plan.terminal && spec.process->rows != 0) {
            winsize size{};
            size.ws_row = spec.process->rows;
            size.ws_col = spec.process->columns;
            ::ioctl(plan.terminal.get(), TIOCSWINSZ, &size);
        }
        if (plan.terminal && !options.console_socket.empty()) {
            TRY_VOID(send_terminal(options.console_socket, plan.terminal.get()));
            plan.terminal.reset();
        }
        if (!options.pid_file.empty()) return base::replace_file(options.pid_file, std::to_string(record.pid), 0644);
        return {};
    }

    void undo() {
        if (child) {
            (void)child->process.signal(SIGKILL);
            runtime::reap(child->process);
        }
        if (group) {
            (void)group->kill_all();
            (void)group->remove();
        }
        anchor.reset();
        if (!record.unit.empty())
            if (auto stopped = stop_unit(record.unit); !stopped) base::log::warn(stopped.error().message());
        store.remove(options.id);
        // The specification wants them after whatever end.
        if (auto ran = runtime::run_hooks(spec.hooks.poststop, "poststop", state_text("stopped")); child && !ran) base::log::warn(ran.error().message());
    }
};
}  // namespace

Result<Created> create(const Store& store, const CreateOptions& options) {
    TRY_VOID(check_id(options.id));
    TRY_VOID(check_passed_files(options.preserve_fds + activation_fds()));
    char bundle[PATH_MAX];
    if (::realpath(options.bundle.c_str(), bundle) == nullptr) return base::fail_errno("bundle " + base::quote(options.bundle));
    auto text = base::read_file(std::string(bundle) + "/config.json");
    if (!text && text.error().sys_errno == ENOENT) return base::fail(Code::not_found, "JSON specification file config.json not found");
    if (!text) return std::move(text.error());

    Making making{store, options, {}, {}, {}, {}, {}, {}, {}, {}, activation_fds()};
    making.record.config = TRY(parse_object(*text, "config.json"));
    making.spec = TRY(read_spec(making.record.config));
    if (!making.spec.process) return base::fail(Code::invalid, "process property must not be empty");
    bool terminal = making.spec.process->terminal;
    if (!terminal && !options.console_socket.empty()) return base::fail(Code::invalid, "cannot use console socket if runc will not detach or allocate tty");
    making.record.id = options.id;
    making.record.bundle = bundle;
    making.record.rootfs = TRY(root_path(making.spec, making.record.bundle));
    making.record.created = base::now();
    making.record.owner = ::geteuid();

    TRY_VOID(store.claim(options.id));
    base::Status done = making.prepare();
    if (done) done = making.launch();
    if (done) done = making.hand_over();
    if (!done) {
        making.undo();
        return std::move(done.error()).with("unable to start container process");
    }
    Created out;
    out.record = std::move(making.record);
    out.process = std::move(making.child->process);
    out.terminal = std::move(making.plan.terminal);
    return out;
}

}  // namespace engine::oci
