#include <algorithm>

#include "plan/draft.h"

namespace compose::plan {

/// behaviour.md §6: containers of services that the file has not, enabled or not; one-offs once they have ended.
std::vector<const engine::ContainerInfo*> orphans_of(const Draft& draft) {
    std::vector<const engine::ContainerInfo*> orphans;
    for (const auto& container : draft.observed.containers) {
        bool orphan = is_one_off(container) ? !is_running(container) && container.state.status != engine::ContainerStatus::created
                                            : draft.any_service(service_of(container)) == nullptr;
        if (orphan) orphans.push_back(&container);
    }
    std::sort(orphans.begin(), orphans.end(), [](const auto* a, const auto* b) { return a->spec.name < b->spec.name; });
    return orphans;
}

std::vector<StepId> plan_orphans(Draft& draft) {
    auto orphans = orphans_of(draft);
    for (const auto* container : orphans) draft.plan.orphans.push_back(container->spec.name);
    std::vector<StepId> removals;
    if (draft.options.remove_orphans) {
        for (const auto* container : orphans) {
            StepId stop = draft.stop(*container, "orphan, --remove-orphans", false);
            Step step = draft.about(Kind::remove, *container, "orphan, --remove-orphans");
            step.orphan = true;
            if (stop != 0) draft.at(stop).orphan = true;
            removals.push_back(draft.add(std::move(step)));
            draft.edge(stop, removals.back());
        }
    } else if (!draft.options.ignore_orphans && !orphans.empty()) {
        draft.plan.warnings.push_back("Found orphan containers ([" + base::join(draft.plan.orphans, " ") +
                                      "]) for this project. If you removed or renamed this service in your compose file, you can run this "
                                      "command with the --remove-orphans flag to clean it up.");
    }
    return removals;
}

}  // namespace compose::plan
