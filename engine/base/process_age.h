#pragma once
// How long a process runs, by a clock that nobody sets.
#include <chrono>
#include <cstdint>

namespace base {

/// From its start time in /proc/PID/stat (ticks since the boot).
std::chrono::nanoseconds process_age(uint64_t start_ticks);
/// The same, pure.
std::chrono::nanoseconds process_age(uint64_t start_ticks, std::chrono::nanoseconds since_boot, int64_t ticks_a_second);

}  // namespace base
