#include "run/executor.h"

#include <condition_variable>
#include <list>
#include <mutex>
#include <set>
#include <thread>

#include "run/actions.h"
#include "run/place.h"

namespace compose::run {
namespace {

using plan::Kind;
using plan::Step;
using plan::StepId;

/// Steps of one lane that are ready together are one call of the engine.
enum class Lane : uint8_t { keep, pull, build, resource, create, stop, remove, rename, start, signal, hook, wait };

/// The lanes that a step goes through, one after the other.
std::vector<Lane> lanes_of(Kind kind) {
    switch (kind) {
        case Kind::pull: return {Lane::pull};
        case Kind::build: return {Lane::build};
        case Kind::create_network:
        case Kind::remove_network:
        case Kind::create_volume:
        case Kind::remove_volume:
        case Kind::remove_image: return {Lane::resource};
        case Kind::keep: return {Lane::keep};
        case Kind::create: return {Lane::create};
        // The new container is there before the old one ends: a spec that the engine refuses costs no service.
        case Kind::recreate: return {Lane::create, Lane::stop, Lane::remove, Lane::rename};
        case Kind::start: return {Lane::start};
        case Kind::stop: return {Lane::stop};
        case Kind::remove: return {Lane::remove};
        case Kind::rename: return {Lane::rename};
        case Kind::restart: return {Lane::signal};
        case Kind::kill:
        case Kind::pause:
        case Kind::unpause: return {Lane::signal};
        case Kind::post_start:
        case Kind::pre_stop: return {Lane::hook};
        case Kind::wait: return {Lane::wait};
    }
    return {};
}

class Executor {
public:
    explicit Executor(const Work& work) : work_(work), reporter_(work.listener), actions_(work, reporter_) {
        size_t count = work.plan->steps.size();
        states_.resize(count);
        for (size_t i = 0; i < count; ++i) states_[i].lanes = lanes_of(work.plan->steps[i].kind);
        for (const auto& edge : work.plan->edges) {
            ++states_[edge.to - 1].pending;
            states_[edge.from - 1].next.push_back({edge.to, edge.required});
        }
    }

    Done run() {
        std::unique_lock lock(mutex_);
        for (const auto& step : work_.plan->steps) {
            if (step.kind == Kind::pull) unresolved_.insert(step.id);
            if (states_[step.id - 1].pending == 0) ready_.push_back(step.id);
        }
        while (true) {
            take_finished(lock);
            dispatch(lock);
            if (!finished_.empty() || !arrived_.empty()) continue;
            if (running_ == 0) break;
            changed_.wait(lock);
        }
        lock.unlock();
        for (auto& thread : threads_) thread.join();
        for (const auto& step : work_.plan->steps)
            if (!states_[step.id - 1].ended || states_[step.id - 1].skipped) done_.skipped.push_back(step.id);
        done_.interrupted = cancelled();
        done_.ids = actions_.created();
        return std::move(done_);
    }

private:
    struct State {
        std::vector<Lane> lanes;
        size_t stage = 0;
        size_t pending = 0;
        std::vector<std::pair<StepId, bool>> next;  ///< and whether the edge is required
        bool begun = false, ended = false, skipped = false;
    };
    struct Finished {
        StepId step;
        base::Status status;
    };

    State& state(StepId id) { return states_[static_cast<size_t>(id) - 1]; }
    const Step& step(StepId id) const { return work_.plan->step(id); }
    bool cancelled() const { return work_.cancel && work_.cancel->load(); }

    // ---- what has ended ------------------------------------------------------------------------------------------------

    void take_finished(std::unique_lock<std::mutex>& lock) {
        while (!finished_.empty() || !arrived_.empty()) {
            if (!arrived_.empty()) {
                StepId id = arrived_.front();
                arrived_.pop_front();
                if (state(id).ended) continue;
                lock.unlock();
                bool here = actions_.arrived(step(id));
                lock.lock();
                if (here && !state(id).ended) finish(id, {});
                continue;
            }
            Finished finished = std::move(finished_.front());
            finished_.pop_front();
            if (!state(finished.step).ended) finish(finished.step, std::move(finished.status));
        }
    }

