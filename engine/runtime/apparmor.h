#pragma once
// Which AppArmor profile a container's processes get.
#include <string>

#include "base/error.h"
#include "engine/types.h"

namespace engine::runtime {

/// The profile's name; empty: none. What `security_opt: [apparmor=…]` names, else for a container that is not privileged the engine's
/// own profile where the system has AppArmor and its parser, as Docker does (also for `docker-default` where no Docker has loaded
/// that one). The engine's own is loaded into the kernel when it is not there. not_found: no such profile is loaded.
base::Result<std::string> apparmor_profile(const ContainerSpec& spec);
/// The file below /proc/PID that takes the profile of the next exec; nullptr: the kernel has no AppArmor, or it is off.
const char* apparmor_file();

/// The text of the engine's own profile, for apparmor_parser.
std::string_view default_apparmor_profile();
constexpr std::string_view kDefaultAppArmorProfile = "compose-default";

}  // namespace engine::runtime
