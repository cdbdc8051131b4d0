#pragma once
// Whether and when a container that ended is started again; pure. Docker's rules (behaviour.md §5): pauses of 100 ms,
// doubled each time up to a minute; a run longer than 10 s begins again at the first pause.
#include <chrono>
#include <optional>

#include "engine/types.h"

namespace engine::supervisor {

struct RestartInput {
    RestartPolicy policy;
    int exit_code = 0;
    bool stopped_by_user = false;
    int restart_count = 0;          ///< restarts by policy so far
    Nanoseconds ran_for{0};
};

class RestartBackoff {
public:
    /// The pause before the next start; nullopt: it stays ended.
    std::optional<Nanoseconds> decide(const RestartInput& input);
    /// A start by a person: the pauses begin anew.
    void reset() { next_ = kFirst; }
    /// After a change of supervisor: as if `restart_count` quick restarts had been.
    void resume(int restart_count);

    static constexpr Nanoseconds kFirst = std::chrono::milliseconds(100);
    static constexpr Nanoseconds kLongest = std::chrono::minutes(1);
    static constexpr Nanoseconds kGoodRun = std::chrono::seconds(10);

private:
    Nanoseconds next_ = kFirst;
};

}  // namespace engine::supervisor
