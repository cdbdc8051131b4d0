#pragma once
// Connection tracking entries. Internal to network/.
#include <vector>

#include "base/error.h"
#include "network/address.h"

namespace engine::network {

/// Removes the UDP entries whose answers come from these addresses: else a client that goes on sending would be led to a
/// container that is gone. Without connection tracking in the kernel, nothing is to be done.
base::Status forget_udp_flows(const std::vector<Address>& containers);

}  // namespace engine::network
