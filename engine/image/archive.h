#pragma once
// Tar streams of trees and trees of tar streams, for cp, export, commit and builds. Everything goes by folder fds: no name of
// a container is ever resolved outside of its root (moby 2018-15664, 2019-14271, 2021-41089).
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"

namespace engine::image {

/// Takes the next bytes of a stream.
using Sink = std::function<base::Status(std::string_view)>;
/// Gives the next bytes of a stream, valid until the next call; empty at the end.
using Source = std::function<base::Result<std::string_view>()>;

/// A sink that writes to an fd / a source that reads from one (neither closes it).
Sink to_fd(int fd);
Source from_fd(int fd);

struct PackOptions {
    std::string name;         ///< name of the top entry; empty: entries are named relative to the folder, without one for it
    bool whiteouts = false;   ///< layer of an overlay upper folder: its marks become `.wh.` entries; else marks are left out
    bool one_device = false;  ///< do not descend into other file systems: their mount points are packed as empty folders
    bool folder_times = true;  ///< else folders have no time: those that an archive only implies get the time of unpacking
    std::optional<std::pair<uint32_t, uint32_t>> owner;  ///< instead of the files' own
    std::function<bool(const std::string& path)> skip;   ///< paths relative to the top, "a/b"; true leaves it (and below) out
    const std::atomic<bool>* cancel = nullptr;
};

/// The tree below an open folder, in the order of names: the same tree gives the same bytes. Hard links, xattrs, nanoseconds,
/// devices and FIFOs are kept; sockets are left out.
base::Status pack_tree(int folder, const PackOptions& options, const Sink& sink);
/// `path` inside `root` (a file, folder or link), as `docker cp` sends it: the top entry is named after the last component
/// ("" or "." at the end: the folder's content under "./"). With follow_link a link at the end is followed inside the root.
base::Status pack_path(int root, const std::string& path, bool follow_link, const PackOptions& options, const Sink& sink);

/// How much an archive may hold; 0 is without bound.
struct ArchiveLimits {
    uint64_t entries = 5'000'000;
    uint64_t bytes = uint64_t{1} << 40;
    size_t path = 4096;
    unsigned depth = 1000;
};

struct ExtractOptions {
    bool layer = false;           ///< an image layer: `.wh.` entries become overlay marks
    bool keep_owner = true;       ///< else files belong to `owner`
    std::pair<uint32_t, uint32_t> owner{0, 0};
    bool allow_devices = true;    ///< else a device entry is an error
    bool replace_kind = true;     ///< a folder may become a file and a file a folder; else an error as in `docker cp`
    std::string subject;          ///< for errors: `layer sha256:…`
    ArchiveLimits limits;
    std::function<std::optional<std::string>(std::string)> rename;  ///< new path of an entry, nullopt leaves it out
    const std::atomic<bool>* cancel = nullptr;
};

struct Extracted {
    uint64_t entries = 0;
    uint64_t bytes = 0;  ///< sum of the files' sizes
    /// Hard links whose target is not in the archive: (target, link), relative to the root. Only for layers: the target is in
    /// a layer below.
    std::vector<std::pair<std::string, std::string>> links_below;
};

/// Extracts below the folder `root`. An entry that would leave it through `..`, and a link whose target does, is `corrupt`
/// naming the entry; absolute names and links in the path stay inside (openat2 RESOLVE_IN_ROOT). Reads the stream to its end.
base::Result<Extracted> extract_tar(int root, const Source& source, const ExtractOptions& options);
/// As `docker cp` receives it: below `path` in `root`, which must be a folder.
base::Status extract_into(int root, const std::string& path, const Source& source, const ExtractOptions& options);

/// Name, mode (Go's bits as in Docker's X-Docker-Container-Path-Stat are the caller's), size, time and link of a path in a root.
/// not_found: `Could not find the file PATH`.
base::Result<Engine::PathStat> stat_path(int root, const std::string& path);

}  // namespace engine::image
