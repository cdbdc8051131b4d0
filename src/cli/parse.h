#pragma once
// The command line as typed → what it means. Unknown flags and commands come back as errors with the closest known word.
#include "cli/command.h"

namespace compose::cli {

/// The flags before the command's name.
std::span<const Flag> global_flags();

/// `operands` of the answer are the command's name and all that follows it, untouched.
Result<Arguments> parse_globals(const std::vector<std::string>& words);
/// `words` follow the command's name. A boolean "help" is always among the values when asked for.
Result<Arguments> parse_command(const Command& command, const std::vector<std::string>& words);
/// `unknown command "upp"; did you mean "up"?`
Error unknown_command(std::string_view name);

}  // namespace compose::cli
