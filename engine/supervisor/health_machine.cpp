#include "supervisor/health_machine.h"

#include <algorithm>

namespace engine::supervisor {
namespace {

constexpr Nanoseconds kFirstStep = std::chrono::milliseconds(100);
constexpr Nanoseconds kLongestStep = std::chrono::seconds(2);
constexpr Nanoseconds kLongInterval = std::chrono::seconds(30);
constexpr Nanoseconds kPatience = std::chrono::seconds(2);

}  // namespace

HealthMachine::HealthMachine(const HealthCheck& check, TimePoint started) : check_(check), started_(started), next_(started), step_(kFirstStep) {
    if (check_.interval > kLongInterval && check_.start_period.count() == 0) {
        next_ = started + kPatience;
        step_ = kPatience;
    }
}

void HealthMachine::resume(HealthStatus status, int failing_streak) {
    status_ = status;
    streak_ = failing_streak;
    ever_passed_ = status == HealthStatus::healthy;
}

/// Before a first success, as long as neither an interval nor the start period is over.
bool HealthMachine::early(TimePoint time) const {
    return !ever_passed_ && status_ == HealthStatus::starting && time - started_ < std::max(check_.interval, check_.start_period);
}

HealthMachine::Verdict HealthMachine::probed(bool passed, TimePoint began, TimePoint ended) {
    const HealthStatus before = status_;
    const bool was_early = early(began);
    if (passed) {
        ever_passed_ = true;
        streak_ = 0;
        status_ = HealthStatus::healthy;
    } else if (!was_early && (ever_passed_ || began - started_ >= check_.start_period)) {
        streak_++;
        if (streak_ >= check_.retries) status_ = HealthStatus::unhealthy;
    }
    if (early(ended) && !passed) {
        // Short steps, but never longer than what was asked for.
        Nanoseconds longest = std::min({kLongestStep, check_.interval, check_.start_period.count() != 0 ? check_.start_interval : kLongestStep});
        next_ = ended + std::min(step_, longest);
        step_ = std::min(step_ * 2, kLongestStep);
        // The first probe that counts comes when Docker's first one would.
        if (next_ > started_ + check_.interval && ended < started_ + check_.interval && check_.start_period.count() == 0)
            next_ = started_ + check_.interval;
    } else {
        next_ = ended + check_.interval;
    }
    return {status_ != before, status_, streak_};
}

}  // namespace engine::supervisor
