// Sysctls of the container's own namespaces, written through its own procfs.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "runtime/mount_plan.h"
#include "runtime/sysctl.h"

namespace engine::runtime {
using base::Code;

base::Result<Sysctl> sysctl_of(const std::string& name) {
    static constexpr std::string_view kIpc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
                                                "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};
    Sysctl sysctl{.dotted = name, .path = name};
    if (name.find('/') < name.find('.')) {
        std::replace(sysctl.dotted.begin(), sysctl.dotted.end(), '/', '.');
    } else {
        // In the dotted form a slash is a dot of an interface's name.
        for (char& c : sysctl.path) c = c == '.' ? '/' : c == '/' ? '.' : c;
    }
    const std::string& dotted = sysctl.dotted;
    if (dotted.find("..") != std::string::npos) return base::fail(Code::invalid, "sysctl " + base::quote(name) + " is not a name");
    if (dotted.starts_with("net.")) sysctl.of = Sysctl::Of::network;
    if (dotted.starts_with("fs.mqueue.") || std::find(std::begin(kIpc), std::end(kIpc), dotted) != std::end(kIpc)) sysctl.of = Sysctl::Of::ipc;
    if (dotted == "kernel.domainname" || dotted == "kernel.hostname") sysctl.of = Sysctl::Of::uts;
    return sysctl;
}

Step& add_sysctl(PlanData& plan, const Sysctl& sysctl, std::string_view value) {
    uint32_t text = plan.intern(value);
    Step& step = plan.add(Op::write_proc, "sys/" + sysctl.path);
    step.more = text;
    step.at = static_cast<int16_t>(plan.proc_slot);
    return step;
}

base::Status add_sysctls(PlanData& plan, const ContainerSpec& spec) {
    using Of = Sysctl::Of;
    bool own_network = spec.network_mode != "host" && !spec.network_mode.starts_with("container:") && !spec.network_mode.starts_with("service:");
    std::map<std::string, std::string> all;
    if (own_network) {
        all["net.ipv4.ip_unprivileged_port_start"] = "0";
        all["net.ipv4.ping_group_range"] = "0 2147483647";
    }
    for (const auto& [name, value] : spec.sysctls) all[name] = value;
    for (const auto& [name, value] : all) {
        Sysctl sysctl = TRY(sysctl_of(name));
        std::string quoted = "sysctl " + base::quote(name);
        if (name == "kernel.hostname" || name == "kernel/hostname") return base::fail(Code::invalid, quoted + " is not allowed as it conflicts with the hostname: use `hostname`");
        if (sysctl.of == Of::host) return base::fail(Code::invalid, quoted + " is not in a separate kernel namespace");
        if (sysctl.of == Of::network && spec.network_mode == "host") return base::fail(Code::invalid, quoted + " not allowed in host network namespace");
        if (sysctl.of == Of::ipc && spec.ipc_mode == "host") return base::fail(Code::invalid, quoted + " not allowed in host ipc namespace");
        if (sysctl.of == Of::uts && spec.uts_mode == "host") return base::fail(Code::invalid, quoted + " not allowed in host UTS namespace");
        Step& step = add_sysctl(plan, sysctl, value);
        // The engine's own defaults may be absent from a small kernel; what the user wrote may not.
        if (!spec.sysctls.contains(name)) step.flags = kOptional;
    }
    return {};
}

}  // namespace engine::runtime
