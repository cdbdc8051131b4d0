#pragma once
// Who holds a port: from /proc/net and /proc/PID/fd. Internal to network/.
#include <cstdint>
#include <string>

#include "network/address.h"

namespace engine::network {

/// `pid 812 (postgres)`; empty when nobody is found (no permission, or gone by now).
std::string port_holder(const Address& address, uint16_t port, bool udp);

}  // namespace engine::network
