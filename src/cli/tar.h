#pragma once
// Tar streams on this side of `cp`: packing a host path, unpacking to one. Numeric owners, no extended attributes.
#include <string>

#include "base/error.h"

namespace compose::cli {

struct PackOptions {
    std::string name;          ///< what the topmost entry is called; empty: only the content of a folder
    bool follow_link = false;  ///< the source itself, when it is a link
};
/// Writes `path` and all below it as a tar to `fd`.
base::Status pack(const std::string& path, const PackOptions& options, int fd);

struct UnpackOptions {
    std::string strip;   ///< the topmost entry's name in the stream, replaced by `name`
    std::string name;    ///< empty: the content goes into the folder itself
};
/// Extracts a tar from `fd` below `folder`; nothing can be written outside of it. Files belong to the caller, modes are kept.
base::Status unpack(int fd, const std::string& folder, const UnpackOptions& options);

}  // namespace compose::cli
