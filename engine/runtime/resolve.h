#pragma once
// What a container's process is: the spec's wishes over the image's defaults, by Docker's rules. Pure, but for the
// look-up of users in an image's root.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/types.h"

namespace engine::runtime {

struct ResolvedMount;

struct Resolved {
    std::vector<std::string> argv;  ///< entrypoint + command
    std::vector<std::string> env;   ///< PATH, HOSTNAME, TERM (tty), image, spec; HOME is added once the user is known
    std::string working_dir;        ///< absolute, cleaned; "/" when neither says one
    std::string user;               ///< as written; empty: root
    std::string hostname;           ///< spec, else the machine's on the host's network, else the first 12 digits of the id
    int stop_signal = 15;
    Nanoseconds stop_grace{10'000'000'000};
    std::optional<HealthCheck> health_check;  ///< defaults filled in; nullopt: none, or disabled by NONE
    std::vector<std::string> volumes;         ///< the image's VOLUME paths that no mount of the spec covers
};

/// The argv alone: entrypoint + command. An entrypoint of the spec drops the image's command. invalid: nothing to run.
base::Result<std::vector<std::string>> resolve_argv(const ContainerSpec& spec, const ImageConfig& image);
/// invalid: nothing to run, an unknown stop signal, a working directory that is not absolute.
base::Result<Resolved> resolve(const ContainerSpec& spec, const ImageConfig& image, const std::string& id);
/// Later entries replace earlier ones of the same name in place; an entry without "=" removes the name.
std::vector<std::string> merge_env(std::vector<std::string> base, const std::vector<std::string>& over);
/// The value of a name in an environment.
std::optional<std::string_view> env_value(const std::vector<std::string>& env, std::string_view name);
/// The health check that runs: spec over image, defaults of 30 s, 30 s, 0, 5 s, 3; nullopt when there is none.
std::optional<HealthCheck> resolve_health(const std::optional<HealthCheck>& spec, const std::optional<HealthCheck>& image);

/// Who a process runs as.
struct Identity {
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups;  ///< supplementary; set exactly
    std::string home = "/";
    bool operator==(const Identity&) const = default;
};

/// `user` is "", "name", "uid", "name:group", "uid:gid", ":group"; numbers are never looked up as names. `passwd` and `group`
/// are the files' contents. Texts as Docker's: `unable to find user nosuch: no matching entries in passwd file`.
base::Result<Identity> find_user(std::string_view user, const std::vector<std::string>& group_add, std::string_view passwd,
                                 std::string_view group);
/// The same with /etc/passwd and /etc/group of a root: opened inside it, regular files only, never blocking, at most 8 MiB.
base::Result<Identity> find_user_in_root(int root, std::string_view user, const std::vector<std::string>& group_add);
/// HOME by the passwd file that a mount on /etc or /etc/passwd puts in the image's place, as the process will find it (runc's rule); "/"
/// where it does not name the user, nullopt without such a mount. Names of users and groups are the image's (Docker's rule).
base::Result<std::optional<std::string>> mounted_home(const std::vector<ResolvedMount>& mounts, uint32_t uid);

}  // namespace engine::runtime
