// Volumes of the local driver with options: mounted by the kernel's new mount API, as `mount -t TYPE -o O DEVICE` would.
#include <fcntl.h>
#include <netdb.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "volume/volume_store.h"

namespace engine::volume {
namespace {

std::string option(const VolumeInfo& volume, const char* key) {
    auto found = volume.spec.driver_options.find(key);
    return found == volume.spec.driver_options.end() ? std::string() : found->second;
}

struct Flag {
    std::string_view name;
    uint64_t set, clear;
};
constexpr Flag kFlags[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},          {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},      {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},        {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},      {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, 0},    {"relatime", 0, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, 0}, {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"defaults", 0, 0},
};

/// The o= list, parted into flags of the mount and options of the file system.
struct Parsed {
    uint64_t attributes = 0;
    bool bind = false, recursive = false;
    std::vector<std::pair<std::string, std::optional<std::string>>> options;
};

Parsed parse(const std::string& text) {
    Parsed parsed;
    for (const auto& part : base::split(text, ',')) {
        if (part.empty()) continue;
        if (part == "bind" || part == "rbind") {
            parsed.bind = true;
            parsed.recursive = part == "rbind";
            continue;
        }
        bool is_flag = false;
        for (const auto& flag : kFlags)
            if (part == flag.name) {
                parsed.attributes = (parsed.attributes | flag.set) & ~flag.clear;
                is_flag = true;
            }
        if (!is_flag) parsed.options.push_back(base::cut(part, '='));
    }
    return parsed;
}

/// The kernel's nfs takes only numbers; mount.nfs looks the name up, and so does Docker.
std::string resolve_address(const std::string& host) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || !found) return host;
    char text[NI_MAXHOST] = "";
    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return *text ? text : host;
}

/// What the kernel wrote about a failed fsconfig: "e tmpfs: Bad value for 'size'".
std::string kernel_words(int fs) {
    char text[512];
    std::string words;
    for (ssize_t n; (n = read(fs, text, sizeof text)) > 0;) {
        std::string line = base::trim(std::string_view(text, static_cast<size_t>(n)));
        if (line.size() > 2) words += (words.empty() ? ": " : "; ") + base::printable(line.substr(2));
    }
    return words;
}

base::Result<base::MountFd> make_mount(const VolumeInfo& volume, const std::string& type, const std::string& device, const Parsed& parsed) {
    std::string doing = "mount volume \"" + volume.spec.name + "\" (type " + type + ", device " + device + ")";
    base::UniqueFd fs(fsopen(type.c_str(), FSOPEN_CLOEXEC));
    if (!fs) {
        if (errno == ENODEV) return base::fail(base::Code::unsupported_kernel, doing + ": the kernel has no file system \"" + base::printable(type) + "\"");
        return base::fail_errno(doing);
    }
    auto set = [&](const char* key, const std::optional<std::string>& value) -> base::Status {
        int done = value ? fsconfig(fs.get(), FSCONFIG_SET_STRING, key, value->c_str(), 0) : fsconfig(fs.get(), FSCONFIG_SET_FLAG, key, nullptr, 0);
        if (done == 0) return {};
        int error = errno;
        return base::fail_errno(doing + ": option " + key + (value ? "=" + *value : "") + kernel_words(fs.get()), error);
    };
    TRY_VOID(set("source", device));
    if ((parsed.attributes & MOUNT_ATTR_RDONLY) != 0) TRY_VOID(set("ro", std::nullopt));
    for (const auto& [key, value] : parsed.options) {
        if (type.starts_with("nfs") && key == "addr" && value)
            TRY_VOID(set("addr", resolve_address(*value)));
        else
            TRY_VOID(set(key.c_str(), value));
    }
    if (fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        int error = errno;
        return base::fail_errno(doing + kernel_words(fs.get()), error);
    }
    base::MountFd mount(fsmount(fs.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(parsed.attributes)));
    if (!mount) return base::fail_errno(doing);
    return mount;
}

base::Result<base::MountFd> clone_folder(const VolumeInfo& volume, const std::string& path, bool recursive, uint64_t attributes) {
    base::MountFd mount(open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)));
    if (!mount) return base::fail_errno("volume \"" + volume.spec.name + "\": open \"" + path + "\"");
    if (attributes != 0) {
        mount_attr change{};
        change.attr_set = attributes;
        if (attributes & (MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME)) change.attr_clr = MOUNT_ATTR__ATIME;
        if (mount_setattr(mount.get(), "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &change, sizeof change) != 0)
            return base::fail_errno("volume \"" + volume.spec.name + "\": set mount flags");
    }
    return mount;
}

bool is_mount_point(const std::string& path) {
    struct statx status;
    return statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, 0, &status) == 0 && (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

bool has_own_mount(const VolumeInfo& volume) { return !option(volume, "device").empty() && !option(volume, "type").empty(); }

base::Result<base::MountFd> open_volume(const VolumeInfo& volume) {
    if (!has_own_mount(volume)) return clone_folder(volume, volume.path, false, 0);
    std::string type = option(volume, "type"), device = option(volume, "device");
    Parsed parsed = parse(option(volume, "o"));
    if (parsed.bind || type == "bind" || type == "rbind") {
        if (!base::exists(device))
            return base::fail(base::Code::not_found, "failed to mount local volume: mount " + device + ":" + volume.path + ": no such file or directory");
        return clone_folder(volume, device, parsed.recursive || type == "rbind", parsed.attributes);
    }
    if (type != "tmpfs" && type != "ramfs") return make_mount(volume, type, device, parsed);
    // Memory is shared by the containers that use the volume at one time: mounted once, on its folder, until the last one goes.
    auto lock = TRY(base::FileLock::acquire(volume.path.substr(0, volume.path.rfind('/')) + "/.lock"));
    if (!is_mount_point(volume.path)) {
        base::MountFd mount = TRY(make_mount(volume, type, device, parsed));
        if (move_mount(mount.get(), "", AT_FDCWD, volume.path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
            return base::fail_errno("mount volume \"" + volume.spec.name + "\" on \"" + volume.path + "\"");
    }
    return clone_folder(volume, volume.path, false, 0);
}

}  // namespace engine::volume
