// Device nodes: the spec's and, for privileged containers, the host's. Made in the container's own /dev by folder fd.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "base/text.h"
#include "runtime/mount_plan.h"

namespace engine::runtime {
namespace {
using base::Code;

constexpr int kMaxDepth = 8;

/// mknod's device number is the kernel's "new" encoding.
uint64_t encode(dev_t device) {
    uint64_t high = major(device), low = minor(device);
    return (low & 0xff) | (high << 8) | ((low & ~uint64_t{0xff}) << 12);
}

bool is_standard(std::string_view name) {
    static const std::set<std::string_view> kNames{"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue",
                                                   "fd",   "stdin", "stdout", "stderr", "core", ".lxc", ".lxd-mounts", ".udev"};
    return kNames.contains(name);
}

void add_node(PlanData& plan, int16_t dev_slot, const std::string& target, const struct stat& info) {
    bool below_dev = target.starts_with("/dev/");
    Step& step = plan.add(Op::make_node, below_dev ? std::string_view(target).substr(5) : std::string_view(target), kReplace);
    step.at = below_dev ? dev_slot : int16_t{-1};
    step.a = info.st_mode;
    step.b = S_ISFIFO(info.st_mode) ? 0 : encode(info.st_rdev);
    step.c = static_cast<uint64_t>(info.st_uid) | static_cast<uint64_t>(info.st_gid) << 32;
}

/// Nodes of a host folder and those below; links and sockets are left out, as runc does.
base::Status add_folder(PlanData& plan, int16_t dev_slot, const std::string& source, const std::string& target, bool whole_dev, int depth) {
    if (depth > kMaxDepth) return {};
    auto names = base::list_dir(source);
    if (!names) return {};  // gone meanwhile: host devices come and go
    for (const std::string& name : *names) {
        if (whole_dev && depth == 0 && is_standard(name)) continue;
        struct stat info{};
        std::string path = source + "/" + name;
        if (::lstat(path.c_str(), &info) != 0) continue;
        if (S_ISDIR(info.st_mode))
            TRY_VOID(add_folder(plan, dev_slot, path, target + "/" + name, whole_dev, depth + 1));
        else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
            add_node(plan, dev_slot, target + "/" + name, info);
    }
    return {};
}
}  // namespace

base::Status add_devices(PlanData& plan, const ContainerSpec& spec, int16_t dev_slot) {
    if (spec.privileged) TRY_VOID(add_folder(plan, dev_slot, "/dev", "/dev", true, 0));
    for (const Device& device : spec.devices) {
        std::string target = device.target.empty() ? device.source : device.target;
        if (target.empty() || target[0] != '/') return base::fail(Code::invalid, "device " + base::quote(target) + ": the path in the container must be absolute");
        struct stat info{};
        if (::stat(device.source.c_str(), &info) != 0)
            return base::fail_errno("error gathering device information while adding custom device " + base::quote(device.source));
        if (S_ISDIR(info.st_mode))
            TRY_VOID(add_folder(plan, dev_slot, device.source, target, false, 0));
        else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
            add_node(plan, dev_slot, target, info);
        else
            return base::fail(Code::invalid, "error gathering device information while adding custom device " + base::quote(device.source) + ": not a device node");
    }
    return {};
}

base::Status add_cdi_nodes(PlanData& plan, const CdiEdits& devices, const Identity& identity, int16_t dev_slot) {
    for (const CdiNode& asked : devices.nodes) {
        CdiNode node = TRY(complete_node(asked, identity.uid, identity.gid));
        struct stat info{};
        info.st_mode = *node.mode | (node.type == 'b' ? S_IFBLK : node.type == 'p' ? S_IFIFO : S_IFCHR);
        info.st_rdev = makedev(node.major, node.minor);
        info.st_uid = *node.uid;
        info.st_gid = *node.gid;
        add_node(plan, dev_slot, node.path, info);
    }
    return {};
}

}  // namespace engine::runtime
