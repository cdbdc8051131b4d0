#pragma once
// When a container's health is probed and what follows from the results; pure: times come in, the next probe's time goes out.
//
// Docker probes first after a whole interval (pains.md 4). Here the first probe comes at once, then in short growing steps
// until the first success or until an interval has passed since the start: these early probes can make the container
// healthy but never count towards `retries`. With an interval over 30 s and no start_period the first comes after 2 s: such a
// check may be costly. Within start_period probes come every start_interval and failures do not count (compose-spec
// 05-services.md, healthcheck); afterwards every interval, counted from the END of a probe.
#include <chrono>
#include <optional>

#include "engine/types.h"

namespace engine::supervisor {

class HealthMachine {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// `check` with its defaults filled in.
    HealthMachine(const HealthCheck& check, TimePoint started);
    /// Goes on for a container that had this state under an earlier supervisor.
    void resume(HealthStatus status, int failing_streak);

    /// When the next probe begins.
    TimePoint next() const { return next_; }
    struct Verdict {
        bool changed = false;  ///< the status is another one: an event
        HealthStatus status = HealthStatus::starting;
        int failing_streak = 0;
    };
    /// A probe that began and ended then.
    Verdict probed(bool passed, TimePoint began, TimePoint ended);

private:
    bool early(TimePoint time) const;

    HealthCheck check_;
    TimePoint started_, next_;
    Nanoseconds step_;
    HealthStatus status_ = HealthStatus::starting;
    int streak_ = 0;
    bool ever_passed_ = false;
};

}  // namespace engine::supervisor
