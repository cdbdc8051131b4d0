#pragma once
// What `cp` and `container cp` share: the two ends of a copy between a container and this machine.
#include <string>

#include "base/error.h"
#include "engine/engine.h"

namespace compose::cli {

/// `CONTAINER:PATH` (of a service: `SERVICE:PATH`), or a path of this machine (container empty). What has a slash before the
/// colon is a path of this machine.
struct CopyPlace {
    std::string container, path;
};
CopyPlace copy_place(const std::string& text);

/// `source` of this machine ("-": a tar on standard input) to `target` in the container, with docker cp's rules for folders.
base::Status copy_to_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow);
/// `source` in the container to `target` of this machine ("-": a tar on standard output).
base::Status copy_from_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow);

}  // namespace compose::cli
