#include "oci/container_plan.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "runtime/hooks.h"
#include "oci/mount_words.h"
#include "runtime/cgroup_layout.h"
#include "runtime/inside_path.h"
#include "runtime/mount_source.h"
#include "runtime/sysctl.h"
#include "runtime/terminal.h"

namespace engine::oci {
namespace {
using base::Code;
using base::Result;
using runtime::Op;
using runtime::PlanData;
using runtime::Step;

/// mknod's device number is the kernel's "new" encoding.
uint64_t device_number(int64_t major, int64_t minor) {
    auto high = static_cast<uint64_t>(major), low = static_cast<uint64_t>(minor);
    return (low & 0xff) | (high << 8) | ((low & ~uint64_t{0xff}) << 12);
}

struct RootBuilder {
    PlanData& plan;
    const ContainerInput& input;
    const Spec& spec = *input.spec;
    int16_t dev = -1, sys = -1, cgroup_ro = -1;
    bool dev_is_bind = false, dev_read_only = false, own_devices = !spec.has(CLONE_NEWUSER);
    int devpts_fd = -1;

    base::Status bind(const MountEntry& mount, const MountWords& words) {
        BindSource source = TRY(open_bind_source(mount, words, spec, input.bundle));
        bool below_proc = std::find(std::begin(runtime::kProcFiles), std::end(runtime::kProcFiles), mount.destination) != std::end(runtime::kProcFiles);
        bool allow = below_proc || (mount.destination == "/proc" && source.is_procfs);
        int fd = plan.keep(std::move(source.tree));
        Step& step = plan.add(Op::mount_tree, mount.destination,
                              static_cast<uint16_t>((source.is_folder ? runtime::kMakeFolder : runtime::kMakeFile) | (allow ? runtime::kAllowProc : 0)));
        step.fd = fd;
        if (mount.destination == "/proc" && source.is_procfs) step.slot = static_cast<int16_t>(plan.proc_slot = plan.new_slot());
        if (mount.destination == "/dev") {
            dev_is_bind = true;
            dev = -1;
        }
        return {};
    }

    base::Status cgroup_mount(const MountEntry& mount, const MountWords& words) {
        if (runtime::cgroup_version() == runtime::CgroupVersion::v2) {
            plan.add_mount("cgroup2", mount.destination, words.set, {"source", "cgroup"}, runtime::kMakeFolder);
            return {};
        }
        int16_t folder = plan.new_slot();
        // Read-only once its folders are there.
        Step& tmpfs = plan.add_mount("tmpfs", mount.destination, words.set & ~uint64_t{MOUNT_ATTR_RDONLY}, {"source", "tmpfs", "mode", "755"}, runtime::kMakeFolder);
        tmpfs.slot = folder;
        for (const runtime::CgroupHierarchy& hierarchy : runtime::cgroup_hierarchies()) {
            uint32_t source = plan.intern(hierarchy.mount_point + input.cgroup->path());
            Step& part = plan.add(Op::mount_host, hierarchy.name(), runtime::kMakeFolder | runtime::kNoSymlinks | runtime::kOptional);
            part.at = folder;
            part.more = source;
            part.a = words.set;
        }
        for (const runtime::CgroupHierarchy& hierarchy : runtime::cgroup_hierarchies())
            if (hierarchy.controllers.size() > 1)
                for (const std::string& controller : hierarchy.controllers) {
                    uint32_t to = plan.intern(hierarchy.name());
                    Step& link = plan.add(Op::make_link, controller, runtime::kKeep);
                    link.at = folder;
                    link.more = to;
                }
        if ((words.set & MOUNT_ATTR_RDONLY) != 0) {
            Step& seal = plan.add(Op::mount_attributes);
            seal.from = folder;
            seal.a = MOUNT_ATTR_RDONLY;
        }
        return {};
    }

    /// The container's own instance, in which the parent allocates the terminal.
    base::Status terminal_mount(const MountEntry& mount, const MountWords& words) {
        runtime::ContainerTerminal terminal = TRY(runtime::open_container_terminal(host_uid(spec, spec.process->user.uid), words.data, words.set));
        plan.terminal = std::move(terminal.master);
        plan.terminal_slave = plan.keep(std::move(terminal.slave));
        int fd = plan.keep(std::move(terminal.devpts));
        plan.add(Op::mount_tree, mount.destination, runtime::kMakeFolder).fd = fd;
        return {};
    }