    void finish(StepId id, base::Status status) {
        State& now = state(id);
        if (status && ++now.stage < now.lanes.size()) {
            ready_.push_back(id);
            return;
        }
        now.ended = true;
        unresolved_.erase(id);
        bool good = status.has_value();
        if (good) {
            reporter_.end(step(id), created_id(id));
        } else {
            good = failed(id, std::move(status.error()));
        }
        for (auto [next, required] : now.next) {
            if (!good && required)
                skip(next);
            else if (--state(next).pending == 0 && !state(next).skipped)
                ready_.push_back(next);
        }
    }

    std::string created_id(StepId id) {
        const Step& about = step(id);
        if (about.kind != Kind::create && about.kind != Kind::recreate && about.kind != Kind::start) return "";
        return actions_.created(about.new_name.empty() ? about.name : about.new_name);
    }

    /// Records the error; whether those that wait for the step go on all the same.
    bool failed(StepId id, base::Error error) {
        const Step& about = step(id);
        if (about.kind == Kind::remove_network || about.kind == Kind::remove_volume || about.kind == Kind::remove_image)
            if (error.code == base::Code::conflict && state(id).next.empty()) return true;  // told as "still in use"
        if (error.code == base::Code::interrupted && cancelled()) return false;
        if (!error.at) error.at = place_of(*work_.project, about, error);
        if (about.optional) {
            if (about.kind == Kind::pull) reporter_.note(about, "Warning", Phase::warning, error.message());
            if (about.kind == Kind::wait && work_.warn) work_.warn(error.message());
            return false;
        }
        if (about.kind == Kind::pull || about.kind == Kind::build) halted_ = true;
        if (about.kind != Kind::wait) reporter_.fail(about, error.message());
        done_.errors.push_back(std::move(error));
        return false;
    }

    void skip(StepId id) {
        State& now = state(id);
        if (now.ended) return;
        now.ended = now.skipped = true;
        for (auto [next, required] : now.next) {
            if (required)
                skip(next);
            else if (--state(next).pending == 0 && !state(next).skipped)
                ready_.push_back(next);
        }
    }

    // ---- what can begin ------------------------------------------------------------------------------------------------

    bool busy(Lane lane) const { return busy_.contains(lane); }
    /// One call of these at a time: what becomes ready meanwhile goes together into the next.
    static bool exclusive(Lane lane) { return lane == Lane::create || lane == Lane::remove || lane == Lane::resource; }
    /// So short that a thread is not worth its start when there is nothing beside it.
    static bool brief(Lane lane) {
        return lane == Lane::create || lane == Lane::remove || lane == Lane::resource || lane == Lane::rename || lane == Lane::start;
    }

    bool may_begin(StepId id, Lane lane) const {
        const State& now = states_[static_cast<size_t>(id) - 1];
        if (now.stage > 0) return !(exclusive(lane) && busy(lane));  // begun: it is brought to its end
        if (halted_ || cancelled()) return false;
        // Until the registries have answered for every image nothing is made: a missing one leaves nothing half-made.
        if (!unresolved_.empty() && lane != Lane::pull && lane != Lane::build && lane != Lane::keep) return false;
        return !(exclusive(lane) && busy(lane));
    }

    void dispatch(std::unique_lock<std::mutex>& lock) {
        std::map<Lane, std::vector<StepId>> batches;
        std::vector<StepId> later;
        size_t room = work_.parallel < 1 ? SIZE_MAX : static_cast<size_t>(work_.parallel) - std::min(under_way_, static_cast<size_t>(work_.parallel));
        for (StepId id : ready_) {
            Lane lane = state(id).lanes[state(id).stage];
            if (!may_begin(id, lane) || (room == 0 && counts(lane))) {
                later.push_back(id);
                continue;
            }
            if (counts(lane)) --room;
            batches[lane].push_back(id);
        }
        ready_ = std::move(later);
        if (auto kept = batches.find(Lane::keep); kept != batches.end()) {
            for (StepId id : kept->second) finished_.push_back({id, {}});
            batches.erase(kept);
        }
        size_t count = 0;
        for (const auto& [lane, ids] : batches) count += separate(lane) ? ids.size() : 1;
        bool alone = count == 1 && running_ == 0 && finished_.empty() && brief(batches.begin()->first);
        for (const auto& [lane, ids] : batches) {
            if (separate(lane))
                for (StepId id : ids) launch(lock, lane, {id}, false);
            else
                launch(lock, lane, ids, alone);
        }
    }
    /// A thread each: these take their time, each its own.
    static bool separate(Lane lane) { return lane == Lane::hook || lane == Lane::wait || lane == Lane::build || lane == Lane::signal; }

