#include "plan/draft.h"

#include <algorithm>

#include "plan/graph.h"

namespace compose::plan {

Draft::Draft(const model::Project& p, const Observed& o, const Options& opt) : project(p), observed(o), options(opt) {
    for (const auto& [name, service] : project.services) services[name].service = &service;
    for (const auto& container : observed.containers) {
        if (is_one_off(container)) continue;
        if (auto found = services.find(service_of(container)); found != services.end()) found->second.containers.push_back(&container);
    }
    for (auto& [name, state] : services)
        std::stable_sort(state.containers.begin(), state.containers.end(),
                         [](const auto* a, const auto* b) { return number_of(*a) < number_of(*b); });
}

StepId Draft::add(Step step) {
    step.id = static_cast<StepId>(plan.steps.size()) + 1;
    plan.steps.push_back(std::move(step));
    return plan.steps.back().id;
}

void Draft::edge(StepId from, StepId to, bool required) {
    if (from != 0 && to != 0 && from != to) plan.edges.push_back({from, to, required});
}

void Draft::edges(const std::vector<StepId>& from, StepId to, bool required) {
    for (StepId id : from) edge(id, to, required);
}

base::Result<Plan> Draft::finish() {
    // One edge between two steps; required if any says so.
    std::sort(plan.edges.begin(), plan.edges.end(), [](const Edge& a, const Edge& b) {
        return std::tie(a.from, a.to, b.required) < std::tie(b.from, b.to, a.required);
    });
    plan.edges.erase(std::unique(plan.edges.begin(), plan.edges.end(),
                                 [](const Edge& a, const Edge& b) { return a.from == b.from && a.to == b.to; }),
                     plan.edges.end());
    std::vector<std::pair<size_t, size_t>> pairs;
    pairs.reserve(plan.edges.size());
    for (const auto& edge : plan.edges) pairs.emplace_back(edge.from - 1, edge.to - 1);
    Ordering ordering = order(plan.steps.size(), pairs);
    if (!ordering.cycle.empty()) {
        std::string path;
        for (size_t step : ordering.cycle)
            path += (path.empty() ? "" : " -> ") + std::string(to_text(plan.steps[step].kind)) + " " + plan.steps[step].object;
        return base::fail(base::Code::invalid, "dependency cycle detected: " + path);
    }
    std::vector<StepId> renumbered(plan.steps.size() + 1);
    std::vector<Step> steps;
    steps.reserve(plan.steps.size());
    for (size_t old : ordering.order) {
        steps.push_back(std::move(plan.steps[old]));
        steps.back().id = renumbered[old + 1] = static_cast<StepId>(steps.size());
    }
    plan.steps = std::move(steps);
    for (auto& edge : plan.edges) edge = {renumbered[edge.from], renumbered[edge.to], edge.required};
    return std::move(plan);
}

Step Draft::about(Kind kind, const engine::ContainerInfo& container, std::string reason) const {
    Step step;
    step.kind = kind;
    step.service = service_of(container);
    step.number = number_of(container);
    step.object = short_name(container);
    step.name = container.spec.name;
    step.container = container.id;
    step.reason = std::move(reason);
    return step;
}

StepId Draft::stop(const engine::ContainerInfo& container, std::string reason, bool hooks, const std::vector<StepId>& before) {
    if (!is_running(container)) return 0;
    StepId previous = 0;
    const model::Service* declared = any_service(service_of(container));
    bool can_exec = container.state.status == engine::ContainerStatus::running && !is_one_off(container);
    for (size_t i = 0; hooks && can_exec && declared && i < declared->pre_stop.size(); ++i) {
        Step hook = about(Kind::pre_stop, container, "");
        hook.hook = i;
        StepId id = add(std::move(hook));
        edges(before, id);
        edge(previous, id, false);
        previous = id;
    }
    Step step = about(Kind::stop, container, std::move(reason));
    step.timeout = grace();
    StepId id = add(std::move(step));
    edges(before, id);
    edge(previous, id, false);  // a hook that fails is an error, and no reason to leave the container running
    return id;
}

StepId Draft::start(Step step, const std::vector<StepId>& before) {
    const model::Service* declared = any_service(step.service);
    Step hook = step;
    StepId last = add(std::move(step));
    edges(before, last);
    hook.kind = Kind::post_start;
    hook.reason.clear();
    for (size_t i = 0; declared && i < declared->post_start.size(); ++i) {
        hook.hook = i;
        StepId id = add(hook);
        edge(last, id);
        last = id;
    }
    return last;
}

const model::Service* Draft::service(const std::string& name) const {
    auto found = project.services.find(name);
    return found == project.services.end() ? nullptr : &found->second;
}

const model::Service* Draft::any_service(const std::string& name) const {
    if (const auto* enabled = service(name)) return enabled;
    auto found = project.disabled_services.find(name);
    return found == project.disabled_services.end() ? nullptr : &found->second;
}

std::string abbreviate(std::string_view hash) {
    if (hash.starts_with("sha256:")) hash.remove_prefix(7);
    return std::string(hash.substr(0, 12)) + "…";
}

}  // namespace compose::plan
