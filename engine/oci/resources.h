#pragma once
// linux.resources as files of the control group (runtime-spec config-linux.md, config-linux.md#unified).
#include <boost/json/object.hpp>

#include <vector>

#include "runtime/cgroup.h"

namespace engine::oci {

/// In the order in which they are written. invalid: a wrong type; unsupported_kernel: what this version of control groups lacks.
base::Result<std::vector<runtime::CgroupWrite>> resource_writes(const boost::json::object& resources, runtime::CgroupVersion version);
/// Deny all, the list's rules, then what every container may use.
base::Result<std::vector<runtime::DeviceRule>> resource_devices(const boost::json::object& resources);

}  // namespace engine::oci