    base::Status mounts() {
        for (MountEntry mount : spec.mounts) {
            mount.destination = runtime::clean_path(mount.destination);
            MountWords words = read_mount_words(mount.options);
            std::string what = "error mounting " + base::quote(mount.source) + " to rootfs at " + base::quote(mount.destination);
            if (mount.destination == "/") return base::fail(Code::invalid, what + ": the root itself is not a place to mount on");
            if (words.bind || mount.type == "bind" || mount.type == "rbind") {
                words.recursive = words.recursive || mount.type == "rbind";
                TRY_VOID(bind(mount, words));
                continue;
            }
            if (words.idmap || !mount.uid_mappings.empty()) return base::fail(Code::invalid, what + ": only a bind mount can be id-mapped");
            if (mount.type == "cgroup" || mount.type == "cgroup2") {
                TRY_VOID(cgroup_mount(mount, words));
                continue;
            }
            if (mount.type == "devpts" && mount.destination == "/dev/pts" && spec.process && spec.process->terminal && !plan.terminal) {
                TRY_VOID(terminal_mount(mount, words));
                continue;
            }
            if (mount.type.empty()) return base::fail(Code::invalid, what + ": no type, and neither bind nor rbind among its options");
            std::vector<std::string> data = words.data;
            if (!mount.source.empty()) data.insert(data.begin(), {"source", mount.source});
            bool of_engine = mount.type == "proc" || mount.type == "sysfs";
            uint64_t attributes = words.set;
            bool is_dev = mount.destination == "/dev";
            if (is_dev) {
                // Nodes are made in it first.
                dev_read_only = (attributes & MOUNT_ATTR_RDONLY) != 0;
                attributes &= ~uint64_t{MOUNT_ATTR_RDONLY};
            }
            if (words.copy_up) return base::fail(Code::unsupported, what + ": tmpcopyup is not supported");
            Step& step = plan.add_mount(mount.type, mount.destination, attributes, data, static_cast<uint16_t>(runtime::kMakeFolder | (of_engine ? runtime::kNoSymlinks : 0)));
            for (uint64_t kind : words.propagation) step.b = kind & ~uint64_t{MS_REC};
            if (mount.type == "proc" && mount.destination == "/proc") step.slot = static_cast<int16_t>(plan.proc_slot = plan.new_slot());
            if (is_dev) step.slot = dev = plan.new_slot();
            if (mount.destination == "/sys") step.slot = sys = plan.new_slot();
        }
        return {};
    }

    /// A target below /dev by the slot of the container's own tmpfs.
    Step& in_dev(Op op, std::string_view path, uint16_t flags) {
        bool by_slot = dev >= 0 && path.starts_with("/dev/");
        Step& step = plan.add(op, by_slot ? path.substr(5) : path.substr(1), flags);
        if (by_slot) step.at = dev;
        return step;
    }

    void node(const DeviceNode& device, bool standard) {
        unsigned type = device.type == 'b' ? S_IFBLK : device.type == 'p' ? S_IFIFO : S_IFCHR;
        if (!own_devices) {
            // mknod is not for a user namespace: the host's node is bound instead.
            uint32_t source = plan.intern(device.path);
            Step& step = in_dev(Op::mount_host, device.path, runtime::kMakeFile);
            step.more = source;
            return;
        }
        Step& step = in_dev(Op::make_node, runtime::clean_path(device.path), runtime::kKeep);
        step.a = type | device.mode;
        step.b = device.type == 'p' ? 0 : device_number(device.major, device.minor);
        step.c = static_cast<uint64_t>(device.uid) | static_cast<uint64_t>(device.gid) << 32;
        (void)standard;
    }

    void devices() {
        if (dev_is_bind) return;  // the host's, as they are
        constexpr std::tuple<const char*, int, int> kStandard[] = {{"/dev/null", 1, 3},   {"/dev/random", 1, 8}, {"/dev/full", 1, 7},
                                                                   {"/dev/tty", 5, 0},    {"/dev/zero", 1, 5},   {"/dev/urandom", 1, 9}};
        // A configuration's own node of the same name wins.
        for (auto [path, major, minor] : kStandard) {
            const char* name = path;
            if (std::any_of(spec.devices.begin(), spec.devices.end(), [&](const DeviceNode& device) { return runtime::clean_path(device.path) == name; })) continue;
            DeviceNode device;
            device.path = path;
            device.major = major;
            device.minor = minor;
            node(device, true);
        }
        for (const DeviceNode& device : spec.devices) node(device, false);
        uint32_t to = plan.intern("pts/ptmx");
        in_dev(Op::make_link, "/dev/ptmx", runtime::kReplace).more = to;
        for (auto [name, target] : {std::pair{"/dev/fd", "/proc/self/fd"}, std::pair{"/dev/stdin", "/proc/self/fd/0"}, std::pair{"/dev/stdout", "/proc/self/fd/1"},
                                    std::pair{"/dev/stderr", "/proc/self/fd/2"}}) {
            to = plan.intern(target);
            in_dev(Op::make_link, name, runtime::kKeep).more = to;
        }
        if (base::exists("/proc/kcore")) {
            to = plan.intern("/proc/kcore");
            in_dev(Op::make_link, "/dev/core", runtime::kKeep).more = to;
        }
    }

