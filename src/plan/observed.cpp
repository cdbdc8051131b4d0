#include "plan/observed.h"

#include "base/text.h"

namespace compose::plan {

std::string label_of(const engine::Labels& labels, const char* name) {
    auto found = labels.find(name);
    return found == labels.end() ? std::string() : found->second;
}

std::string service_of(const engine::ContainerInfo& container) { return label_of(container.spec.labels, label::kService); }

int number_of(const engine::ContainerInfo& container) {
    return static_cast<int>(base::parse_int(label_of(container.spec.labels, label::kNumber)).value_or(0));
}

bool is_one_off(const engine::ContainerInfo& container) { return label_of(container.spec.labels, label::kOneOff) == "True"; }

bool is_running(const engine::ContainerInfo& container) {
    using Status = engine::ContainerStatus;
    return container.state.status == Status::running || container.state.status == Status::paused ||
           container.state.status == Status::restarting;
}

const char* status_word(engine::ContainerStatus status) {
    switch (status) {
        case engine::ContainerStatus::created: return "created";
        case engine::ContainerStatus::running: return "running";
        case engine::ContainerStatus::paused: return "paused";
        case engine::ContainerStatus::restarting: return "restarting";
        case engine::ContainerStatus::removing: return "removing";
        case engine::ContainerStatus::exited: return "exited";
        case engine::ContainerStatus::dead: return "dead";
    }
    return "?";
}

std::string short_name(const engine::ContainerInfo& container) {
    std::string project = label_of(container.spec.labels, label::kProject), name = container.spec.name;
    if (!project.empty() && name.size() > project.size() + 1 && name.starts_with(project) &&
        (name[project.size()] == '-' || name[project.size()] == '_'))
        return name.substr(project.size() + 1);
    return name;
}

}  // namespace compose::plan
