#include <condition_variable>
#include <mutex>
#include <thread>

#include "run/project_ops.h"

namespace compose::run {

/// A thread each: what they wait for comes from the engine, at its own time.
base::Result<std::vector<Ended>> wait_for_all(engine::Engine& engine, const std::vector<Ended>& containers, bool first_only,
                                              const std::function<void(const Ended&)>& ended, const std::atomic<bool>* cancel) {
    std::mutex mutex;
    std::vector<Ended> result;
    std::optional<base::Error> error;
    std::atomic<bool> enough{false};
    auto wait_for = [&](Ended container) {
        auto over = [&](const engine::ContainerInfo& info) {
            return enough || (cancel && *cancel) || info.state.status == engine::ContainerStatus::exited ||
                   info.state.status == engine::ContainerStatus::dead;
        };
        auto info = engine.wait_until(container.id, over, std::nullopt, first_only ? &enough : cancel);
        std::lock_guard lock(mutex);
        if (enough || (cancel && *cancel)) return;
        if (!info) {
            // Removed while it was waited for: it has ended, with a status that nobody knows any more.
            if (info.error().code != base::Code::not_found && info.error().code != base::Code::interrupted && !error) error = std::move(info.error());
            return;
        }
        container.exit_code = info->state.exit_code;
        result.push_back(container);
        if (ended) ended(container);
        if (first_only) enough = true;
    };
    std::vector<std::thread> threads;
    threads.reserve(containers.size());
    for (const auto& container : containers) threads.emplace_back(wait_for, container);
    for (auto& thread : threads) thread.join();
    if (error) return std::move(*error);
    return result;
}

}  // namespace compose::run
