#pragma once
// Credentials for registries: ~/.docker/config.json, podman's auth.json, credential helpers.
#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/engine.h"

namespace engine::image {

struct Credential {
    std::string user, password;
    std::string identity_token;  ///< OAuth2 refresh token; user is then "<token>"
    std::string registry_token;  ///< a ready bearer token
};

/// Folder of config.json: $DOCKER_CONFIG, else $HOME/.docker (HOME unset: the passwd entry's).
std::string docker_config_dir();
/// For a registry's domain ("docker.io"): credHelpers, credsStore, auths, then podman's files. nullopt: anonymous.
base::Result<std::optional<Credential>> find_credential(const std::string& domain, const std::string& repository = "");
using CredentialSource = std::function<base::Result<std::optional<Credential>>(const std::string& domain, const std::string& repository)>;
/// Checks the credential with the registry and keeps it (file mode 0600, or the helper). Where the registry's token service
/// gives a refresh token, that is kept instead of the password.
base::Status login(const std::string& domain, const Credential& credential, const RegistryAccess& access = {}, const std::atomic<bool>* cancel = nullptr);
/// Where `login` keeps a registry's credential: a helper's name, empty: config.json itself, unencrypted.
base::Result<std::string> credential_helper(const std::string& domain);
/// Forgets it. not_found when there was none.
base::Status logout(const std::string& domain);

}  // namespace engine::image