    base::Status console() {
        if (!spec.process || !spec.process->terminal) return {};
        if (!plan.terminal) {
            // No devpts of its own: the host's.
            runtime::Pty pty = TRY(runtime::open_pty());
            plan.terminal = std::move(pty.master);
            plan.terminal_slave = plan.keep(std::move(pty.slave));
        }
        in_dev(Op::mount_console, "/dev/console", runtime::kMakeFile | runtime::kNoSymlinks).fd = plan.terminal_slave;
        return {};
    }

    base::Status sysctls() {
        if (spec.sysctl.empty()) return {};
        using Of = runtime::Sysctl::Of;
        if (plan.proc_slot < 0) return base::fail(Code::invalid, "linux.sysctl needs a proc filesystem mounted on /proc");
        for (const auto& [name, value] : spec.sysctl) {
            runtime::Sysctl sysctl = TRY(runtime::sysctl_of(name));
            std::string quoted = "sysctl " + base::quote(name);
            if (sysctl.dotted == "kernel.hostname") return base::fail(Code::invalid, quoted + ": use the hostname of the configuration instead");
            if (sysctl.of == Of::host) return base::fail(Code::invalid, quoted + " is not in a separate kernel namespace");
            auto [flag, kind] = sysctl.of == Of::ipc ? std::pair(CLONE_NEWIPC, "ipc") : sysctl.of == Of::network ? std::pair(CLONE_NEWNET, "network") : std::pair(CLONE_NEWUTS, "uts");
            if (!spec.has(flag)) return base::fail(Code::invalid, quoted + " is not allowed in the hosts " + kind + " namespace");
            runtime::add_sysctl(plan, sysctl, value);
        }
        return {};
    }

    void protect() {
        // A link on the way is followed inside the root only; in procfs and sysfs none is.
        auto links = [](const std::string& path) { return path.starts_with("/proc/") || path.starts_with("/sys/") ? uint16_t{runtime::kNoSymlinks} : uint16_t{0}; };
        for (const std::string& path : spec.readonly_paths) {
            std::string clean = runtime::clean_path(path);
            plan.add(Op::read_only, clean.substr(1), links(clean));
        }
        int16_t empty = plan.new_slot();
        for (const std::string& path : spec.masked_paths) {
            std::string clean = runtime::clean_path(path);
            plan.add(Op::mask, clean.substr(1), links(clean)).slot = empty;
        }
    }
};

/// Namespaces by path are opened here, on the host, and joined by the child.
base::Status add_joins(PlanData& plan, const Spec& spec) {
    for (const Namespace& space : spec.namespaces) {
        if (space.path.empty()) continue;
        auto opened = base::open_at(AT_FDCWD, space.path, O_RDONLY);
        if (!opened) return std::move(opened.error()).with("join the " + space.name + " namespace");
        int fd = plan.keep(std::move(*opened));
        if (space.type == CLONE_NEWPID) {
            plan.pid_namespace = fd;
            continue;
        }
        Step& step = plan.add(Op::join_namespace);
        step.fd = fd;
        step.a = space.type;
    }
    return {};
}
}  // namespace

Result<std::string> root_path(const Spec& spec, const std::string& bundle) {
    std::string path = spec.root[0] == '/' ? spec.root : bundle + "/" + spec.root;
    char resolved[PATH_MAX];
    if (::realpath(path.c_str(), resolved) == nullptr) return base::fail_errno("stat " + base::printable(path));
    struct stat info{};
    if (::stat(resolved, &info) != 0 || !S_ISDIR(info.st_mode)) return base::fail(Code::invalid, "rootfs (" + base::printable(path) + ") is not a folder");
    return std::string(resolved);
}

base::Status plan_container(PlanData& plan, const ContainerInput& input) {
    const Spec& spec = *input.spec;
    if (!spec.process) return base::fail(Code::invalid, "process property must not be empty");
    const Process& process = *spec.process;
    if (!input.pivot) return base::fail(Code::unsupported, "--no-pivot: the root is a mount of its own and always pivoted to, on a ramdisk too");
    std::string path = TRY(root_path(spec, input.bundle));
    base::MountFd root(::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(AT_RECURSIVE)));
    if (!root) return base::fail_errno("open the root " + base::quote(path));
    uint64_t propagation = TRY(propagation_of(spec.rootfs_propagation));
    mount_attr follow{};
    // Never a peer of the host's mounts: what happens inside must not come out.
    follow.propagation = (propagation & MS_PRIVATE) != 0 ? MS_PRIVATE : MS_SLAVE;
    if (::mount_setattr(root.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &follow, sizeof follow) != 0) return base::fail_errno("set the propagation of the root");
    plan.root_fd = plan.keep(std::move(root));
    plan.argv = process.args;
    plan.env = process.env;
    if (!std::any_of(plan.env.begin(), plan.env.end(), [](const std::string& entry) { return entry.starts_with("HOME="); })) {
        auto home = runtime::find_user_in_root(plan.root_fd, std::to_string(process.user.uid), {});
        plan.env.push_back("HOME=" + (home ? home->home : std::string("/")));
    }
    for (const Namespace& space : spec.namespaces)
        if (space.path.empty() && space.type != CLONE_NEWNS && space.type != CLONE_NEWCGROUP) plan.clone_flags |= space.type;
    if (const Namespace* user = spec.find(CLONE_NEWUSER); user != nullptr && !user->path.empty())
        return base::fail(Code::unsupported, "linux.namespaces: joining a user namespace by its path is not supported");

