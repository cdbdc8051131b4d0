// start, stop, restart, kill, pause, unpause, rm: containers that are there (behaviour.md §8).
#include <algorithm>

#include "plan/draft.h"
#include "plan/ordered_stops.h"

namespace compose::plan {
namespace {

base::Result<std::vector<std::string>> named_or_all(const Draft& draft) {
    return select(draft.project, draft.options.services, true);
}

/// Those named and, transitively, what wants to be restarted with them (restart: true, which links and shared namespaces imply).
std::set<std::string> with_followers(const Draft& draft, const std::vector<std::string>& names) {
    std::set<std::string> all(names.begin(), names.end());
    if (draft.options.no_deps) return all;
    for (bool grown = true; grown;) {
        grown = false;
        for (const auto& [name, service] : draft.project.services)
            for (const auto& [dependency, how] : service.depends_on)
                if (how.restart && all.contains(dependency) && all.insert(name).second) grown = true;
    }
    return all;
}

}  // namespace

OrderedStops::OrderedStops(Draft& draft) : draft_(draft) {
    for (const auto& [name, service] : draft.project.services)
        for (const auto& [dependency, how] : service.depends_on) dependents_[dependency].push_back(name);
}

std::vector<StepId> OrderedStops::before(const std::string& service) const {
    std::vector<StepId> result;
    auto found = dependents_.find(service);
    if (found == dependents_.end()) return result;
    for (const auto& dependent : found->second) {
        auto own = stops_.find(dependent);
        std::vector<StepId> ids = own != stops_.end() && !own->second.empty() ? own->second : before(dependent);
        result.insert(result.end(), ids.begin(), ids.end());
    }
    std::sort(result.begin(), result.end());
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

StepId OrderedStops::stop(const std::string& service, const engine::ContainerInfo& container, const std::string& reason) {
    StepId id = draft_.stop(container, reason, true, before(service));
    if (id != 0) stops_[service].push_back(id);
    return id;
}

base::Status plan_stop(Draft& draft) {
    auto names = TRY(named_or_all(draft));
    auto all = TRY(select(draft.project, {}, false));
    OrderedStops stops(draft);
    std::set<std::string> wanted(names.begin(), names.end());
    for (auto name = all.rbegin(); name != all.rend(); ++name)
        if (wanted.contains(*name))
            for (const auto* container : draft.services[*name].containers) stops.stop(*name, *container, "asked for");
    return {};
}

base::Status plan_start(Draft& draft) {
    auto names = TRY(select(draft.project, draft.options.services, draft.options.no_deps));
    Waits waits(draft);
    for (const auto& name : names) {
        const auto& service = *draft.service(name);
        const auto& containers = draft.services[name].containers;
        if (containers.empty() && !service.provider && replicas_of(service, draft.options) > 0)
            return base::fail(base::Code::not_found, "service " + base::quote(name) + " has no container to start");
        for (const auto* container : containers) {
            waits.container(name, container->spec.name);
            if (is_running(*container)) {
                if (container->state.status == engine::ContainerStatus::paused) continue;
                draft.add(draft.about(Kind::keep, *container, "up to date"));
                continue;
            }
            StepId first = static_cast<StepId>(draft.plan.steps.size()) + 1;
            StepId last = draft.start(draft.about(Kind::start, *container, status_word(container->state.status)), {});
            waits.before(service, first);
            waits.starts(name, last);
        }
    }
    if (draft.options.wait) plan_wait(draft, waits, names);
    return {};
}

base::Status plan_restart(Draft& draft) {
    auto names = TRY(named_or_all(draft));
    auto wanted = with_followers(draft, names);
    std::set<std::string> named(names.begin(), names.end());
    auto all = TRY(select(draft.project, {}, false));
    Waits waits(draft);
    for (const auto& name : all) {
        if (!wanted.contains(name)) continue;
        const auto& service = *draft.service(name);
        for (const auto* container : draft.services[name].containers) {
            waits.container(name, container->spec.name);
            std::vector<StepId> before;
            for (size_t i = 0; is_running(*container) && i < service.pre_stop.size(); ++i) {
                Step hook = draft.about(Kind::pre_stop, *container, "");
                hook.hook = i;
                StepId id = draft.add(std::move(hook));
                draft.edges(before, id);
                before = {id};
            }
            Step step = draft.about(Kind::restart, *container, named.contains(name) ? "asked for" : "it depends on what is restarted");
            step.timeout = draft.grace();
            StepId first = before.empty() ? static_cast<StepId>(draft.plan.steps.size()) + 1 : before.front();
            StepId restart = draft.add(std::move(step));
            draft.edges(before, restart);
            StepId last = restart;
            for (size_t i = 0; i < service.post_start.size(); ++i) {
                Step hook = draft.about(Kind::post_start, *container, "");
                hook.hook = i;
                StepId id = draft.add(std::move(hook));
                draft.edge(last, id);
                last = id;
            }
            waits.before(service, first);
            waits.starts(name, last);
        }
    }
    return {};
}

base::Status plan_each(Draft& draft, Kind kind) {
    auto names = TRY(named_or_all(draft));
    std::set<std::string> wanted(names.begin(), names.end());
    using Status = engine::ContainerStatus;
    for (const auto& container : draft.observed.containers) {
        std::string service = service_of(container);
        bool declared = wanted.contains(service);
        // `kill` hits one-offs too (behaviour.md §8), and with --remove-orphans what the file has not.
        bool orphan = kind == Kind::kill && draft.options.services.empty() && draft.options.remove_orphans && !draft.any_service(service);
        if (!declared && !orphan) continue;
        if (is_one_off(container) && kind != Kind::kill) continue;
        Status status = container.state.status;
        bool applies = kind == Kind::kill      ? is_running(container)
                       : kind == Kind::unpause ? status == Status::paused
                                               : status == Status::running;
        if (!applies) continue;
        Step step = draft.about(kind, container, kind == Kind::kill ? draft.options.signal : "asked for");
        step.signal = draft.options.signal;
        step.orphan = orphan;
        draft.add(std::move(step));
    }
    return {};
}

base::Status plan_remove(Draft& draft) {
    auto names = TRY(named_or_all(draft));
    auto all = TRY(select(draft.project, {}, false));
    std::set<std::string> wanted(names.begin(), names.end());
    OrderedStops stops(draft);
    for (auto name = all.rbegin(); name != all.rend(); ++name) {
        if (!wanted.contains(*name)) continue;
        for (const auto* container : draft.services[*name].containers) {
            if (is_running(*container) && !draft.options.stop_first) continue;
            StepId stop = stops.stop(*name, *container, "--stop");
            Step step = draft.about(Kind::remove, *container, stop != 0 ? "asked for" : status_word(container->state.status));
            step.volumes = draft.options.volumes;
            draft.edge(stop, draft.add(std::move(step)));
        }
    }
    return {};
}

}  // namespace compose::plan
