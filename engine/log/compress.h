#pragma once
// Segments that rotation has closed are packed (zstd): N.out becomes N.out.zst. Whatever is killed in between, one of the
// two is there and whole. Done by one thread of the lowest priority, so that it never takes time from a container.
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace engine::log {

/// Packs a segment's files soon, in the background. Of files that cannot be packed the plain ones stay.
void pack_later(const std::string& folder, uint32_t number);
/// The bytes of a packed file, in memory, as an fd that can be read at any place.
base::Result<base::UniqueFd> unpack(int packed);
/// "000001.out.zst"
std::string packed_file(uint32_t number, const char* suffix);

}  // namespace engine::log
