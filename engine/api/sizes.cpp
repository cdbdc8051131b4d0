// How much a container has written.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/engine_impl.h"
#include "base/file.h"

namespace engine::api {
namespace {

constexpr int kDeepest = 1024;

/// Bytes of regular files below a folder that a container may be changing: by descriptors, following no link. What cannot be
/// read counts nothing.
uint64_t bytes_below(base::UniqueFd folder, int depth) {
    DIR* listing = fdopendir(folder.get());
    if (!listing) return 0;
    (void)folder.release();
    base::Defer close([&] { closedir(listing); });
    uint64_t sum = 0;
    while (dirent* entry = readdir(listing)) {  // NOLINT(concurrency-mt-unsafe): a stream of its own
        std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        struct stat status;
        if (fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(status.st_mode)) sum += static_cast<uint64_t>(status.st_size);
        if (!S_ISDIR(status.st_mode) || depth >= kDeepest) continue;
        base::UniqueFd below(::openat(dirfd(listing), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (below) sum += bytes_below(std::move(below), depth + 1);
    }
    return sum;
}

}  // namespace

Result<uint64_t> EngineImpl::layer_size(const std::string& id) {
    auto container = TRY(store().container(id));
    base::UniqueFd upper(::open(paths().container_upper(container.id).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (upper) return bytes_below(std::move(upper), 0);
    if (errno == ENOENT) return 0;  // never started
    return base::fail_errno("layer of " + container.spec.name);
}

}  // namespace engine::api
