#include <sys/epoll.h>

#include "base/file.h"
#include "base/log.h"
#include "log/log_reader.h"
#include "supervisor/core.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::Status;

void Core::start(const std::vector<std::string>& ids, uint64_t token, std::function<void(const std::string& id, const Status&)> done) {
    std::vector<std::string> wanted;
    for (const auto& id : ids) {
        Unit& one = unit(id);
        auto finished = [done, id](const Status& status) { done(id, status); };
        if (answered_.contains({id, token}) && (one.phase == Phase::running || one.phase == Phase::waiting)) {
            after_flush_.push_back([finished] { finished({}); });
            continue;
        }
        switch (one.phase) {
            case Phase::running:
                if (one.info.state.status == ContainerStatus::paused) {
                    after_flush_.push_back([finished, name = one.info.spec.name] {
                        finished(fail(Code::conflict, "cannot start a paused container, try unpause instead: " + name));
                    });
                } else {
                    after_flush_.push_back([finished] { finished({}); });
                }
                break;
            case Phase::starting: one.on_started.push_back(finished); break;
            case Phase::waiting:  // by hand is at once, and begins the pauses anew
                one.restart_timer.reset();
                [[fallthrough]];
            case Phase::idle:
                one.on_started.push_back(finished);
                one.backoff.reset();
                one.info.state.restart_count = 0;
                one.wanted_token = token;
                if (std::find(to_start_.begin(), to_start_.end(), id) == to_start_.end()) to_start_.push_back(id);
                break;
            case Phase::cleaning:
                one.on_ended.push_back([this, id, token, done] { start({id}, token, done); });
                break;
        }
    }
}

/// All that were asked for in this round, set up together by one worker.
void Core::start_wave() {
    auto ids = std::exchange(to_start_, {});
    store::Store::ContainerQuery query;
    query.ids = ids;
    auto containers = store_->containers(query);
    auto items = std::make_shared<std::vector<StartItem>>();
    std::set<std::string> found;
    if (containers) {
        for (auto& info : *containers) {
            found.insert(info.id);
            Unit& one = unit(info.id);
            int restarts = one.info.state.restart_count;
            one.info = std::move(info);
            const uint64_t token = std::exchange(one.wanted_token, 0);
            if (answered_.contains({one.id, token})) {
                started_before(one);
                continue;
            }
            one.info.state.restart_count = one.phase == Phase::waiting ? restarts : 0;
            one.phase = Phase::starting;
            StartItem item;
            item.info = one.info;
            item.token = token;
            item.keep_network = one.network_made;
            items->push_back(std::move(item));
        }
    }
    for (const auto& id : ids) {
        if (found.contains(id)) continue;
        Unit& one = unit(id);
        one.phase = Phase::idle;
        Status status = containers ? Status(fail(Code::not_found, "No such container: " + id.substr(0, 12))) : Status(base::Error(containers.error()));
        for (auto& done : std::exchange(one.on_started, {})) done(status);
        units_.erase(id);
    }
    if (items->empty()) return;
    busy_++;
    workers_->run([this, items] {
        starter_->run(*items);
        loop_->post([this, items] {
            busy_--;
            started(*items);
        });
    });
}

/// The same request again, after the supervisor that did it has died: the container has run and ended.
void Core::started_before(Unit& one) {
    one.phase = Phase::idle;
    after_flush_.push_back([this, id = one.id, dones = std::exchange(one.on_started, {})] {
        for (const auto& done : dones) done({});
        Unit* ended = find(id);
        if (!ended || ended->phase != Phase::idle) return;
        const uint64_t end = log::end_position(log_folder(paths_, ended->info));
        for (const auto& attachment : ended->attachments)
            if (attachment->ended) attachment->ended(ended->info.state.exit_code, end);
        if (ended->attachments.empty()) units_.erase(id);
    });
}

void Core::started(std::vector<StartItem>& items) {
    for (auto& item : items) {
        Unit& one = unit(item.info.id);
        // Given up because the guardian was killed. This process takes its place, and who asked asks again.
        if (!item.status && item.status.error().code == Code::interrupted && guardian_is_gone()) {
            one.phase = Phase::idle;
            continue;
        }
        if (item.status) {
            enter_running(one, item);
        } else {
            for (auto early = early_exits_.begin(); early != early_exits_.end();) {
                if (early->first.first == one.id) {
                    acknowledge_.push_back({one.id, early->first.second});
                    early = early_exits_.erase(early);
                } else {
                    ++early;
                }
            }
            one.network_made = one.network_made && item.keep_network;
            auto& state = one.info.state;
            const bool by_policy = state.status == ContainerStatus::restarting;
            state.error = item.status.error().message();
            // As Docker: a first start that fails leaves it created, with 126 or 127 for a program that can't be run.
            if (state.status != ContainerStatus::created) state.status = ContainerStatus::exited;
            state.exit_code = item.status.error().code == Code::no_such_command ? 127 : item.status.error().code == Code::cannot_execute ? 126 : 128;
            state.pid = 0;
            state.pid_start = 0;
            one.info.endpoints.clear();
            one.info.ports.clear();
            one.phase = Phase::idle;
            if (one.network_made) {
                one.phase = Phase::cleaning;
                to_clean_.push_back(one.id);
            }
            save_runtime(one);
            if (by_policy) base::log::warn("restart " + one.info.spec.name + ": " + state.error);
        }
        auto dones = std::exchange(one.on_started, {});
        if (dones.empty()) continue;
        auto status = item.status ? Status{} : Status(base::Error(item.status.error()));
        after_flush_.push_back([dones = std::move(dones), status = std::move(status)] {
            for (const auto& done : dones) done(status);
        });
    }
    guard_networks();
}

