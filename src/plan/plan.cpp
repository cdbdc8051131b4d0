#include "plan/plan.h"

#include <algorithm>

namespace compose::plan {

const char* to_text(Kind kind) {
    switch (kind) {
        case Kind::pull: return "pull";
        case Kind::build: return "build";
        case Kind::create_network: return "create network";
        case Kind::remove_network: return "remove network";
        case Kind::create_volume: return "create volume";
        case Kind::remove_volume: return "remove volume";
        case Kind::remove_image: return "remove image";
        case Kind::keep: return "keep";
        case Kind::create: return "create";
        case Kind::recreate: return "recreate";
        case Kind::start: return "start";
        case Kind::stop: return "stop";
        case Kind::remove: return "remove";
        case Kind::rename: return "rename";
        case Kind::restart: return "restart";
        case Kind::kill: return "kill";
        case Kind::pause: return "pause";
        case Kind::unpause: return "unpause";
        case Kind::post_start: return "post_start hook";
        case Kind::pre_stop: return "pre_stop hook";
        case Kind::wait: return "wait";
    }
    return "?";
}

const char* to_text(Condition condition) {
    switch (condition) {
        case Condition::started: return "service_started";
        case Condition::healthy: return "service_healthy";
        case Condition::completed: return "service_completed_successfully";
        case Condition::running_or_healthy: return "running or healthy";
    }
    return "?";
}

std::vector<StepId> Plan::after(StepId id) const {
    std::vector<StepId> ids;
    for (const auto& edge : edges)
        if (edge.to == id) ids.push_back(edge.from);
    std::sort(ids.begin(), ids.end());
    return ids;
}

bool Plan::changes() const {
    return std::any_of(steps.begin(), steps.end(), [](const Step& step) { return step.kind != Kind::keep; });
}

std::string line(const Plan& plan, const Step& step) {
    std::string text = "#" + std::to_string(step.id);
    auto ids = plan.after(step.id);
    for (size_t i = 0; i < ids.size(); ++i) text += (i == 0 ? " after #" : ",#") + std::to_string(ids[i]);
    text += std::string(": ") + to_text(step.kind) + " " + step.object;
    if (!step.reason.empty()) text += ": " + step.reason;
    return text;
}

std::string Plan::text() const {
    std::string result;
    for (const auto& step : steps) result += line(*this, step) + "\n";
    return result;
}

}  // namespace compose::plan
