#include "supervisor/stop_decision.h"

#include <signal.h>

#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "runtime/signals.h"

namespace engine::supervisor {
namespace {

std::optional<std::string_view> field(std::string_view status, std::string_view name) {
    size_t at = 0;
    while (at < status.size()) {
        size_t end = std::min(status.find('\n', at), status.size());
        std::string_view line = status.substr(at, end - at);
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
            line.remove_prefix(name.size() + 1);
            while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
            return line;
        }
        at = end + 1;
    }
    return std::nullopt;
}

bool mask(std::string_view status, std::string_view name, uint64_t& into) {
    auto text = field(status, name);
    return text && std::from_chars(text->data(), text->data() + text->size(), into, 16).ec == std::errc{};
}

}  // namespace

std::optional<SignalMasks> parse_signal_masks(std::string_view status) {
    SignalMasks masks;
    // Blocked by the one thread that /proc/PID/status speaks of, the first: where a program waits for signals.
    if (!mask(status, "SigBlk", masks.blocked) || !mask(status, "SigIgn", masks.ignored) || !mask(status, "SigCgt", masks.caught)) return std::nullopt;
    for (const char* name : {"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"}) {
        uint64_t number = 0;
        if (auto text = field(status, name)) (void)std::from_chars(text->data(), text->data() + text->size(), number);
        masks.switches += number;
    }
    if (auto state = field(status, "State")) masks.asleep = state->starts_with("S");
    if (auto pids = field(status, "NSpid")) {
        size_t tab = pids->find_last_of("\t ");
        masks.namespace_init = tab != std::string_view::npos && pids->substr(tab + 1) == "1";
    }
    return masks;
}

base::Result<SignalMasks> read_signal_masks(pid_t pid) {
    auto text = TRY(base::read_file("/proc/" + std::to_string(pid) + "/status", 64 * 1024));
    auto masks = parse_signal_masks(text);
    if (!masks) return base::fail(base::Code::corrupt, "status of process " + std::to_string(pid) + " has no signal masks");
    return *masks;
}

bool hears(const SignalMasks& masks, int signal) {
    if (signal == SIGKILL || signal == SIGSTOP || !masks.namespace_init) return true;
    return masks.has(masks.caught, signal) || masks.has(masks.blocked, signal) || masks.has(masks.ignored, signal);
}

std::string deaf_note(const std::string& container_name, int signal) {
    return container_name + ": PID 1 has no handler for " + runtime::signal_name(signal) +
           ", and the kernel drops it then: killed without waiting (\"init: true\" makes it stop gently)";
}

}  // namespace engine::supervisor
