#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace base {

Result<UniqueFd> open_at(int folder, const std::string& path, int flags, unsigned mode) {
    int fd;
    do fd = ::openat(folder, path.c_str(), flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno("open \"" + path + "\"");
    return UniqueFd(fd);
}

Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, unsigned mode) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
    how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const char* name = path.empty() ? "." : path.c_str();
    for (int attempt = 0; attempt < 64; ++attempt) {
        int fd = static_cast<int>(::syscall(SYS_openat2, root, name, &how, sizeof how));
        if (fd >= 0) return UniqueFd(fd);
        if (errno != EINTR && errno != EAGAIN) break;  // EAGAIN: a rename raced with "..", openat2(2)
    }
    return fail_errno("open \"" + path + "\" in the root");
}

Result<UniqueFd> make_dirs_in_root(int root, const std::string& path, unsigned mode, uint32_t uid, uint32_t gid) {
    UniqueFd here(TRY(open_in_root(root, "/", O_PATH | O_DIRECTORY)));
    std::string walked;
    size_t start = 0;
    while (start < path.size()) {
        size_t end = path.find('/', start);
        if (end == std::string::npos) end = path.size();
        std::string name = path.substr(start, end - start);
        start = end + 1;
        if (name.empty() || name == ".") continue;
        walked += "/" + name;
        auto next = open_in_root(root, walked, O_PATH | O_DIRECTORY);
        if (!next && next.error().sys_errno == ENOENT && name != "..") {
            if (::mkdirat(here.get(), name.c_str(), static_cast<mode_t>(mode)) == 0) {
                if ((uid != 0 || gid != 0) && ::fchownat(here.get(), name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
                    return fail_errno("set the owner of \"" + walked + "\"");
            } else if (errno != EEXIST) {
                return fail_errno("make folder \"" + walked + "\"");
            }
            next = open_in_root(root, walked, O_PATH | O_DIRECTORY);
        }
        if (!next) return std::move(next.error());
        here = std::move(*next);
    }
    return here;
}

std::string proc_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Result<std::string> read_all(int fd, size_t limit) {
    std::string content;
    size_t used = 0;
    for (;;) {
        if (content.size() - used < 4096) content.resize(std::max<size_t>(content.size() * 2, 16384));
        ssize_t n = ::read(fd, content.data() + used, content.size() - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read");
        if (n == 0) break;
        used += static_cast<size_t>(n);
        if (used > limit) return fail(Code::invalid, "larger than " + std::to_string(limit) + " bytes");
    }
    content.resize(used);
    return content;
}

Result<std::string> read_at(int folder, const std::string& path, size_t limit) {
    UniqueFd fd = TRY(open_at(folder, path, O_RDONLY));
    return read_all(fd.get(), limit).context("read \"" + path + "\"");
}

Result<std::string> read_file(const std::string& path, size_t limit) { return read_at(AT_FDCWD, path, limit); }

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("write");
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

Status write_file(const std::string& path, std::string_view bytes, unsigned mode) {
    UniqueFd fd = TRY(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode));
    return write_all(fd.get(), bytes).context("\"" + path + "\"");
}

Status replace_file(const std::string& path, std::string_view bytes, unsigned mode, bool durable) {
    static std::atomic<unsigned> serial{0};
    std::string beside = path + ".new." + std::to_string(::getpid()) + "." + std::to_string(serial++);
    UniqueFd fd = TRY(open_at(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (auto written = write_all(fd.get(), bytes); !written) {
        ::unlink(beside.c_str());
        return std::move(written).context("write \"" + path + "\"");
    }
    if ((durable && ::fsync(fd.get()) != 0) || ::rename(beside.c_str(), path.c_str()) != 0) {
        Error error = fail_errno("replace \"" + path + "\"");
        ::unlink(beside.c_str());
        return error;
    }
    return {};
}

Status make_dirs(const std::string& path, unsigned mode) {
    if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0 || errno == EEXIST) return {};
    if (errno != ENOENT) return fail_errno("make folder \"" + path + "\"");
    size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return fail_errno("make folder \"" + path + "\"");
    TRY_VOID(make_dirs(path.substr(0, slash), mode));
    if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST) return fail_errno("make folder \"" + path + "\"");
    return {};
}

namespace {
Status remove_below(int parent, const char* name, int depth) {
    if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM && errno != EBUSY) return fail_errno("remove \"" + std::string(name) + "\"");
    if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != ENOTEMPTY && errno != EEXIST) return fail_errno("remove folder \"" + std::string(name) + "\"");
    if (depth > 2000) return fail(Code::invalid, "folders nest too deeply");
    int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fail_errno("open \"" + std::string(name) + "\"");
    DIR* dir = ::fdopendir(fd);
    if (!dir) {
        ::close(fd);
        return fail_errno("read folder \"" + std::string(name) + "\"");
    }
    Status result;
    while (dirent* entry = ::readdir(dir)) {
        std::string_view child = entry->d_name;
        if (child == "." || child == "..") continue;
        if (auto removed = remove_below(::dirfd(dir), entry->d_name, depth + 1); !removed && result) result = std::move(removed);
    }
    ::closedir(dir);
    if (!result) return result;
    if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return fail_errno("remove folder \"" + std::string(name) + "\"");
    return {};
}
}  // namespace

Status remove_tree(const std::string& path) { return remove_below(AT_FDCWD, path.c_str(), 0).context("remove \"" + path + "\""); }

namespace {
/// Takes the folder; nullptr: nothing, the caller tells errno.
std::optional<std::vector<std::string>> names_of(DIR* dir) {
    if (!dir) return std::nullopt;
    std::vector<std::string> names;
    while (dirent* entry = ::readdir(dir)) {
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(dir);
    std::sort(names.begin(), names.end());
    return names;
}
}  // namespace

Result<std::vector<std::string>> list_dir(const std::string& path) {
    auto names = names_of(::opendir(path.c_str()));
    if (!names) return fail_errno("read folder \"" + path + "\"");
    return std::move(*names);
}

Result<std::vector<std::string>> list_dir(int folder) {
    UniqueFd copy(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR* dir = copy ? ::fdopendir(copy.get()) : nullptr;
    if (dir) (void)copy.release();
    auto names = names_of(dir);
    if (!names) return fail_errno("read folder");
    return std::move(*names);
}

bool exists(const std::string& path) { return ::faccessat(AT_FDCWD, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

namespace {
Result<UniqueFd> lock(const std::string& path, bool shared, int command) {
    UniqueFd fd = TRY(open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600));
    struct flock range {};
    range.l_type = shared ? F_RDLCK : F_WRLCK;
    range.l_whence = SEEK_SET;
    int done;
    do done = ::fcntl(fd.get(), command, &range);
    while (done != 0 && errno == EINTR);
    if (done != 0) {
        int error = errno;
        if (error == EAGAIN || error == EACCES) return fail(Code::conflict, "\"" + path + "\" is locked by another process");
        return fail_errno("lock \"" + path + "\"", error);
    }
    return fd;
}
}  // namespace

Result<FileLock> FileLock::acquire(const std::string& path, bool shared) { return FileLock(TRY(lock(path, shared, F_OFD_SETLKW))); }
Result<FileLock> FileLock::try_acquire(const std::string& path, bool shared) { return FileLock(TRY(lock(path, shared, F_OFD_SETLK))); }

}  // namespace base
