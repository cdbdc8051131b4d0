#pragma once
#include <functional>
#include <string>

#include "base/error.h"

namespace compose::cli {

/// A file that is whole or not there: written beside by `write(fd)`, then renamed. An empty path: standard output.
base::Status write_output(const std::string& path, unsigned mode, const std::function<base::Status(int fd)>& write);

}  // namespace compose::cli
