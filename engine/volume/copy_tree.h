#pragma once
// A faithful copy of one tree into an empty folder.
#include "base/error.h"

namespace engine::volume {

/// Copies what is below the folder `from` into the folder `to`: owners, modes, times, xattrs (but overlayfs's own), links, hard
/// links, devices and FIFOs; sockets are left out. Both are walked by folder fds; no link is followed.
base::Status copy_tree(int from, int to);
/// Owner, group, mode, times and xattrs of one open file or folder to another.
base::Status copy_attributes(int from, int to);

}  // namespace engine::volume
