#pragma once
// The steps that make a container's file system: what every engine mounts, then the spec's mounts, files, devices, masks.
#include "runtime/cdi.h"
#include "runtime/launch.h"
#include "runtime/plan_data.h"
#include "runtime/resolve.h"

namespace engine::runtime {

/// What the mount steps need to know besides the input.
struct MountContext {
    const LaunchInput& input;
    const Resolved& resolved;
    const Identity& identity;
    bool cgroup_namespace;  ///< a new one: its filesystem is mounted from inside
    bool writable_cgroups;
    const CdiEdits& devices;
    std::string root_at;    ///< where on the host the root is attached meanwhile, for hooks; empty: over "/"
};
/// Host sources are opened here, as detached trees; mount points that are missing are made by the child, in the root.
base::Status add_mounts(PlanData& plan, MountContext& context, std::vector<ResolvedMount>& mounts);

/// Docker's lists; those that this kernel does not have are left out.
struct MaskedPath {
    std::string path;
    bool is_folder;
};
const std::vector<MaskedPath>& masked_paths();
const std::vector<std::string>& read_only_paths();

/// Docker's rule: only what is per namespace may be set. The engine's two defaults for an own network: unprivileged ports, ping.
base::Status add_sysctls(PlanData& plan, const ContainerSpec& spec);
/// Device nodes of the spec, or with privileged all of the host's: steps relative to the /dev slot or the root.
base::Status add_devices(PlanData& plan, const ContainerSpec& spec, int16_t dev_slot);
/// The nodes of CDI devices; what their files leave open is the host's and the container's user's.
base::Status add_cdi_nodes(PlanData& plan, const CdiEdits& devices, const Identity& identity, int16_t dev_slot);

}  // namespace engine::runtime
