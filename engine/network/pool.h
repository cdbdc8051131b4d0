#pragma once
// Which subnet a network gets and which address a container gets: pure functions, tested without a kernel.
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "network/address.h"

namespace engine::network {

/// Docker's default pools: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … in steps of /20. The first one that
/// overlaps none of `taken`; conflict when there is none, naming what to do.
base::Result<Prefix> choose_subnet4(std::span<const Prefix> taken);
/// A unique local /64 (fdxx:…) that depends on `id` only and overlaps none of `taken`.
base::Result<Prefix> choose_subnet6(const std::string& id, std::span<const Prefix> taken);

/// Fills subnet4/6, gateway4/6 of `info` from its spec. `networks`: prefixes of the engine's other networks (an overlap with
/// a configured subnet is a conflict, in Docker's words); `host`: routes and addresses of the host, avoided by choice only.
base::Status fill_subnets(NetworkInfo& info, std::span<const Prefix> networks, std::span<const Prefix> host);

/// The address for a container: `requested` checked (in the subnet, not gateway, network or broadcast address, not used:
/// `Address already in use`), else the first free one after the gateway (in the ip_range where one is given, aux addresses
/// left out), going on after `last` when given so that an address is not handed out again at once.
base::Result<Address> allocate(const NetworkInfo& network, bool v6, const std::set<Address>& used, const std::string& requested = {},
                               const std::optional<Address>& last = {});
/// As above with textual addresses, for the store's leases.
base::Result<std::string> allocate_text(const NetworkInfo& network, bool v6, const std::vector<std::string>& used,
                                        const std::string& requested = {}, const std::string& last = {});

}  // namespace engine::network
