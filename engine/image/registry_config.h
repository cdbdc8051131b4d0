#pragma once
// Where a registry's images are fetched from and how: mirrors, insecure hosts, own certificates.
//     /etc/docker/daemon.json          registry-mirrors, insecure-registries
//     /etc/containers/registries.conf  and registries.conf.d/*.conf: location, mirrors, insecure, blocked
//     /etc/docker/certs.d/HOST[:PORT]/ and /etc/containers/certs.d: *.crt (CAs), *.cert and *.key (client)
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "image/http.h"
#include "image/reference.h"

namespace engine::image {

struct Endpoint {
    std::string host;        ///< "registry-1.docker.io", "127.0.0.1:5055"
    std::string repository;  ///< path there
    bool insecure = false;   ///< https without verification, then http
    bool plain_first = false;  ///< a loopback registry: http is tried before https
    bool mirror = false;
    TlsSettings tls;
};

/// One [[registry]] of registries.conf.
struct RegistryRule {
    std::string prefix, location;
    bool insecure = false, blocked = false;
    struct Mirror {
        std::string location;
        bool insecure = false;
    };
    std::vector<Mirror> mirrors;
};

/// The subset of TOML that registries.conf is written in. `corrupt` with the line.
base::Result<std::vector<RegistryRule>> parse_registries_conf(std::string_view text, const std::string& file);

/// In the order to try: mirrors, then the registry itself. For pushes only the registry. permission when it is blocked.
base::Result<std::vector<Endpoint>> endpoints_for(const Reference& reference, const RegistryAccess& access, bool for_push);

}  // namespace engine::image
