#include "runtime/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup_folders.h"
#include "runtime/cgroup_layout.h"
#include "runtime/cgroup_limits.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;
using std::chrono::steady_clock;

bool is_v2() { return cgroup_version() == CgroupVersion::v2; }

/// v1: what every container gets; the others (cpu, cpuset, blkio, pids) only when a limit needs them, since each costs a
/// folder, an attach and a mount at every start.
constexpr std::string_view kAlways[] = {"memory", "devices", "freezer", "cpuacct"};

const CgroupHierarchy* unified() {
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
        if (hierarchy.unified) return &hierarchy;
    return nullptr;
}

base::Status apply_writes(const std::string& path, const std::vector<CgroupWrite>& writes) {
    for (size_t i = 0; i < writes.size(); ++i) {
        const CgroupWrite& write = writes[i];
        std::string folder = cgroup_folder(path, write.controller);
        std::string file = folder + "/" + write.file;
        if (write.file == "io.weight" && i != 0 && writes[i - 1].file == "io.bfq.weight" && base::exists(folder + "/io.bfq.weight")) continue;  // said to BFQ
        if (folder.empty() || !base::exists(file)) {
            // Docker's rule: without swap accounting memory alone is limited (engine/remarks.h says so).
            if (write.optional || write.file == "memory.memsw.limit_in_bytes" || write.file == "memory.swap.max") continue;
            return base::fail(Code::unsupported_kernel, "limit " + write.file + ": this kernel has no such control (" + write.controller + " controller)");
        }
        auto written = write_cgroup_file(file, write.value);
        // memory and memory+swap hold each other: the lower one goes first when shrinking, the higher when growing.
        if (!written && write.file == "memory.limit_in_bytes" && i + 1 < writes.size() && writes[i + 1].file == "memory.memsw.limit_in_bytes") {
            auto other = write_cgroup_file(folder + "/" + writes[i + 1].file, writes[i + 1].value);
            if (other) written = write_cgroup_file(file, write.value);
        }
        if (!written && written.error().sys_errno == EOPNOTSUPP && write.file == "io.weight")
            return base::fail(Code::unsupported_kernel, "set the weight " + base::quote(write.value) + ": the device has no scheduler for weights: modprobe bfq, then write bfq to its /sys/block/…/queue/scheduler");
        if (!written && !write.optional) return std::move(written).context("set the limit");
    }
    return {};
}

base::Status set_devices_v1(const std::string& path, const std::vector<DeviceRule>& rules) {
    std::string folder = cgroup_folder(path, "devices");
    if (folder.empty()) return base::fail(Code::unsupported_kernel, "the devices controller is not mounted: devices could not be kept from the container");
    auto allow = base::open_at(AT_FDCWD, folder + "/devices.allow", O_WRONLY);
    auto deny = base::open_at(AT_FDCWD, folder + "/devices.deny", O_WRONLY);
    if (!allow) return std::move(allow.error());
    if (!deny) return std::move(deny.error());
    for (const DeviceRule& rule : rules) {
        std::string text = rule.type == 'a' ? "a" : rule.text();
        const base::UniqueFd& file = rule.allow ? *allow : *deny;
        if (::write(file.get(), text.data(), text.size()) < 0) return base::fail_errno("set device rule " + base::quote(rule.text()));
    }
    return {};
}

std::vector<pid_t> read_pids(const std::string& folder) {
    std::vector<pid_t> out;
    for (const std::string& line : base::split(read_cgroup_file(folder + "/cgroup.procs"), '\n'))
        if (auto pid = base::parse_int(line); pid && *pid > 0) out.push_back(static_cast<pid_t>(*pid));
    return out;
}

/// Waits for a kernel state that has no event to wait for (v1's freezer and dying groups): short naps that grow.
bool wait_for_state(std::chrono::milliseconds limit, const std::function<bool()>& reached) {
    auto deadline = steady_clock::now() + limit;
    for (long nap = 200'000;; nap = std::min(nap * 2, 20'000'000L)) {
        if (reached()) return true;
        if (steady_clock::now() > deadline) return false;
        timespec time{0, nap};
        ::nanosleep(&time, nullptr);
    }
}
}  // namespace

