#pragma once
// Capability sets: names, Docker's defaults, and what the kernel and this process have.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace engine::runtime {

using CapabilitySet = uint64_t;

/// Docker's fourteen: 00000000a80425fb.
constexpr CapabilitySet kDefaultCapabilities = 0xa80425fb;
/// "CAP_SYS_ADMIN", "sys_admin"; nullopt when unknown.
std::optional<int> capability_number(std::string_view name);
/// "CAP_SYS_ADMIN".
std::string capability_name(int number);
/// The kernel's last capability (/proc/sys/kernel/cap_last_cap), read once.
int last_capability();
/// What this process may give: its bounding set, read once.
CapabilitySet own_capabilities();
/// Docker's rules: privileged has all that we have; drop ALL starts from none, add ALL from all; adds that we lack are an
/// error, `Unknown capability to add: "x"` as Docker.
base::Result<CapabilitySet> container_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop, bool privileged);

}  // namespace engine::runtime
