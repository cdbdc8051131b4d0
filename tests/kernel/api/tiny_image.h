#pragma once
// A docker-archive of one layer with a static busybox: the image of these tests, made without network or tools.
#include <string>

#include "base/error.h"

namespace engine::api::testing {

/// Writes the archive to an unlinked temporary file and returns its fd at offset 0; the tag is "tiny:1". not_found without
/// a static busybox on this machine.
base::Result<base::UniqueFd> tiny_image();

/// One file of a tar stream (ustar).
struct TarEntry {
    std::string name;
    std::string content;
    char type = '0';  ///< '0' file, '2' link (content is its target), '5' folder
    unsigned mode = 0644;
    unsigned uid = 0, gid = 0;
};
std::string tar_of(const std::vector<TarEntry>& entries);
/// Name → content of the regular files, name → "" of others, of a tar stream without extensions but pax.
std::map<std::string, std::string> read_tar(const std::string& bytes);

}  // namespace engine::api::testing
