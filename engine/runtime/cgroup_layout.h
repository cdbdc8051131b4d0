#pragma once
// Where the control group hierarchies are mounted, read once.
#include <string>
#include <string_view>
#include <vector>

namespace engine::runtime {

struct CgroupHierarchy {
    std::string mount_point;               ///< /sys/fs/cgroup/memory
    std::vector<std::string> controllers;  ///< v1: of its mount options ("name=systemd" too); v2: empty
    bool unified = false;
    std::string name() const { return mount_point.substr(mount_point.rfind('/') + 1); }
    bool has(std::string_view controller) const;
};
/// From /proc/self/mountinfo; hierarchies mounted twice count once.
const std::vector<CgroupHierarchy>& cgroup_hierarchies();
std::vector<CgroupHierarchy> parse_cgroup_mounts(std::string_view mountinfo);
/// The hierarchy with a v1 controller; nullptr when there is none.
const CgroupHierarchy* cgroup_hierarchy(std::string_view controller);

}  // namespace engine::runtime
