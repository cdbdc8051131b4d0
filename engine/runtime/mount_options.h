#pragma once
// Mount options as text → attributes of the new mount API and the filesystem's own options.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/types.h"

namespace engine::runtime {

struct MountOptions {
    uint64_t attributes = 0;  ///< MOUNT_ATTR_…
    std::vector<std::string> filesystem;  ///< key, value, key, value …; a flag has an empty value
    bool operator==(const MountOptions&) const = default;
};
/// A tmpfs of the spec: nosuid, nodev, noexec and mode 1777 unless its options say otherwise (behaviour.md §3). invalid: an
/// option that tmpfs does not know.
base::Result<MountOptions> tmpfs_options(const Mount& mount);
/// rprivate, shared … → MS_ flags with MS_REC; 0 for "". invalid otherwise.
base::Result<uint64_t> propagation_flags(std::string_view name);

}  // namespace engine::runtime
