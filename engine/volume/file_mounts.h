#pragma once
// Configs and secrets of a container: what it sees is in the run folder (memory). A config's
// content is also below the container's own folder, where a reboot leaves it; a secret's content is never on a disk.
#include <string>
#include <vector>

#include "engine/types.h"
#include "store/paths.h"

namespace engine::volume {

/// Writes the contents of `spec.files` below RUN/files/<id> with owner and mode (default root, 0444) and takes them out of
/// the spec, which may then be stored. At create.
base::Status stage_files(const store::Paths& paths, const std::string& id, ContainerSpec& spec);
/// Forgets them. Absent: fine.
base::Status remove_files(const store::Paths& paths, const std::string& id);

struct FileSource {
    std::string target;     ///< in the container
    std::string host_path;  ///< to bind there
    bool read_only = true;
};
/// What to bind where, at start. A host file with an owner or a mode of its own is copied now; without, it is bound itself, so
/// that later changes are seen; after a reboot a config's content comes from where it is kept. not_found names the config or secret: a
/// host file that is gone, a content that is not whole, or a secret from the environment after a reboot (create the container again).
base::Result<std::vector<FileSource>> resolve_files(const store::Paths& paths, const ContainerInfo& container);

}  // namespace engine::volume
