#pragma once
// Whether PID 1 of a container can hear its stop signal. The kernel drops a signal whose action is the default for the first
// process of a pid namespace: waiting for it is waiting in vain (pains.md 3).
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace engine::supervisor {

/// From /proc/PID/status.
struct SignalMasks {
    uint64_t blocked = 0, ignored = 0, caught = 0;
    uint64_t switches = 0;        ///< how often it gave the processor away: one that sets itself up does
    bool asleep = false;
    bool namespace_init = false;  ///< PID 1 of its own namespace (NSpid ends in 1 and has an outer pid)
    bool has(uint64_t mask, int signal) const { return signal >= 1 && signal <= 64 && ((mask >> (signal - 1)) & 1) != 0; }
};
std::optional<SignalMasks> parse_signal_masks(std::string_view proc_status);
base::Result<SignalMasks> read_signal_masks(pid_t pid);

/// heard: caught or blocked (it may be fetched by signalfd or sigwait), ignored on purpose (gets its grace period), or not
/// the first process of a namespace. SIGKILL and SIGSTOP need no handler.
bool hears(const SignalMasks& masks, int signal);

/// `web-1: its PID 1 has no handler for SIGTERM, which the kernel therefore drops: killed at once. "init: true" …`
std::string deaf_note(const std::string& container_name, int signal);

}  // namespace engine::supervisor
