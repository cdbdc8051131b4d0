#include "store/codec.h"
#include "store/store.h"
#include "store/store_impl.h"

namespace engine::store {
namespace {

constexpr const char* kProjectLabel = "com.docker.compose.project";

#define COLUMNS "id, created, supervisor, spec, state, endpoints, ports, argv"

base::Result<ContainerInfo> read_row(const Query& row) {
    ContainerInfo container;
    container.id = row->text(0);
    container.created = row->number(1);
    container.supervisor = row->text(2);
    auto part = [&](auto result) { return std::move(result).context("container " + container.id.substr(0, 12)); };
    container.spec = TRY(part(from_json<ContainerSpec>(row->text(3))));
    container.state = TRY(part(from_json<ContainerState>(row->text(4))));
    container.endpoints = TRY(part(from_json<std::vector<EndpointState>>(row->text(5))));
    container.ports = TRY(part(from_json<std::vector<PortMapping>>(row->text(6))));
    container.argv = TRY(part(from_json<std::vector<std::string>>(row->text(7))));
    return container;
}

base::Error no_such_container(std::string_view id) {
    return base::fail(base::Code::not_found, "No such container: " + base::printable(id));
}

std::string project_of(const ContainerSpec& spec) {
    auto found = spec.labels.find(kProjectLabel);
    return found == spec.labels.end() ? std::string() : found->second;
}

base::Error name_taken(const std::string& name, const std::string& holder) {
    return base::fail(base::Code::conflict, "Conflict. The container name \"/" + name + "\" is already in use by container \"" + holder +
                                                "\". You have to remove (or rename) that container to be able to reuse that name.");
}

}  // namespace

base::Status Store::insert_container(const ContainerInfo& container) {
    return impl_->write([&]() -> base::Status {
        {
            auto taken = TRY(impl_->query("SELECT id FROM containers WHERE name = ?"));
            taken.bind(container.spec.name);
            if (TRY(taken->step())) return name_taken(container.spec.name, taken->text(0));
        }
        TRY_VOID(impl_->run("INSERT INTO containers (id, name, image_id, project, supervisor, created, status, spec, state, endpoints, ports, argv) "
                            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            container.id, container.spec.name, container.spec.image_id, project_of(container.spec), container.supervisor,
                            container.created, static_cast<int64_t>(container.state.status), to_json(container.spec), to_json(container.state),
                            to_json(container.endpoints), to_json(container.ports), to_json(container.argv)));
        for (const auto& endpoint : container.spec.endpoints)
            TRY_VOID(impl_->run("INSERT OR IGNORE INTO container_networks VALUES (?, ?)", container.id, endpoint.network));
        for (const auto& mount : container.spec.mounts)
            if (mount.type == Mount::Type::volume)
                TRY_VOID(impl_->run("INSERT OR IGNORE INTO container_volumes VALUES (?, ?)", container.id, mount.source));
        return {};
    });
}

base::Result<std::string> Store::container_id(std::string_view id_or_name) {
    std::lock_guard lock(impl_->mutex);
    std::string_view name = id_or_name;
    if (name.starts_with('/')) name.remove_prefix(1);
    if (name.empty()) return no_such_container(id_or_name);
    if (name.size() == 64) {
        auto exact = TRY(impl_->query("SELECT id FROM containers WHERE id = ?"));
        exact.bind(name);
        if (TRY(exact->step())) return exact->text(0);
    }
    {
        auto named = TRY(impl_->query("SELECT id FROM containers WHERE name = ?"));
        named.bind(name);
        if (TRY(named->step())) return named->text(0);
    }
    if (name.find_first_not_of("0123456789abcdef") != std::string_view::npos) return no_such_container(id_or_name);
    // A range scan of the index: 'g' sorts after every hexadecimal digit.
    auto prefix = TRY(impl_->query("SELECT id FROM containers WHERE id >= ? AND id < ? LIMIT 2"));
    prefix.bind(name, std::string(name) + "g");
    if (!TRY(prefix->step())) return no_such_container(id_or_name);
    std::string id = prefix->text(0);
    if (TRY(prefix->step()))
        return base::fail(base::Code::conflict, "multiple containers have an id that begins with " + std::string(name) + "; give more digits");
    return id;
}

base::Result<ContainerInfo> Store::container(std::string_view id_or_name) {
    std::lock_guard lock(impl_->mutex);
    std::string id = TRY(container_id(id_or_name));
    auto query = TRY(impl_->query("SELECT " COLUMNS " FROM containers WHERE id = ?"));
    query.bind(id);
    if (!TRY(query->step())) return no_such_container(id_or_name);
    return read_row(query);
}

base::Result<ContainerState> Store::container_state(const std::string& id) {
    std::lock_guard lock(impl_->mutex);
    auto query = TRY(impl_->query("SELECT state FROM containers WHERE id = ?"));
    query.bind(id);
    if (!TRY(query->step())) return no_such_container(id);
    return from_json<ContainerState>(query->text(0));
}

base::Result<std::vector<ContainerInfo>> Store::containers(const ContainerQuery& wanted) {
    std::lock_guard lock(impl_->mutex);
    std::vector<ContainerInfo> found;
    auto keep = [&](const Query& row) -> base::Status {
        if (wanted.supervisor && row->text(2) != *wanted.supervisor) return {};
        auto container = TRY(read_row(row));
        if (matches(container.spec.labels, wanted.labels) && (wanted.image_id.empty() || container.spec.image_id == wanted.image_id))
            found.push_back(std::move(container));
        return {};
    };
    if (!wanted.ids.empty()) {
        for (const auto& id : wanted.ids) {
            auto query = TRY(impl_->query("SELECT " COLUMNS " FROM containers WHERE id = ?"));
            query.bind(id);
            if (TRY(query->step())) TRY_VOID(keep(query));
        }
        return found;
    }
    auto project = wanted.labels.find(kProjectLabel);
    if (project != wanted.labels.end() && !project->second.empty()) {
        auto query = TRY(impl_->query("SELECT " COLUMNS " FROM containers WHERE project = ? ORDER BY sequence"));
        query.bind(project->second);
        while (TRY(query->step())) TRY_VOID(keep(query));
    } else if (!wanted.image_id.empty()) {
        auto query = TRY(impl_->query("SELECT " COLUMNS " FROM containers WHERE image_id = ? ORDER BY sequence"));
        query.bind(wanted.image_id);
        while (TRY(query->step())) TRY_VOID(keep(query));
    } else {
        auto query = TRY(impl_->query("SELECT " COLUMNS " FROM containers ORDER BY sequence"));
        while (TRY(query->step())) TRY_VOID(keep(query));
    }
    return found;
}

base::Status Store::update_state(const std::string& id, const ContainerState& state) {
    return impl_->write([&]() -> base::Status {
        TRY_VOID(impl_->run("UPDATE containers SET status = ?, state = ? WHERE id = ?", static_cast<int64_t>(state.status), to_json(state), id));
        if (impl_->db.changes() == 0) return no_such_container(id);
        return {};
    });
}

base::Status Store::modify_state(const std::string& id, const std::function<bool(ContainerState&)>& change) {
    return impl_->write([&]() -> base::Status {
        auto state = TRY(container_state(id));
        if (!change(state)) return {};
        return update_state(id, state);
    });
}

base::Status Store::set_runtime(const std::string& id, const std::vector<EndpointState>& endpoints, const std::vector<PortMapping>& ports) {
    return impl_->write([&] {
        return impl_->run("UPDATE containers SET endpoints = ?, ports = ? WHERE id = ?", to_json(endpoints), to_json(ports), id);
    });
}

base::Status Store::set_supervisor(const std::string& id, const std::string& supervisor) {
    return impl_->write([&] { return impl_->run("UPDATE containers SET supervisor = ? WHERE id = ?", supervisor, id); });
}

base::Status Store::update_spec(const std::string& id, const ContainerSpec& spec) {
    return impl_->write([&]() -> base::Status {
        {
            auto taken = TRY(impl_->query("SELECT id FROM containers WHERE name = ? AND id <> ?"));
            taken.bind(spec.name, id);
            if (TRY(taken->step())) return name_taken(spec.name, taken->text(0));
        }
        TRY_VOID(impl_->run("UPDATE containers SET name = ?, project = ?, spec = ? WHERE id = ?", spec.name, project_of(spec), to_json(spec), id));
        if (impl_->db.changes() == 0) return no_such_container(id);
        return {};
    });
}

base::Status Store::rename_container(const std::string& id, const std::string& name) {
    return impl_->write([&]() -> base::Status {
        ContainerSpec spec;
        {
            auto query = TRY(impl_->query("SELECT spec FROM containers WHERE id = ?"));
            query.bind(id);
            if (!TRY(query->step())) return no_such_container(id);
            spec = TRY(from_json<ContainerSpec>(query->text(0)));
        }
        spec.name = name;
        return update_spec(id, spec);
    });
}

base::Status Store::erase_container(const std::string& id) {
    return impl_->write([&]() -> base::Status {
        TRY_VOID(impl_->run("DELETE FROM leases WHERE container = ?", id));
        return impl_->run("DELETE FROM containers WHERE id = ?", id);
    });
}

}  // namespace engine::store
