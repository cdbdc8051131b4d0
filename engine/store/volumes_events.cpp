#include "store/codec.h"
#include "store/store.h"
#include "store/store_impl.h"

namespace engine::store {
namespace {

// Events are a convenience for readers, not an archive: the oldest go in steps.
constexpr int64_t kEventsKept = 20000, kEventsStep = 1000;

}  // namespace

base::Status Store::insert_volume(const VolumeInfo& volume) {
    return impl_->write([&]() -> base::Status {
        {
            auto taken = TRY(impl_->query("SELECT 1 FROM volumes WHERE name = ?"));
            taken.bind(volume.spec.name);
            if (TRY(taken->step())) return base::fail(base::Code::conflict, "volume " + volume.spec.name + " already exists");
        }
        return impl_->run("INSERT INTO volumes (name, info) VALUES (?, ?)", volume.spec.name, to_json(volume));
    });
}

base::Result<VolumeInfo> Store::volume(std::string_view name) {
    std::lock_guard lock(impl_->mutex);
    auto query = TRY(impl_->query("SELECT info FROM volumes WHERE name = ?"));
    query.bind(name);
    if (!TRY(query->step())) return base::fail(base::Code::not_found, "no such volume: " + base::printable(name));
    return from_json<VolumeInfo>(query->text(0));
}

base::Result<std::vector<VolumeInfo>> Store::volumes(const Labels& labels) {
    std::lock_guard lock(impl_->mutex);
    std::vector<VolumeInfo> found;
    auto query = TRY(impl_->query("SELECT info FROM volumes ORDER BY sequence"));
    while (TRY(query->step())) {
        auto volume = TRY(from_json<VolumeInfo>(query->text(0)));
        if (matches(volume.spec.labels, labels)) found.push_back(std::move(volume));
    }
    return found;
}

base::Status Store::erase_volume(const std::string& name) {
    return impl_->write([&] { return impl_->run("DELETE FROM volumes WHERE name = ?", name); });
}

base::Result<std::vector<std::string>> Store::volume_users(const std::string& name) {
    std::lock_guard lock(impl_->mutex);
    std::vector<std::string> names;
    auto query = TRY(impl_->query("SELECT c.name FROM container_volumes v JOIN containers c ON c.id = v.container WHERE v.volume = ? ORDER BY c.sequence"));
    query.bind(name);
    while (TRY(query->step())) names.push_back(query->text(0));
    return names;
}

base::Status Store::add_event(Event event) {
    if (event.time == 0) event.time = base::now();
    return impl_->write([&]() -> base::Status {
        TRY_VOID(impl_->run("INSERT INTO events (time, type, action, id, attributes) VALUES (?, ?, ?, ?, ?)", event.time, event.type, event.action,
                            event.id, to_json(event.attributes)));
        int64_t last = impl_->db.last_insert_id();
        if (last % kEventsStep == 0) TRY_VOID(impl_->run("DELETE FROM events WHERE sequence <= ?", last - kEventsKept));
        return {};
    });
}

base::Result<std::vector<Event>> Store::events_since(int64_t sequence, size_t limit) {
    std::lock_guard lock(impl_->mutex);
    std::vector<Event> events;
    auto query = TRY(impl_->query("SELECT sequence, time, type, action, id, attributes FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?"));
    query.bind(sequence, static_cast<int64_t>(limit));
    while (TRY(query->step())) {
        Event event;
        event.sequence = query->number(0);
        event.time = query->number(1);
        event.type = query->text(2);
        event.action = query->text(3);
        event.id = query->text(4);
        event.attributes = TRY(from_json<Labels>(query->text(5)));
        events.push_back(std::move(event));
    }
    return events;
}

base::Result<int64_t> Store::event_sequence_at(Time time) {
    std::lock_guard lock(impl_->mutex);
    auto query = TRY(impl_->query("SELECT COALESCE(MAX(sequence), 0) FROM events WHERE time < ?"));
    query.bind(time);
    TRY(query->step());
    return query->number(0);
}

Event container_event(const ContainerInfo& container, std::string action, Labels more) {
    Event event;
    event.type = "container";
    event.action = std::move(action);
    event.id = container.id;
    event.attributes = container.spec.labels;
    event.attributes["name"] = container.spec.name;
    event.attributes["image"] = container.spec.image;
    for (auto& [key, value] : more) event.attributes[key] = value;
    return event;
}

Event network_event(const NetworkInfo& network, std::string action) {
    Event event;
    event.type = "network";
    event.action = std::move(action);
    event.id = network.id;
    event.attributes = network.spec.labels;
    event.attributes["name"] = network.spec.name;
    event.attributes["type"] = network.spec.driver;
    return event;
}

}  // namespace engine::store
