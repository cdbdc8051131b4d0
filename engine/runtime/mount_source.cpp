#include "runtime/mount_source.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/mount_options.h"
#include "runtime/terminal.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

/// The optional fields of the mount that a path is on: "shared:1 master:2".
Result<std::string> propagation_of(int fd) {
    struct statx info{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | 0x1000 /* STATX_MNT_ID */, &info) != 0) return base::fail_errno("statx");
    std::string id = std::to_string(info.stx_mnt_id) + " ";
    for (const std::string& line : base::split(TRY(base::read_file("/proc/self/mountinfo")), '\n')) {
        if (!line.starts_with(id)) continue;
        size_t dash = line.find(" - ");
        std::vector<std::string> fields = base::split(line.substr(0, dash), ' ');
        std::string out;
        for (size_t i = 6; i < fields.size(); ++i) out += fields[i] + " ";
        return out;
    }
    return std::string();
}

base::Status check_propagation(int fd, const Mount& mount, uint64_t flags, const std::string& path) {
    if ((flags & (MS_SHARED | MS_SLAVE)) == 0) return {};
    std::string fields = TRY(propagation_of(fd));
    bool is_shared = fields.find("shared:") != std::string::npos, is_slave = fields.find("master:") != std::string::npos;
    if ((flags & MS_SHARED) != 0 && !is_shared)
        return base::fail(Code::invalid, "path " + base::printable(path) + " is mounted on a mount that is not shared: propagation " + base::quote(mount.propagation) + " needs `mount --make-shared` there");
    if ((flags & MS_SLAVE) != 0 && !is_shared && !is_slave)
        return base::fail(Code::invalid, "path " + base::printable(path) + " is mounted on a mount that is not a shared or slave mount: propagation " + base::quote(mount.propagation) + " has nothing to follow");
    return {};
}

base::Status set_attributes(int tree, uint64_t attributes, uint64_t propagation, bool recursive, const std::string& what) {
    mount_attr attr{};
    attr.attr_set = attributes;
    attr.propagation = propagation;
    if (::mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr, sizeof attr) != 0) return base::fail_errno("set the mount's options of " + what);
    return {};
}

Result<uint64_t> bind_attributes(const Mount& mount) {
    uint64_t out = 0;
    for (const std::string& option : mount.bind_options) {
        if (option == "nosuid")
            out |= MOUNT_ATTR_NOSUID;
        else if (option == "nodev")
            out |= MOUNT_ATTR_NODEV;
        else if (option == "noexec")
            out |= MOUNT_ATTR_NOEXEC;
        else if (option == "nosymfollow")
            out |= MOUNT_ATTR_NOSYMFOLLOW;
        else if (option != "noatime")  // a bind's own atime does not matter
            return base::fail(Code::invalid, "mount option " + base::quote(option) + " is not one of a bind mount");
    }
    return out;
}

Result<base::MountFd> clone_tree(int folder, const char* path, bool recursive, const std::string& what) {
    int flags = static_cast<int>(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) | (*path == 0 ? AT_EMPTY_PATH : 0));
    base::MountFd tree(::open_tree(folder, path, static_cast<unsigned>(flags)));
    if (!tree) return base::fail_errno(what);
    return tree;
}
}  // namespace

