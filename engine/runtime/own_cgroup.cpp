#include "runtime/own_cgroup.h"

#include <unistd.h>

#include <atomic>
#include <string>

#include "runtime/cgroup_folders.h"

namespace engine::runtime {
namespace {

const std::string kOwnGroup = "/compose/supervisors";

/// v2 (also beside v1) and v1's named hierarchy; limits of v1's controllers are set in groups of the containers.
bool tracks_sessions(const CgroupHierarchy& hierarchy) { return hierarchy.unified || hierarchy.has("name=systemd"); }

}  // namespace

void enter_own_cgroup(pid_t pid) {
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies()) {
        if (!tracks_sessions(hierarchy)) continue;
        // Somebody who leaves may remove the group in between.
        for (int attempt = 0; attempt < 16; ++attempt)
            if (!make_cgroup_folder(hierarchy, kOwnGroup) || write_cgroup_file(hierarchy.mount_point + kOwnGroup + "/cgroup.procs", std::to_string(pid))) break;
    }
}

void enter_own_cgroup_before_others() {
    static std::atomic<bool> there = false;
    if (!there.exchange(true) || cgroup_version() == CgroupVersion::v1) enter_own_cgroup();
}

void leave_own_cgroup() {
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies()) {
        if (!tracks_sessions(hierarchy)) continue;
        const std::string folder = hierarchy.mount_point + kOwnGroup;
        if (::access(folder.c_str(), F_OK) != 0 || !write_cgroup_file(hierarchy.mount_point + "/cgroup.procs", "0")) continue;
        if (::rmdir(folder.c_str()) == 0) ::rmdir(folder.substr(0, folder.rfind('/')).c_str());
    }
}

}  // namespace engine::runtime
