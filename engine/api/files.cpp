// What is in a container's root, running or not: cp, stat, export, commit, diff. No path of the container is ever resolved
// outside of its root, and nothing is mounted where the host or the container could see it (moby CVE-2026-41568).
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "image/archive.h"
#include "image/rootfs.h"
#include "supervisor/root_layers.h"

namespace engine::api {

/// A container's root as a folder fd with its mounts below it.
class EngineImpl::Root {
public:
    base::UniqueFd folder;
    base::UniqueFd mounts;               ///< the mount namespace that keeps them (a stopped container)
    std::optional<base::FileLock> lock;  ///< one at a time mounts the layer of a stopped container
};

namespace {

/// Runs `work` in a thread with file system attributes of its own, so that it may enter mount namespaces.
Status in_thread(const std::function<Status()>& work) {
    Status result;
    std::thread([&] {
        if (unshare(CLONE_FS) != 0)
            result = base::fail_errno("unshare");
        else
            result = work();
    }).join();
    return result;
}

/// /proc/PID/FILE of the container's own process: looked at before and after, so that a reused pid is not taken for it.
Result<base::UniqueFd> open_of_process(const ContainerInfo& container, const std::string& file, int flags) {
    auto ended = [&] { return base::fail(base::Code::not_running, "container " + container.spec.name + " has just ended"); };
    if (!is_alive(container.state)) return ended();
    auto fd = TRY(base::open_at(AT_FDCWD, "/proc/" + std::to_string(container.state.pid) + "/" + file, flags));
    if (!is_alive(container.state)) return ended();
    return fd;
}

/// Attaches a detached tree at `target` inside `root`; a target that is not there is left out (the container never ran).
Status mount_inside(int root, const std::string& target, base::MountFd tree, bool read_only) {
    auto at = base::open_in_root(root, target, O_PATH);
    if (!at) return {};
    if (read_only) {
        mount_attr change{};
        change.attr_set = MOUNT_ATTR_RDONLY;
        if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) return base::fail_errno("make \"" + target + "\" read-only");
    }
    if (move_mount(tree.get(), "", at->get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0) return {};
    if (errno == ENOTDIR) return {};  // a file where a folder is mounted, or the reverse: the start will say so
    return base::fail_errno("mount on \"" + target + "\" of the stopped container");
}

size_t depth(const std::string& path) { return static_cast<size_t>(std::count(path.begin(), path.end(), '/')); }

}  // namespace

Result<EngineImpl::Root> EngineImpl::open_root(const ContainerInfo& container) {
    Root root;
    if (has_process(container.state)) {
        root.folder = TRY(open_of_process(container, "root", O_PATH | O_DIRECTORY));
        return root;
    }
    auto* images = TRY(image_store());
    auto layers = TRY(images->layer_dirs(container.spec.image_id));
    auto lower = TRY(supervisor::root_layers(paths().root, layers));
    std::string upper = paths().container_upper(container.id), work = paths().container_work(container.id);
    TRY_VOID(base::make_dirs(paths().container(container.id), 0711));
    root.lock = TRY(base::FileLock::acquire(paths().container(container.id) + "/root.lock"));
    TRY_VOID(image::make_upper(layers, upper, work));
    base::MountFd overlay = TRY(image::mount_overlay(lower, upper, work, container.spec.read_only));
    // A private mount namespace holds the overlay with the container's volumes over it; it ends with its fd.
    std::vector<const Mount*> mounts;
    for (const auto& mount : container.spec.mounts)
        if (mount.type == Mount::Type::bind || mount.type == Mount::Type::volume) mounts.push_back(&mount);
    std::stable_sort(mounts.begin(), mounts.end(), [](const Mount* a, const Mount* b) { return depth(a->target) < depth(b->target); });
    TRY_VOID(in_thread([&]() -> Status {
        if (unshare(CLONE_NEWNS) != 0) return base::fail_errno("new mount namespace");
        if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return base::fail_errno("make mounts private");
        std::string place = paths().container(container.id);
        if (move_mount(overlay.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return base::fail_errno("mount the root of " + container.spec.name);
        root.folder = TRY(base::open_at(AT_FDCWD, place, O_PATH | O_DIRECTORY));
        for (const Mount* wanted : mounts) {
            base::MountFd tree;
            if (wanted->type == Mount::Type::volume) {
                auto volume = store().volume(wanted->source);
                if (!volume) continue;
                tree = TRY(volume::open_volume(*volume));
                if (!wanted->subpath.empty()) {
                    auto below = base::open_in_root(tree.get(), wanted->subpath, O_PATH);
                    if (!below) continue;
                    base::MountFd clone(open_tree(below->get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
                    if (!clone) return base::fail_errno("open subpath \"" + wanted->subpath + "\"");
                    tree = std::move(clone);
                }
            } else {
                tree.reset(open_tree(AT_FDCWD, wanted->source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
                if (!tree) continue;
            }
            TRY_VOID(mount_inside(root.folder.get(), wanted->target, std::move(tree), wanted->read_only));
        }
        root.mounts = TRY(base::open_at(AT_FDCWD, "/proc/thread-self/ns/mnt", O_RDONLY));
        return {};
    }));
    return root;
}

Status EngineImpl::copy_from(const std::string& id, const std::string& path, bool follow_link, int tar_fd) {
    auto container = TRY(store().container(id));
    auto root = TRY(open_root(container));
    return image::pack_path(root.folder.get(), path, follow_link, {}, image::to_fd(tar_fd));
}

Status EngineImpl::copy_to(const std::string& id, const std::string& path, int tar_fd) {
    auto container = TRY(store().container(id));
    auto root = TRY(open_root(container));
    image::ExtractOptions options;
    options.subject = "the archive for " + container.spec.name + ":" + path;
    options.replace_kind = false;
    auto done = image::extract_into(root.folder.get(), path, image::from_fd(tar_fd), options);
    if (!done && done.error().sys_errno == EROFS) {
        auto error = base::fail(base::Code::permission, "container rootfs is marked read-only");
        error.sys_errno = EROFS;
        return error;
    }
    return done;
}

Result<Engine::PathStat> EngineImpl::stat_path(const std::string& id, const std::string& path) {
    auto container = TRY(store().container(id));
    auto root = TRY(open_root(container));
    return image::stat_path(root.folder.get(), path);
}

Status EngineImpl::export_container(const std::string& id, int tar_fd) {
    auto container = TRY(store().container(id));
    base::UniqueFd tree;
    Root root;
    if (has_process(container.state)) {
        // The root's own mount without those below it: volumes, /proc and /dev are empty folders, as in Docker's export.
        auto mounts = TRY(open_of_process(container, "ns/mnt", O_RDONLY));
        TRY_VOID(in_thread([&]() -> Status {
            if (setns(mounts.get(), CLONE_NEWNS) != 0) return base::fail_errno("enter the mounts of " + container.spec.name);
            tree.reset(open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
            if (!tree) return base::fail_errno("open the root of " + container.spec.name);
            return {};
        }));
    } else {
        ContainerInfo bare = container;
        bare.spec.mounts.clear();
        root = TRY(open_root(bare));
        tree = std::move(root.folder);
    }
    // A readable fd of the folder: those above are only places.
    auto folder = TRY(base::open_at(tree.get(), ".", O_RDONLY | O_DIRECTORY));
    image::PackOptions options;
    options.one_device = true;
    TRY_VOID(image::pack_tree(folder.get(), options, image::to_fd(tar_fd)).context("export " + container.spec.name));
    return store().add_event(store::container_event(container, "export"));
}

Result<std::string> EngineImpl::commit(const std::string& id, const CommitOptions& options) {
    auto container = TRY(store().container(id));
    auto* images = TRY(image_store());
    ImageConfig config = TRY(image_config(container));
    const ContainerSpec& spec = container.spec;
    // The container's configuration over its image's, as `docker commit`.
    if (spec.entrypoint) {
        config.entrypoint = *spec.entrypoint;
        config.cmd.clear();
    }
    if (spec.command) config.cmd = *spec.command;
    for (const auto& entry : spec.env) {
        auto [name, value] = base::cut(entry, '=');
        std::erase_if(config.env, [&, key = name](const std::string& old) { return base::cut(old, '=').first == key; });
        if (value) config.env.push_back(entry);
    }
    if (!spec.user.empty()) config.user = spec.user;
    if (!spec.working_dir.empty()) config.working_dir = spec.working_dir;
    if (!spec.stop_signal.empty()) config.stop_signal = spec.stop_signal;
    if (spec.health_check) config.health_check = spec.health_check;
    for (const auto& [key, value] : spec.labels) config.labels[key] = value;
    auto add = [](std::vector<std::string>& list, const std::string& item) {
        if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
    };
    for (const auto& port : spec.expose) add(config.exposed_ports, port.find('/') == std::string::npos ? port + "/tcp" : port);
    for (const auto& port : spec.ports) add(config.exposed_ports, std::to_string(port.container_port) + "/" + port.protocol);

    std::string upper = paths().container_upper(container.id);
    bool has_upper = base::exists(upper);
    bool paused = false;
    if (options.pause && container.state.status == ContainerStatus::running) {
        TRY_VOID(pause(container.id).context("pause for the commit"));
        paused = true;
    }
    auto image = images->commit(spec.image_id, has_upper ? upper : std::string(), config, options);
    if (paused)
        if (auto resumed = unpause(container.id); !resumed && image) return std::move(resumed).context("unpause after the commit").error();
    if (!image) return std::move(image).context("commit " + spec.name);
    TRY_VOID(store().add_event(store::container_event(container, "commit", {{"imageID", *image}, {"imageRef", options.reference}})));
    return image;
}

Result<std::vector<std::string>> EngineImpl::diff(const std::string& id) {
    auto container = TRY(store().container(id));
    std::string upper = paths().container_upper(container.id);
    if (!base::exists(upper)) return std::vector<std::string>{};
    auto* images = TRY(image_store());
    auto layers = TRY(images->layer_dirs(container.spec.image_id));
    return image::overlay_changes(TRY(supervisor::root_layers(paths().root, std::move(layers))), upper);
}

}  // namespace engine::api
