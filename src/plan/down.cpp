// down: containers, then networks, and on request volumes and images (behaviour.md §8 `down`).
#include <algorithm>

#include "plan/draft.h"
#include "plan/ordered_stops.h"

namespace compose::plan {
namespace {

class Takedown {
public:
    explicit Takedown(Draft& draft) : draft_(draft), options_(draft.options), stops_(draft) {}

    base::Status run() {
        auto names = TRY(select(draft_.project, options_.services, true));
        auto all = TRY(select(draft_.project, {}, false));
        std::set<std::string> wanted(names.begin(), names.end());
        for (auto name = all.rbegin(); name != all.rend(); ++name)
            if (wanted.contains(*name))
                for (const auto* container : draft_.services[*name].containers) take_down(*name, *container);
        if (options_.remove_orphans && options_.services.empty()) take_down_orphans();
        networks();
        if (options_.volumes) volumes();
        if (!options_.rmi.empty()) images(names);
        return {};
    }

private:
    void take_down(const std::string& service, const engine::ContainerInfo& container) {
        StepId stop = stops_.stop(service, container, "down");
        Step step = draft_.about(Kind::remove, container, "down");
        step.volumes = options_.volumes;
        StepId id = draft_.add(std::move(step));
        draft_.edge(stop, id);
        removals_[container.id] = id;
    }

    /// With --remove-orphans: one-offs of any state, and what no service of the file made.
    void take_down_orphans() {
        for (const auto& container : draft_.observed.containers) {
            if (removals_.contains(container.id)) continue;
            if (!is_one_off(container) && draft_.any_service(service_of(container))) continue;
            StepId stop = draft_.stop(container, "orphan, --remove-orphans", false);
            Step step = draft_.about(Kind::remove, container, "orphan, --remove-orphans");
            step.orphan = true;
            step.volumes = options_.volumes;
            StepId id = draft_.add(std::move(step));
            draft_.edge(stop, id);
            removals_[container.id] = id;
        }
    }

    struct Users {
        std::vector<StepId> removed;
        std::vector<std::string> stay;
    };
    template <class Uses>
    Users users(Uses uses) const {
        Users result;
        for (const auto& container : draft_.observed.containers) {
            if (!uses(container.spec)) continue;
            if (auto found = removals_.find(container.id); found != removals_.end())
                result.removed.push_back(found->second);
            else
                result.stay.push_back(container.spec.name);
        }
        return result;
    }

    void remove_resource(Kind kind, const std::string& key, const std::string& name, const Users& users) {
        Step step;
        step.kind = kind;
        step.key = key;
        step.name = step.object = name;
        step.in_use = !users.stay.empty();
        step.reason = step.in_use ? "still used by " + base::join(users.stay, ", ") : "down";
        StepId id = draft_.add(std::move(step));
        draft_.edges(users.removed, id);
    }

    void networks() {
        std::map<std::string, std::string> names;  // real name → key
        for (const auto& [key, network] : draft_.project.networks)
            if (!network.external) names[network_name(draft_.project, key)] = key;
        names.try_emplace(network_name(draft_.project, "default"), "default");
        for (const auto& [key, network] : draft_.project.networks)
            if (network.external) names.erase(network_name(draft_.project, key));
        for (const auto& [name, info] : draft_.observed.networks) {
            bool ours = label_of(info.spec.labels, label::kProject) == draft_.project.name;
            auto declared = names.find(name);
            // What an older file declared goes with the orphans; a network of somebody else never.
            if (!ours || (declared == names.end() && !options_.remove_orphans && !options_.labels_only)) continue;
            remove_resource(Kind::remove_network, declared == names.end() ? "" : declared->second, name,
                            users([&](const engine::ContainerSpec& spec) {
                                return std::any_of(spec.endpoints.begin(), spec.endpoints.end(),
                                                   [&](const auto& endpoint) { return endpoint.network == name; });
                            }));
        }
    }

    void volumes() {
        std::map<std::string, std::string> names;
        for (const auto& [key, volume] : draft_.project.volumes)
            if (!volume.external) names[volume_name(draft_.project, key)] = key;
        for (const auto& [name, info] : draft_.observed.volumes) {
            bool ours = label_of(info.spec.labels, label::kProject) == draft_.project.name;
            auto declared = names.find(name);
            if (info.anonymous || (declared == names.end() && !(options_.labels_only && ours))) continue;
            remove_resource(Kind::remove_volume, declared == names.end() ? "" : declared->second, name,
                            users([&](const engine::ContainerSpec& spec) {
                                return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const auto& mount) {
                                    return mount.type == engine::Mount::Type::volume && mount.source == name;
                                });
                            }));
        }
    }

    /// all: of every service; local: those that have no name of their own in the file (built ones).
    void images(const std::vector<std::string>& names) {
        std::set<std::string> references;
        for (const auto& name : names) {
            const auto& service = *draft_.service(name);
            if (options_.rmi == "local" && !service.image.empty()) continue;
            if (!service.image.empty() || service.build) references.insert(image_of(draft_.project, service));
        }
        for (const auto& reference : references) {
            if (!draft_.observed.images.contains(reference)) continue;
            Step step;
            step.kind = Kind::remove_image;
            step.name = step.object = reference;
            step.reason = "--rmi " + options_.rmi;
            StepId id = draft_.add(std::move(step));
            for (const auto& [container, removal] : removals_) draft_.edge(removal, id);
        }
    }

    Draft& draft_;
    const Options& options_;
    OrderedStops stops_;
    std::map<std::string, StepId> removals_;  ///< container id → the step that removes it
};

}  // namespace

base::Status plan_down(Draft& draft) { return Takedown(draft).run(); }

}  // namespace compose::plan
