#include <fcntl.h>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/cgroup.h"
#include "supervisor/removal.h"
#include "volume/file_mounts.h"

namespace engine::api {

Status EngineImpl::remove(const std::string& id, bool force, bool volumes) {
    return std::move(remove_many({RemoveRequest{id, force, volumes}}).front());
}

std::vector<Status> EngineImpl::remove_many(const std::vector<RemoveRequest>& requests) {
    std::vector<Status> results(requests.size());
    std::vector<ContainerInfo> found(requests.size());
    auto busy = hold_files();  // recovery in another process leaves what is being removed alone
    // All are marked in one commit: whatever is cut after it, the next command finishes.
    auto marked = store().transaction([&]() -> Status {
        for (size_t i = 0; i < requests.size(); ++i) {
            auto container = store().container(requests[i].id);
            if (!container) {
                results[i] = std::move(container.error());
                continue;
            }
            found[i] = std::move(*container);
            if (is_active(found[i].state)) {
                if (!requests[i].force)
                    results[i] = base::fail(base::Code::conflict, "cannot remove container \"/" + found[i].spec.name + "\": container is " + to_text(found[i].state.status) +
                                                                      ": stop the container before removing or force remove");
                continue;
            }
            found[i].state.status = ContainerStatus::removing;
            TRY_VOID(store().update_state(found[i].id, found[i].state));
        }
        return {};
    });
    for (size_t i = 0; i < requests.size(); ++i) {
        if (!marked && results[i]) results[i] = marked.error();
        if (results[i] && is_active(found[i].state)) results[i] = end_for_removal(found[i]);
        if (results[i]) results[i] = remove_files_of(found[i]);
    }
    // The rows and the anonymous volumes, again in one commit.
    bool default_network_used = false;
    auto erased = store().transaction([&]() -> Status {
        for (size_t i = 0; i < requests.size(); ++i) {
            if (!results[i]) continue;
            default_network_used = default_network_used || found[i].spec.network_mode == "bridge";
            if (!store().container_state(found[i].id)) continue;  // auto_remove was quicker
            TRY_VOID(store().erase_container(found[i].id));
            TRY_VOID(store().add_event(store::container_event(found[i], "destroy")));
        }
        return {};
    });
    for (size_t i = 0; i < requests.size(); ++i) {
        if (!erased && results[i]) results[i] = erased.error();
        if (results[i]) results[i] = drop_volumes_of(found[i], requests[i].volumes);
    }
    busy.reset();
    if (default_network_used) drop_default_network();
    sweep();
    return results;
}

Status EngineImpl::end_for_removal(const ContainerInfo& container) {
    auto client = TRY(supervisor_of(container));
    if (!client) {
        TRY_VOID(recover());
    } else if (auto killed = client->kill(container.id, "SIGKILL");
               !killed && killed.error().code != base::Code::not_running && killed.error().code != base::Code::not_found) {
        return std::move(killed).context("remove " + container.spec.name);
    } else if (auto stopped = client->stop(container.id, Nanoseconds(0)); !stopped && stopped.error().code != base::Code::not_found) {
        return std::move(stopped.error());  // a restart policy must not bring it back
    }
    auto marked = store().modify_state(container.id, [](ContainerState& state) {
        if (is_active(state)) return false;
        state.status = ContainerStatus::removing;
        return true;
    });
    if (!marked && marked.error().code == base::Code::not_found) return {};  // auto_remove was quicker
    return marked;
}

Status EngineImpl::remove_files_of(const ContainerInfo& container) {
    auto removing = [&](Status status) { return std::move(status).context("remove " + container.spec.name); };
    TRY_VOID(removing(supervisor::clean_run_state(options_, store(), container.id)));
    TRY_VOID(removing(volume::remove_files(paths(), container.id)));
    return removing(base::remove_tree(paths().container(container.id)));
}

Status EngineImpl::drop_volumes_of(const ContainerInfo& container, bool anonymous) {
    for (const auto& mount : container.spec.mounts) {
        if (mount.type != Mount::Type::volume) continue;
        if (!anonymous || !mount.anonymous) {
            TRY_VOID(volume_store().release_unused(mount.source));
            continue;
        }
        auto removed = volume_store().remove(mount.source);
        // In use: another container's too (a recreated one); gone: fine.
        if (!removed && removed.error().code != base::Code::conflict && removed.error().code != base::Code::not_found)
            return std::move(removed).context("remove " + container.spec.name);
    }
    return {};
}

Status EngineImpl::rename(const std::string& id, const std::string& name) {
    std::string plain = name.starts_with('/') ? name.substr(1) : name;
    TRY_VOID(check_name(plain));
    auto container = TRY(store().container(id));
    if (container.spec.name == plain)
        return base::fail(base::Code::invalid, "Error when allocating new name: renaming a container with the same name as its current name");
    TRY_VOID(store().transaction([&]() -> Status {
        TRY_VOID(store().rename_container(container.id, plain));
        ContainerInfo renamed = container;
        renamed.spec.name = plain;
        return store().add_event(store::container_event(renamed, "rename", {{"oldName", "/" + container.spec.name}}));
    }));
    if (!is_active(container.state)) return {};
    // Its names in DNS follow.
    auto client = TRY(running_supervisor(container.supervisor));
    return client ? client->reload(container.id) : Status();
}

Status EngineImpl::update(const std::string& id, const Resources& change, const std::optional<RestartPolicy>& restart) {
    auto container = TRY(store().container(id));
    ContainerSpec spec = container.spec;
    Resources& now = spec.resources;
    auto take = [](auto& to, const auto& from, const auto& unset) {
        if (from != unset) to = from;
    };
    const Resources unset;
    take(now.memory, change.memory, unset.memory);
    take(now.memory_reservation, change.memory_reservation, unset.memory_reservation);
    take(now.memory_swap, change.memory_swap, unset.memory_swap);
    take(now.memory_swappiness, change.memory_swappiness, unset.memory_swappiness);
    if (change.cpus != 0) now.cpu_quota = now.cpu_period = 0;
    if (change.cpu_quota != 0 || change.cpu_period != 0) now.cpus = 0;
    take(now.cpus, change.cpus, unset.cpus);
    take(now.cpu_shares, change.cpu_shares, unset.cpu_shares);
    take(now.cpu_period, change.cpu_period, unset.cpu_period);
    take(now.cpu_quota, change.cpu_quota, unset.cpu_quota);
    take(now.cpu_rt_period, change.cpu_rt_period, unset.cpu_rt_period);
    take(now.cpu_rt_runtime, change.cpu_rt_runtime, unset.cpu_rt_runtime);
    take(now.cpuset_cpus, change.cpuset_cpus, unset.cpuset_cpus);
    take(now.cpuset_mems, change.cpuset_mems, unset.cpuset_mems);
    take(now.pids, change.pids, unset.pids);
    take(now.blkio_weight, change.blkio_weight, unset.blkio_weight);
    take(now.blkio_weight_device, change.blkio_weight_device, unset.blkio_weight_device);
    take(now.read_bps, change.read_bps, unset.read_bps);
    take(now.write_bps, change.write_bps, unset.write_bps);
    take(now.read_iops, change.read_iops, unset.read_iops);
    take(now.write_iops, change.write_iops, unset.write_iops);
    if (restart) spec.restart = *restart;
    ContainerSpec checked = spec;
    if (checked.network_mode.starts_with("container:")) checked.hostname.clear();  // the other's, given at creation
    TRY_VOID(check_spec(checked).context("update " + spec.name));
    if (is_active(container.state) && !(spec.resources == container.spec.resources)) {
        auto cgroup = TRY(runtime::Cgroup::open(runtime::cgroup_path(container)));
        TRY_VOID(cgroup.update(spec.resources).context("update " + spec.name));
    }
    TRY_VOID(store().transaction([&]() -> Status {
        TRY_VOID(store().update_spec(container.id, spec));
        return store().add_event(store::container_event(container, "update"));
    }));
    if (!is_active(container.state)) return {};
    auto client = TRY(running_supervisor(container.supervisor));
    return client ? client->reload(container.id) : Status();
}

Result<ContainerInfo> EngineImpl::container(const std::string& id) { return store().container(id); }

Result<std::vector<ContainerInfo>> EngineImpl::containers(const ContainerFilter& filter) {
    store::Store::ContainerQuery query;
    query.labels = filter.labels;
    query.ids = filter.ids;
    return store().containers(query);
}

}  // namespace engine::api
