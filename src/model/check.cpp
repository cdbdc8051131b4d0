#include "model/check.h"

#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include "base/text.h"

namespace compose::model {

namespace {

constexpr std::string_view kServicePrefix = "service:";
constexpr std::string_view kInvalid = ": invalid compose project";

class Consistency {
public:
    Consistency(const Project& project, Report& report) : project_(project), report_(report) {
        for (const Diagnostic& finding : report.list) {
            if (finding.severity == Severity::error) broken_.insert(finding.path);
        }
    }

    void run() {
        std::map<std::string, std::string> containers;
        for (const auto& [name, service] : project_.services) {
            service_length_ = name.size();
            if (!service.container_name.empty()) {
                auto [known, fresh] = containers.emplace(service.container_name, name);
                if (!fresh) {
                    error(at(name, ".container_name"), "container name " + base::quote(service.container_name) + " is already in use by service " +
                                                           base::quote(known->second));
                }
            }
            check(name, service);
        }
        for (const auto& [name, secret] : project_.secrets) {
            std::string path = "secrets." + name;
            if (secret.external || !secret.file.empty() || !secret.environment.empty() || is_broken(path) || broken_.contains("secrets")) continue;
            report_.error(place(path), path, "secret " + base::quote(name) + " must declare either `file` or `environment`" + std::string(kInvalid));
        }
        cycles();
    }

private:
    static std::string at(const std::string& service, const std::string& rest) { return "services." + service + rest; }

    Place place(const std::string& path) const {
        base::SourcePos pos = project_.where(path);
        for (uint32_t index = 0; index < report_.files.files.size(); ++index) {
            if (report_.files.files[index].name == pos.file) return {index, static_cast<uint32_t>(pos.line), static_cast<uint32_t>(pos.column)};
        }
        return {};
    }

    /// True when an attribute, or a part of it, has an error already: it is not said twice in other words.
    bool is_broken(const std::string& path) const {
        if (broken_.contains(path)) return true;
        for (char next : {'.', '['}) {
            auto below = broken_.lower_bound(path + next);
            if (below != broken_.end() && below->starts_with(path + next)) return true;
        }
        return false;
    }
    /// `services.web.ports` of `services.web.ports[0].target`.
    static std::string attribute_of(const std::string& path, size_t name_length) {
        size_t from = std::string_view("services.").size() + name_length + 1;
        return from >= path.size() ? path : path.substr(0, path.find_first_of(".[", from));
    }

    void error(const std::string& path, std::string message, std::string suggestion = {}) {
        if (report_.full()) return report_.error({}, {}, std::move(message));  // only counted: its place would be looked for in vain
        if (is_broken(attribute_of(path, service_length_))) return;
        report_.error(place(path), path, std::move(message), std::move(suggestion));
    }

    template <class T>
    std::string nearest(const std::string& name, const std::map<std::string, T>& known) const {
        if (report_.full()) return {};
        std::vector<std::string> names;
        for (const auto& [one, value] : known) names.push_back(one);
        auto near = base::closest(name, names);
        return near ? "did you mean " + base::quote(*near) + "?" : "";
    }

    std::string quoted(const std::string& name) const { return "service " + base::quote(name); }

