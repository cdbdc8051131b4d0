// compose run: a container of a service beside its replicas, with what the command line changes.
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "model/load.h"
#include "model/short_forms.h"
#include "plan/names.h"
#include "run/convert.h"
#include "run/project_ops.h"

namespace compose::run {
namespace {

using base::Code;

std::string text_of(const model::Node& node, std::string_view key) {
    const model::Node* value = node.find(key);
    if (!value) return "";
    if (value->is_string()) return value->as_string();
    return value->is_int() ? std::to_string(value->as_int()) : "";
}

bool flag_of(const model::Node* node, std::string_view key) {
    const model::Node* value = node ? node->find(key) : nullptr;
    return value && value->is_bool() && value->as_bool();
}

base::Status add_ports(model::Service& service, const std::vector<std::string>& publish) {
    for (const auto& text : publish) {
        auto ports = model::parse_port(text);
        if (!ports) return base::fail(Code::invalid, "--publish " + base::quote(text) + ": " + ports.error());
        for (const auto& node : *ports) {
            model::Port port;
            port.host_ip = text_of(node, "host_ip");
            port.target = static_cast<uint32_t>(base::parse_int(text_of(node, "target")).value_or(0));
            port.published = text_of(node, "published");
            port.protocol = text_of(node, "protocol");
            port.mode = text_of(node, "mode");
            service.ports.push_back(std::move(port));
        }
    }
    return {};
}

/// A path on the command line is relative to where the command runs.
std::string from_here(const std::string& path) {
    if (path.starts_with("/")) return path;
    if (path.starts_with("~"))
        if (const char* home = getenv("HOME"); home && (path.size() == 1 || path[1] == '/')) return home + path.substr(1);
    char folder[PATH_MAX];
    if (!getcwd(folder, sizeof folder)) return path;
    std::string_view rest = path;
    while (rest.starts_with("./")) rest.remove_prefix(2);
    return rest == "." ? std::string(folder) : std::string(folder) + "/" + std::string(rest);
}

base::Status add_volumes(model::Service& service, const std::vector<std::string>& volumes) {
    for (const auto& text : volumes) {
        auto node = model::parse_volume(text);
        if (!node) return base::fail(Code::invalid, "--volume " + base::quote(text) + ": " + node.error());
        model::Mount mount;
        mount.type = text_of(*node, "type");
        mount.target = text_of(*node, "target");
        mount.read_only = flag_of(&*node, "read_only");
        mount.source = text_of(*node, "source");
        if (mount.type == "bind") {
            mount.source = from_here(mount.source);
            mount.bind.emplace();
            if (const auto* bind = node->find("bind")) {
                mount.bind->propagation = text_of(*bind, "propagation");
                mount.bind->selinux = text_of(*bind, "selinux");
            }
        } else if (flag_of(node->find("volume"), "nocopy")) {
            mount.volume.emplace().nocopy = true;
        }
        // It takes the place of what the service mounts there.
        std::erase_if(service.volumes, [&](const model::Mount& other) { return other.target == mount.target; });
        service.volumes.push_back(std::move(mount));
    }
    return {};
}

void add_environment(model::Service& service, const RunOptions& run) {
    for (const auto& entry : run.env) {
        auto [name, value] = base::cut(entry, '=');
        if (!value && run.environment) value = run.environment(name);
        if (value)
            service.environment[name] = *value;
        else
            service.environment.erase(name);
    }
}

/// The service as this one container is to be: the command line wins, and nothing restarts it.
base::Result<model::Service> customised(const model::Service& original, const RunOptions& run) {
    model::Service service = original;
    service.container_name.clear();
    service.restart.clear();
    service.scale = 1;
    if (service.deploy) service.deploy->restart_policy.reset();
    service.tty = run.tty;
    service.stdin_open = run.interactive;
    if (run.entrypoint) {
        service.entrypoint = run.entrypoint;
        if (run.command.empty()) service.command = model::Strings{};
    }
    if (!run.command.empty()) service.command = run.command;
    if (!run.user.empty()) service.user = run.user;
    if (!run.working_dir.empty()) service.working_dir = run.working_dir;
    add_environment(service, run);
    for (const auto& label : run.labels) {
        auto [name, value] = base::cut(label, '=');
        service.labels[name] = value.value_or("");
    }
    for (const auto& capability : run.cap_add) {
        std::erase(service.cap_drop, capability);
        service.cap_add.push_back(capability);
    }
    for (const auto& capability : run.cap_drop) {
        std::erase(service.cap_add, capability);
        service.cap_drop.push_back(capability);
    }
    if (!run.service_ports) service.ports.clear();
    TRY_VOID(add_ports(service, run.publish));
    TRY_VOID(add_volumes(service, run.volumes));
    return service;
}

Peers peers_of(engine::Engine& engine, const model::Project& project) {
    Peers peers;
    peers.of_service = [&engine, &project](const std::string& name) -> base::Result<engine::ContainerInfo> {
        engine::Labels labels{{plan::label::kProject, project.name}, {plan::label::kService, name}, {plan::label::kOneOff, "False"}};
        auto containers = TRY(engine.containers({.labels = labels}));
        if (containers.empty()) return base::fail(Code::not_found, "service " + base::quote(name) + " has no container");
        return *std::min_element(containers.begin(), containers.end(),
                                 [](const auto& a, const auto& b) { return plan::number_of(a) < plan::number_of(b); });
    };
    peers.by_name = [&engine](const std::string& name) { return engine.container(name); };
    return peers;
}

}  // namespace

base::Result<OneOff> prepare_run(const Context& context, const model::Project& project, const RunOptions& run, plan::Options options,
                                 Report& report) {
    options.verb = plan::Verb::run;
    options.services = {run.service};
    auto enabled = std::make_unique<model::Project>();
    const model::Project* used = &project;
    if (!project.services.contains(run.service) && project.disabled_services.contains(run.service)) {
        *enabled = project;
        (void)TRY(model::select_services(*enabled, {run.service}, options.no_deps ? model::Dependencies::ignore : model::Dependencies::include));
        used = enabled.get();
    }
    report = TRY(apply(context, *used, options));
    OneOff one_off;
    if (!report.ok() || context.dry_run) return one_off;

    const model::Service& original = used->services.at(run.service);
    model::Service service = TRY(customised(original, run));
    Target target;
    target.number = 0;
    target.slug = base::random_hex(64);
    target.network_aliases = run.use_aliases;
    const std::string& separator = options.separator;
    target.name = run.name.empty() ? used->name + separator + service.name + separator + "run" + separator + target.slug.substr(0, 12) : run.name;
    auto image = context.engine->image(plan::image_of(*used, original));
    if (image) {
        target.image_id = image->id;
        target.image_volumes = image->config.volumes;
    }
    for (const auto& line : ignored_attributes(*used, service))
        if (context.warn) context.warn(line);
    engine::ContainerSpec spec = TRY(container_spec(*used, service, target, peers_of(*context.engine, *used)));
    spec.stdin_once = run.interactive && !run.detach;
    spec.auto_remove = run.remove && run.detach;
    one_off.name = target.name;
    one_off.tty = service.tty;
    one_off.id = TRY(context.engine->create(spec));
    return one_off;
}

}  // namespace compose::run
