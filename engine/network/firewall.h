#pragma once
// The engine's nft table. Internal to network/.
//
//   raw_prerouting   packets to 127/8 that do not come over lo are dropped: published loopback ports stay loopback ports
//   prerouting       (not from the container that a port leads to) published ports, by address and by any local address: dnat by map
//   output           the same for the host's own connections
//   postrouting      masquerade: to the outside; published ports from the host's loopback and from other bridges
//   forward          established; inside a bridge; internal never; published; between bridges never; out; in never
//
// Base chains hold the rules once; networks and ports are elements of sets and maps.
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "network/nft.h"

namespace engine::network {

NftTable engine_table(const std::string& table);

/// (address, protocol, port) → (address, port); and without the address, for all local ones.
extern const NftSet kPublish4, kPublish6, kPublishAny4, kPublishAny6;
/// (container's address, protocol, published port): what comes from the container that it leads to is left to the proxy. A
/// bridge does not send a packet back through the port it came from.
extern const NftSet kSelf4, kSelf6;

/// What a batch must begin with so that table, sets, chains and rules are there: empty when they are.
base::Result<NftBatch> base_if_missing(Nft& nft, const NftTable& table);

/// Puts networks into the firewall, and an accept into a foreign forward chain that drops (DOCKER-USER where it exists).
/// Idempotent; nothing is written when everything is there.
base::Status open_networks(const std::string& table, std::span<const NetworkInfo* const> networks);
/// Takes a network out again; absent is fine. The table goes with its last network.
base::Status close_network(Nft& nft, const std::string& table, const NetworkInfo& network);

/// `com.docker.network.bridge.enable_ip_masquerade` and the like: true unless "false" or "0".
bool option_on(const NetworkInfo& network, const std::string& name, bool otherwise);

}  // namespace engine::network
