#pragma once
// Room for the state on a full disk: a file that is there to be removed. Without it nothing could be taken down any more,
// which is what would free the disk.
#include "store/paths.h"

namespace engine::store {

/// Makes ROOT/reserve when it is absent and the disk has room to spare; never an error.
void keep_reserve(const Paths& paths);
/// Gives its room back to the file system.
void release_reserve(const Paths& paths);

}  // namespace engine::store
