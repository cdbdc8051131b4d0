#pragma once
// `login` and `logout`: credentials are kept where Docker's tools keep them, config.json or the helper that it names.
#include <atomic>
#include <string>

#include "engine/engine.h"

namespace engine {

struct RegistryLogin {
    std::string registry;        ///< "docker.io", "registry.example:5000"
    std::string user, password;
};

/// The registry's name in what people write: `https://index.docker.io/v1/`, `registry.example/`, empty (docker.io).
std::string registry_name(const std::string& server);
/// The user that is logged in, empty: none. Asks a credential helper.
Result<RegistryLogin> stored_login(const std::string& registry);
/// Checks the credential with the registry and keeps it. permission: it is refused.
Status registry_login(const RegistryLogin& login, const RegistryAccess& access, const std::atomic<bool>* cancel);
/// The file in which `login` keeps the credential unencrypted; empty: a credential helper has it.
Result<std::string> login_file(const std::string& registry);
/// not_found: `not logged in to X`.
Status registry_logout(const std::string& registry);

}  // namespace engine
