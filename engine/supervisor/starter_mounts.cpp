// Where the content of each mount of a container comes from.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "image/rootfs.h"
#include "supervisor/starter.h"
#include "volume/volume_store.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

namespace {

#ifndef OPEN_TREE_CLONE
constexpr unsigned OPEN_TREE_CLONE = 1;
#endif

/// A detached clone of what an fd names: no path is looked up again, so nothing can be swapped meanwhile.
Result<base::MountFd> clone_tree(int fd, const std::string& what) {
    int tree = static_cast<int>(::syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE));
    if (tree < 0) return fail_errno("mount " + what);
    return base::MountFd(tree);
}

/// `subpath` below `root` without leaving it (runtime escape by links, kubernetes CVE-2021-25741).
Result<base::MountFd> clone_subpath(int root, const std::string& subpath, const std::string& what) {
    auto inside = base::open_in_root(root, subpath, O_PATH);
    if (!inside) return std::move(inside.error()).with("subpath " + base::quote(subpath) + " of " + what);
    return clone_tree(inside->get(), what);
}

Status make_bind_source(const Mount& mount) {
    if (base::exists(mount.source)) return {};
    if (!mount.create_host_path)
        return fail(Code::not_found, "invalid mount config for type \"bind\": bind source path does not exist: " + mount.source);
    auto made = base::make_dirs(mount.source);
    return std::move(made).context("make the host folder of a bind mount");
}

}  // namespace

Result<std::vector<runtime::ResolvedMount>> Starter::resolve_mounts(const ContainerInfo& container, int root_fd) {
    std::vector<runtime::ResolvedMount> mounts;
    volume::VolumeStore volumes(store_);
    for (const Mount& mount : container.spec.mounts) {
        runtime::ResolvedMount resolved;
        resolved.mount = mount;
        switch (mount.type) {
            case Mount::Type::bind:
                TRY_VOID(make_bind_source(mount));
                resolved.host_path = mount.source;
                break;
            case Mount::Type::volume: {
                auto info = TRY(volumes.find(mount.source));
                const std::string what = "volume " + base::quote(mount.source);
                const bool own = volume::has_own_mount(info);
                if (!own && !mount.no_copy) TRY_VOID(volume::copy_up(info.path, root_fd, mount.target).context(what));
                if (own) {
                    resolved.tree = TRY(volume::open_volume(info).context(what));
                    if (!mount.subpath.empty()) resolved.tree = TRY(clone_subpath(resolved.tree.get(), mount.subpath, what));
                } else if (!mount.subpath.empty()) {
                    auto folder = TRY(base::open_at(AT_FDCWD, info.path, O_PATH | O_DIRECTORY));
                    resolved.tree = TRY(clone_subpath(folder.get(), mount.subpath, what));
                } else {
                    resolved.host_path = info.path;
                }
                break;
            }
            case Mount::Type::image: {
                const std::string what = "image " + base::quote(mount.source);
                auto* store = TRY(images());
                auto layers = TRY(store->layer_dirs(TRY(store->find(mount.source).context(what)).id));
                resolved.tree = TRY(image::mount_overlay(layers, "", "", true).context(what));
                if (!mount.subpath.empty()) resolved.tree = TRY(clone_subpath(resolved.tree.get(), mount.subpath, what));
                resolved.mount.read_only = true;
                break;
            }
            case Mount::Type::tmpfs: break;
        }
        mounts.push_back(std::move(resolved));
    }
    return mounts;
}

}  // namespace engine::supervisor
