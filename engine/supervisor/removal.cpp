#include "supervisor/removal.h"

#include <sys/mount.h>

#include "base/file.h"
#include "network/network.h"
#include "network/ports.h"
#include "oci/foreign.h"
#include "runtime/cgroup.h"
#include "volume/file_mounts.h"
#include "volume/volume_store.h"

namespace engine::supervisor {

using base::Status;

namespace {

Result<store::Paths> paths_of(const EngineOptions& options, store::Store& store) {
    return options.root.empty() ? store.paths() : TRY(store::Paths::resolve(options.root, options.run_dir));
}

/// Goes on after a failure and keeps the first.
class Tries {
public:
    void add(Status status) {
        if (!status && first_) first_ = std::move(status);
    }
    Status result() { return std::move(first_); }

private:
    Status first_;
};

}  // namespace

Status clean_run_state(const EngineOptions& options, store::Store& store, const std::string& id) {
    const store::Paths paths = TRY(paths_of(options, store));
    Tries tries;
    auto container = store.container(id);
    oci::foreign_delete(id, paths.container_run(id) + "/oci");
    const std::string cgroup_path = container ? runtime::cgroup_path(*container) : "/compose/" + id;
    if (auto cgroup = runtime::Cgroup::open(cgroup_path)) {
        tries.add(cgroup->kill_all());
        tries.add(cgroup->remove());
    }
    if (base::exists(paths.netns(id))) tries.add(network::remove_netns(paths.netns(id)));
    if (container && !container->ports.empty()) {
        for (const auto& endpoint : container->endpoints)
            tries.add(network::forget_published(network::table_name(paths.root), endpoint.ipv4, endpoint.ipv6));
    }
    tries.add(store.release_addresses(id));
    if (container && !container->endpoints.empty()) tries.add(store.set_runtime(id, {}, {}));
    tries.add(base::remove_tree(paths.container_run(id)));
    return tries.result();
}

Status remove_container(const EngineOptions& options, store::Store& store, const std::string& id, bool volumes) {
    const store::Paths paths = TRY(paths_of(options, store));
    auto container = store.container(id);
    Tries tries;
    tries.add(clean_run_state(options, store, id));
    tries.add(volume::remove_files(paths, id));
    tries.add(base::remove_tree(paths.container(id)));
    if (!container) return tries.result();  // a removal that was cut
    TRY_VOID(store.transaction([&]() -> Status {
        TRY_VOID(store.erase_container(id));
        return store.add_event(store::container_event(*container, "destroy"));
    }));
    if (volumes) {
        volume::VolumeStore all(store);
        for (const auto& mount : container->spec.mounts) {
            if (mount.type != Mount::Type::volume || !mount.anonymous) continue;
            auto removed = all.remove(mount.source);
            // In use by another container: its volume too; gone already: fine.
            if (!removed && removed.error().code != base::Code::conflict && removed.error().code != base::Code::not_found) tries.add(std::move(removed));
        }
    }
    if (container->spec.network_mode == kDefaultNetwork) tries.add(drop_default_network(store));
    return tries.result();
}

std::optional<base::FileLock> keep_default_network(const store::Paths& paths) {
    if (!base::make_dirs(paths.locks(), 0700)) return std::nullopt;
    auto lock = base::FileLock::acquire(paths.locks() + "/.default-network", true);
    if (!lock) return std::nullopt;
    return std::move(*lock);
}

Status drop_default_network(store::Store& store) {
    if (auto there = store.network(kDefaultNetwork); !there) return there.error().code == base::Code::not_found ? Status{} : Status(std::move(there.error()));
    TRY_VOID(base::make_dirs(store.paths().locks(), 0700));
    auto alone = base::FileLock::try_acquire(store.paths().locks() + "/.default-network");
    if (!alone) return {};
    return store.transaction([&]() -> Status {
        auto network = store.network(kDefaultNetwork);
        if (!network) return network.error().code == base::Code::not_found ? Status{} : Status(std::move(network.error()));
        if (auto users = TRY(store.network_users(kDefaultNetwork)); !users.empty()) return {};
        TRY_VOID(network::remove_bridge(*network, network::table_name(store.paths().root)));
        TRY_VOID(store.erase_network(network->id));
        return store.add_event(store::network_event(*network, "destroy"));
    });
}

}  // namespace engine::supervisor
