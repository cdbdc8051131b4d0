#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cdi.h"
#include "runtime/launch.h"
#include "runtime/mount_plan.h"
#include "runtime/plan_data.h"
#include "runtime/process_plan.h"
#include "runtime/resolve.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr const char* kInitTarget = "/sbin/docker-init";

/// Which namespaces are made anew by clone; the rest is joined by steps or is the host's.
Result<uint64_t> clone_flags(const LaunchInput& input) {
    const ContainerSpec& spec = input.container->spec;
    if (!spec.isolation.empty() && spec.isolation != "default") return base::fail(Code::unsupported, "isolation " + base::quote(spec.isolation) + " is for Windows");
    auto joined = [](const std::string& mode, int fd, const char* what) -> Result<bool> {
        bool other = mode.starts_with("container:") || mode.starts_with("service:");
        if (other && fd < 0) return base::fail(Code::internal, std::string(what) + " " + base::quote(mode) + ": its namespace was not given");
        return fd >= 0;
    };
    uint64_t flags = 0;
    if (!TRY(joined(spec.pid_mode, input.join.pid, "pid")) && spec.pid_mode != "host") flags |= CLONE_NEWPID;
    if (!TRY(joined(spec.ipc_mode, input.join.ipc, "ipc")) && spec.ipc_mode != "host") flags |= CLONE_NEWIPC;
    if (!TRY(joined(spec.uts_mode, input.join.uts, "uts")) && spec.uts_mode != "host") flags |= CLONE_NEWUTS;
    if (!TRY(joined(spec.network_mode, input.join.net, "network_mode")) && spec.network_mode != "host") flags |= CLONE_NEWNET;
    return flags;
}

void join(PlanData& plan, int fd, uint64_t type) {
    if (fd < 0) return;
    Step& step = plan.add(Op::join_namespace);
    step.fd = fd;
    step.a = type;
}

}  // namespace

Result<std::string> find_init(const std::string& wanted) {
    if (!wanted.empty()) return wanted;
    for (const char* path : {"/usr/bin/catatonit", "/usr/libexec/podman/catatonit", "/usr/libexec/catatonit/catatonit", "/usr/local/bin/catatonit", "/usr/bin/docker-init", "/usr/bin/tini-static"})
        if (::access(path, X_OK) == 0) return std::string(path);
    return base::fail(Code::not_found, "init: true needs an init program, and catatonit is not installed (package catatonit)");
}

