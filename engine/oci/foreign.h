#pragma once
// Containers that another OCI runtime starts: the bundle is made from what our own start would use, and the runtime's verbs
// create and start it. The process is then watched as any other.
#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/exec.h"
#include "runtime/launch.h"
#include "runtime/resolve.h"

namespace engine::oci {

struct ForeignRuntime {
    std::string name, path;
    std::vector<std::string> arguments;  ///< before the verb
    bool sandbox = false;                ///< its processes are not where its first process is: joining namespaces does not lead there
};
/// nullopt: our own ("", "compose", "io.containerd.runc.v2", and "runc" where none is installed). Others are runc, crun, runsc and
/// youki in the usual folders, and those of /etc/compose/runtimes.json: {"NAME": {"path": "…", "runtimeArgs": […], "sandbox": true}}.
/// unsupported: `unknown or invalid runtime name: x`. invalid: the registry's file.
base::Result<std::optional<ForeignRuntime>> find_runtime(const std::string& name);
/// runtime::exec_start for a container of any runtime. Where the program runs in a sandbox (runsc, kata) it is the runtime's own `exec`,
/// a child that copies streams and ends with the process's code; then names of users and `privileged` are unsupported. `folder`: as
/// foreign_create's.
base::Result<runtime::ExecProcess> exec_start(const runtime::ExecInput& input, const std::string& folder);

/// config.json for a container. `places`: where in the runtime's sight each of input.mounts is (tmpfs mounts have none).
struct BundleInput {
    const runtime::LaunchInput* launch = nullptr;
    const runtime::Resolved* resolved = nullptr;
    const runtime::Identity* identity = nullptr;
    std::vector<std::string> places;
    std::string init;  ///< of `init: true`: the program on the host
};
base::Result<boost::json::object> bundle_config(const BundleInput& input);

struct ForeignContainer {
    base::PidFd process;
    base::UniqueFd terminal;
};
/// The runtime's `create`. `folder` (emptied before) gets the bundle and the runtime's own state; the root is mounted in a mount
/// namespace that ends with the container, so nothing of it is left on the host. Consumes input.root and the mounts' trees.
base::Result<ForeignContainer> foreign_create(const ForeignRuntime& runtime, runtime::LaunchInput& input, const runtime::Resolved& resolved, const std::string& folder);
/// The runtime's `start`.
base::Status foreign_start(const ForeignRuntime& runtime, const std::string& id, const std::string& folder);
/// The runtime's `delete`, for what it keeps outside of `folder` (sandboxes of runsc). Nothing where another runtime had no part; a
/// failure is logged and stops nobody.
void foreign_delete(const std::string& id, const std::string& folder);

}  // namespace engine::oci
