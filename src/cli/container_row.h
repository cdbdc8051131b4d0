#pragma once
// A container as a row of `ps` and `container ls`.
#include <boost/json.hpp>
#include <string>

#include "cli/format.h"
#include "engine/types.h"

namespace compose::cli {

/// Fields as `docker compose ps --format json` has them; `whole`: ids and commands are not cut.
Row container_row(const engine::ContainerInfo& container, const std::string& project, engine::Time now, bool whole);

}  // namespace compose::cli
