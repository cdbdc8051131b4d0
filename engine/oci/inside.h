#pragma once
// Another process in a container that is there.
#include "oci/spec.h"
#include "oci/store.h"

namespace engine::oci {

/// A startContainer hook: in all of the container's namespaces and its control group, as its root.
base::Status run_hook_inside(const Record& record, const Spec& spec, const base::PidFd& first, const Hook& hook, const std::string& state);

}  // namespace engine::oci
