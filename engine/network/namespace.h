#pragma once
// Steps inside network namespaces, for threads that were made to enter them. Internal to network/.
#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace engine::network {

/// Runs `work` in a thread of its own and waits: the thread may enter namespaces and dies with its last one.
base::Status run_in_thread(const std::function<base::Status()>& work);
/// The calling thread leaves its network namespace for a new one, set up as a container's and bound at `pin_path`.
base::Result<base::NetnsFd> enter_new_netns(const std::string& pin_path);
base::Status enter_netns(int netns);
/// Writes one `net.` sysctl in the calling thread's namespace.
base::Status write_sysctl(const std::string& name, const std::string& value);

}  // namespace engine::network
