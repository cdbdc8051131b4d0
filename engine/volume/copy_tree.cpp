#include "volume/copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/text.h"

namespace engine::volume {
namespace {

constexpr int kDeepest = 1000;

base::Status copy_bytes(int from, int to) {
    if (ioctl(to, FICLONE, from) == 0) return {};  // shares the blocks where the file system can
    bool in_kernel = true;
    for (;;) {
        ssize_t n = in_kernel ? copy_file_range(from, nullptr, to, nullptr, 1u << 30, 0) : sendfile(to, from, nullptr, 1u << 30);
        if (n == 0) return {};
        if (n > 0 || errno == EINTR) continue;
        // overlayfs below another file system, kernels before 5.19: not across devices
        if (in_kernel && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
            in_kernel = false;
            continue;
        }
        return base::fail_errno("copy");
    }
}

bool is_overlay_mark(std::string_view name) { return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay."); }

/// Extended attributes, by path: links and devices cannot be opened for it (/proc/self/fd/DIR/NAME, not followed), while an
/// open file is named by its magic link (followed).
void copy_xattrs(const std::string& from, const std::string& to, bool follow) {
    std::string names(65536, '\0'), value(65536, '\0');  // not on the stack: the walk recurses
    ssize_t length = follow ? listxattr(from.c_str(), names.data(), names.size()) : llistxattr(from.c_str(), names.data(), names.size());
    for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(strlen(names.c_str() + at)) + 1) {
        const char* name = names.c_str() + at;
        if (is_overlay_mark(name)) continue;
        ssize_t size = follow ? getxattr(from.c_str(), name, value.data(), value.size()) : lgetxattr(from.c_str(), name, value.data(), value.size());
        if (size < 0) continue;
        // A target that knows no such attributes gets the file without: ignored, as cp -a does.
        (void)(follow ? setxattr(to.c_str(), name, value.data(), static_cast<size_t>(size), 0)
                      : lsetxattr(to.c_str(), name, value.data(), static_cast<size_t>(size), 0));
    }
}

class Copier {
public:
    base::Status folder(int from, int to, const std::string& below, int depth) {
        if (depth > kDeepest) return base::fail(base::Code::invalid, "copy \"" + below + "\": folders nest too deeply");
        int listing = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* dir = listing >= 0 ? fdopendir(listing) : nullptr;
        if (!dir) {
            base::Error error = base::fail_errno("read folder \"/" + below + "\"");
            if (listing >= 0) close(listing);
            return error;
        }
        base::Status result;
        while (dirent* entry = readdir(dir)) {
            std::string name = entry->d_name;
            if (name == "." || name == "..") continue;
            result = one(from, to, name, below, depth);
            if (!result) break;
        }
        closedir(dir);
        return result;
    }

private:
    base::Status one(int from, int to, const std::string& name, const std::string& below, int depth) {
        std::string path = below.empty() ? name : below + "/" + name;
        struct stat status;
        if (fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return base::fail_errno("look at \"/" + path + "\"");
        auto failed = [&](const char* doing) { return base::fail_errno(std::string(doing) + " \"/" + path + "\""); };

        if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
            auto [known, first] = links_.try_emplace({status.st_dev, status.st_ino}, path);
            if (!first) {
                if (linkat(root_, known->second.c_str(), to, name.c_str(), 0) != 0) return failed("link");
                return {};
            }
        }
        switch (status.st_mode & S_IFMT) {
            case S_IFDIR: {
                if (mkdirat(to, name.c_str(), 0700) != 0 && errno != EEXIST) return failed("make folder");
                base::UniqueFd source = TRY(base::open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
                base::UniqueFd target = TRY(base::open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
                TRY_VOID(folder(source.get(), target.get(), path, depth + 1));
                return copy_attributes(source.get(), target.get());
            }
            case S_IFREG: {
                base::UniqueFd source = TRY(base::open_at(from, name, O_RDONLY | O_NOFOLLOW));
                base::UniqueFd target = TRY(base::open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
                if (status.st_size > 0)
                    if (auto copied = copy_bytes(source.get(), target.get()); !copied) return std::move(copied).context("\"/" + path + "\"");
                return copy_attributes(source.get(), target.get());
            }
            case S_IFLNK: {
                std::string text(static_cast<size_t>(status.st_size) + 1, '\0');
                ssize_t length = readlinkat(from, name.c_str(), text.data(), text.size());
                if (length < 0) return failed("read link");
                text.resize(static_cast<size_t>(length));
                if (symlinkat(text.c_str(), to, name.c_str()) != 0) return failed("make link");
                break;
            }
            case S_IFSOCK: return {};
            default:
                if (mknodat(to, name.c_str(), status.st_mode & (S_IFMT | 07777), status.st_rdev) != 0) return failed("make device");
        }
        if (fchownat(to, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return failed("set the owner of");
        if (!S_ISLNK(status.st_mode) && fchmodat(to, name.c_str(), status.st_mode & 07777, 0) != 0) return failed("set the mode of");
        copy_xattrs(base::proc_path(from) + "/" + name, base::proc_path(to) + "/" + name, false);
        timespec times[2] = {status.st_atim, status.st_mtim};
        utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW);  // ignored: a time is no content
        return {};
    }

    friend base::Status engine::volume::copy_tree(int, int);
    int root_ = -1;
    std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

}  // namespace

base::Status copy_attributes(int from, int to) {
    struct stat status;
    if (fstat(from, &status) != 0) return base::fail_errno("look at what is copied");
    if (fchown(to, status.st_uid, status.st_gid) != 0) return base::fail_errno("set the owner of a copy");
    if (fchmod(to, status.st_mode & 07777) != 0) return base::fail_errno("set the mode of a copy");
    copy_xattrs(base::proc_path(from), base::proc_path(to), true);
    timespec times[2] = {status.st_atim, status.st_mtim};
    futimens(to, times);  // ignored: a time is no content
    return {};
}

base::Status copy_tree(int from, int to) {
    Copier copier;
    copier.root_ = to;
    return copier.folder(from, to, "", 0);
}

}  // namespace engine::volume
