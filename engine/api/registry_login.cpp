#include "engine/registry_login.h"

#include "image/credentials.h"

namespace engine {

std::string registry_name(const std::string& server) {
    std::string name = server;
    for (const char* scheme : {"https://", "http://"})
        if (name.starts_with(scheme)) name = name.substr(std::string(scheme).size());
    name = name.substr(0, name.find('/'));
    if (name.empty() || name == "index.docker.io" || name == "registry-1.docker.io") return "docker.io";
    return name;
}

Result<RegistryLogin> stored_login(const std::string& registry) {
    RegistryLogin login{registry, "", ""};
    auto credential = TRY(image::find_credential(registry));
    if (credential) {
        login.user = credential->user;
        login.password = credential->password;
    }
    return login;
}

Status registry_login(const RegistryLogin& login, const RegistryAccess& access, const std::atomic<bool>* cancel) {
    image::Credential credential;
    credential.user = login.user;
    credential.password = login.password;
    return image::login(login.registry, credential, access, cancel);
}

Result<std::string> login_file(const std::string& registry) {
    std::string helper = TRY(image::credential_helper(registry));
    return helper.empty() ? image::docker_config_dir() + "/config.json" : std::string();
}

Status registry_logout(const std::string& registry) { return image::logout(registry); }

}  // namespace engine
