#pragma once
#include <string>

#include "cli/command.h"

namespace compose::cli {

/// `compose --help`: the commands, the global flags.
std::string help();
/// `compose up --help`.
std::string help(const Command& command);

}  // namespace compose::cli
