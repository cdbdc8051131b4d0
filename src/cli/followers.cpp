#include "cli/followers.h"

#include "cli/context.h"
#include "plan/observed.h"

namespace compose::cli {

Followers::Followers(engine::Engine& engine, LogPrinter& printer, std::function<void(const EndedContainer&)> ended)
    : engine_(engine), printer_(printer), ended_(std::move(ended)) {}

Followers::~Followers() {
    cancel();
    for (;;) {
        std::vector<std::thread> threads;
        {
            std::lock_guard lock(mutex_);
            threads.swap(threads_);
        }
        if (threads.empty()) return;
        for (auto& thread : threads) thread.join();
    }
}

void Followers::follow(const engine::ContainerInfo& container, engine::LogOptions options, bool show) {
    std::lock_guard lock(mutex_);
    if (cancel_ || !active_.insert(container.id).second) return;
    if (auto before = left_off_.find(container.id); before != left_off_.end()) {
        options.from = before->second;
        options.since = 0;
        options.tail = -1;
    }
    threads_.emplace_back([this, container, options, show] { run(container, options, show); });
}

void Followers::run(engine::ContainerInfo container, engine::LogOptions options, bool show) {
    auto over = [](const engine::ContainerInfo& now) { return !plan::is_running(now) && now.state.status != engine::ContainerStatus::created; };
    auto current = base::Result<engine::ContainerInfo>(container);
    uint64_t reached = options.from.value_or(0);
    options.reached = &reached;
    if (show) {
        auto& source = printer_.add(plan::short_name(container));
        base::Status status = engine_.logs(container.id, options, [&](const engine::LogLine& line) { return source.line(line); }, &cancel_);
        source.finish();
        if (!status && status.error().code != base::Code::not_found && status.error().code != base::Code::interrupted && !cancel_)
            print_error(Error(status.error()).with("logs of " + container.spec.name));
    }
    // the log is followed over restarts; the stored state is what says that it has really ended
    if (!cancel_ && !printer_.broken()) current = engine_.wait_until(container.id, over, std::nullopt, &cancel_);
    EndedContainer ended{container.id, container.spec.name, plan::short_name(container), plan::service_of(container), 0, false};
    bool tell = !cancel_ && !printer_.broken();
    if (current)
        ended.exit_code = current->state.exit_code;
    else if (current.error().code == base::Code::not_found)
        ended.removed = true;
    else
        tell = false;
    if (tell && ended_) ended_(ended);
    {
        std::lock_guard lock(mutex_);
        active_.erase(container.id);
        if (show) left_off_[container.id] = reached;
    }
    changed_.notify_all();
}

void Followers::wait(const std::function<bool()>& until) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return active_.empty() || (until && until()); });
}

void Followers::nudge() {
    { std::lock_guard lock(mutex_); }
    changed_.notify_all();
}

void Followers::cancel() { cancel_ = true; }

}  // namespace compose::cli
