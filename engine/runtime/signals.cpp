#include "runtime/signals.h"

#include <signal.h>

#include <array>
#include <cctype>
#include <utility>

#include "base/text.h"

namespace engine::runtime {
namespace {
// signal(7), the names that images use. The kernel's real-time signals are 32 to 64; glibc keeps 32 and 33 for itself, and
// the names count from 34 as Docker's do.
constexpr std::array<std::pair<std::string_view, int>, 36> kNames{{
    {"HUP", 1},     {"INT", 2},     {"QUIT", 3},    {"ILL", 4},   {"TRAP", 5},    {"ABRT", 6},  {"BUS", 7},     {"FPE", 8},
    {"KILL", 9},    {"USR1", 10},   {"SEGV", 11},   {"USR2", 12}, {"PIPE", 13},   {"ALRM", 14}, {"TERM", 15},   {"STKFLT", 16},
    {"CHLD", 17},   {"CONT", 18},   {"STOP", 19},   {"TSTP", 20}, {"TTIN", 21},   {"TTOU", 22}, {"URG", 23},    {"XCPU", 24},
    {"XFSZ", 25},   {"VTALRM", 26}, {"PROF", 27},   {"WINCH", 28}, {"IO", 29},    {"PWR", 30},  {"SYS", 31},    {"IOT", 6},
    {"CLD", 17},    {"POLL", 29},   {"RTMIN", 34},  {"RTMAX", 64},
}};
constexpr int kRealTimeFirst = 34, kLast = 64;
}  // namespace

std::optional<int> parse_signal(std::string_view text) {
    if (auto number = base::parse_int(text)) {
        if (*number < 1 || *number > kLast || text.front() == '+') return std::nullopt;
        return static_cast<int>(*number);
    }
    std::string name;
    for (char c : text) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (name.starts_with("SIG")) name.erase(0, 3);
    for (auto [known, number] : kNames)
        if (name == known) return number;
    auto offset = [&](std::string_view prefix, char sign) -> std::optional<int64_t> {
        if (!name.starts_with(prefix) || name.size() < prefix.size() + 2 || name[prefix.size()] != sign) return std::nullopt;
        std::string_view digits = std::string_view(name).substr(prefix.size() + 1);
        if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
        return base::parse_int(digits);
    };
    if (auto up = offset("RTMIN", '+'); up && *up <= kLast - kRealTimeFirst) return kRealTimeFirst + static_cast<int>(*up);
    if (auto down = offset("RTMAX", '-'); down && *down <= kLast - kRealTimeFirst) return kLast - static_cast<int>(*down);
    return std::nullopt;
}

std::string signal_name(int number) {
    for (auto [known, value] : kNames)
        if (value == number) return "SIG" + std::string(known);
    if (number > kRealTimeFirst && number < kLast) {
        int middle = (kRealTimeFirst + kLast) / 2;
        return number <= middle ? "SIGRTMIN+" + std::to_string(number - kRealTimeFirst) : "SIGRTMAX-" + std::to_string(kLast - number);
    }
    return std::to_string(number);
}

}  // namespace engine::runtime
