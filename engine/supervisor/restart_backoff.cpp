#include "supervisor/restart_backoff.h"

#include <algorithm>

namespace engine::supervisor {

std::optional<Nanoseconds> RestartBackoff::decide(const RestartInput& input) {
    if (input.stopped_by_user) return std::nullopt;
    const auto& policy = input.policy;
    bool again = policy.name == "always" || policy.name == "unless-stopped";
    if (policy.name == "on-failure")
        again = input.exit_code != 0 && (policy.maximum_retries == 0 || input.restart_count < policy.maximum_retries);
    if (!again) return std::nullopt;
    if (input.ran_for >= kGoodRun) next_ = kFirst;
    Nanoseconds pause = next_;
    next_ = std::min(next_ * 2, kLongest);
    return pause;
}

void RestartBackoff::resume(int restart_count) {
    next_ = kFirst;
    for (int i = 0; i < restart_count && next_ < kLongest; i++) next_ = std::min(next_ * 2, kLongest);
}

}  // namespace engine::supervisor
