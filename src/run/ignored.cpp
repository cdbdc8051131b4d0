// Attributes that have no effect here, each with the reason. A table, so that the list can be read against the specification.
#include <algorithm>

#include "engine/remarks.h"
#include "run/convert.h"

namespace compose::run {
namespace {

using model::Service;

constexpr const char* kWindows = "is for Windows containers only";
constexpr const char* kHostBinding = "com.docker.network.bridge.host_binding_ipv4";
constexpr const char* kSwarm = "is for Swarm only";

struct Rule {
    const char* attribute;
    const char* why;
    bool (*given)(const Service&);
    bool honoured = false;  ///< it is done, and still worth a word
};

bool deployed(const Service& service, bool (*given)(const model::Deploy&)) { return service.deploy && given(*service.deploy); }

constexpr Rule kRules[] = {
    {"cpu_count", kWindows, [](const Service& s) { return s.cpu_count != 0; }},
    {"cpu_percent", kWindows, [](const Service& s) { return s.cpu_percent != 0; }},
    {"use_api_socket", "needs an engine with a socket, which this one is not", [](const Service& s) { return s.use_api_socket; }},
    {"models", "needs a model runner, which this engine has not", [](const Service& s) { return !s.models.empty(); }},
    {"pre_start", "containers are not run by this engine: use a service with condition service_completed_successfully",
     [](const Service& s) { return !s.pre_start.empty(); }},
    {"pull_refresh_after", "has no effect: use pull_policy: every_<duration>", [](const Service& s) { return !s.pull_refresh_after.empty(); }},
    {"external_links", "is not supported: join a common network instead", [](const Service& s) { return !s.external_links.empty(); }},
    {"ports", "are discarded with this network_mode",
     [](const Service& s) { return !s.ports.empty() && !s.network_mode.empty() && s.network_mode != "bridge"; }},
    {"mac_address", "needs a network of its own",
     [](const Service& s) { return !s.mac_address.empty() && !s.network_mode.empty() && s.network_mode != "bridge"; }},
    {"deploy.mode", kSwarm,
     [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return !d.mode.empty() && d.mode != "replicated"; }); }},
    {"deploy.endpoint_mode", kSwarm, [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return !d.endpoint_mode.empty(); }); }},
    {"deploy.placement", kSwarm,
     [](const Service& s) {
         return deployed(s, [](const model::Deploy& d) {
             return !d.placement.constraints.empty() || !d.placement.preferences.empty() || d.placement.max_replicas_per_node != 0;
         });
     }},
    {"deploy.update_config", kSwarm, [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return d.update_config.has_value(); }); }},
    {"deploy.rollback_config", kSwarm, [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return d.rollback_config.has_value(); }); }},
    {"deploy.labels", kSwarm, [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return !d.labels.empty(); }); }},
    {"deploy.restart_policy.delay", "is not honoured: the delay doubles from 100 ms",
     [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return d.restart_policy && d.restart_policy->delay; }); }},
    {"deploy.restart_policy.window", "is not honoured",
     [](const Service& s) { return deployed(s, [](const model::Deploy& d) { return d.restart_policy && d.restart_policy->window; }); }},
    {"deploy.resources.reservations.cpus", "has nothing to reserve on one host",
     [](const Service& s) {
         return deployed(s, [](const model::Deploy& d) { return d.resources.reservations && d.resources.reservations->cpus > 0; });
     }},
    {"deploy.resources.reservations.generic_resources", kSwarm,
     [](const Service& s) {
         return deployed(s, [](const model::Deploy& d) { return d.resources.reservations && !d.resources.reservations->generic_resources.empty(); });
     }},
    {"oom_kill_disable", "without mem_limit can run the whole machine out of memory",
     [](const Service& s) {
         return s.oom_kill_disable && !s.mem_limit && !(s.deploy && s.deploy->resources.limits && s.deploy->resources.limits->memory);
     },
     true},
    {"volumes.volume", "is for mounts of type volume",
     [](const Service& s) {
         return std::any_of(s.volumes.begin(), s.volumes.end(), [](const model::Mount& m) { return m.type != "volume" && m.volume; });
     }},
    {"volumes.bind", "is for mounts of type bind",
     [](const Service& s) {
         return std::any_of(s.volumes.begin(), s.volumes.end(), [](const model::Mount& m) { return m.type != "bind" && m.bind; });
     }},
    {"volumes.volume.labels", "are not kept on anonymous volumes",
     [](const Service& s) {
         return std::any_of(s.volumes.begin(), s.volumes.end(), [](const model::Mount& m) { return m.volume && !m.volume->labels.empty(); });
     }},
    {"volumes.consistency", "is for macOS only",
     [](const Service& s) {
         return std::any_of(s.volumes.begin(), s.volumes.end(), [](const model::Mount& m) { return !m.consistency.empty(); });
     }},
    {"volumes.bind.selinux", "has no effect: labels for SELinux are not set",
     [](const Service& s) {
         return std::any_of(s.volumes.begin(), s.volumes.end(), [](const model::Mount& m) { return m.bind && !m.bind->selinux.empty(); });
     }},
    {"ports.app_protocol", "is a hint that nothing here reads",
     [](const Service& s) {
         return std::any_of(s.ports.begin(), s.ports.end(), [](const model::Port& p) { return !p.app_protocol.empty(); });
     }},
};

/// What of a service depends on what this machine's kernel has.
engine::ContainerSpec machine_part(const Service& service) {
    engine::ContainerSpec spec;
    spec.privileged = service.privileged;
    spec.security_opt = service.security_opt;
    spec.userns_mode = service.userns_mode;
    add_limits(spec, service);
    return spec;
}

}  // namespace

std::vector<std::string> ignored_attributes(const model::Project& project, const Service& service) {
    std::vector<std::string> lines;
    auto place = [&](const std::string& path) {
        auto at = project.where(path);
        return at.file.empty() ? std::string() : at.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": ";
    };
    for (const auto& rule : kRules)
        if (rule.given(service))
            lines.push_back(place("services." + service.name + "." + rule.attribute) + "service " + base::quote(service.name) + ": " + rule.attribute + " " +
                            rule.why + (rule.honoured ? "" : ", ignored"));
    for (const auto& remark : engine::remarks(machine_part(service)))
        lines.push_back(place("services." + service.name + "." + remark.attribute) + "service " + base::quote(service.name) + ": " + remark.attribute + " " + remark.text);
    for (const auto& [key, endpoint] : service.networks) {
        auto network = project.networks.find(key);
        if (network == project.networks.end() || !network->second.driver_opts.contains(kHostBinding)) continue;
        lines.push_back(place("networks." + key + ".driver_opts") + "network " + base::quote(key) + ": driver_opts " + kHostBinding +
                        " is not honoured: give the address with the port (\"127.0.0.1:8080:80\"), ignored");
    }
    auto swarm = [&](const char* kind, const std::string& name, const model::FileObject& object) {
        if (!object.driver.empty() || !object.template_driver.empty())
            lines.push_back(std::string(kind) + " " + base::quote(name) + ": " +
                            (object.driver.empty() ? "template_driver" : "driver") + " is for Swarm only, ignored");
    };
    for (const auto& file : service.configs)
        if (auto found = project.configs.find(file.source); found != project.configs.end()) swarm("config", file.source, found->second);
    for (const auto& file : service.secrets)
        if (auto found = project.secrets.find(file.source); found != project.secrets.end()) swarm("secret", file.source, found->second);
    return lines;
}

}  // namespace compose::run