Result<MountSource> open_mount_source(ResolvedMount& resolved) {
    const Mount& mount = resolved.mount;
    std::string shown = base::quote(mount.source.empty() ? resolved.host_path : mount.source);
    bool recursive = !mount.non_recursive;
    MountSource out;
    if (resolved.tree) {
        out.tree = std::move(resolved.tree);  // a subpath is in it already
    } else {
        base::UniqueFd source;
        {
            auto opened = base::open_at(AT_FDCWD, resolved.host_path, O_PATH);
            if (!opened && opened.error().sys_errno == ENOENT && mount.type == Mount::Type::bind) {
                if (!mount.create_host_path)
                    return base::fail(Code::invalid, "invalid mount config for type \"bind\": bind source path does not exist: " + base::printable(resolved.host_path));
                TRY_VOID(base::make_dirs(resolved.host_path).context("error while creating mount source path " + shown));
                opened = base::open_at(AT_FDCWD, resolved.host_path, O_PATH);
            }
            if (!opened) return std::move(opened.error()).with("mount " + shown);
            source = std::move(*opened);
        }
        if (!mount.subpath.empty()) {
            // In the volume, whatever links a container left there.
            auto inside = base::open_in_root(source.get(), mount.subpath, O_PATH);
            if (!inside)
                return base::fail(Code::not_found, "cannot access path " + base::printable(resolved.host_path + "/" + mount.subpath) + ": " + base::errno_text(inside.error().sys_errno));
            source = std::move(*inside);
        }
        uint64_t flags = TRY(propagation_flags(mount.propagation));
        TRY_VOID(check_propagation(source.get(), mount, flags, resolved.host_path));
        out.tree = TRY(clone_tree(source.get(), "", recursive, "mount " + shown));
    }
    struct stat info{};
    if (::fstat(out.tree.get(), &info) != 0) return base::fail_errno("stat " + shown);
    out.is_folder = S_ISDIR(info.st_mode);
    struct statfs filesystem{};
    if (::fstatfs(out.tree.get(), &filesystem) == 0) out.is_procfs = filesystem.f_type == PROC_SUPER_MAGIC;

    uint64_t flags = TRY(propagation_flags(mount.propagation));
    uint64_t propagation = flags == 0 ? uint64_t{MS_PRIVATE} : (flags & (MS_PRIVATE | MS_SLAVE | MS_SHARED));
    // A source that is not shared becomes no peer by MS_SHARED, so that was checked; here it keeps what the clone inherited.
    bool propagation_recursive = flags == 0 || (flags & MS_REC) != 0;
    bool read_only = mount.read_only || mount.type == Mount::Type::image;
    bool read_only_recursive = recursive && !mount.read_only_non_recursive;
    if (uint64_t more = TRY(bind_attributes(mount)); more != 0) TRY_VOID(set_attributes(out.tree.get(), more, 0, recursive, shown));
    if (read_only && propagation_recursive == read_only_recursive) {
        TRY_VOID(set_attributes(out.tree.get(), MOUNT_ATTR_RDONLY, propagation, propagation_recursive, shown));
    } else {
        TRY_VOID(set_attributes(out.tree.get(), 0, propagation, propagation_recursive, shown));
        if (read_only) TRY_VOID(set_attributes(out.tree.get(), MOUNT_ATTR_RDONLY, 0, read_only_recursive, shown));
    }
    return out;
}

Result<ContainerTerminal> open_container_terminal(uint32_t uid, const std::vector<std::string>& options, uint64_t attributes) {
    base::UniqueFd context(::fsopen("devpts", FSOPEN_CLOEXEC));
    if (!context) return base::fail_errno("mount devpts");
    for (size_t i = 0; i + 1 < options.size(); i += 2) {
        const char *key = options[i].c_str(), *value = options[i + 1].c_str();
        int error = *value != 0 ? ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value, 0) : ::fsconfig(context.get(), FSCONFIG_SET_FLAG, key, nullptr, 0);
        if (error != 0) return base::fail_errno("mount devpts with " + base::printable(options[i]));
    }
    if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return base::fail_errno("mount devpts");
    ContainerTerminal out;
    out.devpts = base::MountFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
    if (!out.devpts) return base::fail_errno("mount devpts");
    base::UniqueFd multiplexer = TRY(base::open_at(out.devpts.get(), "ptmx", O_RDWR | O_NOCTTY));
    Pty pty = TRY(open_pty_from(std::move(multiplexer)));
    // The group stays what the instance gives its terminals.
    if (::fchown(pty.slave.get(), uid, static_cast<gid_t>(-1)) != 0) return base::fail_errno("give the terminal to user " + std::to_string(uid));
    out.master = std::move(pty.master);
    out.slave = std::move(pty.slave);
    return out;
}

Result<ContainerTerminal> open_container_terminal(uint32_t uid) {
    static const std::vector<std::string> kOptions{"mode", "0620", "gid", "5", "ptmxmode", "0666"};
    return open_container_terminal(uid, kOptions, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

}  // namespace engine::runtime
