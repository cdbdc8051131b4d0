#pragma once
// `docker run`'s flags as what the engine is asked for. What this engine does not do is refused with the flag's name.
#include <array>
#include <string>
#include <vector>

#include "cli/context.h"
#include "engine/types.h"

namespace compose::cli {

/// The flags that `container run` and `container create` share, in the order of --help.
std::span<const Flag> container_flags();
/// The same with those of `run` alone.
std::span<const Flag> container_run_flags();

struct AskedContainer {
    engine::ContainerSpec spec;
    std::vector<engine::VolumeSpec> volumes;  ///< that --mount describes: made before, unless they are there
    std::vector<std::string> attach;          ///< -a, in lower case; empty: not given
};
/// The container of `IMAGE [COMMAND] [ARG...]` and the flags. The engine is asked for what --volumes-from names.
Result<AskedContainer> asked_container(Context& context, engine::Engine& engine, const Arguments& arguments);

// ---- parts, each in its file ------------------------------------------------------------------------------------------

/// container_limits.cpp: cgroup limits; `container update` has them too.
Result<engine::Resources> resources_of(const Arguments& arguments);
/// `--memory 64m`; 0 when it was not given. -1 only where `unlimited` allows it.
Result<int64_t> bytes_of(const Arguments& arguments, std::string_view flag, bool unlimited = false);
/// no, always, unless-stopped, on-failure[:N]
Result<engine::RestartPolicy> restart_policy_of(const std::string& text);
/// container_limits.cpp: devices, --gpus, ulimits.
Status add_device_flags(engine::ContainerSpec& spec, const Arguments& arguments);
/// container_mounts.cpp: -v, --mount, --tmpfs, --volumes-from.
Status add_mount_flags(AskedContainer& asked, engine::Engine& engine, const Arguments& arguments);
/// container_network.cpp: --network and its kin, ports, DNS, hosts.
Status add_network_flags(engine::ContainerSpec& spec, const Arguments& arguments);
/// The fields of a line with commas, as encoding/csv reads it: a field may stand in quotes.
Result<std::vector<std::string>> csv_fields(const std::string& line, std::string_view flag);

}  // namespace compose::cli
