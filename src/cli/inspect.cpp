#include "cli/inspect.h"

#include "base/text.h"
#include "cli/json_text.h"
#include "plan/observed.h"

namespace compose::cli {

namespace json = boost::json;

namespace {

json::value json_strings(const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); }
/// As Go has a list that was never set.
json::value json_strings_or_null(const std::vector<std::string>& list) { return list.empty() ? json::value() : json_strings(list); }

json::object json_mapping(const std::map<std::string, std::string>& map) {
    json::object object;
    for (const auto& [name, value] : map) object[name] = value;
    return object;
}
json::value json_mapping_or_null(const std::map<std::string, std::string>& map) { return map.empty() ? json::value() : json_mapping(map); }

std::string json_time(engine::Time time) { return time ? base::format_time(time) : "0001-01-01T00:00:00Z"; }

json::object json_state(const engine::ContainerInfo& container) {
    const auto& state = container.state;
    using Status = engine::ContainerStatus;
    json::object object{{"Status", engine::to_text(state.status)},
                        {"Running", plan::is_running(container)},
                        {"Paused", state.status == Status::paused},
                        {"Restarting", state.status == Status::restarting},
                        {"OOMKilled", state.oom_killed},
                        {"Dead", state.status == Status::dead},
                        {"Pid", state.status == Status::running || state.status == Status::paused ? state.pid : 0},
                        {"ExitCode", state.exit_code},
                        {"Error", state.error},
                        {"StartedAt", json_time(state.started)},
                        {"FinishedAt", json_time(state.finished)}};
    if (state.health == engine::HealthStatus::none) return object;
    json::array log;
    for (const auto& probe : state.probes)
        log.push_back(json::object{{"Start", json_time(probe.start)}, {"End", json_time(probe.end)}, {"ExitCode", probe.exit_code}, {"Output", probe.output}});
    object["Health"] = json::object{{"Status", engine::to_text(state.health)}, {"FailingStreak", state.failing_streak}, {"Log", std::move(log)}};
    return object;
}

json::object json_throttle(const char* value_name, const engine::ThrottleDevice& device) { return {{"Path", device.path}, {value_name, device.rate}}; }
json::value json_throttles(const char* value_name, const std::vector<engine::ThrottleDevice>& devices) {
    if (devices.empty()) return nullptr;
    json::array list;
    for (const auto& device : devices) list.push_back(json_throttle(value_name, device));
    return list;
}

json::object json_port_bindings(const std::vector<engine::PortMapping>& ports) {
    json::object object;
    for (const auto& port : ports) {
        auto& list = object[std::to_string(port.container_port) + "/" + port.protocol];
        if (!list.is_array()) list = json::array();
        std::string number = port.host_port ? std::to_string(port.host_port) : "";
        if (port.host_port_last) number += "-" + std::to_string(port.host_port_last);
        list.as_array().push_back(json::object{{"HostIp", port.host_ip}, {"HostPort", number}});
    }
    return object;
}

/// What is published while it runs; ports that are only exposed are null.
json::object json_open_ports(const engine::ContainerInfo& container, const engine::ImageConfig& image) {
    json::object object;
    for (const auto* list : {&image.exposed_ports, &container.spec.expose})
        for (const auto& port : *list) object[port.find('/') == std::string::npos ? port + "/tcp" : port] = nullptr;
    for (const auto& port : container.ports) {
        auto& list = object[std::to_string(port.container_port) + "/" + port.protocol];
        if (!list.is_array()) list = json::array();
        for (const std::string& address : port.host_ip.empty() ? std::vector<std::string>{"0.0.0.0", "::"} : std::vector<std::string>{port.host_ip})
            list.as_array().push_back(json::object{{"HostIp", address}, {"HostPort", std::to_string(port.host_port)}});
    }
    return object;
}

json::array json_ulimits(const engine::ContainerSpec& spec) {
    json::array list;
    for (const auto& limit : spec.ulimits) list.push_back(json::object{{"Name", limit.name}, {"Hard", limit.hard}, {"Soft", limit.soft}});
    return list;
}

json::array json_devices(const engine::ContainerSpec& spec) {
    json::array list;
    for (const auto& device : spec.devices)
        list.push_back(json::object{{"PathOnHost", device.source}, {"PathInContainer", device.target}, {"CgroupPermissions", device.permissions}});
    return list;
}

json::value json_device_requests(const engine::ContainerSpec& spec) {
    if (spec.device_requests.empty()) return nullptr;
    json::array list;
    for (const auto& request : spec.device_requests)
        list.push_back(json::object{{"Driver", request.driver},
                                    {"Count", request.count},
                                    {"DeviceIDs", json_strings_or_null(request.ids)},
                                    {"Capabilities", request.capabilities.empty() ? json::value() : json::value(json::array{json_strings(request.capabilities)})},
                                    {"Options", json_mapping(request.options)}});
    return list;
}

json::value json_binds(const engine::ContainerSpec& spec) {
    json::array list;
    for (const auto& mount : spec.mounts)
        if (mount.type == engine::Mount::Type::bind || (mount.type == engine::Mount::Type::volume && !mount.anonymous))
            list.push_back(json::value(mount.source + ":" + mount.target + (mount.read_only ? ":ro" : "")));
    return list.empty() ? json::value() : json::value(std::move(list));
}

void add_json_limits(json::object& host, const engine::Resources& limits) {
    host["CpuShares"] = limits.cpu_shares;
    host["Memory"] = limits.memory;
    host["NanoCpus"] = static_cast<int64_t>(limits.cpus * 1e9 + 0.5);
    host["BlkioWeight"] = limits.blkio_weight;
    host["BlkioWeightDevice"] = json_throttles("Weight", limits.blkio_weight_device);
    host["BlkioDeviceReadBps"] = json_throttles("Rate", limits.read_bps);
    host["BlkioDeviceWriteBps"] = json_throttles("Rate", limits.write_bps);
    host["BlkioDeviceReadIOps"] = json_throttles("Rate", limits.read_iops);
    host["BlkioDeviceWriteIOps"] = json_throttles("Rate", limits.write_iops);
    host["CpuPeriod"] = limits.cpu_period;
    host["CpuQuota"] = limits.cpu_quota;
    host["CpuRealtimePeriod"] = limits.cpu_rt_period;
    host["CpuRealtimeRuntime"] = limits.cpu_rt_runtime;
    host["CpusetCpus"] = limits.cpuset_cpus;
    host["CpusetMems"] = limits.cpuset_mems;
    host["MemoryReservation"] = limits.memory_reservation;
    host["MemorySwap"] = limits.memory && !limits.memory_swap ? 2 * limits.memory : limits.memory_swap;
    host["MemorySwappiness"] = limits.memory_swappiness ? json::value(*limits.memory_swappiness) : json::value();
    host["OomKillDisable"] = limits.oom_kill_disable;
    host["PidsLimit"] = limits.pids ? json::value(limits.pids) : json::value();
}

json::object json_host_config(const engine::ContainerInfo& container) {
    const auto& spec = container.spec;
    std::string network = spec.network_mode;
    if (network.empty() && !spec.endpoints.empty()) network = spec.endpoints.front().network;
    json::object host{{"Binds", json_binds(spec)},
                      {"ContainerIDFile", ""},
                      {"LogConfig", json::object{{"Type", spec.log.driver.empty() ? "local" : spec.log.driver}, {"Config", json_mapping(spec.log.options)}}},
                      {"NetworkMode", network},
                      {"PortBindings", json_port_bindings(spec.ports)},
                      {"RestartPolicy", json::object{{"Name", spec.restart.name}, {"MaximumRetryCount", spec.restart.maximum_retries}}},
                      {"AutoRemove", spec.auto_remove},
                      {"CapAdd", json_strings_or_null(spec.cap_add)},
                      {"CapDrop", json_strings_or_null(spec.cap_drop)},
                      {"CgroupnsMode", spec.cgroup_mode},
                      {"Dns", json_strings(spec.dns)},
                      {"DnsOptions", json_strings(spec.dns_options)},
                      {"DnsSearch", json_strings(spec.dns_search)},
                      {"ExtraHosts", json_strings_or_null(spec.extra_hosts)},
                      {"GroupAdd", json_strings_or_null(spec.group_add)},
                      {"IpcMode", spec.ipc_mode.empty() ? "private" : spec.ipc_mode},
                      {"Links", json_strings_or_null(spec.links)},
                      {"OomScoreAdj", spec.oom_score_adj},
                      {"PidMode", spec.pid_mode},
                      {"Privileged", spec.privileged},
                      {"PublishAllPorts", spec.publish_all},
                      {"ReadonlyRootfs", spec.read_only},
                      {"SecurityOpt", json_strings_or_null(spec.security_opt)},
                      {"StorageOpt", json_mapping_or_null(spec.storage_options)},
                      {"Tmpfs", json_mapping_or_null(spec.tmpfs)},
                      {"UTSMode", spec.uts_mode},
                      {"UsernsMode", spec.userns_mode},
                      {"ShmSize", spec.shm_size ? spec.shm_size : int64_t{64} << 20},
                      {"Sysctls", json_mapping_or_null(spec.sysctls)},
                      {"Runtime", spec.runtime.empty() ? "compose" : spec.runtime},
                      {"Isolation", spec.isolation},
                      {"CgroupParent", spec.cgroup_parent},
                      {"Devices", json_devices(spec)},
                      {"DeviceCgroupRules", json_strings_or_null(spec.device_cgroup_rules)},
                      {"DeviceRequests", json_device_requests(spec)},
                      {"Ulimits", json_ulimits(spec)},
                      {"Init", spec.init},
                      {"Annotations", json_mapping_or_null(spec.annotations)}};
    add_json_limits(host, spec.resources);
    return host;
}

json::array json_mounts(engine::Engine& engine, const engine::ContainerSpec& spec) {
    json::array list;
    for (const auto& mount : spec.mounts) {
        using Type = engine::Mount::Type;
        json::object one;
        one["Type"] = mount.type == Type::bind ? "bind" : mount.type == Type::volume ? "volume" : mount.type == Type::tmpfs ? "tmpfs" : "image";
        std::string source = mount.source;
        if (mount.type == Type::volume) {
            one["Name"] = mount.source;
            if (auto volume = engine.volume(mount.source); volume) {
                source = volume->path;
                one["Driver"] = volume->spec.driver;
            }
        }
        one["Source"] = source;
        one["Destination"] = mount.target;
        one["Mode"] = mount.read_only ? "ro" : mount.type == Type::volume ? "z" : "";
        one["RW"] = !mount.read_only && mount.type != Type::image;
        one["Propagation"] = mount.type == Type::bind ? (mount.propagation.empty() ? "rprivate" : mount.propagation) : "";
        list.push_back(std::move(one));
    }
    return list;
}

/// The image's variables and then the container's own; a name without value takes the image's away.
std::vector<std::string> merged_environment(const engine::ContainerSpec& spec, const engine::ImageConfig& image) {
    std::vector<std::string> result;
    auto set = [&](const std::string& variable) {
        auto [name, value] = base::cut(variable, '=');
        std::string beginning = name + "=";
        std::erase_if(result, [&](const std::string& other) { return other.starts_with(beginning); });
        if (value) result.push_back(variable);
    };
    set("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for (const auto& variable : image.env) set(variable);
    for (const auto& variable : spec.env) set(variable);
    return result;
}

json::value json_health_check(const std::optional<engine::HealthCheck>& own, const std::optional<engine::HealthCheck>& images) {
    const auto& check = own ? own : images;
    if (!check) return nullptr;
    const auto& test = check->test.empty() && images ? images->test : check->test;
    return json::object{{"Test", json_strings(test)},
                        {"Interval", check->interval.count()},
                        {"Timeout", check->timeout.count()},
                        {"StartPeriod", check->start_period.count()},
                        {"StartInterval", check->start_interval.count()},
                        {"Retries", check->retries}};
}

json::object json_config(const engine::ContainerInfo& container, const engine::ImageConfig& image) {
    const auto& spec = container.spec;
    json::object exposed, volumes;
    for (const auto* list : {&image.exposed_ports, &spec.expose})
        for (const auto& port : *list) exposed[port.find('/') == std::string::npos ? port + "/tcp" : port] = json::object();
    for (const auto& port : spec.ports) exposed[std::to_string(port.container_port) + "/" + port.protocol] = json::object();
    for (const auto& path : image.volumes) volumes[path] = json::object();
    engine::Labels labels = image.labels;
    for (const auto& [name, value] : spec.labels) labels[name] = value;
    const auto& entrypoint = spec.entrypoint ? *spec.entrypoint : image.entrypoint;
    std::vector<std::string> command = spec.command ? *spec.command : spec.entrypoint ? std::vector<std::string>() : image.cmd;
    json::object object{{"Hostname", spec.hostname.empty() ? container.id.substr(0, 12) : spec.hostname},
                        {"Domainname", spec.domainname},
                        {"User", spec.user.empty() ? image.user : spec.user},
                        {"AttachStdin", spec.stdin_once},
                        {"AttachStdout", spec.stdin_once},
                        {"AttachStderr", spec.stdin_once},
                        {"ExposedPorts", std::move(exposed)},
                        {"Tty", spec.tty},
                        {"OpenStdin", spec.stdin_open},
                        {"StdinOnce", spec.stdin_once},
                        {"Env", json_strings(merged_environment(spec, image))},
                        {"Cmd", json_strings_or_null(command)},
                        {"Image", spec.image},
                        {"Volumes", volumes.empty() ? json::value() : json::value(std::move(volumes))},
                        {"WorkingDir", spec.working_dir.empty() ? image.working_dir : spec.working_dir},
                        {"Entrypoint", json_strings_or_null(entrypoint)},
                        {"OnBuild", json_strings_or_null(image.on_build)},
                        {"Labels", json_mapping(labels)}};
    if (auto check = json_health_check(spec.health_check, image.health_check); !check.is_null()) object["Healthcheck"] = std::move(check);
    if (std::string signal = spec.stop_signal.empty() ? image.stop_signal : spec.stop_signal; !signal.empty()) object["StopSignal"] = signal;
    if (spec.stop_grace) object["StopTimeout"] = std::chrono::duration_cast<std::chrono::seconds>(*spec.stop_grace).count();
    return object;
}

json::object json_networks(const engine::ContainerInfo& container) {
    json::object object;
    for (const auto& endpoint : container.spec.endpoints) {
        auto used = std::find_if(container.endpoints.begin(), container.endpoints.end(), [&](const auto& state) { return state.network == endpoint.network; });
        engine::EndpointState state;
        if (used != container.endpoints.end()) state = *used;
        std::vector<std::string> names{container.spec.name};
        names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
        names.push_back(container.id.substr(0, 12));
        json::value asked;
        if (!endpoint.ipv4.empty() || !endpoint.ipv6.empty()) asked = json::object{{"IPv4Address", endpoint.ipv4}, {"IPv6Address", endpoint.ipv6}};
        object[endpoint.network] = json::object{{"IPAMConfig", std::move(asked)},
                                                {"Links", nullptr},
                                                {"Aliases", json_strings_or_null(endpoint.aliases)},
                                                {"DriverOpts", json_mapping_or_null(endpoint.driver_options)},
                                                {"GwPriority", endpoint.gateway_priority},
                                                {"NetworkID", state.network_id},
                                                {"EndpointID", ""},
                                                {"Gateway", state.gateway4},
                                                {"IPAddress", state.ipv4},
                                                {"MacAddress", state.mac},
                                                {"IPPrefixLen", state.prefix4},
                                                {"IPv6Gateway", state.gateway6},
                                                {"GlobalIPv6Address", state.ipv6},
                                                {"GlobalIPv6PrefixLen", state.prefix6},
                                                {"DNSNames", json_strings(names)}};
    }
    for (const char* mode : {"host", "none"})
        if (container.spec.network_mode == mode) object[mode] = json::object{{"NetworkID", ""}, {"Gateway", ""}, {"IPAddress", ""}, {"IPPrefixLen", 0}, {"MacAddress", ""}};
    return object;
}

json::object json_network_settings(const engine::ContainerInfo& container, const engine::ImageConfig& image) {
    json::object object{{"Bridge", ""}, {"SandboxID", ""}, {"SandboxKey", ""}, {"Ports", json_open_ports(container, image)}};
    engine::EndpointState first;
    for (const auto& state : container.endpoints)
        if (state.network == "bridge") first = state;
    object["Gateway"] = first.gateway4;
    object["IPAddress"] = first.ipv4;
    object["IPPrefixLen"] = first.prefix4;
    object["IPv6Gateway"] = first.gateway6;
    object["GlobalIPv6Address"] = first.ipv6;
    object["GlobalIPv6PrefixLen"] = first.prefix6;
    object["MacAddress"] = first.mac;
    object["Networks"] = json_networks(container);
    return object;
}

}  // namespace

Row container_json(engine::Engine& engine, const engine::ContainerInfo& container, bool size) {
    engine::ImageConfig image;
    uint64_t image_size = 0;
    std::string platform = "linux";
    if (auto found = engine.image(container.spec.image_id); found) {
        image = found->config;
        image_size = found->size;
    }
    std::vector<std::string> arguments(container.argv.begin() + (container.argv.empty() ? 0 : 1), container.argv.end());
    Row row{{"Id", container.id},
            {"Created", json_time(container.created)},
            {"Path", container.argv.empty() ? "" : container.argv.front()},
            {"Args", json_strings(arguments)},
            {"State", json_state(container)},
            {"Image", container.spec.image_id},
            {"ResolvConfPath", ""},
            {"HostnamePath", ""},
            {"HostsPath", ""},
            {"LogPath", ""},
            {"Name", "/" + container.spec.name},
            {"RestartCount", container.state.restart_count},
            {"Driver", "overlay2"},
            {"Platform", platform},
            {"MountLabel", ""},
            {"ProcessLabel", ""},
            {"AppArmorProfile", ""},
            {"ExecIDs", nullptr},
            {"HostConfig", json_host_config(container)},
            {"GraphDriver", json::object{{"Data", nullptr}, {"Name", "overlay2"}}}};
    if (size) {
        uint64_t own = engine.layer_size(container.id).value_or(0);
        row["SizeRw"] = own;
        row["SizeRootFs"] = own + image_size;
    }
    row["Mounts"] = json_mounts(engine, container.spec);
    row["Config"] = json_config(container, image);
    row["NetworkSettings"] = json_network_settings(container, image);
    return row;
}

base::Result<std::string> render_objects(const std::vector<Row>& objects, const std::string& format) {
    json::array all(objects.begin(), objects.end());
    if (format.empty()) return indented_json(all) + "\n";
    if (format == "json") return json::serialize(all) + "\n";
    Template filled = TRY(Template::parse(format));
    std::string text;
    for (const Row& object : objects) {
        Row row = object;
        if (row.contains("Id")) row["ID"] = row["Id"];  // docker's templates read Go's struct, where it is so called
        text += TRY(filled.fill(row)) + "\n";
    }
    return text;
}

}  // namespace compose::cli
