#include "runtime/mount_plan.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup_layout.h"
#include "runtime/inside_path.h"
#include "runtime/mount_options.h"
#include "runtime/mount_source.h"

namespace engine::runtime {
namespace {
using base::Code;

constexpr uint64_t kStrict = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

size_t depth(std::string_view path) { return static_cast<size_t>(std::count(path.begin(), path.end(), '/')); }
bool below(std::string_view path, std::string_view folder) {
    return path == folder || (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

struct Builder {
    PlanData& plan;
    MountContext& context;
    std::vector<ResolvedMount>& mounts;
    const ContainerSpec& spec = context.input.container->spec;
    int16_t dev = -1, sys = -1;

    bool covered(std::string_view folder) const {
        return std::any_of(mounts.begin(), mounts.end(), [&](const ResolvedMount& mount) { return below(mount.mount.target, folder); });
    }

    void base_mounts() {
        plan.proc_slot = plan.new_slot();
        plan.add_mount("proc", "proc", kStrict, {}, kMakeFolder | kNoSymlinks).slot = static_cast<int16_t>(plan.proc_slot);

        dev = plan.new_slot();
        plan.add_mount("tmpfs", "dev", MOUNT_ATTR_NOSUID, {"mode", "755", "size", "65536k"}, kMakeFolder | kNoSymlinks).slot = dev;
        struct Node {
            const char* name;
            unsigned major, minor;
        };
        constexpr Node kNodes[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
        for (const Node& node : kNodes) {
            Step& step = plan.add(Op::make_node, node.name);
            step.at = dev;
            step.a = S_IFCHR | 0666;
            step.b = node.major << 8 | node.minor;
        }
        constexpr std::pair<const char*, const char*> kLinks[] = {
            {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"}};
        for (auto [name, to] : kLinks) {
            uint32_t more = plan.intern(to);
            Step& step = plan.add(Op::make_link, name);
            step.at = dev;
            step.more = more;
        }
        if (plan.terminal) {
            // The instance in which the terminal was allocated.
            Step& step = plan.add(Op::mount_tree, "pts", kMakeFolder | kNoSymlinks);
            step.at = dev;
            step.fd = devpts_fd;
        } else {
            plan.add_mount("devpts", "pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, {"mode", "0620", "gid", "5", "ptmxmode", "0666"}, kMakeFolder | kNoSymlinks).at = dev;
        }
        sys = plan.new_slot();
        plan.add_mount("sysfs", "sys", kStrict | (spec.privileged ? 0 : MOUNT_ATTR_RDONLY), {}, kMakeFolder | kNoSymlinks).slot = sys;
        cgroup_mounts();
        plan.add_mount("mqueue", "mqueue", kStrict, {}, kMakeFolder | kNoSymlinks).at = dev;
        shm();
    }

    int devpts_fd = -1;

    void cgroup_mounts() {
        uint64_t attributes = kStrict | (spec.privileged || context.writable_cgroups ? 0 : MOUNT_ATTR_RDONLY);
        if (cgroup_version() == CgroupVersion::v2) {
            plan.add_mount("cgroup2", "fs/cgroup", attributes, {}, kNoSymlinks).at = sys;
            return;
        }
        if (context.input.cgroup == nullptr) return;
        int16_t folder = plan.new_slot();
        Step& step = plan.add_mount("tmpfs", "fs/cgroup", kStrict, {"mode", "755"}, kNoSymlinks);
        step.at = sys;
        step.slot = folder;
        for (const CgroupHierarchy& hierarchy : cgroup_hierarchies()) {
            // The container's own group only, so that it cannot see its siblings'; a hierarchy without one is left out.
            uint32_t source = plan.intern(hierarchy.mount_point + context.input.cgroup->path());
            Step& bind = plan.add(Op::mount_host, hierarchy.name(), kMakeFolder | kNoSymlinks | kOptional);
            bind.at = folder;
            bind.more = source;
            bind.a = attributes;
        }
        for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
            if (hierarchy.controllers.size() > 1)
                for (const std::string& controller : hierarchy.controllers) {
                    uint32_t to = plan.intern(hierarchy.name());
                    Step& link = plan.add(Op::make_link, controller);
                    link.at = folder;
                    link.more = to;
                }
    }

    void shm() {
        const std::string& mode = spec.ipc_mode;
        // A mount of the user's at the very place is instead of it.
        bool taken = std::any_of(mounts.begin(), mounts.end(), [](const ResolvedMount& mount) { return mount.mount.target == "/dev/shm"; });
        if (mode == "none" || taken) return;
        if (mode == "host") {
            uint32_t source = plan.intern("/dev/shm");
            Step& step = plan.add(Op::mount_host, "shm", kMakeFolder | kNoSymlinks | kOptional);
            step.at = dev;
            step.more = source;
            return;
        }
        if (borrowed_shm >= 0) {
            Step& step = plan.add(Op::mount_tree, "shm", kMakeFolder | kNoSymlinks);
            step.at = dev;
            step.from = borrowed_shm;
            return;
        }
        std::string size = std::to_string(spec.shm_size > 0 ? spec.shm_size / 1024 : 65536) + "k";
        plan.add_mount("tmpfs", "shm", kStrict, {"source", "shm", "mode", "1777", "size", size}, kMakeFolder | kNoSymlinks).at = dev;
    }
    int16_t borrowed_shm = -1;

    base::Status user_mounts() {
        for (ResolvedMount& resolved : mounts) {
            const Mount& mount = resolved.mount;
            if (mount.target == "/") return base::fail(Code::invalid, "invalid mount: destination can't be '/'");
            bool allow_proc = std::find(std::begin(kProcFiles), std::end(kProcFiles), mount.target) != std::end(kProcFiles);
            if (mount.type == Mount::Type::tmpfs) {
                MountOptions options = TRY(tmpfs_options(mount));
                plan.add_mount("tmpfs", mount.target, options.attributes, options.filesystem, kMakeFolder);
                continue;
            }
            MountSource source = TRY(open_mount_source(resolved));
            if (mount.target == "/proc" && source.is_procfs) allow_proc = true;
            int fd = plan.keep(std::move(source.tree));
            Step& step = plan.add(Op::mount_tree, mount.target, static_cast<uint16_t>((source.is_folder ? kMakeFolder : kMakeFile) | (allow_proc ? kAllowProc : 0)));
            step.fd = fd;
        }
        for (const FileBind& file : context.input.files) {
            std::string target = clean_path(file.target);
            // A mount of the user's at the very place wins (a bind over /etc/hosts).
            if (std::any_of(mounts.begin(), mounts.end(), [&](const ResolvedMount& mount) { return mount.mount.target == target; })) continue;
            uint32_t source = plan.intern(file.host_path);
            Step& step = plan.add(Op::mount_host, target, kMakeFile);
            step.more = source;
            step.a = file.read_only || spec.read_only ? MOUNT_ATTR_RDONLY : 0;  // Docker: /etc/hosts of a read-only root is read-only
        }
        return {};
    }

    void protect() {
        bool unconfined = std::find(spec.security_opt.begin(), spec.security_opt.end(), "systempaths=unconfined") != spec.security_opt.end();
        if (spec.privileged || unconfined) return;
        // Relative to our own procfs and sysfs; by the root only where a mount of the user's covers them.
        bool proc_covered = covered("/proc"), sys_covered = covered("/sys");
        auto place = [&](Step& step, const std::string& path) {
            bool in_proc = path.starts_with("/proc/");
            if (in_proc ? proc_covered : sys_covered) return;
            step.at = in_proc ? static_cast<int16_t>(plan.proc_slot) : sys;
            step.text += in_proc ? 6 : 5;
        };
        for (const std::string& path : read_only_paths()) place(plan.add(Op::read_only, path, kNoSymlinks), path);
        int16_t empty = plan.new_slot();
        for (const MaskedPath& masked : masked_paths()) {
            Step& step = plan.add(masked.is_folder ? Op::mask_folder : Op::mask_file, masked.path, kNoSymlinks);
            if (masked.is_folder)
                step.slot = empty;
            else
                step.from = dev;
            place(step, masked.path);
        }
    }
};
}  // namespace

const std::vector<MaskedPath>& masked_paths() {
    static const std::vector<MaskedPath> found = [] {
        std::vector<std::string> paths{"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                                       "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"};
        for (long cpu = 0, cpus = ::sysconf(_SC_NPROCESSORS_CONF); cpu < cpus; ++cpu)
            paths.push_back("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/thermal_throttle");
        std::vector<MaskedPath> out;
        for (std::string& path : paths) {
            struct stat info{};
            if (::stat(path.c_str(), &info) == 0) out.push_back({std::move(path), S_ISDIR(info.st_mode)});
        }
        return out;
    }();
    return found;
}

const std::vector<std::string>& read_only_paths() {
    static const std::vector<std::string> found = [] {
        std::vector<std::string> out;
        for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
            if (base::exists(path)) out.emplace_back(path);
        return out;
    }();
    return found;
}

base::Status add_mounts(PlanData& plan, MountContext& context, std::vector<ResolvedMount>& mounts) {
    const LaunchInput& input = context.input;
    const ContainerSpec& spec = input.container->spec;
    for (const auto& [target, options] : spec.tmpfs) {
        ResolvedMount tmpfs;
        tmpfs.mount.type = Mount::Type::tmpfs;
        tmpfs.mount.target = target;
        tmpfs.mount.tmpfs_options = options;
        mounts.push_back(std::move(tmpfs));
    }
    bool shares = false;
    for (ResolvedMount& mount : mounts) {
        if (mount.mount.target.empty() || mount.mount.target[0] != '/')
            return base::fail(Code::invalid, "invalid mount path: " + base::quote(mount.mount.target) + " mount path must be absolute");
        mount.mount.target = clean_path(mount.mount.target);
        shares = shares || (TRY(propagation_flags(mount.mount.propagation)) & (MS_SHARED | MS_SLAVE)) != 0;
    }
    // behaviour.md §3: sorted by depth, so that /data/sub comes over /data.
    std::stable_sort(mounts.begin(), mounts.end(), [](const ResolvedMount& a, const ResolvedMount& b) { return depth(a.mount.target) < depth(b.mount.target); });

    Builder builder{plan, context, mounts};
    if (input.join.ipc_process >= 0) {
        builder.borrowed_shm = plan.new_slot();
        int own = plan.keep(TRY(base::open_at(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY)));
        Step& step = plan.add(Op::borrow_mount, "/dev/shm");
        step.fd = input.join.ipc_process;
        step.slot = builder.borrowed_shm;
        step.a = static_cast<uint64_t>(own);
    }
    plan.add(Op::new_namespace).a = CLONE_NEWNS;
    // Nothing of ours may travel back to the host; slave where a mount of the user's is to follow the host's.
    plan.add(Op::propagation).a = MS_REC | (shares ? MS_SLAVE : MS_PRIVATE);
    plan.add(Op::attach_root, context.root_at).fd = plan.root_fd;

    base::UniqueFd devpts;
    int slave = -1;
    if (spec.tty) {
        ContainerTerminal terminal = TRY(open_container_terminal(context.identity.uid));
        plan.terminal = std::move(terminal.master);
        builder.devpts_fd = plan.keep(std::move(terminal.devpts));
        slave = plan.keep(std::move(terminal.slave));
        plan.terminal_slave = slave;
    }
    builder.base_mounts();
    TRY_VOID(add_sysctls(plan, spec));
    TRY_VOID(builder.user_mounts());
    if (slave >= 0) {
        Step& step = plan.add(Op::mount_console, "console", kMakeFile | kNoSymlinks);
        step.at = builder.dev;
        step.fd = slave;
    }
    builder.protect();
    // Last: a device of the user's may take the place of the null node that masks are made of.
    TRY_VOID(add_devices(plan, spec, builder.dev));
    return add_cdi_nodes(plan, context.devices, context.identity, builder.dev);
}

}  // namespace engine::runtime
