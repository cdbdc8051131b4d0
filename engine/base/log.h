#pragma once
// Logging of the tool itself, to stderr; level by COMPOSE_LOG or --debug. Libraries log at debug only.
#include <string>
#include <string_view>

namespace base::log {

enum class Level { debug, info, warn, error, off };

/// Takes effect for the whole process. Default: warn, or what COMPOSE_LOG names.
void set_level(Level level);
/// Sends the lines to a file instead of stderr (the supervisor's).
void to_file(const std::string& path);
bool debug_enabled();

void debug(std::string_view text);
void info(std::string_view text);
void warn(std::string_view text);
void error(std::string_view text);

}  // namespace base::log
