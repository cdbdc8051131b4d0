// Networks and volumes of the file against those that are there (behaviour.md §3, §6).
#include <algorithm>

#include "model/render.h"
#include "plan/draft.h"

namespace compose::plan {
namespace {

Step resource(Kind kind, const std::string& key, const std::string& name, std::string reason) {
    Step step;
    step.kind = kind;
    step.key = key;
    step.name = step.object = name;
    step.reason = std::move(reason);
    return step;
}

/// "" when it is as asked for, else what differs.
std::string network_difference(const engine::NetworkInfo& there, const model::Network& asked) {
    const auto& spec = there.spec;
    std::string old_pools, new_pools;
    for (const auto& pool : spec.pools) old_pools += (old_pools.empty() ? "" : ",") + pool.subnet;
    for (const auto& pool : asked.ipam.config) new_pools += (new_pools.empty() ? "" : ",") + pool.subnet;
    if (old_pools != new_pools)
        return "subnet changed " + (old_pools.empty() ? "any" : old_pools) + " → " + (new_pools.empty() ? "any" : new_pools);
    if (spec.internal != asked.internal) return std::string("internal changed ") + (spec.internal ? "true → false" : "false → true");
    if (!asked.driver.empty() && asked.driver != spec.driver) return "driver changed " + spec.driver + " → " + asked.driver;
    return "configuration changed";
}

bool attached(const engine::ContainerInfo& container, const std::string& network) {
    return std::any_of(container.spec.endpoints.begin(), container.spec.endpoints.end(),
                       [&](const engine::Endpoint& endpoint) { return endpoint.network == network; });
}

bool mounts(const engine::ContainerInfo& container, const std::string& volume) {
    return std::any_of(container.spec.mounts.begin(), container.spec.mounts.end(), [&](const engine::Mount& mount) {
        return mount.type == engine::Mount::Type::volume && mount.source == volume;
    });
}

/// Stops what uses a network, removes it and makes it anew; the same containers are started again later.
void remake_network(Draft& draft, Resources& resources, const std::string& key, const std::string& name, const std::string& reason) {
    std::vector<StepId> stops;
    for (const auto& container : draft.observed.containers) {
        if (!attached(container, name) || !is_running(container)) continue;
        StepId& stop = resources.stops[container.id];
        if (stop == 0) stop = draft.stop(container, "network " + name + " is made again", false);
        stops.push_back(stop);
    }
    StepId removal = draft.add(resource(Kind::remove_network, key, name, reason));
    draft.edges(stops, removal);
    StepId creation = draft.add(resource(Kind::create_network, key, name, reason));
    draft.edge(removal, creation);
    resources.networks[name] = creation;
    resources.remade_networks.insert(name);
    resources.network_reasons[name] = reason;
}

base::Status plan_network(Draft& draft, Resources& resources, const std::string& key) {
    model::Network network = network_of(draft.project, key);
    auto there = draft.observed.networks.find(network.name);
    if (there == draft.observed.networks.end()) {
        if (network.external)
            return at(base::fail(base::Code::not_found, "network " + network.name + " declared as external, but could not be found"),
                      draft.project, "networks." + key);
        resources.networks[network.name] = draft.add(resource(Kind::create_network, key, network.name, "not here"));
        return {};
    }
    if (network.external) return {};
    const auto& labels = there->second.spec.labels;
    if (std::string set = label_of(labels, label::kNetwork); set != key)
        return base::fail(base::Code::conflict, "network " + network.name + " was found but has incorrect label " + label::kNetwork +
                                                    " set to " + base::quote(set) + " (expected: " + base::quote(key) + ")");
    if (label_of(labels, label::kProject) != draft.project.name) {
        draft.plan.warnings.push_back("a network with name " + network.name + " exists but was not created for project " +
                                      base::quote(draft.project.name) + ".\nSet `external: true` to use an existing network");
        return {};
    }
    std::string hash = label_of(labels, label::kHash);
    if (hash.empty() || hash == model::config_hash(network)) return {};
    remake_network(draft, resources, key, network.name, network_difference(there->second, network));
    return {};
}

base::Status plan_volume(Draft& draft, Resources& resources, const std::string& key) {
    model::Volume volume = volume_of(draft.project, key);
    auto there = draft.observed.volumes.find(volume.name);
    if (there == draft.observed.volumes.end()) {
        if (volume.external)
            return at(base::fail(base::Code::not_found, "external volume " + base::quote(volume.name) + " not found"), draft.project,
                      "volumes." + key);
        resources.volumes[volume.name] = draft.add(resource(Kind::create_volume, key, volume.name, "not here"));
        return {};
    }
    if (volume.external) return {};
    const auto& labels = there->second.spec.labels;
    std::string owner = label_of(labels, label::kProject);
    if (owner != draft.project.name) {
        draft.plan.warnings.push_back(
            "volume " + base::quote(volume.name) +
            (owner.empty() ? " already exists but was not created by Docker Compose."
                           : " already exists but was created for project " + base::quote(owner) + " (expected " +
                                 base::quote(draft.project.name) + ").") +
            " Use `external: true` to use an existing volume");
        return {};
    }
    std::string hash = label_of(labels, label::kHash);
    if (hash.empty() || hash == model::config_hash(volume)) return {};
    if (!draft.options.recreate_volumes.contains(volume.name)) {
        draft.plan.questions.push_back({volume.name, "Volume " + base::quote(volume.name) +
                                                         " exists but doesn't match configuration in compose file. Recreate (data will be lost)?"});
        return {};
    }
    // Every container that has it must go, stopped ones too.
    std::vector<StepId> removals;
    for (const auto& container : draft.observed.containers) {
        if (!mounts(container, volume.name)) continue;
        StepId& stop = resources.stops[container.id];
        if (stop == 0) stop = draft.stop(container, "volume " + volume.name + " is made again", false);
        StepId removal = draft.add(draft.about(Kind::remove, container, "volume " + volume.name + " is made again"));
        draft.edge(stop, removal);
        resources.removed[container.id] = removal;
        removals.push_back(removal);
    }
    StepId removal = draft.add(resource(Kind::remove_volume, key, volume.name, "configuration changed, and the answer was yes"));
    draft.edges(removals, removal);
    StepId creation = draft.add(resource(Kind::create_volume, key, volume.name, "configuration changed"));
    draft.edge(removal, creation);
    resources.volumes[volume.name] = creation;
    resources.remade_volumes.insert(volume.name);
    return {};
}

}  // namespace

base::Result<Resources> plan_resources(Draft& draft, const std::vector<std::string>& services) {
    std::set<std::string> networks, volumes;
    for (const auto& name : services) {
        const auto& service = *draft.service(name);
        if (service.provider) continue;
        for (auto& key : networks_of(service)) networks.insert(key);
        for (auto& key : volumes_of(draft.project, service)) volumes.insert(key);
    }
    Resources resources;
    for (const auto& key : networks) TRY_VOID(plan_network(draft, resources, key));
    for (const auto& key : volumes) TRY_VOID(plan_volume(draft, resources, key));
    return resources;
}

}  // namespace compose::plan
