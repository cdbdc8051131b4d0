#include "store/store.h"

#include "store/store_impl.h"

namespace engine::store {

const std::vector<std::string>& migrations() {
    static const std::vector<std::string> all = {
        R"(
        CREATE TABLE containers (
            sequence INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            image_id TEXT NOT NULL,
            project TEXT NOT NULL,
            supervisor TEXT NOT NULL,
            created INTEGER NOT NULL,
            status INTEGER NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL,
            endpoints TEXT NOT NULL,
            ports TEXT NOT NULL,
            argv TEXT NOT NULL
        );
        CREATE INDEX containers_project ON containers (project);
        CREATE INDEX containers_image ON containers (image_id);
        CREATE TABLE container_networks (
            container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            network TEXT NOT NULL,
            PRIMARY KEY (container, network)
        ) WITHOUT ROWID;
        CREATE INDEX container_networks_network ON container_networks (network);
        CREATE TABLE container_volumes (
            container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
            volume TEXT NOT NULL,
            PRIMARY KEY (container, volume)
        ) WITHOUT ROWID;
        CREATE INDEX container_volumes_volume ON container_volumes (volume);
        CREATE TABLE networks (
            sequence INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            info TEXT NOT NULL
        );
        CREATE TABLE leases (
            network TEXT NOT NULL REFERENCES networks (id) ON DELETE CASCADE,
            family INTEGER NOT NULL,
            address TEXT NOT NULL,
            container TEXT NOT NULL,
            PRIMARY KEY (network, family, address)
        ) WITHOUT ROWID;
        CREATE INDEX leases_container ON leases (container);
        CREATE TABLE volumes (
            sequence INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            info TEXT NOT NULL
        );
        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            time INTEGER NOT NULL,
            type TEXT NOT NULL,
            action TEXT NOT NULL,
            id TEXT NOT NULL,
            attributes TEXT NOT NULL
        );
        CREATE INDEX events_time ON events (time);
        )",
        // Whom somebody must be at work on (running, paused, restarting, removing): read at every start of a command.
        "CREATE INDEX containers_active ON containers (id, supervisor, status) WHERE status IN (1, 2, 3, 4)",
    };
    return all;
}

base::Result<std::unique_ptr<Store>> Store::open(const Paths& paths) {
    TRY_VOID(paths.make());
    keep_reserve(paths);
    auto db = TRY(Database::open(paths.state_db()));
    TRY_VOID(db.migrate("engine", migrations()));
    auto signal = TRY(ChangeSignal::open(paths.changed()));
    return std::unique_ptr<Store>(new Store(std::make_unique<Impl>(paths, std::move(db), std::move(signal))));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;
const Paths& Store::paths() const { return impl_->paths; }
Database& Store::db() { return impl_->db; }
base::Result<ChangeWatch> Store::watch() const { return ChangeWatch::open(impl_->paths.changed()); }
void Store::notify() { impl_->signal.notify(); }
base::Status Store::transaction(const std::function<base::Status()>& body) { return impl_->write(body); }

bool matches(const Labels& labels, const Labels& wanted) {
    for (const auto& [key, value] : wanted) {
        auto found = labels.find(key);
        if (found == labels.end() || (!value.empty() && found->second != value)) return false;
    }
    return true;
}

}  // namespace engine::store
