#include "supervisor/starter.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "image/rootfs.h"
#include "runtime/own_cgroup.h"
#include "supervisor/root_layers.h"
#include "volume/file_mounts.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

uint64_t process_start_time(pid_t pid) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!text) return 0;
    // The name in parentheses may hold anything: fields are counted from behind it. Start time is the 22nd of all.
    size_t at = text->rfind(')');
    if (at == std::string::npos) return 0;
    auto fields = base::split(std::string_view(*text).substr(at + 2), ' ');
    return fields.size() > 19 ? static_cast<uint64_t>(base::parse_int(fields[19]).value_or(0)) : 0;
}

std::string joined_container(const std::string& mode) { return mode.starts_with("container:") ? mode.substr(10) : std::string(); }

bool has_own_network(const ContainerSpec& spec) { return spec.network_mode != "host" && joined_container(spec.network_mode).empty(); }

bool has_embedded_dns(const ContainerSpec& spec) {
    return has_own_network(spec) && spec.network_mode != "none" && spec.network_mode != "bridge" && !spec.endpoints.empty();
}

std::string log_folder(const store::Paths& paths, const ContainerInfo& container) {
    return container.spec.log.driver == "none" ? paths.container_run(container.id) + "/log" : paths.container_log(container.id);
}

namespace {

/// Runs `work(i)` for 0 … count-1 on a few threads; this one takes part.
void in_parallel(size_t count, size_t threads, const std::function<void(size_t)>& work) {
    std::atomic<size_t> next{0};
    auto loop = [&] {
        for (size_t i = next++; i < count; i = next++) work(i);
    };
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < std::min(threads, count); i++) helpers.emplace_back(loop);
    loop();
    for (auto& helper : helpers) helper.join();
}

Result<std::pair<base::UniqueFd, base::UniqueFd>> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    return std::pair(base::UniqueFd(ends[0]), base::UniqueFd(ends[1]));
}

/// Ours only: the other end is another open file, the container's, and stays as it is.
void make_non_blocking(const base::UniqueFd& fd) { (void)::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK); }

}  // namespace

Result<image::ImageStore*> Starter::images() {
    std::lock_guard lock(images_mutex_);
    if (!images_) images_ = TRY(image::ImageStore::open(paths_.root));
    return images_.get();
}

Result<std::shared_ptr<const Starter::ImageParts>> Starter::image(const std::string& id) {
    auto* store = TRY(images());
    std::lock_guard lock(images_mutex_);
    if (auto found = image_cache_.find(id); found != image_cache_.end()) return found->second;
    auto parts = std::make_shared<ImageParts>();
    parts->config = TRY(store->find(id)).config;
    parts->layers = TRY(store->layer_dirs(id));
    parts->lower = TRY(root_layers(paths_.root, parts->layers));
    if (image_cache_.size() > 64) image_cache_.clear();
    image_cache_[id] = parts;
    return std::shared_ptr<const ImageParts>(parts);
}

Result<ImageConfig> Starter::image_config(const std::string& image_id) { return TRY(image(image_id))->config; }

void Starter::run(std::vector<StartItem>& items) {
    std::vector<StartItem*> good;
    for (auto& item : items) {
        auto resolve = [&]() -> Status {
            item.image = TRY(image_config(item.info.spec.image_id));
            item.resolved = TRY(runtime::resolve(item.info.spec, item.image, item.info.id));
            TRY_VOID(base::make_dirs(paths_.container_run(item.info.id), 0700));
            return {};
        };
        item.status = resolve();
        if (item.status) good.push_back(&item);
    }
    // The network is made by this thread alone; roots and control groups beside it.
    std::thread own_group(runtime::enter_own_cgroup_before_others);
    std::vector<std::optional<Result<Prepared>>> prepared(items.size());
    std::atomic<size_t> next{0};
    auto prepare_some = [&] {
        for (size_t i = next++; i < items.size(); i = next++)
            if (std::find(good.begin(), good.end(), &items[i]) != good.end()) prepared[i].emplace(prepare(items[i]));
    };
    std::thread helper(prepare_some);
    set_up_networks(good);
    for (auto* item : good)
        if (item->status && !item->keep_network) item->status = reserve_ports(*item);
    publish(good);
    store_endpoints(good);
    prepare_some();
    helper.join();
    own_group.join();

    std::vector<std::optional<runtime::Starting>> starting(items.size());
    const size_t threads = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 4);
    in_parallel(items.size(), items.size() > 1 ? threads : 1, [&](size_t i) {
        if (!items[i].status) return;
        auto begun = *prepared[i] ? begin(items[i], std::move(**prepared[i])) : std::move(prepared[i]->error());
        if (begun) {
            if (*begun) starting[i].emplace(std::move(**begun));
        } else {
            items[i].status = std::move(begun.error());
        }
    });
    prepared.clear();
    for (size_t i = 0; i < items.size(); i++) {
        StartItem& item = items[i];
        if (starting[i]) {
            auto process = starting[i]->finish();
            if (process) {
                item.process = std::move(*process);
                item.pid_start = process_start_time(item.process.pid());
            } else {
                item.status = std::move(process.error());
            }
        }
        if (!item.status) undo(item);
    }
}

