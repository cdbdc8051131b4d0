#include "run/place.h"

#include "model/diagnostic.h"
#include "model/node.h"

namespace compose::run {
namespace {

using plan::Kind;

const model::Node* child(const model::Node* node, std::string_view key) { return node ? node->find(key) : nullptr; }

/// The attributes that a failure of a service's step may come from, the likeliest first.
std::vector<std::string_view> suspects(const plan::Step& step, const base::Error& error) {
    if (step.kind == Kind::pull || step.kind == Kind::build) return {"image", "build"};
    if (error.code == base::Code::no_such_command || error.code == base::Code::cannot_execute) return {"entrypoint", "command"};
    const std::string text = error.message();
    static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
        {"publish ", "ports"}, {"mount ", "volumes"}, {"volume ", "volumes"}, {"device ", "devices"}, {"network ", "networks"}, {"user ", "user"},
        {"group ", "group_add"}, {"capability to add", "cap_add"}, {"capability to drop", "cap_drop"}, {"cannot add CAP_", "cap_add"},
        {"seccomp", "security_opt"}, {"security-opt", "security_opt"}, {"sysctl ", "sysctls"}, {"ulimit", "ulimits"}, {"tmpfs option", "tmpfs"},
        {"mount path", "tmpfs"}, {"blkio", "blkio_config"}, {"block device", "blkio_config"}, {"reservation", "mem_reservation"},
        {"emoryswap", "memswap_limit"}, {"swappiness", "mem_swappiness"}, {"memory limit", "mem_limit"}, {"CPU shares", "cpu_shares"},
        {"cfs period", "cpu_period"}, {"cfs quota", "cpu_quota"}, {"rt_runtime", "cpu_rt_runtime"}, {"rt_period", "cpu_rt_period"},
        {"cpuset", "cpuset"}, {"cpus", "cpus"}, {"CPUs", "cpus"}, {"pids", "pids_limit"}, {"oom score", "oom_score_adj"}, {"SHM size", "shm_size"},
        {"PID mode", "pid"}, {"IPC mode", "ipc"}, {"UTS mode", "uts"}, {"userns_mode", "userns_mode"}, {"add-host", "extra_hosts"},
        {"nameserver address", "dns"}, {"Healthcheck", "healthcheck"}, {"isolation", "isolation"}, {"storage_opt", "storage_opt"},
        {"platform", "platform"}, {"runtime", "runtime"}, {"hostname", "hostname"}, {"Invalid signal", "stop_signal"}, {"control group", "cgroup_parent"},
        {"restart policy", "restart"}, {"working directory", "working_dir"}, {"CDI device", "devices"}, {"CDI device", "gpus"},
        {"device driver", "gpus"}, {"device cgroup rule", "device_cgroup_rules"}, {"device driver", "deploy"}, {"CDI device", "deploy"},
        {"limit ", "deploy"},
    };
    std::vector<std::string_view> found;
    for (auto [word, attribute] : kWords)
        if (text.find(word) != std::string::npos) found.push_back(attribute);
    return found;
}

}  // namespace

std::optional<base::SourcePos> place_of(const model::Project& project, const plan::Step& step, const base::Error& error) {
    if (!project.tree || !project.files || step.service.empty()) return std::nullopt;
    const model::Node* services = child(project.tree.get(), "services");
    const auto* member = services ? services->find_member(step.service) : nullptr;
    if (!member) return std::nullopt;
    model::Place place = member->place;
    for (std::string_view attribute : suspects(step, error)) {
        const auto* written = member->value.find_member(attribute);
        if (!written) continue;
        place = written->place;
        break;
    }
    if (!place) return std::nullopt;
    return project.files->pos(place);
}

}  // namespace compose::run
