// What can be said of a spec without an image or a kernel.
#include <arpa/inet.h>

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
    if (resources.memory_reservation > 0 && resources.memory_reservation < kLeastMemory) return invalid("Minimum memory reservation allowed is 6MB");
    if (resources.memory_reservation > 0 && resources.memory > 0 && resources.memory < resources.memory_reservation)
        return invalid("Minimum memory limit can not be less than memory reservation limit");
    if (resources.memory_swappiness && (*resources.memory_swappiness < -1 || *resources.memory_swappiness > 100))
        return invalid("invalid value: " + std::to_string(*resources.memory_swappiness) + ", valid memory swappiness range is 0-100");
    if (resources.cpus < 0) return invalid("invalid value for cpus: it is negative");
    if (resources.cpus > 0 && resources.cpus < 0.01) return invalid("range of CPUs is from 0.01: the kernel has no smaller share");
    if (resources.cpu_shares < 0) return invalid("invalid CPU shares (" + std::to_string(resources.cpu_shares) + "): value must be a positive integer");
    if (resources.cpu_shares == 1 || resources.cpu_shares > 262144) return invalid("CPU shares are from 2 to 262144, not " + std::to_string(resources.cpu_shares));
    if (resources.cpus > 0 && (resources.cpu_quota > 0 || resources.cpu_period > 0))
        return invalid("Conflicting options: cpus and cpu_period or cpu_quota cannot both be set");
    if (resources.cpu_period != 0 && (resources.cpu_period < 1000 || resources.cpu_period > 1000000))
        return invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    if (resources.cpu_quota > 0 && resources.cpu_quota < 1000) return invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    if (resources.blkio_weight != 0 && (resources.blkio_weight < 10 || resources.blkio_weight > 1000))
        return invalid("Range of blkio weight is from 10 to 1000");
    return {};
}

Status check_modes(const ContainerSpec& spec) {
    auto one_of = [](const std::string& mode, std::initializer_list<const char*> known, const char* what) -> Status {
        if (mode.empty() || (mode.starts_with("container:") && mode.size() > 10)) return {};
        for (const char* word : known)
            if (mode == word) return {};
        return invalid(std::string("invalid ") + what + " mode: " + base::printable(mode));
    };
    TRY_VOID(one_of(spec.pid_mode, {"host"}, "PID"));
    TRY_VOID(one_of(spec.ipc_mode, {"host", "private", "shareable", "none"}, "IPC"));
    TRY_VOID(one_of(spec.uts_mode, {"host"}, "UTS"));
    if (spec.uts_mode == "host" && !spec.domainname.empty()) return invalid("conflicting options: domainname and the UTS mode");
    return {};
}

bool is_address(const std::string& text) {
    unsigned char bytes[16];
    return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.substr(0, text.find('%')).c_str(), bytes) == 1;
}

/// What would be written to /etc/hosts and resolv.conf as it is.
Status check_names(const ContainerSpec& spec) {
    for (const auto& entry : spec.extra_hosts) {
        size_t at = entry.find_first_of("=:");
        std::string address = at == std::string::npos ? "" : base::trim(entry.substr(at + 1));
        if (address.size() > 2 && address.front() == '[' && address.back() == ']') address = address.substr(1, address.size() - 2);
        if (at == 0 || at == std::string::npos) return invalid("bad format for add-host: " + base::quote(entry));
        if (address != "host-gateway" && !is_address(address)) return invalid("invalid IP address in add-host: " + base::quote(address));
    }
    for (const auto& server : spec.dns)
        if (!is_address(server)) return invalid("bad nameserver address " + base::printable(server) + ": it is no IP address");
    return {};
}

Status check_health(const ContainerSpec& spec) {
    if (!spec.health_check) return {};
    const HealthCheck& check = *spec.health_check;
    for (auto [name, value] : {std::pair{"Interval", check.interval}, std::pair{"Timeout", check.timeout}, std::pair{"StartPeriod", check.start_period}, std::pair{"StartInterval", check.start_interval}})
        if (value != Nanoseconds(0) && value < std::chrono::milliseconds(1)) return invalid(std::string(name) + " in Healthcheck cannot be less than 1ms");
    if (check.retries < 0) return invalid("Retries in Healthcheck cannot be negative");
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
    if (spec.hostname.size() > 64) return invalid("invalid hostname \"" + base::printable(spec.hostname) + "\": it is longer than 64 characters");
    if (!spec.working_dir.empty() && spec.working_dir[0] != '/')
        return invalid("the working directory '" + base::printable(spec.working_dir) + "' is invalid, it needs to be an absolute path");
    if (!spec.stop_signal.empty() && !runtime::parse_signal(spec.stop_signal)) return invalid("Invalid signal: " + base::printable(spec.stop_signal));
    (void)TRY(oci::find_runtime(spec.runtime));
    if (!spec.isolation.empty() && spec.isolation != "default")
        return invalid("invalid isolation (" + base::printable(spec.isolation) + "): linux only supports 'default'");
    for (const auto& [key, value] : spec.storage_options)
        return base::fail(base::Code::unsupported, "storage_opt " + base::printable(key) + " is not supported: the writable layer is a folder of the file system below, without a size of its own");
    if (spec.oom_score_adj < -1000 || spec.oom_score_adj > 1000)
        return invalid("invalid value " + std::to_string(spec.oom_score_adj) + ", range for oom score adj is [-1000, 1000]");
    if (spec.shm_size < 0) return invalid("SHM size can not be less than 0");
    TRY_VOID(check_mounts(spec));
    TRY_VOID(check_resources(spec.resources));
    TRY_VOID(check_restart(spec));
    TRY_VOID(check_modes(spec));
    TRY_VOID(check_names(spec));
    TRY_VOID(check_health(spec));
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
