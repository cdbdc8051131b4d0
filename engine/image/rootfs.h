#pragma once
// The root file system of a container: overlayfs over the layers of its image, as a detached mount that nothing on the
// host sees.
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace engine::image {

struct OverlayOptions {
    std::vector<std::string> lower;  ///< absolute, LOWEST first (ImageStore::layer_dirs); at least one unless upper is set
    std::string upper, work;         ///< absolute, on one file system; both empty: read-only over the layers alone
    bool read_only = false;          ///< MOUNT_ATTR_RDONLY; upper stays as it is
    bool user_namespace = false;     ///< inside a user namespace: xattrs in user.overlay.* (kernel 5.11)
    bool by_string = false;          ///< as on kernels before 6.7, whatever this one can: for tests
    bool is_volatile = false;        ///< no syncs: after a crash of the machine the kernel refuses the upper folder
};

/// The mount by the new API (fsopen, lowerdir+ of kernel 6.7, else the option string with short names). Layers over the
/// kernel's limit of 500 are an error. unsupported_kernel when there is no overlayfs.
base::Result<base::MountFd> mount_overlay(const OverlayOptions& options);
base::Result<base::MountFd> mount_overlay(const std::vector<std::string>& lower, const std::string& upper, const std::string& work,
                                          bool read_only = false);

/// Makes the two folders of a container, `upper` with the mode and owner of the image's root folder (lowest first).
base::Status make_upper(const std::vector<std::string>& lower, const std::string& upper, const std::string& work);

/// Changes of `upper` against the layers below: "A /path", "C /path", "D /path", sorted by path, as `docker diff`.
base::Result<std::vector<std::string>> overlay_changes(const std::vector<std::string>& lower, const std::string& upper);

}  // namespace engine::image
