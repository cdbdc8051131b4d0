#include "store/reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"

namespace engine::store {
namespace {

constexpr off_t kReserve = 1 << 20;
/// With less than this beside it the reserve would itself be what fills the disk.
constexpr uint64_t kToSpare = 8 << 20;

std::string reserve_file(const Paths& paths) { return paths.root + "/reserve"; }

}  // namespace

void keep_reserve(const Paths& paths) {
    const std::string path = reserve_file(paths);
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && status.st_size == kReserve) return;
    struct statvfs disk {};
    if (::statvfs(paths.root.c_str(), &disk) != 0 || disk.f_bavail * disk.f_frsize < kToSpare) return;
    base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    // Blocks, not a hole.
    if (!file || ::fallocate(file.get(), 0, 0, kReserve) != 0) (void)::unlink(path.c_str());
}

void release_reserve(const Paths& paths) { (void)::unlink(reserve_file(paths).c_str()); }

}  // namespace engine::store