Result<LaunchPlan> prepare(LaunchInput input) {
    if (input.container == nullptr || input.image == nullptr || !input.root) return base::fail(Code::internal, "prepare: incomplete input");
    ContainerInfo with_devices;
    CdiEdits devices;
    if (wants_cdi(input.container->spec)) {
        // The vendor's mounts, nodes and variables become part of the spec, for this start only.
        with_devices = *input.container;
        WithCdi found = TRY(with_cdi(input.container->spec));
        with_devices.spec = std::move(found.spec);
        devices = std::move(found.rest);
        for (uint32_t group : devices.groups) with_devices.spec.group_add.push_back(std::to_string(group));
        for (const Mount& mount : devices.mounts) {
            std::erase_if(input.mounts, [&](const ResolvedMount& own) { return own.mount.target == mount.target; });
            input.mounts.push_back({mount, mount.source, {}});
        }
        input.container = &with_devices;
    }
    const ContainerInfo& container = *input.container;
    const ContainerSpec& spec = container.spec;
    // Docker's names of its default runtime mean ours.
    if (!spec.runtime.empty() && spec.runtime != "runc" && spec.runtime != "io.containerd.runc.v2" && spec.runtime != "compose")
        return base::fail(Code::unsupported, "unknown or invalid runtime name: " + base::printable(spec.runtime) + " (this engine starts containers with its own runtime only)");
    Resolved resolved = TRY(resolve(spec, *input.image, container.id));

    LaunchPlan out(std::make_unique<PlanData>());
    PlanData& plan = out.data();
    Identity identity = TRY(find_user_in_root(input.root.get(), resolved.user, spec.group_add));
    plan.root_fd = plan.keep(std::move(input.root));
    plan.clone_flags = TRY(clone_flags(input));
    plan.pid_namespace = input.join.pid;

    plan.argv = resolved.argv;
    if (spec.init) {
        std::vector<std::string> argv{kInitTarget, "--"};
        argv.insert(argv.end(), plan.argv.begin(), plan.argv.end());
        plan.argv = std::move(argv);
    }
    plan.env = resolved.env;
    if (!env_value(plan.env, "HOME")) {
        auto mounted = TRY(mounted_home(input.mounts, identity.uid));
        plan.env.push_back("HOME=" + mounted.value_or(identity.home));
    }

    std::vector<ResolvedMount> mounts = std::move(input.mounts);
    input.mounts.clear();
    if (spec.init) {
        std::string program = TRY(find_init(input.init_path));
        input.files.push_back({kInitTarget, std::move(program), true});
    }

    if (input.cgroup != nullptr) {
        plan.cgroup_fd = input.cgroup->folder_fd();
        for (const base::UniqueFd& procs : input.cgroup->procs_fds()) plan.add(Op::enter_cgroup).fd = procs.get();
    }
    bool cgroup_namespace = spec.cgroup_mode == "private" || (spec.cgroup_mode.empty() && cgroup_version() == CgroupVersion::v2);
    // Only now, from inside the group: the new namespace's root is where the process is (CVE-2023-25809).
    if (cgroup_namespace) plan.add(Op::new_namespace).a = CLONE_NEWCGROUP;
    join(plan, input.join.ipc, CLONE_NEWIPC);
    join(plan, input.join.uts, CLONE_NEWUTS);
    join(plan, input.join.net, CLONE_NEWNET);
    plan.add(Op::file_mask).a = 0;

    SecurityOptions security = TRY(parse_security_options(spec.security_opt));
    std::string root_at = TRY(prepare_hooks(plan, devices.hooks, input, resolved));
    MountContext context{input, resolved, identity, cgroup_namespace, security.writable_cgroups, devices, std::move(root_at)};
    TRY_VOID(add_mounts(plan, context, mounts));
    plan.add(Op::make_file, ".dockerenv").b = 0755;
    if (resolved.working_dir != "/") plan.add(Op::make_dirs, resolved.working_dir).b = 0755;
    TRY_VOID(add_hooks(plan, input.go_keeper));
    if (spec.read_only) plan.add(Op::root_read_only).fd = plan.root_fd;

    if (spec.uts_mode != "host" && input.join.uts < 0) {
        if (resolved.hostname.size() > 64) return base::fail(Code::invalid, "invalid hostname: " + base::quote(resolved.hostname) + " is longer than 64 characters");
        plan.add(Op::host_name, resolved.hostname);
        if (!spec.domainname.empty()) plan.add(Op::domain_name, spec.domainname);
    }
    TRY_VOID(add_proc_settings(plan, spec, false));
    plan.add(Op::pivot).fd = plan.root_fd;
    if (input.go >= 0) {
        Step& step = plan.add(Op::wait_for_go);
        step.fd = input.go;
        step.a = static_cast<uint64_t>(input.go_keeper + 1);
    }

    ProcessSettings process;
    process.spec = &spec;
    process.identity = &identity;
    process.working_dir = resolved.working_dir;
    process.privileged = spec.privileged;
    process.tty = spec.tty;
    process.stdio = spec.tty ? StreamSet{plan.terminal_slave, plan.terminal_slave, plan.terminal_slave} : input.stdio;
    process.cache_dir = input.cache_dir;
    process.keyring = "_ses." + container.id;
    TRY_VOID(add_process(plan, process));
    TRY_VOID(plan.seal());
    return out;
}

}  // namespace engine::runtime
