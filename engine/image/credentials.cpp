#include "image/credentials.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "image/auth.h"
#include "image/credential_file.h"
#include "image/json_read.h"

extern char** environ;

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;
using base::UniqueFd;
namespace json = boost::json;

constexpr size_t kFileLimit = 4u << 20;

std::string home_folder() {
    if (const char* home = ::getenv("HOME"); home && *home) return home;
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> buffer{};
    if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found && found->pw_dir) return found->pw_dir;
    return "/";
}

/// Host names under which tools keep the same registry.
std::vector<std::string> keys_for(const std::string& domain) {
    if (domain == "docker.io") return {"https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"};
    return {domain, "https://" + domain, "http://" + domain, "https://" + domain + "/v1/", "https://" + domain + "/v2/"};
}

/// Runs `docker-credential-NAME VERB` with `input` on stdin; its exit status and stdout.
Result<std::pair<int, std::string>> run_helper(const std::string& name, const std::string& verb, const std::string& input) {
    if (name.empty() || name.find('/') != std::string::npos) return fail(Code::invalid, "credential helper " + base::quote(name) + " is not a name");
    std::string program = "docker-credential-" + name;
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    UniqueFd in_read(in[0]), in_write(in[1]);
    if (::pipe2(out, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    UniqueFd out_read(out[0]), out_write(out[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in_read.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, out_write.get(), 1);
    std::string verb_copy = verb;
    char* argv[] = {program.data(), verb_copy.data(), nullptr};
    posix_spawnattr_t attributes;  // what this program ignores or blocks is not the helper's
    ::posix_spawnattr_init(&attributes);
    sigset_t every, none;
    sigfillset(&every);
    sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &every);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    pid_t pid = -1;
    int error = ::posix_spawnp(&pid, program.c_str(), &actions, &attributes, argv, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    if (error != 0) return fail_errno("run credential helper " + program + " that config.json names", error);
    in_read.reset();
    out_write.reset();
    (void)base::write_all(in_write.get(), input);  // ignored: a helper may end without reading
    in_write.reset();
    auto text = base::read_all(out_read.get(), kFileLimit);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!text) return std::move(text.error()).with(program);
    return std::pair(WIFEXITED(status) ? WEXITSTATUS(status) : 128, std::move(*text));
}

Result<std::optional<Credential>> from_helper(const std::string& helper, const std::string& domain) {
    for (const std::string& key : keys_for(domain)) {
        auto [status, text] = TRY(run_helper(helper, "get", key + "\n"));
        if (status != 0) {
            if (text.find("credentials not found") != std::string::npos) continue;
            return fail(Code::permission, "credential helper docker-credential-" + helper + " failed for " + domain + ": " + base::printable(base::trim(text).substr(0, 300)));
        }
        auto value = TRY(parse_json(text, kFileLimit, "the answer of docker-credential-" + helper));
        JsonObject object(value, "credential");
        Credential credential;
        credential.user = object.text("Username");
        std::string secret = object.text("Secret");
        TRY_VOID(object.status());
        if (credential.user.empty() && secret.empty()) continue;
        (credential.user == "<token>" ? credential.identity_token : credential.password) = secret;
        return std::optional(std::move(credential));
    }
    return std::optional<Credential>();
}

Result<std::optional<Credential>> from_entry(const json::value& value, const std::string& where) {
    JsonObject object(value, where);
    Credential credential;
    credential.identity_token = object.text("identitytoken");
    credential.registry_token = object.text("registrytoken");
    credential.user = object.text("username");
    credential.password = object.text("password");
    std::string packed = object.text("auth");
    TRY_VOID(object.status());
    if (!packed.empty()) {
        auto text = base64_decode(packed);
        auto [user, password] = base::cut(text.value_or(""), ':');
        if (!text || !password) return fail(Code::corrupt, where + ".auth is not base64 of `user:password`");
        credential.user = user;
        credential.password = *password;
        while (credential.password.ends_with('\0')) credential.password.pop_back();
    }
    if (credential.user.empty() && credential.identity_token.empty() && credential.registry_token.empty()) return std::optional<Credential>();
    return std::optional(std::move(credential));
}

/// nullopt: the file says nothing of the registry.
Result<std::optional<Credential>> from_file(const std::string& path, const std::string& domain, const std::string& repository) {
    auto text = base::read_file(path, kFileLimit);
    if (!text) {
        if (text.error().code == Code::not_found) return std::optional<Credential>();
        return std::move(text.error());
    }
    if (base::trim(*text).empty()) return std::optional<Credential>();
    json::value value = TRY(parse_json(*text, kFileLimit, path));
    JsonObject object(value, path);
    auto helpers = object.map("credHelpers");
    std::string store = object.text("credsStore");
    TRY_VOID(object.status());
    for (const std::string& key : keys_for(domain))
        if (auto helper = helpers.find(key); helper != helpers.end()) return from_helper(helper->second, domain);
    if (!store.empty()) {
        auto found = TRY(from_helper(store, domain));
        if (found) return found;
    }
    JsonObject auths = object.object("auths");
    TRY_VOID(auths.status());
    // podman: a key may hold a repository; the longest match wins.
    for (std::string prefix = domain + "/" + repository; prefix.size() > domain.size(); prefix = prefix.substr(0, prefix.rfind('/')))
        if (const auto* entry = auths.get(prefix)) return from_entry(*entry, path + ": auths." + prefix);
    for (const std::string& key : keys_for(domain))
        if (const auto* entry = auths.get(key)) {
            auto found = TRY(from_entry(*entry, path + ": auths." + key));
            if (found) return found;
        }
    return std::optional<Credential>();
}

}  // namespace

std::string docker_config_dir() {
    if (const char* folder = ::getenv("DOCKER_CONFIG"); folder && *folder) return folder;
    return home_folder() + "/.docker";
}

Result<std::optional<Credential>> find_credential(const std::string& domain, const std::string& repository) {
    std::vector<std::string> files{docker_config_dir() + "/config.json"};
    if (const char* file = ::getenv("REGISTRY_AUTH_FILE"); file && *file) files.emplace_back(file);
    if (const char* run = ::getenv("XDG_RUNTIME_DIR"); run && *run) files.push_back(std::string(run) + "/containers/auth.json");
    for (const std::string& file : files) {
        auto found = TRY(from_file(file, domain, repository));
        if (found) return found;
    }
    return std::optional<Credential>();
}

// ---- keeping ------------------------------------------------------------------------------------------------------------

namespace {

/// Reads, changes and replaces config.json under a lock; other fields stay as they are.
Status change_file(const std::function<Status(json::object&)>& change) {
    std::string folder = docker_config_dir(), path = folder + "/config.json";
    TRY_VOID(base::make_dirs(folder, 0700));
    auto lock = TRY(base::FileLock::acquire(path + ".lock"));
    json::object object;
    if (auto text = base::read_file(path, kFileLimit); text && !base::trim(*text).empty()) {
        json::value value = TRY(parse_json(*text, kFileLimit, path));
        if (!value.is_object()) return fail(Code::corrupt, path + " is not a JSON object");
        object = value.get_object();
    } else if (!text && text.error().code != Code::not_found) {
        return std::move(text.error());
    }
    TRY_VOID(change(object));
    auto written = base::replace_file(path, json::serialize(object) + "\n", 0600, true);
    return written;
}

}  // namespace

Result<std::string> credential_helper(const std::string& domain) {
    auto text = base::read_file(docker_config_dir() + "/config.json", kFileLimit);
    if (!text || base::trim(*text).empty()) return std::string();
    json::value value = TRY(parse_json(*text, kFileLimit, "config.json"));
    JsonObject object(value, "config.json");
    auto helpers = object.map("credHelpers");
    for (const std::string& key : keys_for(domain))
        if (auto helper = helpers.find(key); helper != helpers.end()) return helper->second;
    std::string store = object.text("credsStore");
    TRY_VOID(object.status());
    return store;
}

Status store_credential(const std::string& domain, const Credential& credential) {
    std::string key = keys_for(domain)[0];
    bool token = !credential.identity_token.empty();
    if (std::string helper = TRY(credential_helper(domain)); !helper.empty()) {
        json::object object{{"ServerURL", key}, {"Username", token ? "<token>" : credential.user}, {"Secret", token ? credential.identity_token : credential.password}};
        auto [status, text] = TRY(run_helper(helper, "store", json::serialize(object)));
        if (status != 0) return fail(Code::permission, "credential helper docker-credential-" + helper + ": " + base::printable(base::trim(text).substr(0, 300)));
        return {};
    }
    return change_file([&](json::object& object) -> Status {
        json::value& auths = object["auths"];
        if (!auths.is_object()) auths = json::object();
        json::object entry;
        if (token) entry["identitytoken"] = credential.identity_token;
        if (!credential.user.empty()) entry["auth"] = base64_encode(credential.user + ":" + credential.password);
        auths.get_object()[key] = std::move(entry);
        return {};
    });
}

Status logout(const std::string& domain) {
    if (std::string helper = TRY(credential_helper(domain)); !helper.empty()) {
        bool removed = false;
        for (const std::string& key : keys_for(domain)) removed |= TRY(run_helper(helper, "erase", key + "\n")).first == 0;
        if (removed) return {};
    }
    bool removed = false;
    TRY_VOID(change_file([&](json::object& object) -> Status {
        if (auto* auths = object.if_contains("auths"); auths && auths->is_object())
            for (const std::string& key : keys_for(domain)) removed |= auths->get_object().erase(key) > 0;
        return {};
    }));
    if (!removed) return fail(Code::not_found, "not logged in to " + domain);
    return {};
}

}  // namespace engine::image
