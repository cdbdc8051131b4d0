#include "plan/names.h"

#include <algorithm>
#include <set>

#include "plan/planner.h"

namespace compose::plan {

base::Error at(base::Error error, const model::Project& project, std::string_view path) {
    if (auto place = project.where(path); !place.file.empty()) error.at = std::move(place);
    return error;
}

std::string network_name(const model::Project& project, const std::string& key) {
    auto found = project.networks.find(key);
    return found == project.networks.end() || found->second.name.empty() ? project.name + "_" + key : found->second.name;
}

std::string volume_name(const model::Project& project, const std::string& key) {
    auto found = project.volumes.find(key);
    return found == project.volumes.end() || found->second.name.empty() ? project.name + "_" + key : found->second.name;
}

std::vector<std::string> networks_of(const model::Service& service) {
    if (!service.network_mode.empty()) return {};
    std::vector<std::string> keys;
    for (const auto& [key, attachment] : service.networks) keys.push_back(key);
    if (keys.empty()) keys.push_back("default");
    return keys;
}

std::vector<std::string> volumes_of(const model::Project& project, const model::Service& service) {
    std::vector<std::string> keys;
    for (const auto& mount : service.volumes)
        if (mount.type == "volume" && !mount.source.empty() && project.volumes.contains(mount.source) &&
            std::find(keys.begin(), keys.end(), mount.source) == keys.end())
            keys.push_back(mount.source);
    return keys;
}

std::string shared_service(const std::string& mode) { return mode.starts_with("service:") ? mode.substr(8) : std::string(); }

std::vector<std::string> shared_services(const model::Service& service) {
    std::set<std::string> names;
    for (const auto* mode : {&service.network_mode, &service.pid, &service.ipc})
        if (auto name = shared_service(*mode); !name.empty()) names.insert(name);
    for (const auto& from : service.volumes_from)
        if (!from.starts_with("container:")) names.insert(from.substr(0, from.find(':')));
    return {names.begin(), names.end()};
}

model::Network network_of(const model::Project& project, const std::string& key) {
    auto found = project.networks.find(key);
    model::Network network = found == project.networks.end() ? model::Network{} : found->second;
    network.name = network_name(project, key);
    return network;
}

model::Volume volume_of(const model::Project& project, const std::string& key) {
    auto found = project.volumes.find(key);
    model::Volume volume = found == project.volumes.end() ? model::Volume{} : found->second;
    volume.name = volume_name(project, key);
    return volume;
}

std::string container_name(const model::Project& project, const model::Service& service, int number, const std::string& separator) {
    if (!service.container_name.empty()) return service.container_name;
    return project.name + separator + service.name + separator + std::to_string(number);
}

std::string image_of(const model::Project& project, const model::Service& service) { return service.image_name(project.name); }

}  // namespace compose::plan
