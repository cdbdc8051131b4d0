#include "cli/container_row.h"

#include "base/text.h"
#include "cli/container_text.h"
#include "plan/observed.h"

namespace compose::cli {

namespace json = boost::json;

Row container_row(const engine::ContainerInfo& container, const std::string& project, engine::Time now, bool whole) {
    json::array published;
    for (const auto& port : publishers(container))
        published.push_back(json::object{{"URL", port.url}, {"TargetPort", port.target}, {"PublishedPort", port.published}, {"Protocol", port.protocol}});
    std::vector<std::string> mounts, networks;
    int volumes = 0;
    for (const auto& mount : container.spec.mounts) {
        mounts.push_back(mount.source.empty() ? mount.target : mount.source);
        volumes += mount.type == engine::Mount::Type::volume;
    }
    for (const auto& endpoint : container.spec.endpoints) networks.push_back(endpoint.network);
    if (networks.empty() && !container.spec.network_mode.empty()) networks.push_back(container.spec.network_mode);
    std::string health = container.state.health == engine::HealthStatus::none ? "" : engine::to_text(container.state.health);
    return Row{
        {"Command", command_text(container, whole)},
        {"CreatedAt", created_text(container.created)},
        {"ExitCode", plan::is_running(container) ? 0 : container.state.exit_code},
        {"Health", health},
        {"ID", whole ? container.id : short_id(container.id)},
        {"Image", container.spec.image},
        {"Labels", labels_text(container.spec.labels)},
        {"LocalVolumes", std::to_string(volumes)},
        {"Mounts", base::join(mounts, ",")},
        {"Name", container.spec.name},
        {"Names", container.spec.name},
        {"Networks", base::join(networks, ",")},
        {"Ports", ports_text(container)},
        {"Project", project},
        {"Publishers", published},
        {"RunningFor", ago(container.created, now)},
        {"Service", plan::service_of(container)},
        {"Size", "0B"},
        {"State", engine::to_text(container.state.status)},
        {"Status", status_text(container, now)},
    };
}

}  // namespace compose::cli
