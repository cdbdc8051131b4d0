#pragma once
// Where everything lies: the folders of the root (kept) and of the run folder (gone after a reboot).
#include <string>

#include "base/error.h"

namespace engine::store {

/// Names only; nothing is made but by `make`.
///     ROOT/state.db  containers/<id>/{log,upper,work,files}  volumes/<name>/_data  layers/  locks/<group>
///     RUN/changed  containers/<id>/  netns/<id>  groups/<group>/supervisor.sock
struct Paths {
    std::string root;
    std::string run;

    /// Fills in the defaults: `root` empty: COMPOSE_ROOT, else /var/lib/compose (without root: XDG_DATA_HOME/compose);
    /// `run` empty: a folder of its own for each root below /run/compose (without root: XDG_RUNTIME_DIR/compose).
    static base::Result<Paths> resolve(const std::string& root, const std::string& run);
    /// Makes both folders, closed to other users (incident containerd CVE-2024-25621).
    base::Status make() const;

    std::string state_db() const { return root + "/state.db"; }
    std::string layers() const { return root + "/layers"; }
    std::string containers() const { return root + "/containers"; }
    std::string container(const std::string& id) const { return root + "/containers/" + id; }
    std::string container_log(const std::string& id) const { return container(id) + "/log"; }
    std::string container_upper(const std::string& id) const { return container(id) + "/upper"; }
    std::string container_work(const std::string& id) const { return container(id) + "/work"; }
    std::string volumes() const { return root + "/volumes"; }
    std::string volume(const std::string& name) const { return root + "/volumes/" + name; }
    std::string volume_data(const std::string& name) const { return root + "/volumes/" + name + "/_data"; }
    std::string locks() const { return root + "/locks"; }
    /// The lock of a group (a Compose project); an empty group has one too.
    std::string group_lock(const std::string& group) const { return root + "/locks/" + folder_name(group); }

    std::string changed() const { return run + "/changed"; }
    std::string containers_run() const { return run + "/containers"; }
    /// hosts, hostname, resolv.conf, secrets of a container while it runs.
    std::string container_run(const std::string& id) const { return run + "/containers/" + id; }
    /// Contents of configs and secrets as the container sees them: in memory (the run folder), from create until it is removed.
    std::string container_files(const std::string& id) const { return run + "/files/" + id; }
    /// The same for after a reboot: mode 0700, removed with the container.
    std::string container_kept_files(const std::string& id) const { return container(id) + "/files"; }
    std::string seccomp_cache() const { return root + "/cache/seccomp"; }
    std::string netns_dir() const { return run + "/netns"; }
    std::string netns(const std::string& id) const { return run + "/netns/" + id; }
    std::string groups() const { return run + "/groups"; }
    std::string group_dir(const std::string& group) const { return run + "/groups/" + folder_name(group); }
    std::string supervisor_socket(const std::string& group) const { return group_dir(group) + "/supervisor.sock"; }

    /// A group's name as a folder's: "_" for none, hashed when it is long or holds other characters (a socket's path must
    /// stay below 108 bytes).
    static std::string folder_name(const std::string& group);
};

}  // namespace engine::store
