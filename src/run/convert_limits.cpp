#include <algorithm>

#include "run/convert.h"

namespace compose::run {
namespace {

/// behaviour.md §5: deploy.restart_policy beats restart.
engine::RestartPolicy restart_policy(const model::Service& service) {
    auto name_of = [](const std::string& condition) -> std::string {
        if (condition.empty() || condition == "none" || condition == "no") return "no";
        return condition == "any" ? "always" : condition;
    };
    if (service.deploy && service.deploy->restart_policy) {
        const auto& policy = *service.deploy->restart_policy;
        engine::RestartPolicy result{name_of(policy.condition.empty() ? "any" : policy.condition), 0};
        if (result.name == "on-failure") result.maximum_retries = static_cast<int>(policy.max_attempts.value_or(0));
        return result;
    }
    auto [name, attempts] = base::cut(service.restart, ':');
    return {name_of(name), static_cast<int>(base::parse_int(attempts.value_or("0")).value_or(0))};
}

engine::DeviceRequest device_request(const model::DeviceRequest& asked, bool gpu) {
    engine::DeviceRequest request;
    request.driver = asked.driver;
    request.ids = asked.ids;
    request.capabilities = asked.capabilities;
    request.options = asked.options;
    if (gpu && std::find(request.capabilities.begin(), request.capabilities.end(), "gpu") == request.capabilities.end())
        request.capabilities.push_back("gpu");
    request.count = static_cast<int>(asked.count.value_or(asked.ids.empty() ? -1 : 0));
    return request;
}

void add_devices(engine::ContainerSpec& spec, const model::Service& service) {
    for (const auto& device : service.devices) {
        if (!device.source.starts_with("/") && device.source.find('=') != std::string::npos) {
            // A CDI name (vendor/class=name), not a path.
            spec.device_requests.push_back({.driver = "cdi", .ids = {device.source}});
            continue;
        }
        spec.devices.push_back({device.source, device.target.empty() ? device.source : device.target,
                                device.permissions.empty() ? "rwm" : device.permissions});
    }
    for (const auto& gpu : service.gpus) spec.device_requests.push_back(device_request(gpu, true));
    if (service.deploy && service.deploy->resources.reservations)
        for (const auto& device : service.deploy->resources.reservations->devices)
            spec.device_requests.push_back(device_request(device, false));
    spec.device_cgroup_rules = service.device_cgroup_rules;
}

std::vector<engine::ThrottleDevice> throttles(const std::vector<model::BlkioThrottle>& asked) {
    std::vector<engine::ThrottleDevice> result;
    for (const auto& device : asked) result.push_back({device.path, static_cast<uint64_t>(device.rate.value)});
    return result;
}

void add_block_io(engine::Resources& resources, const model::Blkio& asked) {
    resources.blkio_weight = static_cast<uint16_t>(asked.weight);
    for (const auto& device : asked.weight_device)
        resources.blkio_weight_device.push_back({device.path, static_cast<uint64_t>(device.weight)});
    resources.read_bps = throttles(asked.device_read_bps);
    resources.write_bps = throttles(asked.device_write_bps);
    resources.read_iops = throttles(asked.device_read_iops);
    resources.write_iops = throttles(asked.device_write_iops);
}

void add_deployed(engine::Resources& resources, const model::Deploy& deploy) {
    if (const auto& limits = deploy.resources.limits) {
        if (double cpus = limits->cpus; cpus > 0) resources.cpus = cpus;
        if (limits->memory) resources.memory = limits->memory.value;
        if (limits->pids != 0) resources.pids = limits->pids;
    }
    if (const auto& reservations = deploy.resources.reservations; reservations && reservations->memory)
        resources.memory_reservation = reservations->memory.value;
}

}  // namespace

void add_limits(engine::ContainerSpec& spec, const model::Service& service) {
    engine::Resources& resources = spec.resources;
    resources.memory = service.mem_limit.value;
    resources.memory_reservation = service.mem_reservation.value;
    resources.memory_swap = service.memswap_limit.value;
    if (service.mem_swappiness) resources.memory_swappiness = service.mem_swappiness.value;
    resources.cpus = service.cpus;
    resources.cpu_shares = service.cpu_shares;
    resources.cpu_period = service.cpu_period;
    resources.cpu_quota = service.cpu_quota;
    resources.cpu_rt_period = service.cpu_rt_period;
    resources.cpu_rt_runtime = service.cpu_rt_runtime;
    resources.cpuset_cpus = service.cpuset;
    resources.pids = service.pids_limit;
    resources.oom_kill_disable = service.oom_kill_disable;
    if (service.blkio_config) add_block_io(resources, *service.blkio_config);
    if (service.deploy) add_deployed(resources, *service.deploy);
    for (const auto& [name, limit] : service.ulimits)
        spec.ulimits.push_back({name, limit.single.value_or(limit.soft), limit.single.value_or(limit.hard)});
    spec.shm_size = service.shm_size.value;
    spec.oom_score_adj = static_cast<int>(service.oom_score_adj);
    spec.restart = restart_policy(service);
    add_devices(spec, service);
}

}  // namespace compose::run
