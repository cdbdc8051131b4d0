#include "image/rootfs.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/text.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::fail_errno;
using base::MountFd;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr size_t kLongestOption = 250;  // fsconfig(2) takes strings below 256 bytes

/// What the kernel said about a mount, else the errno's text.
base::Error mount_error(int context, const std::string& what, int error) {
    std::string said;
    char line[512];
    for (ssize_t n; (n = ::read(context, line, sizeof line - 1)) > 0;) {
        std::string text(line, static_cast<size_t>(n));
        while (!text.empty() && text.back() == '\n') text.pop_back();
        if (text.size() > 2) said += (said.empty() ? "" : "; ") + text.substr(2);
    }
    base::Error result = fail_errno(what, error);
    if (!said.empty()) result.what += " (" + base::printable(said) + ")";
    return result;
}

/// One overlay mount being put together with the new mount API.
class OverlayContext {
public:
    static Result<OverlayContext> open() {
        int fd = static_cast<int>(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
        if (fd >= 0) return OverlayContext(UniqueFd(fd));
        if (errno == ENODEV)
            return fail(Code::unsupported_kernel, "the kernel has no overlayfs: load the module `overlay` or build the kernel with CONFIG_OVERLAY_FS");
        return fail_errno("open an overlay mount");
    }
    bool set_raw(const char* key, const std::string& value) const {
        return ::syscall(SYS_fsconfig, fd_.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
    }
    /// A folder as a value; names that are too long go by an fd.
    bool set_folder(const char* key, const std::string& path) {
        if (path.size() <= kLongestOption) return set_raw(key, path);
        int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return false;
        kept_.emplace_back(fd);
        return set_raw(key, base::proc_path(fd));
    }
    Status set(const char* key, const std::string& value) const {
        if (set_raw(key, value)) return {};
        return mount_error(fd_.get(), "overlay option " + std::string(key) + "=" + value, errno);
    }
    Status folder(const char* key, const std::string& path) {
        if (set_folder(key, path)) return {};
        return mount_error(fd_.get(), "overlay option " + std::string(key) + "=" + path, errno);
    }
    Status flag(const char* key) const {
        if (::syscall(SYS_fsconfig, fd_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) == 0) return {};
        return mount_error(fd_.get(), "overlay option " + std::string(key), errno);
    }
    Result<MountFd> create(bool read_only) const {
        if (::syscall(SYS_fsconfig, fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return mount_error(fd_.get(), "mount overlay", errno);
        int fd = static_cast<int>(::syscall(SYS_fsmount, fd_.get(), FSMOUNT_CLOEXEC, read_only ? MOUNT_ATTR_RDONLY : 0));
        if (fd < 0) return mount_error(fd_.get(), "mount overlay", errno);
        return MountFd(fd);
    }

private:
    explicit OverlayContext(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
    std::vector<UniqueFd> kept_;
};

/// Whether options are understood one by one. Before Linux 6.5 overlayfs is told through the kernel's adapter for old file
/// systems, which takes any word until the mount is made; `lowerdir+` came with 6.7.
bool takes_layers_one_by_one() {
    static const bool known = [] {
        auto context = OverlayContext::open();
        return !context || (!context->set_raw("no-such-option", "1") && context->set_folder("lowerdir+", "/"));
    }();
    return known;
}

/// A detached clone of a folder's mount, made read-only.
Result<MountFd> clone_read_only(const std::string& folder) {
    int fd = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (fd < 0) return fail_errno("clone the mount of \"" + folder + "\"");
    MountFd tree(fd);
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    attributes.propagation = MS_PRIVATE;
    if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
        return fail_errno("make the mount of \"" + folder + "\" read-only");
    return tree;
}

/// Kernels before 6.7 take all lower folders in one string, of a page by mount(2) (fsconfig's strings are shorter). Runs in a
/// thread with a mount namespace of its own, so that nothing shows on the host; the mount is cloned out of it.
Result<MountFd> mount_in_own_namespace(const OverlayOptions& options) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_errno("mount overlay: a mount namespace");
    // Opened here: the kernel takes no folders of another namespace. Names of fds are short.
    std::vector<UniqueFd> held;
    auto name_of = [&](const std::string& path) -> Result<std::string> {
        held.push_back(TRY(base::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY)));
        return base::proc_path(held.back().get());
    };
    std::string text = "lowerdir=";
    for (auto layer = options.lower.rbegin(); layer != options.lower.rend(); ++layer) {
        if (layer != options.lower.rbegin()) text += ":";
        text += TRY(name_of(*layer));
    }
    if (!options.upper.empty()) text += ",upperdir=" + TRY(name_of(options.upper)) + ",workdir=" + TRY(name_of(options.work));
    text += ",index=off,redirect_dir=off,metacopy=off";
    if (options.user_namespace) text += ",userxattr";
    if (options.is_volatile) text += ",volatile";
    if (text.size() >= 4096)
        return fail(Code::unsupported_kernel, "the image has " + std::to_string(options.lower.size()) + " layers: too many for this kernel (6.7 takes 500)");
    const std::string& target = options.lower.back();
    if (::mount("overlay", target.c_str(), "overlay", options.read_only ? MS_RDONLY : 0, text.c_str()) != 0) return fail_errno("mount overlay");
    int fd = static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, target.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (fd < 0) return fail_errno("clone the overlay mount");
    return MountFd(fd);
}

Result<MountFd> mount_with_string(const OverlayOptions& options) {
    std::optional<Result<MountFd>> result;
    std::thread([&] { result = mount_in_own_namespace(options); }).join();
    return std::move(*result);
}

}  // namespace

Result<MountFd> mount_overlay(const OverlayOptions& options) {
    if (options.lower.empty()) return fail(Code::internal, "mount overlay: no layers");
    if (options.lower.size() > 500) return fail(Code::unsupported_kernel, "the image has more than 500 layers: overlayfs takes no more");
    if (options.upper.empty() && options.lower.size() == 1) return clone_read_only(options.lower[0]);
    if (options.by_string || !takes_layers_one_by_one()) return mount_with_string(options);
    OverlayContext context = TRY(OverlayContext::open());
    TRY_VOID(context.set("source", "overlay"));
    for (auto layer = options.lower.rbegin(); layer != options.lower.rend(); ++layer) {
        if (context.set_folder("lowerdir+", *layer)) continue;
        return fail_errno("overlay layer \"" + *layer + "\"");
    }
    if (!options.upper.empty()) {
        TRY_VOID(context.folder("upperdir", options.upper));
        TRY_VOID(context.folder("workdir", options.work));
        if (options.is_volatile) TRY_VOID(context.flag("volatile"));
    }
    // What a kernel's configuration may turn on would make upper folders that no other tool can read.
    for (const char* key : {"index", "redirect_dir", "metacopy"}) (void)context.set_raw(key, "off");
    if (options.user_namespace) TRY_VOID(context.flag("userxattr"));
    return context.create(options.read_only);
}

Result<MountFd> mount_overlay(const std::vector<std::string>& lower, const std::string& upper, const std::string& work, bool read_only) {
    OverlayOptions options;
    options.lower = lower;
    options.upper = upper;
    options.work = work;
    options.read_only = read_only;
    return mount_overlay(options);
}

Status make_upper(const std::vector<std::string>& lower, const std::string& upper, const std::string& work) {
    TRY_VOID(base::make_dirs(upper, 0755));
    TRY_VOID(base::make_dirs(work, 0700));
    if (lower.empty()) return {};
    struct stat top {};
    if (::stat(lower.back().c_str(), &top) != 0) return fail_errno("read layer \"" + lower.back() + "\"");
    if (::chown(upper.c_str(), top.st_uid, top.st_gid) != 0 || ::chmod(upper.c_str(), top.st_mode & 07777) != 0)
        return fail_errno("set owner and mode of \"" + upper + "\"");
    return {};
}

namespace {

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }
bool is_opaque(int folder) {
    char value = 0;
    return (::fgetxattr(folder, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y') ||
           (::fgetxattr(folder, "user.overlay.opaque", &value, 1) == 1 && value == 'y');
}

struct Differ {
    int lower;
    std::vector<std::string> lines;

    bool below(const std::string& path) const {
        return base::open_in_root(lower, path, O_PATH | O_NOFOLLOW).has_value();
    }
    Status walk(int folder, const std::string& path) {
        std::vector<std::string> names = TRY(base::list_dir(folder));
        for (const std::string& name : names) {
            std::string here = path + "/" + name;
            struct stat status {};
            if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
            if (is_whiteout(status)) {
                if (below(here)) lines.push_back("D " + here);
                continue;
            }
            bool existed = below(here);
            lines.push_back((existed ? "C " : "A ") + here);
            if (!S_ISDIR(status.st_mode)) continue;
            int child = ::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child < 0) continue;
            UniqueFd open(child);
            if (existed && is_opaque(child)) TRY_VOID(hidden(child, here));
            TRY_VOID(walk(child, here));
        }
        return {};
    }
    /// An opaque folder deletes what the layers below have in it and it has not.
    Status hidden(int folder, const std::string& path) {
        auto old = base::open_in_root(lower, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!old) return {};
        std::vector<std::string> kept = TRY(base::list_dir(folder));
        for (const std::string& name : TRY(base::list_dir(old->get())))
            if (!std::binary_search(kept.begin(), kept.end(), name)) lines.push_back("D " + path + "/" + name);
        return {};
    }
};

}  // namespace

Result<std::vector<std::string>> overlay_changes(const std::vector<std::string>& lower, const std::string& upper) {
    MountFd below = TRY(mount_overlay(lower, "", "", true));
    UniqueFd folder = TRY(base::open_at(AT_FDCWD, upper, O_RDONLY | O_DIRECTORY));
    Differ differ{below.get(), {}};
    TRY_VOID(differ.walk(folder.get(), ""));
    std::sort(differ.lines.begin(), differ.lines.end(), [](const std::string& a, const std::string& b) { return a.substr(2) < b.substr(2); });
    return std::move(differ.lines);
}

}  // namespace engine::image
