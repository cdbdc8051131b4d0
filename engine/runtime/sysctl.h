#pragma once
// Which sysctls belong to a namespace, and the step that writes one.
#include <string>

#include "base/error.h"
#include "runtime/plan_data.h"

namespace engine::runtime {

struct Sysctl {
    enum class Of { host, network, ipc, uts };  ///< the namespace it belongs to; host: none
    std::string dotted;                         ///< net.ipv4.conf.eth0/1.forwarding
    std::string path;                           ///< below /proc/sys: net/ipv4/conf/eth0.1/forwarding
    Of of = Of::host;
};
/// A sysctl by its name with dots or with slashes (sysctl(8)). invalid: it would climb.
base::Result<Sysctl> sysctl_of(const std::string& name);
/// Writes it through the container's own procfs.
Step& add_sysctl(PlanData& plan, const Sysctl& sysctl, std::string_view value);

}  // namespace engine::runtime
