#pragma once
// Taking a container away: what is left of it when it no longer runs. Used by the supervisor (auto_remove) and by commands.
#include <string>

#include "base/error.h"
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
/// Removes it when no container is left on it. Absent or in use: fine.
base::Status drop_default_network(store::Store& store);

}  // namespace engine::supervisor
