#pragma once
// Handing open files to others: terminals to a console socket, seccomp listeners to their agent.
#include <string>
#include <vector>

#include "base/error.h"

namespace engine::oci {

/// Connects to an AF_UNIX stream socket and sends `text` with the files.
base::Status send_files(const std::string& socket, const std::string& text, const std::vector<int>& files);
/// The master of a terminal, with the slave's name as text (what runc's clients expect).
base::Status send_terminal(const std::string& socket, int master);

}  // namespace engine::oci
