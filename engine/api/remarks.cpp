#include "engine/remarks.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/apparmor.h"
#include "runtime/cgroup_folders.h"
#include "runtime/process_plan.h"

namespace engine {
namespace {

using runtime::CgroupVersion;

/// A control of the memory controller, as its files are everywhere.
bool has_control(std::string_view controller, const char* file) {
    const auto* hierarchy = runtime::cgroup_hierarchy(controller);
    return hierarchy != nullptr && base::exists(hierarchy->mount_point + "/" + file);
}

/// Weights are BFQ's since Linux 5.0; its files are below the root group only, its statistics in it.
bool has_block_weights() { return has_control("blkio", "blkio.weight") || has_control("blkio", "blkio.bfq.io_service_bytes"); }

/// "mq-deadline" of "none [mq-deadline] bfq"; empty when it cannot be told.
std::string scheduler_of(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || !S_ISBLK(info.st_mode)) return "";
    std::string block = "/sys/dev/block/" + std::to_string(major(info.st_rdev)) + ":" + std::to_string(minor(info.st_rdev));
    for (const char* place : {"/queue/scheduler", "/../queue/scheduler"}) {
        auto text = base::read_file(block + place, 4096);
        if (!text) continue;
        size_t begin = text->find('['), end = text->find(']');
        if (begin != std::string::npos && end != std::string::npos && begin < end) return text->substr(begin + 1, end - begin - 1);
    }
    return "";
}

void v1_remarks(const Resources& resources, std::vector<Remark>& out) {
    if (resources.memory_swap != 0 && resources.memory_swap != -1 && !has_control("memory", "memory.memsw.limit_in_bytes"))
        out.push_back({"memswap_limit", "has no effect: this kernel does not account swap (swapaccount=1), memory alone is limited"});
    if (resources.blkio_weight != 0 && !has_block_weights())
        out.push_back({"blkio_config.weight", "has no effect: this kernel has no block I/O weights, ignored"});
    if (has_control("blkio", "blkio.weight")) return;
    for (const auto& device : resources.blkio_weight_device) {
        std::string scheduler = scheduler_of(device.path);
        if (scheduler.empty() || scheduler == "bfq") continue;
        out.push_back({"blkio_config.weight_device", "has no effect on " + base::printable(device.path) + ": its scheduler is " + scheduler + ", and only bfq knows weights, ignored"});
    }
}

void v2_remarks(const Resources& resources, std::vector<Remark>& out) {
    // Docker's rule, too: they are of control groups v1.
    if (resources.oom_kill_disable) out.push_back({"oom_kill_disable", "has no effect: control groups v2 cannot switch the OOM killer off, ignored"});
    if (resources.memory_swappiness && *resources.memory_swappiness >= 0)
        out.push_back({"mem_swappiness", "has no effect: control groups v2 have no swappiness of their own, ignored"});
}

}  // namespace

std::vector<Remark> remarks(const ContainerSpec& spec) {
    std::vector<Remark> out;
    if (auto security = runtime::parse_security_options(spec.security_opt)) {
        if (!security->apparmor.empty() && security->apparmor != "unconfined" && !spec.privileged && runtime::apparmor_file() == nullptr)
            out.push_back({"security_opt", "apparmor=" + base::printable(security->apparmor) + " has no effect: this kernel runs without AppArmor, ignored"});
        for (const auto& label : security->labels)
            if (label != "disable")
                out.push_back({"security_opt", "label=" + base::printable(label) + " has no effect: labels of SELinux are not set by this engine, ignored"});
    }
    if (!spec.userns_mode.empty() && spec.userns_mode != "host")
        out.push_back({"userns_mode", base::quote(spec.userns_mode) + " has no effect: users are not remapped by this engine (nor by Docker without userns-remap), ignored"});
    runtime::cgroup_version() == CgroupVersion::v1 ? v1_remarks(spec.resources, out) : v2_remarks(spec.resources, out);
    return out;
}

}  // namespace engine
