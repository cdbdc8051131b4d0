#pragma once
// The options of a mount in config.json (runtime-spec config.md, "Linux mount options").
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "oci/spec.h"

namespace engine::oci {

struct MountWords {
    uint64_t set = 0, clear = 0;                      ///< MOUNT_ATTR_…
    uint64_t recursive_set = 0, recursive_clear = 0;  ///< rro, rnosuid …: of the mounts below, too
    std::vector<uint64_t> propagation;                ///< MS_SHARED … with MS_REC, in order
    bool bind = false, recursive = false;             ///< bind, rbind
    bool idmap = false, recursive_idmap = false;
    bool copy_up = false;                             ///< tmpcopyup
    std::vector<std::string> data;                    ///< the filesystem's own: key, value, key, value …
};
MountWords read_mount_words(const std::vector<std::string>& options);
/// Every word that is understood, sorted: for `features`.
std::vector<std::string> known_mount_words();

/// A bind: the source cloned, with its attributes, propagation and id maps set. `mapping_of` are the container's own maps, for
/// `idmap` without any.
struct BindSource {
    base::MountFd tree;
    bool is_folder = true, is_procfs = false;
};
base::Result<BindSource> open_bind_source(const MountEntry& mount, const MountWords& words, const Spec& spec, const std::string& bundle);
/// A user namespace with these maps, for mount_setattr; nobody lives in it.
base::Result<base::UniqueFd> user_namespace_with(std::span<const IdMapping> uids, std::span<const IdMapping> gids);
/// uid_map's lines.
std::string map_text(std::span<const IdMapping> maps);
/// rprivate … unbindable → MS_ flags with MS_REC; 0 for "". invalid otherwise.
base::Result<uint64_t> propagation_of(std::string_view name);

}  // namespace engine::oci
