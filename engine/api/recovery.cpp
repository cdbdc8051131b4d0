// What a killed process, a crash or a reboot left half-made is finished by the next command that opens the engine.
#include "api/engine_impl.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/removal.h"
#include "volume/file_mounts.h"

namespace engine::api {
namespace {

struct Suspect {
    std::string id, group;
    ContainerStatus status;
};

/// Containers in a state that somebody must be at work on.
Result<std::vector<Suspect>> suspects(store::Store& store) {
    std::vector<Suspect> found;
    // Literals, as the index containers_active has them.
    static_assert(static_cast<int>(ContainerStatus::running) == 1 && static_cast<int>(ContainerStatus::paused) == 2 &&
                  static_cast<int>(ContainerStatus::restarting) == 3 && static_cast<int>(ContainerStatus::removing) == 4);
    auto query = TRY(store.db().prepare("SELECT id, supervisor, status FROM containers WHERE status IN (1, 2, 3, 4)"));
    while (TRY(query.step())) found.push_back({query.text(0), query.text(1), static_cast<ContainerStatus>(query.number(2))});
    return found;
}

}  // namespace

std::optional<base::FileLock> EngineImpl::hold_files() {
    if (!base::make_dirs(paths().locks(), 0700)) return std::nullopt;
    auto lock = base::FileLock::acquire(paths().locks() + "/.files", true);
    if (!lock) return std::nullopt;  // a lock that cannot be had does not stop the work: it only keeps sweepers off
    return std::move(*lock);
}

void EngineImpl::sweep() {
    auto alone = base::FileLock::try_acquire(paths().locks() + "/.files");
    if (!alone) return;
    auto without_row = [&](const std::string& folder) {
        std::vector<std::string> ids;
        for (const auto& id : base::list_dir(folder).value_or(std::vector<std::string>{})) {
            auto state = store().container_state(id);
            if (!state && state.error().code == base::Code::not_found) ids.push_back(id);
        }
        return ids;
    };
    for (const auto& id : without_row(paths().containers()))
        if (auto removed = base::remove_tree(paths().container(id)); !removed) base::log::debug("sweep: " + removed.error().message());
    for (const auto& id : without_row(paths().run + "/files"))
        if (auto removed = volume::remove_files(paths(), id); !removed) base::log::debug("sweep: " + removed.error().message());
    if (auto swept = volume_store().recover(); !swept) base::log::debug("sweep: " + swept.error().message());
}

Status EngineImpl::recover() {
    auto found = TRY(suspects(store()));
    if (found.empty()) return {};

    std::map<std::string, bool> supervised;
    for (const auto& suspect : found) {
        if (suspect.status == ContainerStatus::removing || supervised.contains(suspect.group)) continue;
        auto client = running_supervisor(suspect.group);
        supervised[suspect.group] = !client || *client;  // unknown counts as there
    }
    for (const auto& suspect : found) {
        if (suspect.status == ContainerStatus::removing || supervised[suspect.group]) continue;
        bool ended = false;
        auto changed = store().transaction([&]() -> Status {
            auto container = store().container(suspect.id);
            if (!container || !is_active(container->state) || is_alive(container->state)) return {};
            ContainerState& state = container->state;
            state.status = ContainerStatus::exited;
            state.pid = 0;
            state.pid_start = 0;
            state.finished = base::now();
            state.exit_code = 137;  // nobody saw it end: the machine or the engine was killed
            if (state.error.empty()) state.error = "the container's supervisor is gone (a reboot, or it was killed)";
            TRY_VOID(store().update_state(suspect.id, state));
            TRY_VOID(store().set_runtime(suspect.id, {}, {}));
            TRY_VOID(store().release_addresses(suspect.id));
            ended = true;
            return store().add_event(store::container_event(*container, "die", {{"exitCode", "137"}}));
        });
        TRY_VOID(std::move(changed));
        if (ended)
            if (auto cleaned = supervisor::clean_run_state(options_, store(), suspect.id); !cleaned)
                base::log::debug("clean up after " + suspect.id.substr(0, 12) + ": " + cleaned.error().message());
    }

    bool removing = std::any_of(found.begin(), found.end(), [](const Suspect& suspect) { return suspect.status == ContainerStatus::removing; });
    if (!removing) return {};
    auto alone = base::FileLock::try_acquire(paths().locks() + "/.files");
    if (!alone) return {};  // somebody is removing right now
    for (const auto& suspect : found) {
        if (suspect.status != ContainerStatus::removing) continue;
        auto removed = supervisor::remove_container(options_, store(), suspect.id, false);
        if (removed) removed = volume::remove_files(paths(), suspect.id);
        if (!removed) base::log::debug("finish the removal of " + suspect.id.substr(0, 12) + ": " + removed.error().message());
    }
    return {};
}

}  // namespace engine::api
