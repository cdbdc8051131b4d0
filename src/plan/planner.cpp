#include "plan/planner.h"

#include <algorithm>

#include "model/project.h"
#include "plan/draft.h"
#include "plan/graph.h"

namespace compose::plan {
namespace {

std::string near(const model::Project& project, const std::string& name) {
    std::vector<std::string> known;
    for (const auto& [other, service] : project.services) known.push_back(other);
    auto closest = base::closest(name, known);
    return closest ? " — did you mean " + base::quote(*closest) + "?" : "";
}

base::Status fill(Draft& draft) {
    const Options& options = draft.options;
    switch (options.verb) {
        case Verb::up:
        case Verb::create:
        case Verb::scale:
        case Verb::run: return plan_up(draft);
        case Verb::start: return plan_start(draft);
        case Verb::stop: return plan_stop(draft);
        case Verb::restart: return plan_restart(draft);
        case Verb::kill: return plan_each(draft, Kind::kill);
        case Verb::pause: return plan_each(draft, Kind::pause);
        case Verb::unpause: return plan_each(draft, Kind::unpause);
        case Verb::remove: return plan_remove(draft);
        case Verb::down: return plan_down(draft);
        case Verb::pull: return plan_pull(draft, TRY(select(draft.project, options.services, !options.include_deps)));
        case Verb::build: return plan_build(draft, TRY(select(draft.project, options.services, !options.include_deps)));
    }
    return {};
}

}  // namespace

base::Result<std::vector<std::string>> select(const model::Project& project, const std::vector<std::string>& names, bool no_deps) {
    for (const auto& name : names)
        if (!project.services.contains(name))
            return base::fail(base::Code::not_found, "no such service: " + name + near(project, name));
    std::vector<std::string> all;
    std::map<std::string, size_t> index;
    for (const auto& [name, service] : project.services) {
        index[name] = all.size();
        all.push_back(name);
    }
    std::vector<std::pair<size_t, size_t>> edges;
    for (const auto& [name, service] : project.services)
        for (const auto& [dependency, how] : service.depends_on)
            if (auto found = index.find(dependency); found != index.end()) edges.emplace_back(found->second, index[name]);
    Ordering ordering = order(all.size(), edges);
    if (!ordering.cycle.empty()) {
        // An edge points at the dependent; people read a -> b as "a depends on b".
        std::string path;
        for (auto vertex = ordering.cycle.rbegin(); vertex != ordering.cycle.rend(); ++vertex)
            path += (path.empty() ? "" : " -> ") + all[*vertex];
        return base::fail(base::Code::invalid, "dependency cycle detected: " + path);
    }
    std::set<std::string> wanted(names.begin(), names.end());
    if (names.empty()) wanted.insert(all.begin(), all.end());
    std::vector<std::string> queue(wanted.begin(), wanted.end());
    while (!no_deps && !queue.empty()) {
        std::string name = std::move(queue.back());
        queue.pop_back();
        for (const auto& [dependency, how] : project.services.at(name).depends_on)
            if (project.services.contains(dependency) && wanted.insert(dependency).second) queue.push_back(dependency);
    }
    std::vector<std::string> result;
    for (size_t vertex : ordering.order)
        if (wanted.contains(all[vertex])) result.push_back(all[vertex]);
    return result;
}

int replicas_of(const model::Service& service, const Options& options) {
    auto asked = options.scale.find(service.name);
    return asked != options.scale.end() ? asked->second : static_cast<int>(service.replicas());
}

base::Result<Plan> make_plan(const model::Project& project, const Observed& observed, const Options& options) {
    Draft draft(project, observed, options);
    TRY_VOID(fill(draft));
    return draft.finish();
}

}  // namespace compose::plan
