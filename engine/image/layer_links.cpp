// Hard links of a layer to files of the layers below: in the overlay both names must be one inode of one layer, so the target
// is copied up into this one.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/text.h"
#include "image/rootfs.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::fail_errno;
using base::UniqueFd;

void copy_xattrs(const std::string& from, const std::string& to) {
    std::string list(64 << 10, '\0'), value(64 << 10, '\0');
    ssize_t n = ::listxattr(from.c_str(), list.data(), list.size());
    if (n <= 0) return;
    list.resize(static_cast<size_t>(n));
    for (const std::string& key : base::split(list, '\0')) {
        if (key.empty() || key.starts_with("trusted.overlay.")) continue;
        ssize_t size = ::getxattr(from.c_str(), key.c_str(), value.data(), value.size());
        if (size >= 0) (void)::lsetxattr(to.c_str(), key.c_str(), value.data(), static_cast<size_t>(size), 0);  // ignored: as when unpacking
    }
}

Status copy_attributes(int from, const std::string& to) {
    struct stat status {};
    if (::fstatat(from, "", &status, AT_EMPTY_PATH) != 0) return fail_errno("read attributes");
    if (::lchown(to.c_str(), status.st_uid, status.st_gid) != 0) return fail_errno("set the owner");
    if (!S_ISLNK(status.st_mode) && ::chmod(to.c_str(), status.st_mode & 07777) != 0) return fail_errno("set the mode");
    copy_xattrs(base::proc_path(from), to);
    std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    if (::utimensat(AT_FDCWD, to.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0) return fail_errno("set the time");
    return {};
}

/// `path` of `below` as a new entry of `tree`, with the folders above it as they are below.
Status copy_up(int below, int tree, const std::string& path) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        std::string folder = path.substr(0, slash);
        if (base::open_in_root(tree, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW)) continue;
        auto from = base::open_in_root(below, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW);
        if (!from) return fail(Code::corrupt, "\"" + folder + "\" is not a folder in the layers below");
        UniqueFd made = TRY(base::make_dirs_in_root(tree, folder));
        TRY_VOID(copy_attributes(from->get(), base::proc_path(made.get()) + "/."));
    }
    auto from = base::open_in_root(below, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!from) return fail(Code::corrupt, "a hard link to " + base::quote(path) + ", which no layer has");
    struct stat status {};
    if (::fstat(from->get(), &status) != 0) return fail_errno("read \"" + path + "\"");
    if (!S_ISREG(status.st_mode)) return fail(Code::corrupt, "a hard link to " + base::quote(path) + ", which is not a file");
    size_t slash = path.rfind('/');
    UniqueFd parent = TRY(base::open_in_root(tree, slash == std::string::npos ? "/" : path.substr(0, slash), O_PATH | O_DIRECTORY));
    std::string name = path.substr(slash + 1);
    UniqueFd to = TRY(base::open_at(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    Source source = from_fd(from->get());
    for (;;) {
        std::string_view bytes = TRY(source());
        if (bytes.empty()) break;
        TRY_VOID(base::write_all(to.get(), bytes));
    }
    return copy_attributes(from->get(), base::proc_path(parent.get()) + "/" + name);
}

}  // namespace

Status ImageStore::Impl::link_below(const Staging& staging, const UnpackedLayer& layer, const std::vector<LayerRow>& below) {
    if (below.empty()) return fail(Code::corrupt, "a hard link to " + base::quote(layer.links_below[0].first) + ", which is not there");
    std::vector<std::string> folders;
    for (const LayerRow& row : below) {
        std::string path = files.layer_path(row.key);
        std::erase(folders, path);
        folders.push_back(path);
    }
    base::MountFd merged = TRY(mount_overlay(folders, "", "", true));
    UniqueFd tree = TRY(base::open_at(AT_FDCWD, staging.tree(), O_RDONLY | O_DIRECTORY));
    for (const auto& [target, link] : layer.links_below) {
        if (!base::open_in_root(tree.get(), target, O_PATH | O_NOFOLLOW)) TRY_VOID(copy_up(merged.get(), tree.get(), target));
        auto parts = [&](const std::string& path) -> Result<std::pair<UniqueFd, std::string>> {
            size_t slash = path.rfind('/');
            UniqueFd parent = TRY(base::open_in_root(tree.get(), slash == std::string::npos ? "/" : path.substr(0, slash), O_PATH | O_DIRECTORY));
            return std::pair(std::move(parent), path.substr(slash + 1));
        };
        auto [from, from_name] = TRY(parts(target));
        auto [to, to_name] = TRY(parts(link));
        ::unlinkat(to.get(), to_name.c_str(), 0);
        if (::linkat(from.get(), from_name.c_str(), to.get(), to_name.c_str(), 0) != 0) return fail_errno("link \"" + link + "\" to \"" + target + "\"");
    }
    return {};
}

}  // namespace engine::image