std::string slice_path(const std::string& slice) {
    std::string path;
    const std::string name = slice.substr(0, slice.size() - std::string_view(".slice").size());
    for (size_t dash = name.find('-'); dash != std::string::npos; dash = name.find('-', dash + 1))
        if (dash != 0) path += "/" + name.substr(0, dash) + ".slice";
    return path + "/" + slice;
}

std::string cgroup_path(const ContainerInfo& container) {
    std::string parent = container.spec.cgroup_parent;
    static const bool systemd = base::exists("/run/systemd/system");
    if (systemd && parent.ends_with(".slice") && parent.find('/') == std::string::npos) parent = slice_path(parent);
    while (!parent.empty() && parent.back() == '/') parent.pop_back();
    if (parent.empty()) return "/compose/" + container.id;
    return (parent[0] == '/' ? "" : "/") + parent + "/" + container.id;
}

Cgroup::Cgroup(Cgroup&&) noexcept = default;
Cgroup& Cgroup::operator=(Cgroup&&) noexcept = default;
Cgroup::~Cgroup() = default;

bool needs_every_group(const ContainerSpec& spec) {
    if (spec.privileged || !spec.cgroup_parent.empty() || !(spec.resources == Resources{})) return true;
    return std::any_of(spec.security_opt.begin(), spec.security_opt.end(), [](const std::string& option) { return option.starts_with("writable-cgroups="); });
}

Result<Cgroup> Cgroup::create(const std::string& path, const Resources& resources, const std::vector<DeviceRule>& devices, bool everywhere) {
    return create(path, TRY(cgroup_writes(resources, cgroup_version())), devices, everywhere);
}

Result<Cgroup> Cgroup::create(const std::string& path, const std::vector<CgroupWrite>& writes, const std::vector<DeviceRule>& devices, bool everywhere) {
    TRY_VOID(check_cgroup_path(path));
    if (is_v2()) {
        const CgroupHierarchy* hierarchy = unified();
        if (hierarchy == nullptr) return base::fail(Code::unsupported_kernel, "control groups are not mounted at /sys/fs/cgroup");
        TRY_VOID(make_cgroup_folder(*hierarchy, path));
        Cgroup out = TRY(open(path));
        TRY_VOID(apply_writes(path, writes));
        TRY_VOID(attach_device_filter(out.folder_.get(), devices));
        return out;
    }
    std::set<const CgroupHierarchy*> wanted;
    for (std::string_view controller : kAlways)
        if (const CgroupHierarchy* hierarchy = cgroup_hierarchy(controller)) wanted.insert(hierarchy);
    for (const CgroupWrite& write : writes)
        if (const CgroupHierarchy* hierarchy = cgroup_hierarchy(write.controller)) wanted.insert(hierarchy);
    if (everywhere)
        for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
            if (!hierarchy.unified) wanted.insert(&hierarchy);
    for (const CgroupHierarchy* hierarchy : wanted) TRY_VOID(make_cgroup_folder(*hierarchy, path));
    TRY_VOID(set_devices_v1(path, devices));
    TRY_VOID(apply_writes(path, writes));
    Cgroup out;
    out.path_ = path;
    for (const CgroupHierarchy* hierarchy : wanted)
        out.procs_.push_back(TRY(base::open_at(AT_FDCWD, hierarchy->mount_point + path + "/cgroup.procs", O_WRONLY)));
    return out;
}

