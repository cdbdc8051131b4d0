#include "base/process_age.h"

#include <time.h>
#include <unistd.h>

namespace base {

std::chrono::nanoseconds process_age(uint64_t start_ticks) {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return process_age(start_ticks, std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec), ::sysconf(_SC_CLK_TCK));
}

std::chrono::nanoseconds process_age(uint64_t start_ticks, std::chrono::nanoseconds since_boot, int64_t ticks_a_second) {
    if (ticks_a_second <= 0) return {};
    const auto tick = static_cast<uint64_t>(1'000'000'000 / ticks_a_second);
    // Ticks are coarse, and what is not of this boot may be any number.
    if (start_ticks >= static_cast<uint64_t>(since_boot.count()) / tick) return {};
    return since_boot - std::chrono::nanoseconds(start_ticks * tick);
}

}  // namespace base