Result<Starter::Prepared> Starter::prepare(StartItem& item) {
    const ContainerInfo& info = item.info;
    const ContainerSpec& spec = info.spec;
    Prepared out;
    out.image = TRY(image(spec.image_id));
    const ImageParts& parts = *out.image;
    const std::string upper = paths_.container_upper(info.id), work = paths_.container_work(info.id);
    if (!base::exists(upper) || !base::exists(work)) TRY_VOID(image::make_upper(parts.layers, upper, work));
    if (parts.lower.size() == parts.layers.size()) {
        // The runtime makes missing mount points itself; this file is ours.
        base::UniqueFd marker(::open((upper + "/.dockerenv").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0755));
    }
    runtime::LaunchInput& input = out.input;
    input.container = &info;
    input.image = &item.image;
    input.root = TRY(image::mount_overlay(parts.lower, upper, work));
    input.mounts = TRY(resolve_mounts(info, input.root.get()));
    for (auto& file : TRY(volume::resolve_files(paths_, info))) input.files.push_back({file.target, file.host_path, file.read_only});
    auto devices = TRY(runtime::device_rules(spec));
    out.cgroup = TRY(runtime::Cgroup::create(runtime::cgroup_path(info), spec.resources, devices, runtime::needs_every_group(spec)));
    input.bundle_dir = paths_.container_run(info.id) + "/bundle";
    input.cache_dir = paths_.root + "/cache/seccomp";
    if (spec.resources.memory > 0) {
        if (auto events = out.cgroup->oom_events()) item.oom_events = std::move(*events);
    }
    return out;
}

/// One process: files of the network, plan, clone.
Result<std::optional<runtime::Starting>> Starter::begin(StartItem& item, Prepared prepared) {
    const ContainerInfo& info = item.info;
    const ContainerSpec& spec = info.spec;
    runtime::LaunchInput input = std::move(prepared.input);
    input.cgroup = &*prepared.cgroup;
    auto network_files = TRY(write_network_files(item));
    input.files.insert(input.files.begin(), std::make_move_iterator(network_files.begin()), std::make_move_iterator(network_files.end()));
    std::vector<base::UniqueFd> held;
    input.join = TRY(join_fds(info, held));

    Channels& channels = item.channels;
    base::UniqueFd in, out, err;  // the container's ends
    if (!spec.tty) {
        std::tie(channels.out, out) = TRY(make_pipe());
        std::tie(channels.err, err) = TRY(make_pipe());
        make_non_blocking(channels.out);
        make_non_blocking(channels.err);
        if (spec.stdin_open) std::tie(in, channels.in) = TRY(make_pipe());
        input.stdio = {in.get(), out.get(), err.get()};
    }
    if (auto foreign = TRY(oci::find_runtime(spec.runtime))) {
        TRY_VOID(begin_foreign(item, *foreign, input));
        return std::optional<runtime::Starting>();
    }
    auto [go, give_go] = TRY(make_pipe());
    input.go = go.get();
    input.go_keeper = guardian_;
    auto plan = TRY(runtime::prepare(std::move(input)));
    if (spec.tty) {
        channels.terminal = plan.take_terminal();
        std::tie(channels.out, channels.terminal_pipe) = TRY(make_pipe());
        make_non_blocking(channels.out);
        make_non_blocking(channels.terminal);
    }
    item.started = base::now();  // before it runs: a short one may have ended when this thread comes back
    auto starting = TRY(runtime::start(std::move(plan), {.sibling = true}));
    auto process = TRY(base::PidFd::open(starting.pid()));
    TRY_VOID(keep_(info.id, {process, channels, item.started, item.token, give_go.get()}));
    return std::optional<runtime::Starting>(std::move(starting));
}