    void check(const std::string& name, const Service& service) {
        std::string path = "services." + name;
        service_length_ = name.size();
        bool said = broken_.contains(path) || is_broken(path + ".image") || is_broken(path + ".build") || is_broken(path + ".extends");
        if (!said && !service.build && service.image.empty() && !service.provider) {
            report_.error(place(path), path, quoted(name) + " has neither an image nor a build context specified" + std::string(kInvalid));
        }
        if (service.build) build(name, service);
        if (!service.network_mode.empty() && !service.networks.empty()) {
            error(path + ".network_mode", "service " + name + " declares mutually exclusive `network_mode` and `networks`" + std::string(kInvalid));
        }
        if (service.network_mode.starts_with(kServicePrefix)) {
            // Normalised, it is a dependency, which is checked below.
            std::string other = service.network_mode.substr(kServicePrefix.size());
            if (!project_.services.contains(other) && !service.depends_on.contains(other)) {
                error(path + ".network_mode", quoted(other) + " not found for network_mode '" + service.network_mode + "'", nearest(other, project_.services));
            }
        }
        for (const auto& [network, attachment] : service.networks) {
            if (project_.networks.contains(network) || broken_.contains("networks")) continue;
            error(path + ".networks." + network, quoted(name) + " refers to undefined network " + network + std::string(kInvalid),
                  nearest(network, project_.networks));
        }
        if (service.healthcheck && !service.healthcheck->test.empty()) {
            const std::string& first = service.healthcheck->test.front();
            if (first != "CMD" && first != "CMD-SHELL" && first != "NONE") {
                error(path + ".healthcheck.test", "healthcheck.test must start either by \"CMD\", \"CMD-SHELL\" or \"NONE\"");
            }
        }
        for (const auto& [other, dependency] : service.depends_on) depends_on(name, other, dependency);
        volumes(name, service);
        auto references = [&](const std::vector<FileReference>& list, const auto& known, const char* kind, const std::string& key) {
            for (size_t index = 0; index < list.size(); ++index) {
                if (known.contains(list[index].source) || broken_.contains(std::string(kind) + "s")) continue;
                error(path + "." + key + "[" + std::to_string(index) + "]",
                      quoted(name) + " refers to undefined " + kind + " " + list[index].source + std::string(kInvalid),
                      nearest(list[index].source, known));
            }
        };
        references(service.configs, project_.configs, "config", "configs");
        references(service.secrets, project_.secrets, "secret", "secrets");
        if (service.build) references(service.build->secrets, project_.secrets, "build secret", "build.secrets");
        for (const auto& [model, binding] : service.models) {
            if (!project_.models.contains(model)) {
                error(path + ".models", quoted(name) + " refers to undefined model " + model + std::string(kInvalid), nearest(model, project_.models));
            }
        }
        limits(name, service);
        if (service.develop) {
            for (size_t index = 0; index < service.develop->watch.size(); ++index) {
                const Trigger& rule = service.develop->watch[index];
                if (!rule.target.empty() || rule.action == "rebuild" || rule.action == "restart") continue;
                error(path + ".develop.watch[" + std::to_string(index) + "]", "target is required for non-rebuild actions" + std::string(kInvalid));
            }
        }
        targets(name, service);
    }

    void build(const std::string& name, const Service& service) {
        const Build& build = *service.build;
        std::string path = "services." + name + ".build";
        if (!build.dockerfile_inline.empty() && !build.dockerfile.empty()) {
            error(path + ".dockerfile_inline", quoted(name) + " declares mutually exclusive dockerfile and dockerfile_inline" + std::string(kInvalid));
        }
        for (const auto& [key, context] : build.additional_contexts) {
            if (!context.starts_with(kServicePrefix)) continue;
            std::string other = context.substr(kServicePrefix.size());
            auto found = project_.services.find(other);
            if (found == project_.services.end()) {
                error(path + ".additional_contexts", quoted(name) + " declares unknown service " + base::quote(other) + " as additional contexts " + key,
                      nearest(other, project_.services));
            } else if (!found->second.build) {
                error(path + ".additional_contexts", quoted(name) + " declares non-buildable service " + base::quote(other) + " as additional contexts " + key);
            }
        }
        if (!build.platforms.empty() && !service.platform.empty() &&
            std::find(build.platforms.begin(), build.platforms.end(), service.platform) == build.platforms.end()) {
            error(path + ".platforms", "service.build.platforms MUST include service.platform " + base::quote(service.platform) + std::string(kInvalid));
        }
    }

    void depends_on(const std::string& name, const std::string& other, const Dependency& dependency) {
        if (project_.services.contains(other)) return;
        auto hidden = project_.disabled_services.find(other);
        if (hidden != project_.disabled_services.end() && !dependency.required) return;
        std::string suggestion;
        if (hidden != project_.disabled_services.end()) {
            suggestion = base::quote(other) + " is disabled by profile " + base::join(hidden->second.profiles, ", ") +
                         ": enable it with --profile, or set required: false";
        } else {
            suggestion = nearest(other, project_.services);
        }
        error("services." + name + ".depends_on." + other,
              quoted(name) + " depends on undefined service " + base::quote(other) + std::string(kInvalid), suggestion);
    }

    void volumes(const std::string& name, const Service& service) {
        for (size_t index = 0; index < service.volumes.size(); ++index) {
            const Mount& mount = service.volumes[index];
            if (mount.type != "volume" || mount.source.empty() || project_.volumes.contains(mount.source) || broken_.contains("volumes")) continue;
            struct stat info{};
            std::string file = project_.working_dir + "/" + mount.source;
            std::string suggestion = nearest(mount.source, project_.volumes);
            if (mount.source.find('/') != std::string::npos || ::stat(file.c_str(), &info) == 0) {
                suggestion = "a path starts with ./ : ./" + mount.source;
            }
            error("services." + name + ".volumes[" + std::to_string(index) + "]",
                  quoted(name) + " refers to undefined volume " + mount.source + std::string(kInvalid), suggestion);
        }
    }