/// The firewall of what runs is healed by itself when somebody flushes it.
void Core::guard_networks() {
    auto* publisher = services_->publisher_if_any();
    if (!publisher) return;
    std::set<std::string> names;
    for (const auto& [id, one] : units_)
        if (one->running())
            for (const auto& endpoint : one->info.endpoints) names.insert(endpoint.network);
    std::vector<NetworkInfo> networks;
    for (const auto& name : names)
        if (auto network = store_->network(name)) networks.push_back(std::move(*network));
    if (auto guarded = publisher->guard(std::move(networks)); !guarded) base::log::warn(guarded.error().message());
}

void Core::enter_running(Unit& one, StartItem& item) {
    one.phase = Phase::running;
    one.image = std::move(item.image);
    one.resolved = std::move(item.resolved);
    one.process = std::move(item.process);
    one.channels = std::move(item.channels);
    one.oom_fd = std::move(item.oom_events);
    one.network_made = has_own_network(one.info.spec);
    one.oom_seen = one.stopping = one.killed = one.halted = false;
    one.info.endpoints = std::move(item.endpoints);
    one.info.ports = std::move(item.ports);
    auto& state = one.info.state;
    state.status = ContainerStatus::running;
    state.pid = one.process.pid();
    state.pid_start = item.pid_start;
    state.exit_code = 0;
    state.oom_killed = state.stopped_by_user = false;
    state.error.clear();
    state.started = item.started;
    one.began = Clock::now();
    state.failing_streak = 0;  // health begins anew with every start (pains.md 13); the probes' log stays
    state.health = one.resolved.health_check ? HealthStatus::starting : HealthStatus::none;
    save_runtime(one);
    event(one, "start");
    if (auto opened = open_log(one); !opened) base::log::error(opened.error().message());
    begin_log(one);
    if (one.oom_fd) {
        auto handle = loop_->watch(one.oom_fd.get(), EPOLLIN, [this, &one](uint32_t) {
            runtime::Cgroup::drain_oom_events(one.oom_fd.get());
            if (!std::exchange(one.oom_seen, true)) event(one, "oom");
        });
        if (handle) one.oom_watch = std::move(*handle);
    }
    begin_health(one, false);
    // It may have ended before this thread heard that it had begun.
    if (auto early = early_exits_.find({one.id, one.process.pid()}); early != early_exits_.end()) {
        auto exit = early->second;
        early_exits_.erase(early);
        on_exit(one, exit.status, exit.time);
    }
}

void Core::pause(const std::string& id, bool on, Done done) {
    Unit* one = find(id);
    if (!one || !one->running()) {
        done(fail(Code::not_running, "container " + id.substr(0, 12) + " is not running"));
        return;
    }
    const bool paused = one->info.state.status == ContainerStatus::paused;
    if (paused == on) {
        done(fail(Code::conflict, "container " + one->info.spec.name + (on ? " is already paused" : " is not paused")));
        return;
    }
    busy_++;
    auto path = runtime::cgroup_path(one->info);
    workers_->run([this, id, on, path, done] {
        auto change = [&]() -> Status {
            auto cgroup = TRY(runtime::Cgroup::open(path));
            return on ? cgroup.freeze() : cgroup.thaw();
        };
        auto changed = std::make_shared<Status>(change());
        loop_->post([this, id, on, changed, done] {
            busy_--;
            Unit* paused_one = find(id);
            if (*changed && paused_one && paused_one->running()) {
                paused_one->info.state.status = on ? ContainerStatus::paused : ContainerStatus::running;
                save(*paused_one);
                event(*paused_one, on ? "pause" : "unpause");
                if (!on) schedule_probe(*paused_one);
            }
            after_flush_.push_back([changed, done] { done(*changed); });
        });
    });
}

void Core::reload(const std::string& id, Done done) {
    Unit* one = find(id);
    auto info = store_->container(id);
    if (!info) {
        done(base::Error(info.error()));
        return;
    }
    if (one && one->phase != Phase::idle) {
        one->info.spec = std::move(info->spec);
        if (one->running() && has_embedded_dns(one->info.spec)) {
            services_->directory().put(one->info, one->info.endpoints);
            services_->update_records();
        }
        // A policy that now says no ends the waiting for the next start.
        if (one->phase == Phase::waiting && (one->info.spec.restart.name == "no" || one->info.spec.restart.name.empty())) {
            note_reason(*one, false);
            give_up_waiting(*one);
        }
    }
    after_flush_.push_back([done] { done({}); });
}

void Core::connect_network(const std::string& id, const Endpoint& endpoint, Done done) {
    Unit* one = find(id);
    if (!one || !one->running()) {
        done(fail(Code::not_running, "container " + id.substr(0, 12) + " is not running"));
        return;
    }
    if (!has_own_network(one->info.spec)) {
        done(fail(Code::conflict, "container sharing network namespace with another container or host cannot be connected to any other network"));
        return;
    }
    auto info = std::make_shared<ContainerInfo>(one->info);
    auto connected = starter_->connect(*info, endpoint);
    if (!connected) {
        done(base::Error(connected.error()));
        return;
    }
    one->info.endpoints = info->endpoints;
    save_runtime(*one);
    after_flush_.push_back([done] { done({}); });
}

void Core::disconnect_network(const std::string& id, const std::string& network, Done done) {
    Unit* one = find(id);
    if (!one || !one->running()) {
        done(fail(Code::not_running, "container " + id.substr(0, 12) + " is not running"));
        return;
    }
    auto disconnected = starter_->disconnect(one->info, network);
    if (!disconnected) {
        done(base::Error(disconnected.error()));
        return;
    }
    save_runtime(*one);
    after_flush_.push_back([done] { done({}); });
}

}  // namespace engine::supervisor
