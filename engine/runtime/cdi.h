#pragma once
// Container Device Interface: what a device of a vendor adds to a container, read from the JSON files that the vendor's tool
// writes to /etc/cdi and /var/run/cdi (cncf-tags/container-device-interface SPEC.md).
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"

namespace engine::runtime {

/// What is added to a spec before it is planned.
struct CdiEdits {
    std::vector<std::string> env;
    std::vector<Device> devices;
    std::vector<Mount> mounts;
};
/// "vendor.com/class=name".
bool is_cdi_name(std::string_view text);
/// The fully qualified names that a device request means: its ids for driver "cdi"; for a GPU request "nvidia.com/gpu=all", or one
/// name an id or number.
base::Result<std::vector<std::string>> cdi_names(const DeviceRequest& request);
/// The edits of devices, in order. `folders`: later ones win, as /var/run/cdi over /etc/cdi. Errors: a device that no file
/// describes, and one that needs hooks, which this engine does not run.
base::Result<CdiEdits> cdi_edits(const std::vector<std::string>& names, const std::vector<std::string>& folders = {"/etc/cdi", "/var/run/cdi"});
/// A copy of the spec with its device requests and CDI names resolved; the spec itself when it has none.
base::Result<ContainerSpec> with_cdi(const ContainerSpec& spec);

}  // namespace engine::runtime
