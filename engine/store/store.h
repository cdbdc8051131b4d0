#pragma once
// The state that all processes share: containers, networks with their address leases, volumes, events. Each method is one
// transaction and may be called from any thread; `transaction` joins several. Every change wakes the watchers (watch.h).
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "store/database.h"
#include "store/paths.h"
#include "store/watch.h"

namespace engine::store {

class Store {
public:
    /// Opens ROOT/state.db and RUN/changed; makes what is absent. Not to be carried over a fork: open another there.
    static base::Result<std::unique_ptr<Store>> open(const Paths& paths);
    ~Store();
    const Paths& paths() const;
    /// The connection, for a transaction's own statements. Only inside `transaction` when threads share the store.
    Database& db();
    base::Result<ChangeWatch> watch() const;
    /// Wakes the watchers; the methods below do it themselves.
    void notify();

    /// Several calls as one: all or nothing, one commit, one notification.
    base::Status transaction(const std::function<base::Status()>& body);

    // ---- containers
    /// Taken name → conflict, with Docker's text.
    base::Status insert_container(const ContainerInfo& container);
    /// Full id, then name (with or without "/"), then unique id prefix. not_found: `No such container: x`.
    base::Result<ContainerInfo> container(std::string_view id_or_name);
    /// The full id only, without reading the rest.
    base::Result<std::string> container_id(std::string_view id_or_name);
    /// Just the state: cheap. By full id.
    base::Result<ContainerState> container_state(const std::string& id);
    struct ContainerQuery {
        Labels labels;                 ///< all must match; an empty value matches any
        std::vector<std::string> ids;  ///< full ids; empty: all
        std::optional<std::string> supervisor;
        std::string image_id;
    };
    /// In order of creation.
    base::Result<std::vector<ContainerInfo>> containers(const ContainerQuery& query);
    base::Status update_state(const std::string& id, const ContainerState& state);
    /// Reads, changes and writes the state in one transaction; `change` returns false to leave it.
    base::Status modify_state(const std::string& id, const std::function<bool(ContainerState&)>& change);
    /// What a start found out: addresses and ports in use (empty lists when it ends).
    base::Status set_runtime(const std::string& id, const std::vector<EndpointState>& endpoints, const std::vector<PortMapping>& ports);
    base::Status set_supervisor(const std::string& id, const std::string& supervisor);
    base::Status update_spec(const std::string& id, const ContainerSpec& spec);
    base::Status rename_container(const std::string& id, const std::string& name);
    /// With its leases and volume uses. Absent: fine.
    base::Status erase_container(const std::string& id);

    // ---- networks
    /// Taken name → conflict: `network with name x already exists`.
    base::Status insert_network(const NetworkInfo& network);
    /// By name, id or unique id prefix. not_found: `network x not found`.
    base::Result<NetworkInfo> network(std::string_view name_or_id);
    base::Result<std::vector<NetworkInfo>> networks(const Labels& labels);
    base::Status update_network(const NetworkInfo& network);
    base::Status erase_network(const std::string& id);
    /// Names of containers whose spec names the network (by name); `active`: only those that run, are paused or restarting
    /// (a network may be removed and made again under containers that are stopped, as Docker's).
    base::Result<std::vector<std::string>> network_users(const std::string& network_name, bool active = false);

    // ---- addresses
    /// The container's addresses on a network: those it holds, else the asked-for ones (conflict: `Address already in use`),
    /// else the lowest free ones of the pool or its ip_range. Fills names, addresses, prefixes, gateways, aliases.
    base::Result<EndpointState> lease_address(const NetworkInfo& network, const std::string& container_id, const Endpoint& wanted);
    base::Status release_addresses(const std::string& container_id);

    // ---- volumes
    base::Status insert_volume(const VolumeInfo& volume);
    /// not_found: `no such volume: x`.
    base::Result<VolumeInfo> volume(std::string_view name);
    base::Result<std::vector<VolumeInfo>> volumes(const Labels& labels);
    base::Status erase_volume(const std::string& name);
    /// Names of containers that mount the volume, running or not.
    base::Result<std::vector<std::string>> volume_users(const std::string& name);

    // ---- events
    /// Sets `sequence`; `time` when it is 0. The attributes should hold com.docker.compose.project for filters.
    base::Status add_event(Event event);
    /// Those after `sequence`, oldest first.
    base::Result<std::vector<Event>> events_since(int64_t sequence, size_t limit);
    /// The sequence of the last event before `time` (0 when none): where a reader that wants `since` begins.
    base::Result<int64_t> event_sequence_at(Time time);

private:
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// An event of a container as Docker's: its labels, name and image as attributes, and `more` (signal, exitCode …).
Event container_event(const ContainerInfo& container, std::string action, Labels more = {});
Event network_event(const NetworkInfo& network, std::string action);
/// Whether `labels` has all of `wanted`; an empty wanted value matches any.
bool matches(const Labels& labels, const Labels& wanted);

}  // namespace engine::store
