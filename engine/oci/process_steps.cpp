// The steps of a process, the container's first or an exec'd one, from its limits to execve.
#include <boost/json/serialize.hpp>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "oci/container_plan.h"
#include "oci/json_reader.h"
#include "runtime/apparmor.h"
#include "runtime/process_plan.h"
#include "runtime/rlimit.h"
#include "runtime/seccomp.h"
#include "runtime/sealed_exec.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif
#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace engine::oci {
namespace {
using base::Code;
using base::Result;
using runtime::Op;
using runtime::PlanData;
using runtime::Step;

constexpr runtime::CapabilitySet kSysAdminBit = runtime::CapabilitySet{1} << 21;
}  // namespace

uint32_t host_uid(const Spec& spec, uint32_t uid) {
    if (!spec.has(CLONE_NEWUSER)) return uid;
    for (const IdMapping& map : spec.uid_mappings)
        if (uid >= map.container && uid - map.container < map.size) return map.host + (uid - map.container);
    return uid;
}

Result<Filter> read_filter(const Spec& spec, const std::string& cache_dir) {
    Filter out;
    if (!spec.seccomp) return out;
    JsonReader reader("config.json");
    const boost::json::object& seccomp = *spec.seccomp;
    bool flags_given = seccomp.contains("flags");
    for (const std::string& flag : reader.texts(seccomp, "flags", "linux.seccomp")) {
        if (flag == "SECCOMP_FILTER_FLAG_LOG")
            out.flags |= SECCOMP_FILTER_FLAG_LOG;
        else if (flag == "SECCOMP_FILTER_FLAG_SPEC_ALLOW")
            out.flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        else if (flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
            out.flags |= SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        else if (flag != "SECCOMP_FILTER_FLAG_TSYNC")  // the process has one thread
            return base::fail(Code::invalid, "linux.seccomp.flags: seccomp flag " + base::quote(flag) + " is not one that this runtime knows");
    }
    if (!flags_given) out.flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    out.listener_path = reader.text(seccomp, "listenerPath", "linux.seccomp");
    out.listener_metadata = reader.text(seccomp, "listenerMetadata", "linux.seccomp");
    for (const boost::json::object* call : reader.objects(seccomp, "syscalls", "linux.seccomp")) {
        if (reader.text(*call, "action", "linux.seccomp.syscalls") != "SCMP_ACT_NOTIFY") continue;
        out.listener = true;
        for (const std::string& name : reader.texts(*call, "names", "linux.seccomp.syscalls"))
            if (name == "write") return base::fail(Code::invalid, "linux.seccomp: SCMP_ACT_NOTIFY cannot be used for the write syscall");
    }
    if (reader.text(seccomp, "defaultAction", "linux.seccomp") == "SCMP_ACT_NOTIFY") return base::fail(Code::invalid, "linux.seccomp: SCMP_ACT_NOTIFY cannot be used as default action");
    if (reader.failed()) return reader.take_error();
    if (out.listener && out.listener_path.empty()) return base::fail(Code::invalid, "linux.seccomp: SCMP_ACT_NOTIFY needs a listenerPath");
    if (!out.listener && !out.listener_path.empty()) return base::fail(Code::invalid, "linux.seccomp: listenerPath is set, but no rule has the action SCMP_ACT_NOTIFY");
    if (out.listener) out.flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    else out.flags &= ~uint64_t{SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};  // has no meaning without one, and the kernel refuses it
    out.program = TRY(runtime::cached_profile(boost::json::serialize(seccomp), cache_dir));
    return out;
}

base::Status add_labels(PlanData& plan, const ProcessInput& input) {
    const Process& process = *input.process;
    auto label = [&](const std::string& file, const std::string& value) {
        uint32_t text = plan.intern(value);
        Step& step = plan.add(Op::label, input.proc_slot >= 0 ? "self/" + file : "/proc/self/" + file);
        step.at = input.proc_slot;
        step.more = text;
    };
    if (!process.apparmor_profile.empty()) {
        const char* file = runtime::apparmor_file();
        if (file == nullptr) return base::fail(Code::unsupported_kernel, "apparmor profile " + base::quote(process.apparmor_profile) + ": AppArmor is not part of this kernel");
        label(file, "exec " + process.apparmor_profile);
    }
    if (!process.selinux_label.empty()) {
        if (!base::exists("/sys/fs/selinux/enforce"))
            return base::fail(Code::unsupported_kernel, "selinux label is specified in config, but selinux is disabled or not supported");
        label("attr/exec", process.selinux_label);
    }
    return {};
}

base::Status add_process_steps(PlanData& plan, const ProcessInput& input) {
    const Process& process = *input.process;
    for (const Rlimit& limit : process.rlimits) {
        Step& step = plan.add(Op::resource_limit);
        step.a = static_cast<uint64_t>(*runtime::rlimit_number(base::to_lower(limit.type.substr(7))));
        step.b = limit.soft;
        step.c = limit.hard;
    }
    if (process.io_priority) plan.add(Op::io_priority).a = *process.io_priority;
    if (input.spec->personality) plan.add(Op::personality).a = *input.spec->personality;
    if (!input.keyring.empty()) plan.add(Op::session_keyring, input.keyring);
    plan.add(Op::new_session);
    std::array<int, 3> streams = TRY(runtime::prepare_streams(plan, input.stdio, process.terminal, host_uid(*input.spec, process.user.uid)));
    Step& stdio = plan.add(Op::stdio);
    stdio.fd = streams[0];
    stdio.a = static_cast<uint64_t>(streams[1]);
    stdio.b = static_cast<uint64_t>(streams[2]);
    if (process.terminal) plan.add(Op::control_terminal);
    Step& close = plan.add(Op::close_fds);
    close.a = input.preserve_fds;
    if (input.filter != nullptr && input.filter->listener) {
        close.b = static_cast<uint64_t>(plan.told_fd) + 1;
        close.c = static_cast<uint64_t>(plan.wait_fd) + 1;
    }
    plan.add(Op::file_mask).a = process.umask.value_or(022);
    plan.add(Op::work_dir, process.cwd);

    const CapabilitySets& sets = process.capabilities;
    Step& bounding = plan.add(Op::drop_bounding);
    bounding.a = sets.bounding;
    bounding.b = static_cast<uint64_t>(runtime::last_capability());
    uint32_t numbers = plan.intern_bytes(process.user.groups.data(), process.user.groups.size() * sizeof(uint32_t));
    Step& groups = plan.add(Op::groups);
    groups.more = numbers;
    groups.a = process.user.groups.size();
    Step& user = plan.add(Op::identity);
    user.a = process.user.uid;
    user.b = process.user.gid;
    user.c = (sets.permitted | sets.effective | sets.inheritable | kSysAdminBit) & runtime::own_capabilities();

    plan.candidates = runtime::exec_candidates(process.args[0], process.env);
    uint32_t candidates = plan.intern_list(plan.candidates);
    plan.add(Op::find_program).more = candidates;
    if (process.no_new_privileges) plan.add(Op::no_new_privileges);
    if (input.filter != nullptr && input.filter->program) {
        const auto& program = *input.filter->program;
        uint32_t code = plan.intern_bytes(program.data(), program.size() * sizeof(sock_filter));
        Step& step = plan.add(Op::seccomp);
        step.more = code;
        step.a = program.size();
        step.b = input.filter->flags;
        step.c = input.filter->listener ? 1 : 0;
        if (input.filter->listener) {
            // The listener's fd is fetched by the parent before anything else may have to be answered through it.
            plan.add(Op::tell).fd = plan.told_fd;
            plan.add(Op::wait_for_go).fd = plan.wait_fd;
        }
    }
    runtime::CapabilitySet own = runtime::own_capabilities();
    Step& capabilities = plan.add(Op::capabilities);
    capabilities.a = sets.effective & own;
    capabilities.b = sets.permitted & own;
    capabilities.c = sets.inheritable & own;
    if ((sets.ambient & own) != 0) plan.add(Op::ambient).a = sets.ambient & sets.inheritable & sets.permitted & own;
    plan.add(Op::signal_mask);
    plan.sealed_exec_fd = TRY(runtime::sealed_exec_file());
    plan.add(Op::execute, base::proc_path(plan.sealed_exec_fd));
    return {};
}

}  // namespace engine::oci
