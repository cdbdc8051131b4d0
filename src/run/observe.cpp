// The actual state of a project, read from the engine; and a project made of nothing but it.
#include <algorithm>
#include <set>

#include "plan/names.h"
#include "run/project_ops.h"

namespace compose::run {
namespace {

namespace label = plan::label;

base::Status add_labelled(engine::Engine& engine, const std::string& name, plan::Observed& observed) {
    engine::Labels of_project{{label::kProject, name}};
    observed.containers = TRY(engine.containers({.labels = of_project}));
    std::sort(observed.containers.begin(), observed.containers.end(),
              [](const auto& a, const auto& b) { return a.spec.name < b.spec.name; });
    for (auto& network : TRY(engine.networks(of_project))) observed.networks[network.spec.name] = std::move(network);
    for (auto& volume : TRY(engine.volumes(of_project))) observed.volumes[volume.spec.name] = std::move(volume);
    return {};
}

/// Those that the file names and that bear no label of the project: external ones, and ones that are in the way.
void add_named(engine::Engine& engine, const model::Project& project, plan::Observed& observed) {
    for (const auto& [key, network] : project.networks)
        if (std::string name = plan::network_name(project, key); !observed.networks.contains(name))
            if (auto there = engine.network(name)) observed.networks[name] = std::move(*there);
    if (std::string name = plan::network_name(project, "default"); !project.networks.contains("default") && !observed.networks.contains(name))
        if (auto there = engine.network(name)) observed.networks[name] = std::move(*there);
    for (const auto& [key, volume] : project.volumes)
        if (std::string name = plan::volume_name(project, key); !observed.volumes.contains(name))
            if (auto there = engine.volume(name)) observed.volumes[name] = std::move(*there);
    for (const auto& [name, service] : project.services) {
        if (service.container_name.empty()) continue;
        auto holder = engine.container(service.container_name);
        if (holder && holder->spec.name == service.container_name && plan::label_of(holder->spec.labels, label::kProject) != project.name)
            observed.taken_names[service.container_name] = holder->id;
    }
}

void add_images(engine::Engine& engine, const model::Project& project, plan::Observed& observed) {
    observed.images.clear();
    std::set<std::string> missing;
    for (const auto& [name, service] : project.services) {
        if (service.provider) continue;
        std::vector<std::string> references{plan::image_of(project, service)};
        for (const auto& mount : service.volumes)
            if (mount.type == "image") references.push_back(mount.source);
        for (const auto& reference : references) {
            if (reference.empty() || observed.images.contains(reference) || !missing.insert(reference).second) continue;
            if (auto image = engine.image(reference)) observed.images[reference] = std::move(*image);
        }
    }
}

/// `a:service_started:false,b:service_healthy:true`
std::map<std::string, model::Dependency> dependencies(const std::string& text) {
    std::map<std::string, model::Dependency> result;
    for (const auto& entry : base::split(text, ',')) {
        auto parts = base::split(entry, ':');
        if (parts.empty() || parts[0].empty()) continue;
        model::Dependency dependency;
        dependency.condition = parts.size() > 1 ? parts[1] : "service_started";
        dependency.restart = parts.size() > 2 && parts[2] == "true";
        dependency.required = false;  // it may be gone
        result[parts[0]] = dependency;
    }
    return result;
}

}  // namespace

base::Result<plan::Observed> observe(engine::Engine& engine, const model::Project& project) {
    plan::Observed observed;
    TRY_VOID(add_labelled(engine, project.name, observed));
    add_named(engine, project, observed);
    add_images(engine, project, observed);
    return observed;
}

base::Result<plan::Observed> observe(engine::Engine& engine, const std::string& project_name) {
    plan::Observed observed;
    TRY_VOID(add_labelled(engine, project_name, observed));
    return observed;
}

model::Project project_from_labels(const std::string& name, const plan::Observed& observed) {
    model::Project project;
    project.name = name;
    for (const auto& container : observed.containers) {
        std::string service_name = plan::service_of(container);
        if (service_name.empty() || plan::is_one_off(container)) continue;
        if (project.working_dir.empty()) project.working_dir = plan::label_of(container.spec.labels, label::kWorkingDir);
        auto [found, fresh] = project.services.try_emplace(service_name);
        model::Service& service = found->second;
        service.scale = service.scale.value_or(0) + 1;
        if (!fresh) continue;
        service.name = service_name;
        service.image = container.spec.image;
        service.depends_on = dependencies(plan::label_of(container.spec.labels, label::kDependsOn));
        project.service_order.push_back(service_name);
    }
    for (auto& [service_name, service] : project.services)
        std::erase_if(service.depends_on, [&](const auto& entry) { return !project.services.contains(entry.first); });
    for (const auto& [real, network] : observed.networks) {
        std::string key = plan::label_of(network.spec.labels, label::kNetwork);
        project.networks[key.empty() ? real : key].name = real;
    }
    for (const auto& [real, volume] : observed.volumes) {
        std::string key = plan::label_of(volume.spec.labels, label::kVolume);
        if (!volume.anonymous) project.volumes[key.empty() ? real : key].name = real;
    }
    return project;
}

}  // namespace compose::run
