#pragma once
// Real names of a project's objects, and what a service refers to (behaviour.md §1).
#include <string>
#include <vector>

#include "model/project.h"

namespace compose::plan {

/// The error with the place in the Compose file that it is about (`networks.out`), when there is one.
base::Error at(base::Error error, const model::Project& project, std::string_view path);
/// The real name of a network or volume key: its `name`, else `project_key`.
std::string network_name(const model::Project& project, const std::string& key);
std::string volume_name(const model::Project& project, const std::string& key);
/// The declared network or volume with its real name filled in; a default one when the file says nothing of the key.
model::Network network_of(const model::Project& project, const std::string& key);
model::Volume volume_of(const model::Project& project, const std::string& key);
/// Keys of the networks that a service joins ("default" when it names none); none with network_mode.
std::vector<std::string> networks_of(const model::Service& service);
/// Keys of the project's volumes that a service mounts.
std::vector<std::string> volumes_of(const model::Project& project, const model::Service& service);
/// The service in "service:x", or "".
std::string shared_service(const std::string& mode);
/// Services whose namespaces or mounts this one takes over: network_mode, pid, ipc, volumes_from.
std::vector<std::string> shared_services(const model::Service& service);

}  // namespace compose::plan
