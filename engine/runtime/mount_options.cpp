#include "runtime/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>

namespace engine::runtime {
namespace {
using base::Code;

struct Word {
    std::string_view name;
    uint64_t set, clear;
};
constexpr Word kWords[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},         {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},     {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},       {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},     {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"relatime", 0, MOUNT_ATTR__ATIME},   {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
};
constexpr std::string_view kTmpfsKeys[] = {"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge", "inode32", "inode64"};
}  // namespace

base::Result<MountOptions> tmpfs_options(const Mount& mount) {
    MountOptions out;
    out.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (mount.read_only) out.attributes |= MOUNT_ATTR_RDONLY;
    auto set = [&](std::string key, std::string value) {
        for (size_t i = 0; i < out.filesystem.size(); i += 2)
            if (out.filesystem[i] == key) {
                out.filesystem[i + 1] = value;
                return;
            }
        out.filesystem.push_back(std::move(key));
        out.filesystem.push_back(std::move(value));
    };
    set("mode", "1777");
    if (mount.tmpfs_size) set("size", std::to_string(*mount.tmpfs_size));
    if (mount.tmpfs_mode) {
        char text[12];
        snprintf(text, sizeof text, "%o", *mount.tmpfs_mode & 07777U);
        set("mode", text);
    }
    for (const std::string& option : base::split(mount.tmpfs_options, ',')) {
        // Words that change nothing on a tmpfs, which Docker takes too.
        static constexpr std::string_view kNothing[] = {"", "defaults", "tmpcopyup", "notmpcopyup", "sync", "async", "dirsync", "mand", "nomand"};
        if (std::find(std::begin(kNothing), std::end(kNothing), option) != std::end(kNothing)) continue;
        if (auto word = std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& known) { return known.name == option; }); word != std::end(kWords)) {
            out.attributes = (out.attributes & ~word->clear) | word->set;
            continue;
        }
        auto [key, value] = base::cut(option, '=');
        if (std::find(std::begin(kTmpfsKeys), std::end(kTmpfsKeys), key) == std::end(kTmpfsKeys)) {
            if (auto flags = propagation_flags(key); flags && !value) continue;  // a new tmpfs has nothing below to share
            return base::fail(Code::invalid, "invalid tmpfs option [" + base::quote(option) + "] for " + base::quote(mount.target));
        }
        set(key, value.value_or(""));
    }
    return out;
}

base::Result<uint64_t> propagation_flags(std::string_view name) {
    if (name.empty()) return uint64_t{0};
    uint64_t rec = name[0] == 'r' ? MS_REC : 0;
    if (name == "rprivate" || name == "private") return MS_PRIVATE | rec;
    if (name == "rslave" || name == "slave") return MS_SLAVE | rec;
    if (name == "rshared" || name == "shared") return MS_SHARED | rec;
    return base::fail(Code::invalid, "invalid mount propagation " + base::quote(name));
}

}  // namespace engine::runtime