Status Starter::begin_foreign(StartItem& item, const oci::ForeignRuntime& foreign, runtime::LaunchInput& input) {
    const std::string folder = paths_.container_run(item.info.id) + "/oci";
    auto created = TRY(oci::foreign_create(foreign, input, item.resolved, folder));
    if (item.info.spec.tty) {
        item.channels.terminal = std::move(created.terminal);
        std::tie(item.channels.out, item.channels.terminal_pipe) = TRY(make_pipe());
        make_non_blocking(item.channels.out);
        make_non_blocking(item.channels.terminal);
    }
    // Its parent is the guardian by now, which adopts what has lost its own; that knows of it before it can end.
    item.started = base::now();
    auto process = TRY(base::PidFd::open(created.process.pid()));
    Status begun = keep_(item.info.id, {process, item.channels, item.started, item.token, -1});
    if (begun) begun = oci::foreign_start(foreign, item.info.id, folder);
    if (!begun) {
        (void)process.signal(SIGKILL);
        return begun;
    }
    item.process = std::move(created.process);
    item.pid_start = process_start_time(item.process.pid());
    return {};
}

/// The first process of a container; a reused number is not taken for it.
static Result<base::PidFd> process_of(const ContainerInfo& container) {
    auto process = base::PidFd::open(container.state.pid);
    if (process && container.state.pid_start != 0 && process_start_time(container.state.pid) == container.state.pid_start && process->alive()) return process;
    return fail(Code::not_running, "container " + container.spec.name + " is not running");
}

Result<runtime::JoinFds> Starter::join_fds(const ContainerInfo& container, std::vector<base::UniqueFd>& held) {
    runtime::JoinFds join;
    auto open_namespace = [&](const std::string& mode, const char* name, const char* what) -> Result<int> {
        std::string target = joined_container(mode);
        if (target.empty()) return -1;
        auto other = TRY(store_.container(target));
        if (other.state.status != ContainerStatus::running && other.state.status != ContainerStatus::paused)
            return fail(Code::not_running, std::string("cannot join ") + what + " of a non running container: " + other.spec.name);
        if (std::string_view(name) == "net" && base::exists(paths_.netns(other.id))) {
            held.push_back(TRY(base::open_at(AT_FDCWD, paths_.netns(other.id), O_RDONLY)));
            return held.back().get();
        }
        auto process = TRY(process_of(other));
        held.push_back(TRY(base::open_at(AT_FDCWD, "/proc/" + std::to_string(other.state.pid) + "/ns/" + name, O_RDONLY)));
        // It lived when that was opened: the number was its own.
        if (!process.alive()) return fail(Code::not_running, std::string("cannot join ") + what + " of a non running container: " + other.spec.name);
        return held.back().get();
    };
    join.net = TRY(open_namespace(container.spec.network_mode, "net", "network namespace"));
    join.pid = TRY(open_namespace(container.spec.pid_mode, "pid", "PID namespace"));
    join.ipc = TRY(open_namespace(container.spec.ipc_mode, "ipc", "IPC namespace"));
    if (join.ipc >= 0) {
        // /dev/shm is shared with the namespace: the runtime borrows it from that process.
        auto other = TRY(store_.container(joined_container(container.spec.ipc_mode)));
        auto process = TRY(process_of(other));
        held.emplace_back(::fcntl(process.fd(), F_DUPFD_CLOEXEC, 3));
        join.ipc_process = held.back().get();
    }
    join.uts = TRY(open_namespace(container.spec.uts_mode, "uts", "UTS namespace"));
    if (has_own_network(container.spec)) {
        held.push_back(TRY(network::open_netns(paths_.netns(container.id))));
        join.net = held.back().get();
    }
    return join;
}

/// A start that failed leaves what it found.
void Starter::undo(StartItem& item) {
    item.channels = {};
    item.oom_events.reset();
    if (auto cgroup = runtime::Cgroup::open(runtime::cgroup_path(item.info))) {
        (void)cgroup->kill_all();
        if (auto removed = cgroup->remove(); !removed) base::log::debug("ignored: " + removed.error().message());
    }
    if (item.keep_network) return;
    if (item.published)
        if (auto* publisher = services_.publisher_if_any()) (void)publisher->unpublish(item.info.id);
    if (item.dns_served)
        if (auto* dns = services_.dns_if_any()) dns->forget(item.info.id);
    services_.directory().remove(item.info.id);
    if (item.sandbox) (void)network::remove_netns(paths_.netns(item.info.id));
    (void)store_.release_addresses(item.info.id);
    (void)base::remove_tree(paths_.container_run(item.info.id));
}

}  // namespace engine::supervisor