    void limits(const std::string& name, const Service& service) {
        std::string path = "services." + name;
        auto distinct = [&](const std::string& a, const std::string& b) {
            error(path + "." + a, "can't set distinct values on '" + a + "' and '" + b + "'" + std::string(kInvalid));
        };
        if (service.scale && service.deploy && service.deploy->replicas && *service.scale != *service.deploy->replicas) {
            distinct("scale", "deploy.replicas");
        }
        constexpr const char* kNegative = "must be greater than or equal to 0";
        if (service.scale && *service.scale < 0) error(path + ".scale", kNegative);
        if (!service.scale && service.deploy && service.deploy->replicas.value_or(0) < 0) error(path + ".deploy.replicas", kNegative);
        if (service.deploy && service.deploy->resources.limits) {
            const Resource& limits = *service.deploy->resources.limits;
            if (service.cpus != 0 && limits.cpus != service.cpus) distinct("cpus", "deploy.resources.limits.cpus");
            if (service.mem_limit && limits.memory != service.mem_limit) distinct("mem_limit", "deploy.resources.limits.memory");
            if (service.pids_limit != 0 && limits.pids != service.pids_limit) distinct("pids_limit", "deploy.resources.limits.pids");
        }
        if (service.deploy && service.deploy->resources.reservations && service.mem_reservation &&
            service.deploy->resources.reservations->memory != service.mem_reservation) {
            distinct("mem_reservation", "deploy.resources.reservations.memory");
        }
        if (service.replicas() > 1 && !service.container_name.empty()) {
            std::string attribute = service.scale ? "scale" : "deploy.replicas";
            error(path + ".container_name", "can't set container_name and " + attribute + " as container name must be unique" + std::string(kInvalid));
        }
    }

    void targets(const std::string& name, const Service& service) {
        std::map<std::string, std::string> mounted;
        auto mount = [&](const std::string& target, const std::string& path) {
            auto [known, fresh] = mounted.emplace(target, path);
            if (!fresh) error(path, "target " + target + " already mounted as " + known->second);
        };
        std::string path = "services." + name;
        auto index_path = [&](const char* key, size_t index) { return path + "." + key + "[" + std::to_string(index) + "]"; };
        for (size_t index = 0; index < service.tmpfs.size(); ++index) {
            mount(service.tmpfs[index].substr(0, service.tmpfs[index].find(':')), index_path("tmpfs", index));
        }
        for (size_t index = 0; index < service.volumes.size(); ++index) mount(service.volumes[index].target, index_path("volumes", index));
        for (size_t index = 0; index < service.configs.size(); ++index) {
            const FileReference& config = service.configs[index];
            mount(config.target.empty() ? "/" + config.source : config.target, index_path("configs", index));
        }
        for (size_t index = 0; index < service.secrets.size(); ++index) {
            const FileReference& secret = service.secrets[index];
            std::string target = secret.target.empty() ? secret.source : secret.target;
            mount(target.starts_with('/') ? target : "/run/secrets/" + target, index_path("secrets", index));
        }
    }

    /// Depth first in the order of names; the first cycle met is shown as the path it makes.
    void cycles() {
        std::set<std::string> done;
        std::vector<std::string> stack;
        std::function<bool(const std::string&)> visit = [&](const std::string& name) {
            if (done.contains(name)) return false;
            auto open = std::find(stack.begin(), stack.end(), name);
            if (open != stack.end()) {
                std::vector<std::string> cycle(open, stack.end());
                cycle.push_back(name);
                service_length_ = cycle[0].size();
                error("services." + cycle[0] + ".depends_on." + cycle[1], "dependency cycle detected: " + base::join(cycle, " -> "));
                return true;
            }
            auto service = project_.services.find(name);
            if (service == project_.services.end()) return false;
            stack.push_back(name);
            for (const auto& [other, dependency] : service->second.depends_on) {
                if (visit(other)) return true;
            }
            stack.pop_back();
            done.insert(name);
            return false;
        };
        for (const auto& [name, service] : project_.services) {
            if (visit(name)) return;
        }
    }

    const Project& project_;
    Report& report_;
    std::set<std::string> broken_;  ///< paths of the errors that were there before
    size_t service_length_ = 0;     ///< of the name of the service that is being checked
};

}  // namespace

void check_consistency(const Project& project, Report& report) { Consistency(project, report).run(); }

}  // namespace compose::model
