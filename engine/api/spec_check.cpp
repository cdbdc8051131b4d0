// What can be said of a spec without an image or a kernel.
#include <set>

#include "api/engine_impl.h"
#include "base/text.h"
#include "log/shipper.h"
#include "oci/foreign.h"
#include "runtime/signals.h"

namespace engine::api {
namespace {

base::Error invalid(std::string text) { return base::fail(base::Code::invalid, std::move(text)); }

/// "/a//b/" → "/a/b": two spellings of one target are one mount point.
std::string clean(const std::string& path) {
    std::string result;
    for (const auto& part : base::split(path, '/'))
        if (!part.empty() && part != ".") result += "/" + part;
    return result.empty() ? "/" : result;
}

Status check_mounts(const ContainerSpec& spec) {
    std::set<std::string> targets;
    auto add = [&](const std::string& target) -> Status {
        if (target.empty()) return invalid("invalid mount config: field Target must not be empty");
        if (target[0] != '/') return invalid("invalid mount path: '" + base::printable(target) + "' mount path must be absolute");
        if (clean(target) == "/") return invalid("invalid mount config: destination can't be '/'");
        if (!targets.insert(clean(target)).second) return invalid("Duplicate mount point: " + base::printable(target));
        return {};
    };
    static const std::set<std::string> kPropagations = {"", "rprivate", "private", "rshared", "shared", "rslave", "slave"};
    for (const auto& mount : spec.mounts) {
        TRY_VOID(add(mount.target));
        if (mount.type == Mount::Type::bind) {
            if (mount.source.empty()) return invalid("invalid mount config for type \"bind\": field Source must not be empty");
            if (mount.source[0] != '/')
                return invalid("invalid mount config for type \"bind\": invalid mount path: '" + base::printable(mount.source) + "' mount path must be absolute");
            if (!kPropagations.contains(mount.propagation))
                return invalid("invalid propagation \"" + base::printable(mount.propagation) + "\" for the mount " + mount.target);
        }
        if (mount.type == Mount::Type::image && mount.source.empty())
            return invalid("invalid mount config for type \"image\": field Source must not be empty");
        for (const auto& part : base::split(mount.subpath, '/'))
            if (part == "..") return invalid("invalid subpath \"" + base::printable(mount.subpath) + "\": it leaves the volume");
        if (mount.subpath.starts_with('/')) return invalid("invalid subpath \"" + base::printable(mount.subpath) + "\": it must be relative");
    }
    for (const auto& [target, options] : spec.tmpfs) TRY_VOID(add(target));
    return {};
}

Status check_resources(const Resources& resources) {
    constexpr int64_t kLeastMemory = 6 << 20;
    if (resources.memory < 0) return invalid("invalid memory limit: it is negative");
    if (resources.memory > 0 && resources.memory < kLeastMemory) return invalid("Minimum memory limit allowed is 6MB");
    if (resources.memory_swap > 0 && resources.memory == 0) return invalid("You should always set the Memory limit when using Memoryswap limit");
    if (resources.memory_swap > 0 && resources.memory_swap < resources.memory)
        return invalid("Minimum memoryswap limit should be larger than memory limit");
    if (resources.memory_reservation > 0 && resources.memory > 0 && resources.memory < resources.memory_reservation)
        return invalid("Minimum memory limit can not be less than memory reservation limit");
    if (resources.memory_swappiness && (*resources.memory_swappiness < -1 || *resources.memory_swappiness > 100))
        return invalid("invalid value: " + std::to_string(*resources.memory_swappiness) + ", valid memory swappiness range is 0-100");
    if (resources.cpus < 0) return invalid("invalid value for cpus: it is negative");
    if (resources.cpus > 0 && (resources.cpu_quota > 0 || resources.cpu_period > 0))
        return invalid("Conflicting options: cpus and cpu_period or cpu_quota cannot both be set");
    if (resources.cpu_period != 0 && (resources.cpu_period < 1000 || resources.cpu_period > 1000000))
        return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    if (resources.cpu_quota > 0 && resources.cpu_quota < 1000) return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    if (resources.blkio_weight != 0 && (resources.blkio_weight < 10 || resources.blkio_weight > 1000))
        return invalid("Range of blkio weight is from 10 to 1000");
    return {};
}

Status check_restart(const ContainerSpec& spec) {
    const RestartPolicy& policy = spec.restart;
    static const std::set<std::string> kPolicies = {"", "no", "always", "unless-stopped", "on-failure"};
    if (!kPolicies.contains(policy.name)) return invalid("invalid restart policy: unknown policy '" + base::printable(policy.name) + "'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'");
    if (policy.maximum_retries < 0) return invalid("invalid restart policy: maximum retry count cannot be negative");
    if (policy.maximum_retries > 0 && policy.name != "on-failure")
        return invalid("invalid restart policy: maximum retry count can only be used with 'on-failure'");
    if (spec.auto_remove && policy.name != "" && policy.name != "no")
        return invalid("can't create a container with both auto-remove and a restart policy");
    return {};
}

}  // namespace

Status check_name(const std::string& name) {
    bool good = name.size() >= 2 && name.size() <= 255 && isalnum(static_cast<unsigned char>(name[0]));
    for (char c : name) good = good && (isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-');
    if (good) return {};
    return invalid("Invalid container name (" + base::printable(name) + "), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
}

Status check_spec(const ContainerSpec& spec) {
    TRY_VOID(check_name(spec.name));
    if (spec.hostname.size() > 63) return invalid("invalid hostname \"" + base::printable(spec.hostname) + "\": it is longer than 63 characters");
    if (!spec.working_dir.empty() && spec.working_dir[0] != '/')
        return invalid("the working directory '" + base::printable(spec.working_dir) + "' is invalid, it needs to be an absolute path");
    if (!spec.stop_signal.empty() && !runtime::parse_signal(spec.stop_signal)) return invalid("Invalid signal: " + base::printable(spec.stop_signal));
    (void)TRY(oci::find_runtime(spec.runtime));
    if (!spec.isolation.empty() && spec.isolation != "default")
        return invalid("invalid isolation '" + base::printable(spec.isolation) + "' on linux: only 'default' is known here");
    if (spec.oom_score_adj < -1000 || spec.oom_score_adj > 1000)
        return invalid("invalid value " + std::to_string(spec.oom_score_adj) + ", range for oom score adj is [-1000, 1000]");
    if (spec.shm_size < 0) return invalid("SHM size can not be less than 0");
    TRY_VOID(check_mounts(spec));
    TRY_VOID(check_resources(spec.resources));
    TRY_VOID(check_restart(spec));
    bool own_network = spec.network_mode.empty() || spec.network_mode == "bridge" || spec.network_mode == "default";
    if (!own_network && !spec.endpoints.empty())
        return invalid("conflicting options: network mode \"" + base::printable(spec.network_mode) + "\" and networks");
    if (spec.network_mode == "host" || spec.network_mode.starts_with("container:")) {
        if (!spec.sysctls.empty())
            for (const auto& [key, value] : spec.sysctls)
                if (key.starts_with("net.")) return invalid("sysctl '" + key + "' is not allowed with the network of another (network_mode: " + spec.network_mode + ")");
    }
    if (spec.network_mode.starts_with("container:")) {
        if (!spec.hostname.empty()) return invalid("conflicting options: hostname and the network mode");
        if (!spec.ports.empty() || spec.publish_all) return invalid("conflicting options: port publishing and the container type network mode");
    }
    if (spec.uts_mode == "host" && !spec.hostname.empty()) return invalid("conflicting options: hostname and the UTS mode");
    for (const auto& port : spec.ports)
        if (port.container_port == 0) return invalid("invalid port mapping: the container's port is missing");
    ContainerInfo container;
    container.spec = spec;
    container.id = std::string(64, '0');
    auto settings = log::LogSettings::parse(spec.log, container);
    if (!settings) return std::move(settings.error());
    return log::check_target(*settings);
}

}  // namespace engine::api
