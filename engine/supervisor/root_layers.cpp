#include "supervisor/root_layers.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"

namespace engine::supervisor {

using base::fail_errno;
using base::Result;

namespace {

/// Whether the image has folders, or nothing, where the layer of mount points has folders: that one would hide a link.
bool has_plain_folders(const std::vector<std::string>& layers) {
    for (const char* name : {"/dev", "/proc", "/sys", "/etc"}) {
        for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
            struct stat status {};
            if (::lstat((*layer + name).c_str(), &status) != 0) continue;
            if (!S_ISDIR(status.st_mode) || (status.st_mode & 07777) != 0755 || status.st_uid != 0 || status.st_gid != 0) return false;
            break;
        }
    }
    return true;
}

Result<std::string> mount_point_layer(const std::string& root) {
    const std::string path = root + "/mount-points";
    if (base::exists(path)) return path;
    auto draft = TRY(base::TempDir::make(root, "mount-points."));
    for (const char* folder : {"/dev", "/proc", "/sys", "/etc"}) TRY_VOID(base::make_dirs(draft.path() + folder, 0755));
    for (const char* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) TRY_VOID(base::write_file(draft.path() + file, "", 0644));
    // Programs look for this file to know that they are in a container; Docker's is empty and executable.
    TRY_VOID(base::write_file(draft.path() + "/.dockerenv", "", 0755));
    if (::chmod(draft.path().c_str(), 0755) != 0) return fail_errno("make \"" + path + "\"");
    if (::rename(draft.path().c_str(), path.c_str()) == 0) {
        (void)draft.release();
    } else if (errno != EEXIST && errno != ENOTEMPTY) {  // another supervisor was first
        return fail_errno("make \"" + path + "\"");
    }
    return path;
}

}  // namespace

Result<std::vector<std::string>> root_layers(const std::string& root, std::vector<std::string> image_layers) {
    if (has_plain_folders(image_layers)) image_layers.push_back(TRY(mount_point_layer(root)));
    return image_layers;
}

}  // namespace engine::supervisor
