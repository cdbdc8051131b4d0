#pragma once
// Taking a container away: what is left of it when it no longer runs. Used by the supervisor (auto_remove) and by commands.
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "engine/engine.h"
#include "store/store.h"

namespace engine::supervisor {

/// Unmounts, unpins and removes all run-time state of a container that does not run: mounts below RUN/<id>, network
/// namespace, cgroup, addresses, port rules. Everything is tried; the first failure is returned. Absent things are fine.
base::Status clean_run_state(const EngineOptions& options, store::Store& store, const std::string& id);

/// clean_run_state, then its folder below ROOT/containers (layer, log), `volumes`: its anonymous volumes that no other
/// container uses, its row in the store, and the event "destroy". The container must not be running.
base::Status remove_container(const EngineOptions& options, store::Store& store, const std::string& id, bool volumes);

/// The network of containers that name none: made with the first of them.
constexpr const char* kDefaultNetwork = "bridge";
/// While it is held, drop_default_network does nothing: for who finds or makes that network and has no container on it yet.
/// Nothing when the lock cannot be had; then it may be dropped, and the creation fails.
std::optional<base::FileLock> keep_default_network(const store::Paths& paths);
/// Removes it when no container is left on it. Absent, in use, or kept: fine.
base::Status drop_default_network(store::Store& store);

}  // namespace engine::supervisor
