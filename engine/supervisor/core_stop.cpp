#include <signal.h>

#include "base/log.h"
#include "runtime/signals.h"
#include "supervisor/core.h"
#include "supervisor/stop_decision.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::Status;

namespace {

/// A program that has just started may yet set its handler: it is looked at again until it has slept for a moment, and no
/// longer than this.
constexpr auto kYoung = std::chrono::seconds(3);
constexpr auto kPatienceYoung = std::chrono::milliseconds(1000);
constexpr auto kAsleep = std::chrono::milliseconds(100);
constexpr auto kPatience = std::chrono::milliseconds(50);
constexpr auto kLookAgain = std::chrono::milliseconds(10);

}  // namespace

void Core::note_reason(Unit& one, bool by_machine) { (by_machine ? one.halted : one.info.state.stopped_by_user) = true; }

void Core::end(const std::string& id, std::optional<Nanoseconds> timeout, bool by_machine, const std::string& signal, StopDone done) {
    auto number = runtime::parse_signal(signal.empty() ? "TERM" : signal);
    if (!number) {
        done(fail(Code::invalid, "Invalid signal: " + signal));
        return;
    }
    Unit* one = find(id);
    if (!one || one->phase == Phase::idle) {
        done(StopOutcome{});
        return;
    }
    auto ended = [this, id, done] {
        Unit* stopped = find(id);
        StopOutcome outcome;
        if (stopped) {
            outcome.killed = stopped->killed;
            outcome.note = stopped->stop_note;
        }
        done(outcome);
    };
    switch (one->phase) {
        case Phase::waiting:
            one->on_ended.push_back(ended);
            note_reason(*one, by_machine);
            give_up_waiting(*one);
            break;
        case Phase::starting:
            one->on_started.push_back([this, id, timeout, by_machine, signal, done](const Status&) { end(id, timeout, by_machine, signal, done); });
            break;
        case Phase::cleaning:
            // It may be about to wait for its next start: the word is remembered.
            note_reason(*one, by_machine);
            one->on_ended.push_back([this, id, timeout, by_machine, signal, done] { end(id, timeout, by_machine, signal, done); });
            break;
        case Phase::running:
            one->on_ended.push_back(ended);
            note_reason(*one, by_machine);
            begin_stop(*one, timeout, signal.empty() ? one->resolved.stop_signal : *number);
            break;
        case Phase::idle: break;
    }
}

/// Between two starts by policy: it stays as it is.
void Core::give_up_waiting(Unit& one) {
    one.restart_timer.reset();
    one.info.state.status = ContainerStatus::exited;
    std::erase(to_start_, one.id);
    save(one);
    event(one, "stop");
    end_shipping(one);
    one.phase = Phase::cleaning;
    to_clean_.push_back(one.id);
}

void Core::begin_stop(Unit& one, std::optional<Nanoseconds> timeout, int signal) {
    const Nanoseconds grace = timeout.value_or(one.resolved.stop_grace);
    // A negative grace waits for ever, as Docker's.
    const auto deadline = grace.count() < 0 ? Clock::time_point::max() : Clock::now() + grace;
    if (one.stopping) {
        if (deadline >= one.stop_deadline) return;  // a second, more impatient stop shortens the first
        one.stop_deadline = deadline;
        one.stop_timer = loop_->after(deadline - Clock::now(), [this, &one] { kill_now(one); });
        return;
    }
    one.stopping = true;
    one.stop_signal = signal;
    one.killed = false;
    one.stop_note.clear();
    one.stop_deadline = deadline;
    save(one);
    if (one.info.state.status == ContainerStatus::paused) {
        if (auto cgroup = runtime::Cgroup::open(runtime::cgroup_path(one.info))) (void)cgroup->thaw();
        one.info.state.status = ContainerStatus::running;
    }
    event(one, "kill", {{"signal", std::to_string(signal)}});
    auto masks = read_signal_masks(one.process.pid());
    if (!masks || hears(*masks, signal)) {
        send_signal(one, signal);
        if (deadline != Clock::time_point::max()) one.stop_timer = loop_->after(deadline - Clock::now(), [this, &one] { kill_now(one); });
        return;
    }
    const auto now = Clock::now();
    const bool young = now - one.began < kYoung;
    listen_again(one, signal, {std::min(deadline, now + (young ? kPatienceYoung : kPatience)), now, masks->switches});
}

