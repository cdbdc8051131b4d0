#pragma once
// What stands below a container's own layer.
#include <string>
#include <vector>

#include "base/error.h"

namespace engine::supervisor {

/// The image's layers (lowest first) and, above them, one layer of mount points as Docker's "-init" one (.dockerenv, /dev,
/// /proc, /sys, /etc/hosts …), made once below `root`: what each start would otherwise make in the container's own layer, which
/// costs a quarter of a start on ext4 and would show in `diff`. Left out where it would hide a link of the image.
base::Result<std::vector<std::string>> root_layers(const std::string& root, std::vector<std::string> image_layers);

}  // namespace engine::supervisor
