#include "runtime/cgroup_layout.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup.h"

namespace engine::runtime {

bool CgroupHierarchy::has(std::string_view controller) const {
    return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::vector<CgroupHierarchy> parse_cgroup_mounts(std::string_view mountinfo) {
    static constexpr std::string_view kNotControllers[] = {"rw", "ro", "relatime", "noprefix", "clone_children", "xattr", "cpuset_v2_mode", "favordynmods",
                                                           "nsdelegate", "memory_recursiveprot", "memory_localevents"};
    std::vector<CgroupHierarchy> out;
    for (const std::string& line : base::split(mountinfo, '\n')) {
        // 36 35 0:31 /root /mount options optional… - type source super-options
        size_t dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::vector<std::string> left = base::split(std::string_view(line).substr(0, dash), ' ');
        std::vector<std::string> right = base::split(std::string_view(line).substr(dash + 3), ' ');
        if (left.size() < 6 || right.size() < 3 || (right[0] != "cgroup" && right[0] != "cgroup2")) continue;
        CgroupHierarchy hierarchy;
        hierarchy.mount_point = left[4];
        hierarchy.unified = right[0] == "cgroup2";
        if (!hierarchy.unified)
            for (const std::string& option : base::split(right[2], ','))
                if (std::find(std::begin(kNotControllers), std::end(kNotControllers), option) == std::end(kNotControllers) && !option.starts_with("release_agent="))
                    hierarchy.controllers.push_back(option);
        bool known = std::any_of(out.begin(), out.end(), [&](const CgroupHierarchy& other) {
            return other.unified == hierarchy.unified && other.controllers == hierarchy.controllers;
        });
        if (!known) out.push_back(std::move(hierarchy));
    }
    return out;
}

const std::vector<CgroupHierarchy>& cgroup_hierarchies() {
    static const std::vector<CgroupHierarchy> found = parse_cgroup_mounts(base::read_file("/proc/self/mountinfo").value_or(""));
    return found;
}

const CgroupHierarchy* cgroup_hierarchy(std::string_view controller) {
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
        if (hierarchy.has(controller)) return &hierarchy;
    return nullptr;
}

CgroupVersion cgroup_version() {
    // Any controller on v1 makes it v1: hybrid systems leave nothing of use to the unified hierarchy.
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
        if (!hierarchy.unified && std::any_of(hierarchy.controllers.begin(), hierarchy.controllers.end(), [](const std::string& name) { return !name.starts_with("name="); }))
            return CgroupVersion::v1;
    return CgroupVersion::v2;
}

}  // namespace engine::runtime
