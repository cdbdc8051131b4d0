// Sysctls of the container's own namespaces, written through its own procfs.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "runtime/mount_plan.h"

namespace engine::runtime {
using base::Code;

base::Status add_sysctls(PlanData& plan, const ContainerSpec& spec) {
    bool own_network = spec.network_mode != "host" && !spec.network_mode.starts_with("container:") && !spec.network_mode.starts_with("service:");
    bool own_ipc = spec.ipc_mode != "host";
    std::map<std::string, std::string> all;
    if (own_network) {
        all["net.ipv4.ip_unprivileged_port_start"] = "0";
        all["net.ipv4.ping_group_range"] = "0 2147483647";
    }
    for (const auto& [name, value] : spec.sysctls) all[name] = value;
    static constexpr std::string_view kIpc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
                                                "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"};
    for (const auto& [name, value] : all) {
        std::string dotted = name;
        bool slashes = name.find('/') < name.find('.');
        if (slashes)
            std::replace(dotted.begin(), dotted.end(), '/', '.');
        if (dotted.find("..") != std::string::npos) return base::fail(Code::invalid, "sysctl " + base::quote(name) + " is not a name");
        bool net = dotted.starts_with("net."), ipc = dotted.starts_with("fs.mqueue.") || std::find(std::begin(kIpc), std::end(kIpc), dotted) != std::end(kIpc);
        bool uts = dotted == "kernel.domainname" || dotted == "kernel.hostname";
        if (!net && !ipc && !uts) return base::fail(Code::invalid, "sysctl " + base::quote(name) + " is not in a separate kernel namespace");
        if (net && !own_network && spec.network_mode == "host") return base::fail(Code::invalid, "sysctl " + base::quote(name) + " not allowed in host network namespace");
        if (ipc && !own_ipc) return base::fail(Code::invalid, "sysctl " + base::quote(name) + " not allowed in host ipc namespace");
        if (uts && spec.uts_mode == "host") return base::fail(Code::invalid, "sysctl " + base::quote(name) + " not allowed in host UTS namespace");
        // "net.ipv4.conf.eth0/1.forwarding": a slash in the dotted form is a dot of the interface's name.
        std::string path = name;
        if (!slashes)
            for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
        uint32_t text = plan.intern(value);
        Step& step = plan.add(Op::write_proc, "sys/" + path);
        step.more = text;
        step.at = static_cast<int16_t>(plan.proc_slot);
        // The engine's own defaults may be absent from a small kernel; what the user wrote may not.
        if (!spec.sysctls.contains(name)) step.flags = kOptional;
    }
    return {};
}

}  // namespace engine::runtime
