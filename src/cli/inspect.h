#pragma once
// Objects in the shape of Docker's API, for `inspect`.
#include <boost/json.hpp>
#include <string>
#include <vector>

#include "cli/format.h"
#include "engine/engine.h"

namespace compose::cli {

/// A container as `docker container inspect` shows it (GET /containers/{id}/json); `size`: with SizeRw and SizeRootFs.
Row container_json(engine::Engine& engine, const engine::ContainerInfo& container, bool size);

/// "": one indented array; "json": the array on one line; a template: a line an object.
base::Result<std::string> render_objects(const std::vector<Row>& objects, const std::string& format);

}  // namespace compose::cli
