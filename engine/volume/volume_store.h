#pragma once
// Named and anonymous volumes of the local driver: folders below ROOT/volumes, or file systems mounted as their driver
// options say (type, o, device); filled from the image on first use.
#include <string>
#include <vector>

#include "base/fd.h"
#include "engine/types.h"
#include "store/store.h"

namespace engine::volume {

class VolumeStore {
public:
    explicit VolumeStore(store::Store& store) : store_(store) {}

    /// As Docker: an existing volume of the same driver and options is returned; other options → conflict. An empty name
    /// gives an anonymous volume with 64 hexadecimal digits.
    base::Result<VolumeInfo> create(VolumeSpec spec);
    base::Result<VolumeInfo> find(const std::string& name);
    base::Result<std::vector<VolumeInfo>> list(const Labels& labels);
    /// conflict while a container uses it: `remove x: volume is in use - [names]`. Its folder goes too.
    base::Status remove(const std::string& name);
    /// Unmounts what a volume's driver options mounted (memory) when no container names the volume any more.
    base::Status release_unused(const std::string& name);
    /// Removes the folders of volumes that are not in the store (a removal that was cut).
    base::Status recover();

private:
    store::Store& store_;
};

/// The content of a volume as a detached mount: a clone of its folder, or a new mount of its driver options (nfs, tmpfs,
/// bind and any file system the kernel mounts). Without driver options `volume.path` may be bound as well.
base::Result<base::MountFd> open_volume(const VolumeInfo& volume);
/// Whether open_volume mounts something other than the folder.
bool has_own_mount(const VolumeInfo& volume);

/// Fills an EMPTY volume with what the image has at `target` (resolved inside `image_root_fd`): content, owners, modes,
/// times, links, xattrs; the volume's own folder takes owner and mode of the target. Whole or nothing: a marker beside the
/// folder tells a copy that was cut, which is begun again. A volume with one entry, or a target that is absent, is left.
base::Status copy_up(const std::string& volume_path, int image_root_fd, const std::string& target);

}  // namespace engine::volume
