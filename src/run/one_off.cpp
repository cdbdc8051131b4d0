// compose run: a container of a service beside its replicas, with what the command line changes.
#include <algorithm>

#include "model/load.h"
#include "plan/names.h"
#include "run/convert.h"
#include "run/project_ops.h"
#include "run/short_options.h"

namespace compose::run {
namespace {

using base::Code;

base::Status add_ports(model::Service& service, const std::vector<std::string>& publish) {
    for (const auto& text : publish)
        for (auto& port : TRY(command_line_ports(text))) service.ports.push_back(std::move(port));
    return {};
}

base::Status add_volumes(model::Service& service, const std::vector<std::string>& volumes) {
    for (const auto& text : volumes) {
        model::Mount mount = TRY(command_line_volume(text));
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
