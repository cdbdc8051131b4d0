#include <signal.h>

#include "base/file.h"
#include "base/log.h"
#include "network/network.h"
#include "oci/foreign.h"
#include "runtime/exec.h"
#include "supervisor/core.h"
#include "supervisor/removal.h"

namespace engine::supervisor {

using base::Status;

/// Told by the guardian, which has written it down.
void Core::exited(const std::string& id, pid_t pid, int32_t status, Time time) {
    Unit* one = find(id);
    if (one && one->running() && one->process.pid() == pid) {
        on_exit(*one, status, time);
        return;
    }
    if (one && one->phase == Phase::starting) {
        early_exits_[{id, pid}] = {status, time};  // the worker has not yet told that it runs
        return;
    }
    acknowledge_.push_back({id, pid});  // of a start that failed
}

void Core::on_exit(Unit& one, int32_t status, Time time) {
    drain(one);
    acknowledge_.push_back({one.id, one.info.state.pid});
    one.out_watch.reset();
    one.err_watch.reset();
    one.terminal_watch.reset();
    one.oom_watch.reset();
    one.oom_fd.reset();
    one.health_timer.reset();
    one.probe.reset();
    one.health.reset();
    one.stop_timer.reset();
    one.channels = {};
    one.process = {};

    auto& state = one.info.state;
    state.pid = 0;
    state.pid_start = 0;
    state.exit_code = status == kStatusUnknown ? 255 : runtime::exit_code(status);
    state.finished = time;
    if (!one.oom_seen && state.exit_code == 128 + SIGKILL) {
        // Also a limit of a parent group may have been the reason.
        if (auto cgroup = runtime::Cgroup::open(runtime::cgroup_path(one.info)))
            if (auto kills = cgroup->oom_kills(); kills && *kills != 0) {
                one.oom_seen = true;
                event(one, "oom");
            }
    }
    state.oom_killed = one.oom_seen;
    if (one.stopping && (state.stopped_by_user || one.halted)) event(one, "stop");
    event(one, "die", {{"exitCode", std::to_string(state.exit_code)}});
    one.stopping = false;

    RestartInput input{one.info.spec.restart, state.exit_code, state.stopped_by_user || one.halted, state.restart_count, Nanoseconds(Clock::now() - one.began)};
    auto pause = one.backoff.decide(input);
    state.status = pause ? ContainerStatus::restarting : ContainerStatus::exited;
    if (!pause && state.health == HealthStatus::starting) state.health = HealthStatus::none;
    if (pause) {
        state.restart_count++;
        one.restart_timer = loop_->after(*pause, [this, &one] {
            if (one.phase == Phase::waiting) to_start_.push_back(one.id);
        });
    }
    const uint64_t end = one.log ? one.log->position() : 0;
    if (!pause) {
        end_shipping(one);
        after_flush_.push_back([attachments = one.attachments, code = state.exit_code, end] {
            for (const auto& attachment : attachments)
                if (attachment->ended) attachment->ended(code, end);
        });
        one.info.endpoints.clear();
        one.info.ports.clear();
        save_runtime(one);
    } else {
        save(one);
    }
    one.phase = Phase::cleaning;
    to_clean_.push_back(one.id);
}

/// Takes away what those that ended have used; together, as one worker's job.
void Core::clean_wave() {
    struct Job {
        std::string id, cgroup;
        bool for_good = false, network = false, dns = false, ports = false;
        bool strays = false;  ///< processes may be left: its pid namespace was another's
    };
    auto jobs = std::make_shared<std::vector<Job>>();
    for (const auto& id : std::exchange(to_clean_, {})) {
        Unit* one = find(id);
        if (!one) continue;
        Job job;
        job.id = id;
        job.cgroup = runtime::cgroup_path(one->info);
        job.for_good = one->info.state.status != ContainerStatus::restarting;
        // One that others have joined stays for the next start (pains.md 19); its removal takes the pin.
        job.network = one->network_made && std::none_of(units_.begin(), units_.end(), [&](const auto& other) {
            return other.second->phase != Phase::idle && joined_container(other.second->info.spec.network_mode) == id;
        });
        job.strays = !one->info.spec.pid_mode.empty() && one->info.spec.pid_mode != "private";
        job.dns = has_embedded_dns(one->info.spec);
        job.ports = !one->info.spec.ports.empty();
        if (job.for_good) one->network_made = false;
        jobs->push_back(std::move(job));
    }
    if (jobs->empty()) return;
    busy_++;
    workers_->run([this, jobs] {
        std::vector<std::string> published;
        bool names = false;
        for (const auto& job : *jobs) {
            if (!job.for_good) continue;
            if (job.ports) published.push_back(job.id);
            if (job.dns) {
                if (auto* dns = services_->dns_if_any()) dns->forget(job.id);
                services_->directory().remove(job.id);
                names = true;
            }
        }
        if (names) services_->update_records();
        if (auto* publisher = services_->publisher_if_any(); publisher && !published.empty())
            if (auto gone = publisher->unpublish_many(published); !gone) base::log::warn(gone.error().message());
        for (const auto& job : *jobs) {
            auto clean = [&]() -> Status {
                oci::foreign_delete(job.id, paths_.container_run(job.id) + "/oci");
                if (auto cgroup = runtime::Cgroup::open(job.cgroup)) {
                    if (job.strays) (void)cgroup->kill_all();
                    TRY_VOID(cgroup->remove());
                }
                if (!job.for_good) return {};
                if (job.network) TRY_VOID(network::remove_netns(paths_.netns(job.id)));
                return {};
            };
            if (auto cleaned_up = clean(); !cleaned_up) base::log::warn("clean up " + job.id.substr(0, 12) + ": " + cleaned_up.error().message());
        }
        // The addresses last: nobody may get one that is still answered.
        auto released = store_->transaction([&]() -> Status {
            for (const auto& job : *jobs)
                if (job.for_good) TRY_VOID(store_->release_addresses(job.id));
            return {};
        });
        if (!released) base::log::warn(released.error().message());
        std::vector<std::string> ids;
        for (const auto& job : *jobs) ids.push_back(job.id);
        loop_->post([this, ids] {
            busy_--;
            cleaned(ids);
        });
    });
}

void Core::cleaned(const std::vector<std::string>& ids) {
    for (const auto& id : ids) {
        Unit* one = find(id);
        if (one && one->phase == Phase::cleaning) settle(*one);
    }
    guard_networks();
}

/// It has ended, and nothing of it is left: for good, or until its next start.
void Core::settle(Unit& one) {
    const auto& state = one.info.state;
    if (state.status == ContainerStatus::restarting) {
        one.phase = Phase::waiting;
        if (state.stopped_by_user || one.halted) {
            give_up_waiting(one);  // `stop` came while it was being cleaned up
            return;
        }
        if (!one.restart_timer) to_start_.push_back(one.id);  // its pause is already over
    } else {
        one.phase = Phase::idle;
        if (one.attachments.empty()) one.log.reset();
    }
    auto waiting = std::exchange(one.on_ended, {});
    const std::string id = one.id;
    if (one.phase == Phase::idle && one.info.spec.auto_remove) {
        one.removing = true;
        if (one.attachments.empty()) {
            one.on_ended = std::move(waiting);  // who waits finds it gone
            waiting.clear();
            remove_now(one);
        }
    }
    for (auto& each : waiting) each();
    Unit* still = find(id);
    if (still && still->phase == Phase::idle && !still->removing && still->attachments.empty() && still->on_started.empty()) units_.erase(id);
}

void Core::remove_now(Unit& one) {
    const std::string id = one.id;
    busy_++;
    workers_->run([this, id] {
        EngineOptions options;
        options.root = paths_.root;
        options.run_dir = paths_.run;
        auto removed = remove_container(options, *store_, id, true);
        if (!removed) base::log::warn("remove " + id.substr(0, 12) + ": " + removed.error().message());
        loop_->post([this, id] {
            busy_--;
            Unit* gone = find(id);
            if (!gone) return;
            auto waiting = std::exchange(gone->on_ended, {});
            gone->on_started.clear();
            units_.erase(id);
            for (auto& each : waiting) each();
        });
    });
}

}  // namespace engine::supervisor
