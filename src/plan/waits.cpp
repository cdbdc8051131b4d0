#include <algorithm>

#include "plan/draft.h"

namespace compose::plan {

Condition condition_of(const model::Dependency& dependency) {
    if (dependency.condition == "service_healthy") return Condition::healthy;
    if (dependency.condition == "service_completed_successfully") return Condition::completed;
    return Condition::started;
}

/// Nothing to wait for: no container starts in this plan, and all that are there are as the condition wants them.
bool Waits::holds(const std::string& service, Condition condition) {
    if (!starts_[service].empty()) return false;
    auto state = draft_.services.find(service);
    if (state == draft_.services.end()) return true;
    return std::all_of(state->second.containers.begin(), state->second.containers.end(), [&](const engine::ContainerInfo* container) {
        const auto& now = container->state;
        bool runs = now.status == engine::ContainerStatus::running;
        switch (condition) {
            case Condition::started: return is_running(*container);
            case Condition::healthy: return runs && now.health == engine::HealthStatus::healthy;
            case Condition::completed: return now.status == engine::ContainerStatus::exited && now.exit_code == 0;
            case Condition::running_or_healthy:
                return runs && (now.health == engine::HealthStatus::none || now.health == engine::HealthStatus::healthy);
        }
        return false;
    });
}

StepId Waits::until(const std::string& service, Condition condition, bool required) {
    auto [found, fresh] = waits_.try_emplace({service, condition}, 0);
    if (!fresh) {
        if (found->second != 0 && required) draft_.at(found->second).optional = false;
        return found->second;
    }
    std::vector<std::string>& names = names_[service];
    if (names.empty() || holds(service, condition)) return 0;
    Step step;
    step.kind = Kind::wait;
    step.service = step.object = service;
    step.condition = condition;
    step.containers = names;
    step.reason = to_text(condition);
    step.optional = !required;
    StepId id = draft_.add(std::move(step));
    draft_.edges(starts_[service], id);
    return found->second = id;
}

void Waits::before(const model::Service& service, StepId step) {
    for (const auto& [name, dependency] : service.depends_on) {
        Condition condition = condition_of(dependency);
        if (condition == Condition::started)
            draft_.edges(starts_[name], step, dependency.required);
        else
            draft_.edge(until(name, condition, dependency.required), step, dependency.required);
    }
}

void plan_wait(Draft& draft, Waits& waits, const std::vector<std::string>& services) {
    for (const auto& name : services) {
        // A one-shot that others wait for to end is never "running": wait for its end, as they do.
        Condition condition = Condition::running_or_healthy;
        for (const auto& other : services)
            for (const auto& [dependency, how] : draft.service(other)->depends_on)
                if (dependency == name && condition_of(how) == Condition::completed) condition = Condition::completed;
        if (StepId id = waits.until(name, condition, true); id != 0) draft.at(id).timeout = draft.options.wait_timeout;
    }
}

}  // namespace compose::plan
