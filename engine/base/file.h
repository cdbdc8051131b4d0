#pragma once
// Files and folders: whole reads and writes, atomic replacement, and paths that cannot leave a container's root.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace base {

/// Opens relative to a folder (AT_FDCWD for none) with O_CLOEXEC added.
Result<UniqueFd> open_at(int folder, const std::string& path, int flags, unsigned mode = 0);
/// Opens `path` as if `root` were "/": `..`, absolute links and magic links stay inside. The one door for paths below a
/// container's root (openat2 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); closes the race of a link swapped after a check.
Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, unsigned mode = 0);
/// Makes every missing folder of `path` below `root`, following links inside the root only; returns it opened (O_PATH).
Result<UniqueFd> make_dirs_in_root(int root, const std::string& path, unsigned mode = 0755, uint32_t uid = 0, uint32_t gid = 0);
/// `/proc/self/fd/N`: a name for an open fd, for calls that take only paths.
std::string proc_path(int fd);

/// The whole file; larger than `limit` bytes is an error.
Result<std::string> read_file(const std::string& path, size_t limit = 64u << 20);
Result<std::string> read_at(int folder, const std::string& path, size_t limit = 64u << 20);
Result<std::string> read_all(int fd, size_t limit = 64u << 20);
/// Writes all bytes, going on after short writes and EINTR.
Status write_all(int fd, std::string_view bytes);
/// Creates or truncates. Not atomic; for kernel files (sysctl, cgroup) and fresh files.
Status write_file(const std::string& path, std::string_view bytes, unsigned mode = 0644);
/// Beside, then rename: readers see the old or the new content, never a part. `durable` adds fsync.
Status replace_file(const std::string& path, std::string_view bytes, unsigned mode = 0644, bool durable = false);
/// mkdir -p.
Status make_dirs(const std::string& path, unsigned mode = 0755);
/// rm -rf of one tree without following links or crossing into what a link names; absent is fine.
Status remove_tree(const std::string& path);
/// Names in a folder, sorted; without . and ..
Result<std::vector<std::string>> list_dir(const std::string& path);
Result<std::vector<std::string>> list_dir(int folder);
bool exists(const std::string& path);

/// A file lock (OFD lock on the whole file) held until destruction.
class FileLock {
public:
    /// Waits for it; `shared` for readers.
    static Result<FileLock> acquire(const std::string& path, bool shared = false);
    /// Without waiting: conflict when another holds it.
    static Result<FileLock> try_acquire(const std::string& path, bool shared = false);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace base