/// PID 1 can't hear the signal now: the kernel would drop it. Looked at again for a moment, then it is said and done.
void Core::listen_again(Unit& one, int signal, Listening listening) {
    auto masks = read_signal_masks(one.process.pid());
    if (masks && hears(*masks, signal)) {
        send_signal(one, signal);
        if (one.stop_deadline != Clock::time_point::max()) one.stop_timer = loop_->after(one.stop_deadline - Clock::now(), [this, &one] { kill_now(one); });
        return;
    }
    const auto now = Clock::now();
    if (masks && (!masks->asleep || masks->switches != listening.switches)) {
        listening.switches = masks->switches;
        listening.asleep_since = now;
    }
    if (now >= listening.give_up || now - listening.asleep_since >= kAsleep) {
        one.stop_note = deaf_note(one.info.spec.name, signal);
        kill_now(one);
        return;
    }
    one.stop_timer = loop_->after(kLookAgain, [this, &one, signal, listening] { listen_again(one, signal, listening); });
}

void Core::send_signal(Unit& one, int signal) {
    if (auto sent = one.process.signal(signal); !sent) base::log::debug("ignored: " + sent.error().message());  // it has just ended
}

/// The whole container: its first process takes its pid namespace with it; without one of its own, the control group's all.
void Core::kill_now(Unit& one) {
    if (!one.running()) return;
    one.stop_timer.reset();
    one.killed = true;
    const auto& spec = one.info.spec;
    if (one.stop_signal != SIGKILL || !one.stopping) event(one, "kill", {{"signal", "9"}});
    if (auto cgroup = runtime::Cgroup::open(runtime::cgroup_path(one.info))) {
        if (cgroup->frozen()) (void)cgroup->thaw();
        if (spec.pid_mode == "host" || !joined_container(spec.pid_mode).empty()) (void)cgroup->kill_all();
    }
    send_signal(one, SIGKILL);
}

void Core::kill(const std::string& id, const std::string& signal_text, Done done) {
    auto signal = runtime::parse_signal(signal_text.empty() ? "KILL" : signal_text);
    if (!signal) {
        done(fail(Code::invalid, "invalid signal: " + signal_text));
        return;
    }
    Unit* one = find(id);
    if (!one || one->phase == Phase::idle || one->phase == Phase::cleaning) {
        done(fail(Code::not_running, "container " + id.substr(0, 12) + " is not running"));
        return;
    }
    if (one->phase == Phase::starting) {
        one->on_started.push_back([this, id, signal_text, done](const Status&) { kill(id, signal_text, done); });
        return;
    }
    if (one->phase == Phase::waiting) {
        one->on_ended.push_back([done] { done({}); });
        note_reason(*one, false);
        give_up_waiting(*one);
        return;
    }
    // The policy leaves alone what a person ended, and only that: a HUP to reload is no end.
    if (*signal == SIGKILL || *signal == one->resolved.stop_signal || *signal == SIGTERM) {
        one->info.state.stopped_by_user = true;
        save(*one);
    }
    if (*signal == SIGKILL) {
        one->on_ended.push_back([done] { done({}); });
        one->stopping = true;
        one->stop_signal = one->resolved.stop_signal;
        kill_now(*one);
        if (one->resolved.stop_signal == SIGKILL) event(*one, "kill", {{"signal", "9"}});
        return;
    }
    event(*one, "kill", {{"signal", std::to_string(*signal)}});
    auto sent = std::make_shared<Status>(one->process.signal(*signal));
    after_flush_.push_back([sent, done] { done(*sent); });
}

void Core::restart(const std::string& id, uint64_t token, std::optional<Nanoseconds> timeout, const std::string& signal, StopDone done) {
    if (answered_.contains({id, token})) {
        done(StopOutcome{});  // made by a supervisor that died before it could answer
        return;
    }
    stop(id, timeout, signal, [this, id, token, done](const Result<StopOutcome>& stopped) {
        if (!stopped) {
            done(base::Error(stopped.error()));
            return;
        }
        auto outcome = std::make_shared<StopOutcome>(*stopped);
        start({id}, token, [this, id, done, outcome](const std::string&, const Status& status) {
            if (!status) {
                done(base::Error(status.error()));
                return;
            }
            if (Unit* one = find(id)) event(*one, "restart");
            after_flush_.push_back([done, outcome] { done(*outcome); });
        });
    });
}

}  // namespace engine::supervisor
