#pragma once
// From the Compose model to what the engine is asked for. Every attribute of a service that the engine has is carried over;
// what it does not honour is in `ignored_attributes`, by name, never dropped in silence.
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "model/project.h"

namespace compose::run {

/// Which container of a service is wanted.
struct Target {
    int number = 1;                 ///< replica; 0 for one-offs
    std::string name;               ///< container name
    std::string image_id;           ///< "sha256:…", "" when not known
    std::vector<std::string> image_volumes;            ///< paths that the image declares as volumes
    const engine::ContainerInfo* replaces = nullptr;   ///< its anonymous volumes go over
    bool renew_volumes = false;     ///< no, they do not
    std::string replace_label;      ///< com.docker.compose.replace
    std::string slug;               ///< one-offs: 64 digits
    bool network_aliases = true;    ///< one-offs: --use-aliases
};

/// What only the engine can tell: the container behind `service:x` (by service) or `container:NAME`.
struct Peers {
    std::function<base::Result<engine::ContainerInfo>(const std::string& service)> of_service;
    std::function<base::Result<engine::ContainerInfo>(const std::string& name)> by_name;
};

/// The spec of one container. Errors name the service and the attribute: a missing secret file, a service without container …
base::Result<engine::ContainerSpec> container_spec(const model::Project& project, const model::Service& service, const Target& target,
                                                   const Peers& peers);
engine::NetworkSpec network_spec(const model::Project& project, const std::string& key);
engine::VolumeSpec volume_spec(const model::Project& project, const std::string& key);

/// `service "a": cpu_count is for Windows containers only, ignored`: one line for each attribute that has no effect here.
std::vector<std::string> ignored_attributes(const model::Project& project, const model::Service& service);

/// Labels of behaviour.md §1 for a container, with the user's own.
engine::Labels container_labels(const model::Project& project, const model::Service& service, const Target& target);

// ---- parts, each in its file ------------------------------------------------------------------------------------------

/// convert_mounts.cpp: volumes, tmpfs, volumes_from, configs, secrets.
base::Status add_mounts(engine::ContainerSpec& spec, const model::Project& project, const model::Service& service, const Target& target,
                        const Peers& peers);
/// convert_network.cpp: networks, network_mode, ports, expose, links, hosts, DNS.
base::Status add_network(engine::ContainerSpec& spec, const model::Project& project, const model::Service& service, const Target& target,
                         const Peers& peers);
/// convert_limits.cpp: resources, deploy, gpus, ulimits, devices, restart policy.
void add_limits(engine::ContainerSpec& spec, const model::Service& service);
/// `service:x` and `container:NAME` as `container:ID`; other modes as they are.
base::Result<std::string> namespace_mode(const std::string& mode, const model::Service& service, const char* attribute, const Peers& peers);

}  // namespace compose::run