    /// Against the limit of steps under way.
    static bool counts(Lane lane) { return lane != Lane::wait && lane != Lane::keep; }

    void launch(std::unique_lock<std::mutex>& lock, Lane lane, const std::vector<StepId>& ids, bool here) {
        for (StepId id : ids) {
            if (!state(id).begun) reporter_.begin(step(id));
            state(id).begun = true;
        }
        ++running_;
        if (counts(lane)) under_way_ += ids.size();
        busy_.insert(lane);
        if (here) {
            lock.unlock();
            carry_out(lane, ids);
            lock.lock();
        } else {
            threads_.emplace_back([this, lane, ids] { carry_out(lane, ids); });
        }
    }

    void tell(StepId id, base::Status status) {
        std::lock_guard lock(mutex_);
        finished_.push_back({id, std::move(status)});
        changed_.notify_one();
    }

    /// In a thread of its own, or in that of `run`.
    void carry_out(Lane lane, const std::vector<StepId>& ids) {
        Steps steps;
        for (StepId id : ids) steps.push_back(&step(id));
        std::vector<base::Status> statuses;
        switch (lane) {
            case Lane::pull: statuses = pull(steps); break;
            case Lane::build: statuses.push_back(actions_.build(*steps[0])); break;
            case Lane::resource:
                for (const auto* one : steps) statuses.push_back(actions_.resource(*one));
                break;
            case Lane::create: statuses = actions_.create(steps); break;
            case Lane::stop: actions_.stop(steps, [&](size_t i, const base::Status& status) { tell(ids[i], status); }); break;
            case Lane::remove: statuses = actions_.remove(steps); break;
            case Lane::rename:
                for (const auto* one : steps) statuses.push_back(actions_.rename(*one));
                break;
            case Lane::start: statuses = actions_.start(steps); break;
            case Lane::signal: statuses.push_back(actions_.signal(*steps[0])); break;
            case Lane::hook: statuses.push_back(actions_.hook(*steps[0])); break;
            case Lane::wait: statuses.push_back(actions_.wait(*steps[0])); break;
            case Lane::keep: break;
        }
        std::lock_guard lock(mutex_);
        for (size_t i = 0; i < statuses.size(); ++i) finished_.push_back({ids[i], std::move(statuses[i])});
        --running_;
        if (counts(lane)) under_way_ -= ids.size();
        busy_.erase(busy_.find(lane));
        changed_.notify_one();
    }

    std::vector<base::Status> pull(const Steps& steps) {
        return actions_.pull(steps, [&](size_t i, const engine::PullProgress& event) {
            using P = engine::PullProgress::Phase;
            if (event.phase == P::resolving) return;
            std::lock_guard lock(mutex_);
            if (unresolved_.erase(steps[i]->id) != 0 && unresolved_.empty()) changed_.notify_one();
            if (event.phase == P::done && event.layer.empty()) {
                arrived_.push_back(steps[i]->id);
                changed_.notify_one();
            }
        });
    }

    const Work& work_;
    Reporter reporter_;
    Actions actions_;
    std::mutex mutex_;  ///< of all that follows
    std::condition_variable changed_;
    std::vector<State> states_;
    std::vector<StepId> ready_;
    std::list<Finished> finished_;
    std::list<StepId> arrived_;      ///< images that are whole while other pulls go on
    std::set<StepId> unresolved_;    ///< pulls whose registry has not answered
    std::multiset<Lane> busy_;
    size_t running_ = 0;    ///< calls
    size_t under_way_ = 0;  ///< steps in them that count
    bool halted_ = false;
    std::list<std::thread> threads_;
    Done done_;
};

}  // namespace

Done execute(const Work& work) { return Executor(work).run(); }

void rehearse(const Work& work) {
    Reporter reporter(work.listener);
    for (const auto& step : work.plan->steps) {
        reporter.begin(step);
        reporter.end(step);
    }
}

}  // namespace compose::run
