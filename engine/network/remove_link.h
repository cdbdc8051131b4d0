#pragma once
// The end of a link of the host's. Internal to network/.
#include <string>

#include "base/error.h"
#include "network/netlink.h"

namespace engine::network {

/// Deletes a link (ENODEV is fine) and returns once its name is free. The kernel's clean-up behind it, several RCU grace periods (30 to
/// 60 ms), is sat out by a process of its own that ends with it. It also keeps `socket` open (-1: none), whose closing would wait likewise.
base::Status remove_link(const Netlink& netlink, int index, const std::string& name, int socket);

}  // namespace engine::network
