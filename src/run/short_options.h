#pragma once
// What `run` and `container run` take on the command line in Compose's short forms, as values of the model and of the engine.
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "model/project.h"

namespace compose::run {

/// `-p [[IP:]HOST:]CONTAINER[/PROTOCOL]`, with ranges.
base::Result<std::vector<model::Port>> command_line_ports(const std::string& text);
/// `-v [SOURCE:]TARGET[:OPTION,…]`; a relative path is taken from the current folder.
base::Result<model::Mount> command_line_volume(const std::string& text);
/// A path of the command line, absolute: `~` and relative ones from where the command runs.
std::string from_here(const std::string& path);

/// A port of the model as the engine has it; `Invalid hostPort: …`.
base::Result<engine::PortMapping> port_mapping(const model::Port& asked);
/// A mount of the model as the engine has it, names as they are. unsupported: a type of other systems.
base::Result<engine::Mount> engine_mount(const model::Mount& asked);
/// What `peer` mounts, where `spec` mounts nothing of its own.
void adopt_mounts(engine::ContainerSpec& spec, const engine::ContainerInfo& peer, bool read_only);

}  // namespace compose::run
