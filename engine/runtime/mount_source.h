#pragma once
// What gets mounted from outside: detached trees of host paths, and the container's own terminal.
#include "base/fd.h"
#include "runtime/launch.h"

namespace engine::runtime {

struct MountSource {
    base::MountFd tree;  ///< detached, with its attributes and propagation set
    bool is_folder = true, is_procfs = false;
};
/// Clones the source of a bind, volume or image mount; consumes resolved.tree. Missing bind sources are made (unless the mount
/// says no), a subpath is resolved inside its volume.
base::Result<MountSource> open_mount_source(ResolvedMount& resolved);

/// A devpts instance of the container's own and the first terminal in it, owned by the container's user.
struct ContainerTerminal {
    base::MountFd devpts;
    base::UniqueFd master, slave;
};
/// `options`: the instance's, as key and value pairs; `attributes`: MOUNT_ATTR_….
base::Result<ContainerTerminal> open_container_terminal(uint32_t uid, const std::vector<std::string>& options, uint64_t attributes);
base::Result<ContainerTerminal> open_container_terminal(uint32_t uid);

}  // namespace engine::runtime
