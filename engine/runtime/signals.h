#pragma once
// Signal names and numbers, as people and images write them.
#include <optional>
#include <string>
#include <string_view>

namespace engine::runtime {

/// "SIGTERM", "term", "15", "RTMIN+3", "SIGRTMAX-1"; nullopt when there is no such signal. 0 is not a signal.
std::optional<int> parse_signal(std::string_view text);
/// "SIGTERM", "SIGRTMIN+3"; the number itself when it has no name.
std::string signal_name(int number);

}  // namespace engine::runtime
