#include "run/convert.h"

#include "model/render.h"
#include "plan/names.h"
#include "plan/observed.h"
#include "plan/planner.h"

namespace compose::run {
namespace {

namespace label = plan::label;

std::optional<engine::HealthCheck> health_check(const model::Service& service) {
    if (!service.healthcheck) return std::nullopt;
    const auto& asked = *service.healthcheck;
    engine::HealthCheck check;
    if (asked.disable) {
        check.test = {"NONE"};
        return check;
    }
    check.test = asked.test;
    check.interval = asked.interval.value_or(engine::Nanoseconds(0));
    check.timeout = asked.timeout.value_or(engine::Nanoseconds(0));
    check.start_period = asked.start_period.value_or(engine::Nanoseconds(0));
    check.start_interval = asked.start_interval.value_or(engine::Nanoseconds(0));
    check.retries = static_cast<int>(asked.retries.value_or(0));
    return check;
}

/// compose-spec 05-services.md security_opt: a seccomp profile is a file beside the Compose file.
std::string security_option(const model::Project& project, const std::string& option) {
    for (const char* prefix : {"seccomp=", "seccomp:"}) {
        if (!option.starts_with(prefix)) continue;
        std::string value = option.substr(8);
        if (value == "unconfined" || value == "builtin" || value.starts_with("/") || value.starts_with("{")) return "seccomp=" + value;
        return "seccomp=" + project.working_dir + "/" + value;
    }
    return option;
}

/// `a:service_started:false,b:service_healthy:true`
std::string depends_on_label(const model::Service& service) {
    std::string text;
    for (const auto& [name, dependency] : service.depends_on)
        text += (text.empty() ? "" : ",") + name + ":" + (dependency.condition.empty() ? "service_started" : dependency.condition) + ":" +
                (dependency.restart ? "true" : "false");
    return text;
}

void project_labels(engine::Labels& labels, const model::Project& project) {
    labels[label::kProject] = project.name;
    labels[label::kVersion] = label::kVersionValue;
}

}  // namespace

engine::Labels container_labels(const model::Project& project, const model::Service& service, const Target& target) {
    engine::Labels labels = service.labels;
    project_labels(labels, project);
    labels[label::kService] = service.name;
    labels[label::kHash] = model::config_hash(service);
    labels[label::kDependsOn] = depends_on_label(service);
    labels[label::kWorkingDir] = project.working_dir;
    labels[label::kConfigFiles] = base::join(project.compose_files, ",");
    if (!target.image_id.empty()) labels[label::kImage] = target.image_id;
    if (!project.env_files.empty()) labels[label::kEnvironmentFile] = base::join(project.env_files, ",");
    if (!target.replace_label.empty()) labels[label::kReplace] = target.replace_label;
    labels[label::kOneOff] = target.slug.empty() ? "False" : "True";
    if (target.slug.empty())
        labels[label::kNumber] = std::to_string(target.number);
    else
        labels[label::kSlug] = target.slug;
    return labels;
}

base::Result<std::string> namespace_mode(const std::string& mode, const model::Service& service, const char* attribute, const Peers& peers) {
    std::string peer = plan::shared_service(mode);
    bool by_name = mode.starts_with("container:");
    if (peer.empty() && !by_name) return mode;
    auto found = by_name ? peers.by_name(mode.substr(10)) : peers.of_service(peer);
    if (!found)
        return std::move(found.error()).with("service " + base::quote(service.name) + ": " + attribute + " " + base::quote(mode));
    return "container:" + found->id;
}

base::Result<engine::ContainerSpec> container_spec(const model::Project& project, const model::Service& service, const Target& target,
                                                   const Peers& peers) {
    engine::ContainerSpec spec;
    // A service that needs credentials would run without them: that is no difference to pass over with a warning.
    if (service.credential_spec)
        return plan::at(base::fail(base::Code::unsupported, "service " + base::quote(service.name) + ": credential_spec is for Windows containers only"),
                        project, "services." + service.name + ".credential_spec");
    spec.name = target.name;
    spec.image = plan::image_of(project, service);
    spec.image_id = target.image_id;
    spec.entrypoint = service.entrypoint;
    spec.command = service.command;
    for (const auto& [name, value] : service.environment) spec.env.push_back(value ? name + "=" + *value : name);
    spec.user = service.user;
    spec.working_dir = service.working_dir;
    spec.hostname = service.hostname;
    spec.domainname = service.domainname;
    spec.stop_signal = service.stop_signal;
    spec.stop_grace = service.stop_grace_period;
    spec.group_add = service.group_add;
    spec.labels = container_labels(project, service, target);
    spec.annotations = service.annotations;
    spec.tty = service.tty;
    spec.stdin_open = service.stdin_open;
    spec.init = service.init.value_or(false);
    spec.read_only = service.read_only;
    spec.privileged = service.privileged;
    spec.cap_add = service.cap_add;
    spec.cap_drop = service.cap_drop;
    for (const auto& option : service.security_opt) spec.security_opt.push_back(security_option(project, option));
    spec.sysctls = service.sysctls;
    spec.pid_mode = TRY(namespace_mode(service.pid, service, "pid", peers));
    spec.ipc_mode = TRY(namespace_mode(service.ipc, service, "ipc", peers));
    spec.uts_mode = service.uts;
    spec.userns_mode = service.userns_mode;
    spec.cgroup_mode = service.cgroup;
    spec.cgroup_parent = service.cgroup_parent;
    spec.runtime = service.runtime;
    spec.health_check = health_check(service);
    if (service.logging) spec.log = {service.logging->driver, service.logging->options};
    spec.isolation = service.isolation;
    spec.storage_options = service.storage_opt;
    if (!service.platform.empty()) spec.platform = service.platform;
    add_limits(spec, service);
    TRY_VOID(add_network(spec, project, service, target, peers));
    TRY_VOID(add_mounts(spec, project, service, target, peers));
    return spec;
}

engine::NetworkSpec network_spec(const model::Project& project, const std::string& key) {
    model::Network network = plan::network_of(project, key);
    engine::NetworkSpec spec;
    spec.name = network.name;
    if (!network.driver.empty()) spec.driver = network.driver;
    spec.driver_options = network.driver_opts;
    spec.ipam_driver = network.ipam.driver;
    for (const auto& pool : network.ipam.config) spec.pools.push_back({pool.subnet, pool.gateway, pool.ip_range, pool.aux_addresses});
    spec.internal = network.internal;
    spec.attachable = network.attachable;
    spec.enable_ipv4 = network.enable_ipv4.value_or(true);
    spec.enable_ipv6 = network.enable_ipv6.value_or(false);
    spec.labels = network.labels;
    project_labels(spec.labels, project);
    spec.labels[label::kNetwork] = key;
    spec.labels[label::kHash] = model::config_hash(network);
    return spec;
}

engine::VolumeSpec volume_spec(const model::Project& project, const std::string& key) {
    model::Volume volume = plan::volume_of(project, key);
    engine::VolumeSpec spec;
    spec.name = volume.name;
    if (!volume.driver.empty()) spec.driver = volume.driver;
    spec.driver_options = volume.driver_opts;
    spec.labels = volume.labels;
    project_labels(spec.labels, project);
    spec.labels[label::kVolume] = key;
    spec.labels[label::kHash] = model::config_hash(volume);
    return spec;
}

}  // namespace compose::run
