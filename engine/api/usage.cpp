// What the engine's things take on disk.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "api/engine_impl.h"
#include "base/file.h"

namespace engine::api {
namespace {

constexpr int kDeepestFolder = 2000;

/// Blocks of a tree, hard links once; other file systems mounted in it and what cannot be read are left out.
uint64_t blocks_below(int parent, const std::string& name, dev_t device, std::set<ino_t>& linked, int depth) {
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 || (device != 0 && status.st_dev != device)) return 0;
    uint64_t bytes = static_cast<uint64_t>(status.st_blocks) * 512;
    if (!S_ISDIR(status.st_mode)) return status.st_nlink > 1 && !linked.insert(status.st_ino).second ? 0 : bytes;
    base::UniqueFd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder || depth >= kDeepestFolder) return bytes;
    auto names = base::list_dir(base::proc_path(folder.get()));
    if (!names) return bytes;
    for (const std::string& entry : *names) bytes += blocks_below(folder.get(), entry, status.st_dev, linked, depth + 1);
    return bytes;
}
uint64_t blocks_of(const std::string& path) {
    std::set<ino_t> linked;
    return blocks_below(AT_FDCWD, path, 0, linked, 0);
}

}  // namespace

Result<DiskUsage> EngineImpl::disk_usage() {
    DiskUsage usage;
    auto all = TRY(store().containers({}));
    std::map<std::string, size_t> of_image, of_volume;
    for (const ContainerInfo& container : all) {
        ++of_image[container.spec.image_id];
        std::set<std::string> volumes;
        for (const Mount& mount : container.spec.mounts)
            if (mount.type == Mount::Type::volume && !mount.source.empty()) volumes.insert(mount.source);
        for (const std::string& name : volumes) ++of_volume[name];
        usage.containers.push_back({container, blocks_of(paths().container(container.id))});
    }
    auto* images = TRY(image_store());
    auto stored = TRY(images->usage([&](const std::string& id) { return of_image.contains(id); }));
    usage.layers = stored.layers;
    usage.unused_layers = stored.unused_layers;
    usage.packed = stored.packed;
    std::map<std::string, uint64_t> shared;
    for (const auto& image : stored.images) shared[image.id] = image.shared_size;
    for (ImageInfo& image : TRY(images->list())) {
        std::string id = image.id;
        usage.images.push_back({std::move(image), shared[id], of_image[id]});
    }
    for (const VolumeInfo& volume : TRY(store().volumes({}))) {
        bool here = volume.spec.driver_options.empty();  // with options it is a mount of something else
        usage.volumes.push_back({volume, here ? blocks_of(volume.path) : 0, of_volume[volume.spec.name]});
    }
    return usage;
}

}  // namespace engine::api
