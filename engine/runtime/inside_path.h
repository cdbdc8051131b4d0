#pragma once
// Paths inside a container's root, as words.
#include <string>
#include <string_view>

namespace engine::runtime {

/// runc's list: what lxcfs and the like mount over; anything else below /proc is refused (CVE-2019-16884 and its kin).
inline constexpr std::string_view kProcFiles[] = {"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
                                             "/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"};

/// Absolute and without "." and "..". Lexical: the kernel resolves links later, inside the root.
std::string clean_path(std::string_view path);

}  // namespace engine::runtime