Result<Cgroup> Cgroup::open(const std::string& path) {
    TRY_VOID(check_cgroup_path(path));
    Cgroup out;
    out.path_ = path;
    if (is_v2()) {
        const CgroupHierarchy* hierarchy = unified();
        if (hierarchy == nullptr) return base::fail(Code::not_found, "control groups are not mounted");
        out.folder_ = TRY(base::open_at(AT_FDCWD, hierarchy->mount_point + path, O_RDONLY | O_DIRECTORY));
        return out;
    }
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies()) {
        if (hierarchy.unified) continue;
        int fd = ::open((hierarchy.mount_point + path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            out.procs_.emplace_back(fd);
        else if (errno != ENOENT)
            return base::fail_errno("open control group " + base::quote(hierarchy.mount_point + path));
    }
    if (out.procs_.empty()) return base::fail(Code::not_found, "control group " + base::quote(path) + " is not there");
    return out;
}

int Cgroup::folder_fd() const { return folder_.get(); }

base::Status Cgroup::add(pid_t pid) const {
    std::string text = std::to_string(pid);
    for (const std::string& folder : existing_folders(path_)) TRY_VOID(write_cgroup_file(folder + "/cgroup.procs", text));
    return {};
}

base::Status Cgroup::update(const Resources& resources) const { return update(TRY(cgroup_writes(resources, cgroup_version()))); }

base::Status Cgroup::update(const std::vector<CgroupWrite>& writes) const {
    if (!is_v2())
        for (const CgroupWrite& write : writes) {
            const CgroupHierarchy* hierarchy = cgroup_hierarchy(write.controller);
            if (hierarchy == nullptr || base::exists(hierarchy->mount_point + path_)) continue;
            // A controller that the container had no need of so far: all its processes move in, also those born meanwhile.
            TRY_VOID(make_cgroup_folder(*hierarchy, path_));
            for (int pass = 0; pass < 100; ++pass) {
                std::vector<pid_t> inside = read_pids(hierarchy->mount_point + path_);
                bool moved = false;
                for (pid_t pid : TRY(pids()))
                    if (std::find(inside.begin(), inside.end(), pid) == inside.end()) {
                        moved = true;
                        auto written = write_cgroup_file(hierarchy->mount_point + path_ + "/cgroup.procs", std::to_string(pid));
                        if (!written && written.error().sys_errno != ESRCH) return written;
                    }
                if (!moved) break;
            }
        }
    return apply_writes(path_, writes);
}

base::Status Cgroup::freeze() const {
    using std::chrono::seconds;
    if (is_v2()) {
        std::string folder = cgroup_folder(path_, "");
        TRY_VOID(write_cgroup_file(folder + "/cgroup.freeze", "1"));
        base::UniqueFd events = TRY(base::open_at(AT_FDCWD, folder + "/cgroup.events", O_RDONLY));
        auto deadline = steady_clock::now() + seconds(10);
        for (;;) {
            if (keyed_value(read_cgroup_file(folder + "/cgroup.events"), "frozen") == 1) return {};
            auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
            if (left <= 0) break;
            char sink[256];
            (void)!::pread(events.get(), sink, sizeof sink, 0);
            if (keyed_value(read_cgroup_file(folder + "/cgroup.events"), "frozen") == 1 || !base::exists(folder)) return {};
            pollfd wait{events.get(), POLLPRI, 0};
            ::poll(&wait, 1, static_cast<int>(left));
        }
    } else {
        std::string state = cgroup_folder(path_, "freezer") + "/freezer.state";
        TRY_VOID(write_cgroup_file(state, "FROZEN"));
        // A process in the middle of vfork keeps v1 at FREEZING until the state is written once more.
        if (wait_for_state(seconds(10), [&] {
                if (read_cgroup_file(state).starts_with("FROZEN")) return true;
                (void)write_cgroup_file(state, "FROZEN");
                // Gone: the supervisor removed it at the same moment, so nothing is in it.
                return read_cgroup_file(state).starts_with("FROZEN") || !base::exists(state);
            }))
            return {};
    }
    (void)thaw();
    return base::fail(Code::timeout, "pause: the processes did not freeze within 10 s");
}

base::Status Cgroup::thaw() const {
    if (is_v2()) return write_cgroup_file(cgroup_folder(path_, "") + "/cgroup.freeze", "0");
    return write_cgroup_file(cgroup_folder(path_, "freezer") + "/freezer.state", "THAWED");
}

bool Cgroup::frozen() const {
    if (is_v2()) return base::trim(read_cgroup_file(cgroup_folder(path_, "") + "/cgroup.freeze")) == "1";
    return !read_cgroup_file(cgroup_folder(path_, "freezer") + "/freezer.state").starts_with("THAWED");
}

base::Status Cgroup::kill_all() const {
    if (is_v2()) {
        std::string file = cgroup_folder(path_, "") + "/cgroup.kill";  // Linux 5.14
        if (base::exists(file)) return write_cgroup_file(file, "1");
    }
    // Frozen, nothing can fork away from the list; a killed process dies when it is thawed.
    bool was_frozen = static_cast<bool>(freeze());
    for (int pass = 0; pass < 10; ++pass) {
        const size_t found = TRY(signal_all(SIGKILL));
        if (was_frozen || found == 0) break;
    }
    (void)thaw();
    return {};
}

Result<size_t> Cgroup::signal_all(int signal) const {
    std::vector<base::PidFd> held;
    for (pid_t pid : TRY(pids()))
        if (auto process = base::PidFd::open(pid)) held.push_back(std::move(*process));
    // Listed once more while it is held and lives: the number is a member's, not one that came into use meanwhile.
    const std::vector<pid_t> members = TRY(pids());
    size_t sent = 0;
    for (const auto& process : held)
        if (std::find(members.begin(), members.end(), process.pid()) != members.end() && process.alive() && process.signal(signal)) sent++;
    return sent;
}

Result<std::vector<pid_t>> Cgroup::pids() const {
    std::string folder = process_folder(path_);
    if (folder.empty()) return std::vector<pid_t>{};
    std::vector<pid_t> out = read_pids(folder);
    for (const std::string& below : folders_below(folder))
        for (pid_t pid : read_pids(below)) out.push_back(pid);
    return out;
}

bool Cgroup::populated() const {
    auto all = pids();
    return all && !all->empty();
}

Result<uint64_t> Cgroup::oom_kills() const {
    std::string folder = cgroup_folder(path_, "memory");
    return keyed_value(read_cgroup_file(folder + (is_v2() ? "/memory.events" : "/memory.oom_control")), "oom_kill");
}

Result<base::UniqueFd> Cgroup::oom_events() const {
    std::string folder = cgroup_folder(path_, "memory");
    if (is_v2()) {
        base::UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!watch || ::inotify_add_watch(watch.get(), (folder + "/memory.events").c_str(), IN_MODIFY) < 0) return base::fail_errno("watch memory.events");
        return watch;
    }
    base::UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event) return base::fail_errno("eventfd");
    base::UniqueFd control = TRY(base::open_at(AT_FDCWD, folder + "/memory.oom_control", O_RDONLY));
    TRY_VOID(write_cgroup_file(folder + "/cgroup.event_control", std::to_string(event.get()) + " " + std::to_string(control.get())));
    return event;
}

void Cgroup::drain_oom_events(int fd) {
    char sink[4096];
    while (::read(fd, sink, sizeof sink) > 0) {
    }
}

base::Status Cgroup::remove() {
    base::Status result;
    for (const std::string& folder : existing_folders(path_)) {
        std::vector<std::string> all = folders_below(folder);
        all.push_back(folder);
        for (const std::string& one : all) {
            int error = 0;
            bool gone = wait_for_state(std::chrono::seconds(5), [&] {
                if (::rmdir(one.c_str()) == 0 || errno == ENOENT) return true;
                error = errno;
                return error != EBUSY;
            });
            if (!gone || (error != 0 && error != EBUSY && base::exists(one))) {
                result = base::fail_errno("remove control group " + base::quote(one), error);
                break;
            }
        }
        // The parent too when this was its last; a create that races with it makes it anew. systemd's slices are its own.
        if (size_t slash = path_.rfind('/'); slash > 0 && result && !path_.substr(0, slash).ends_with(".slice")) ::rmdir((folder.substr(0, folder.size() - path_.size()) + path_.substr(0, slash)).c_str());
    }
    return result;
}

}  // namespace engine::runtime
