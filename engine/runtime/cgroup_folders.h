#pragma once
// The folders of one control group and small file work in them; internal to the cgroup files.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_layout.h"

namespace engine::runtime {

/// One path component, or the whole path below a hierarchy, checked: no "..", no empty one.
base::Status check_cgroup_path(const std::string& path);
/// The folder of a group for a v1 controller, or v2's one; empty when the hierarchy is absent.
std::string cgroup_folder(const std::string& path, std::string_view controller);
/// Every hierarchy's folder of a group that exists.
std::vector<std::string> existing_folders(const std::string& path);
/// mkdir -p below the hierarchy; cpusets get their parent's CPUs and memory nodes, v2 parents hand down their controllers.
base::Status make_cgroup_folder(const CgroupHierarchy& hierarchy, const std::string& path);
/// A write(2) of the whole value; the error names file and value.
base::Status write_cgroup_file(const std::string& path, std::string_view value);
std::string read_cgroup_file(const std::string& path);  ///< "" when absent
/// The number after `key ` in a flat keyed file.
uint64_t keyed_value(std::string_view content, std::string_view key);
/// Subfolders, deepest first.
std::vector<std::string> folders_below(const std::string& folder);
/// Where processes of the group are listed: v2's folder, or v1's freezer, devices or memory one.
std::string process_folder(const std::string& path);
/// Attaches v2's device filter to an open folder.
base::Status attach_device_filter(int folder, const std::vector<DeviceRule>& rules);

}  // namespace engine::runtime