    plan.told_fd = input.exchange->told_write.get();
    plan.wait_fd = input.exchange->go_read.get();
    plan.add(Op::wait_for_go).fd = plan.wait_fd;
    for (const base::UniqueFd& procs : input.cgroup->procs_fds()) plan.add(Op::enter_cgroup).fd = procs.get();
    plan.cgroup_fd = input.cgroup->folder_fd();
    if (spec.has(CLONE_NEWUSER)) plan.add(Op::become_root);
    // From inside the group: the new namespace's root is where the process is (CVE-2023-25809).
    if (const Namespace* group = spec.find(CLONE_NEWCGROUP); group != nullptr && group->path.empty()) plan.add(Op::new_namespace).a = CLONE_NEWCGROUP;
    TRY_VOID(add_joins(plan, spec));
    plan.add(Op::file_mask).a = 0;
    plan.add(Op::new_namespace).a = CLONE_NEWNS;
    plan.add(Op::propagation).a = MS_REC | MS_SLAVE;
    plan.add(Op::attach_root).fd = plan.root_fd;

    RootBuilder builder{plan, input};
    TRY_VOID(builder.mounts());
    builder.devices();
    TRY_VOID(builder.console());
    if (process.cwd != "/") plan.add(Op::make_dirs, process.cwd).b = 0755;
    if (!spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty()) {
        plan.add(Op::tell).fd = plan.told_fd;
        plan.add(Op::wait_for_go).fd = plan.wait_fd;
    }
    for (const Hook& hook : spec.hooks.create_container) TRY_VOID(runtime::add_hook_step(plan, hook, input.exchange->hook_input.get()));
    TRY_VOID(builder.sysctls());
    builder.protect();
    if (builder.dev_read_only) {
        Step& step = plan.add(Op::mount_attributes);
        step.from = builder.dev;
        step.a = MOUNT_ATTR_RDONLY;
    }
    if (spec.root_read_only) plan.add(Op::root_read_only).fd = plan.root_fd;
    if (!spec.hostname.empty()) plan.add(Op::host_name, spec.hostname);
    if (!spec.domainname.empty()) plan.add(Op::domain_name, spec.domainname);

    ProcessInput steps;
    steps.process = &process;
    steps.spec = &spec;
    steps.filter = input.filter;
    steps.preserve_fds = input.preserve_fds;
    steps.stdio = process.terminal ? StreamSet{plan.terminal_slave, plan.terminal_slave, plan.terminal_slave} : input.stdio;
    if (input.new_keyring) steps.keyring = "_ses." + input.id;
    steps.proc_slot = static_cast<int16_t>(plan.proc_slot);
    TRY_VOID(add_labels(plan, steps));
    plan.add(Op::pivot).fd = plan.root_fd;
    if ((propagation & (MS_SHARED | MS_UNBINDABLE)) != 0) plan.add(Op::propagation).a = propagation;
    return add_process_steps(plan, steps);
}

}  // namespace engine::oci
