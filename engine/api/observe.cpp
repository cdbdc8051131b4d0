// Waiting, logs, events: readers of the store and of log files; no supervisor is asked.
#include <limits>

#include "api/engine_impl.h"
#include "log/log_reader.h"
#include "supervisor/keepers.h"

namespace engine::api {
namespace {

constexpr size_t kEventBatch = 512;
constexpr const char* kProjectLabel = "com.docker.compose.project";
/// A supervisor and its guardian that were both killed can tell nobody: the state is looked at again this often at least.
constexpr auto kSafetyLook = std::chrono::seconds(5);

}  // namespace

Result<ContainerInfo> EngineImpl::wait_until(const std::string& id, const std::function<bool(const ContainerInfo&)>& done,
                                             std::optional<std::chrono::steady_clock::time_point> deadline, const std::atomic<bool>* cancel) {
    std::string full = TRY(store().container_id(id));
    auto watch = TRY(store().watch());
    auto look = std::chrono::steady_clock::now() + kSafetyLook;
    for (;;) {
        auto container = TRY(store().container(full));
        if (done(container)) return container;
        auto now = std::chrono::steady_clock::now();
        if (cancel && cancel->load()) return base::fail(base::Code::interrupted, "interrupted while waiting for container " + container.spec.name);
        if (deadline && now >= *deadline) return base::fail(base::Code::timeout, "timed out while waiting for container " + container.spec.name);
        (void)TRY(watch.wait(deadline ? std::min(*deadline, look) : look, cancel));
        if (std::chrono::steady_clock::now() < look) continue;
        look = std::chrono::steady_clock::now() + kSafetyLook;
        if (!is_active(container.state)) continue;
        if (!is_alive(container.state)) TRY_VOID(recover());
        TRY_VOID(supervisor::wake_keepers(paths(), container.supervisor));
    }
}

Status EngineImpl::check_readable_log(const ContainerInfo& container) const {
    if (container.spec.log.driver == "none")
        return base::fail(base::Code::unsupported, "configured logging driver does not support reading");
    return {};
}

namespace {

/// Follows until the container neither runs nor waits for a restart.
struct Following {
    store::Store& store;
    std::string id, group;
    store::Paths paths;
    store::ChangeWatch watch;
    std::chrono::steady_clock::time_point look = std::chrono::steady_clock::now() + kSafetyLook;

    bool live() {
        auto state = store.container_state(id);
        if (!state || !is_active(*state)) return false;
        if (const auto now = std::chrono::steady_clock::now(); now >= look) {
            look = now + kSafetyLook;
            (void)supervisor::wake_keepers(paths, group);  // ignored: it has been said, and what is there is shown
        }
        return true;
    }
    Result<log::Follow> make(const std::atomic<bool>* cancel) {
        log::Follow follow;
        follow.live = [this] { return live(); };
        follow.wake_fd = TRY(watch.fd());
        follow.woken = [this] { watch.drain(); };
        follow.cancel = cancel;
        return follow;
    }
};

}  // namespace

Status EngineImpl::logs(const std::string& id, const LogOptions& options, const std::function<bool(const LogLine&)>& sink,
                        const std::atomic<bool>* cancel) {
    auto container = TRY(store().container(id));
    TRY_VOID(check_readable_log(container));
    log::Follow follow;
    follow.cancel = cancel;
    follow.from = options.from.value_or(0);
    if (!options.follow) return log::read_log(paths().container_log(container.id), options, follow, sink);
    auto changes = TRY(store().watch());
    Following following{store(), container.id, container.supervisor, paths(), std::move(changes)};
    follow = TRY(following.make(cancel));
    follow.from = options.from.value_or(0);
    if (options.reached) {
        // Without a byte read: what is there was left out as too old.
        *options.reached = options.from ? *options.from : log::end_position(paths().container_log(container.id));
        follow.progress = [reached = options.reached](uint64_t position) { *reached = position; };
    }
    return log::read_log(paths().container_log(container.id), options, follow, sink);
}

Status EngineImpl::copy_log(const std::string& id, const LogOptions& options, int fd, const std::atomic<bool>* cancel) {
    auto container = TRY(store().container(id));
    TRY_VOID(check_readable_log(container));
    log::Follow follow;
    follow.cancel = cancel;
    if (!options.follow) return log::copy_log(paths().container_log(container.id), options, follow, fd);
    auto changes = TRY(store().watch());
    Following following{store(), container.id, container.supervisor, paths(), std::move(changes)};
    follow = TRY(following.make(cancel));
    return log::copy_log(paths().container_log(container.id), options, follow, fd);
}

Result<uint64_t> EngineImpl::log_position(const std::string& id) { return log::end_position(paths().container_log(TRY(store().container_id(id)))); }

Result<int64_t> EngineImpl::last_event() { return store().event_sequence_at(std::numeric_limits<Time>::max()); }

Status EngineImpl::events(Time since, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) {
    const int64_t last = TRY(last_event());
    if (since == 0) return events_after(last, until, sink, cancel);
    // Of what has been the times decide, of what comes only that it comes: the clock may be set back meanwhile.
    return events_after(TRY(store().event_sequence_at(since)), until, [&](const Event& event) { return (event.sequence <= last && event.time < since) || sink(event); }, cancel);
}

Status EngineImpl::events_after(int64_t sequence, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) {
    auto watch = TRY(store().watch());
    for (;;) {
        auto batch = TRY(store().events_since(sequence, kEventBatch));
        for (const auto& event : batch) {
            sequence = event.sequence;
            if (until != 0 && event.time > until) return {};
            if (!options_.group.empty()) {
                auto project = event.attributes.find(kProjectLabel);
                if (project == event.attributes.end() || project->second != options_.group) continue;
            }
            if (!sink(event)) return {};
        }
        if (batch.size() == kEventBatch) continue;
        store::ChangeWatch::Deadline deadline;
        if (until != 0) {
            auto left = until - base::now();
            if (left <= 0) return {};
            deadline = std::chrono::steady_clock::now() + Nanoseconds(left);
        }
        bool changed = TRY(watch.wait(deadline, cancel));
        if (!changed && cancel && cancel->load()) return {};
    }
}

}  // namespace engine::api
