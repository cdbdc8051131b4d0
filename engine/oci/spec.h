#pragma once
// A bundle's config.json as values (opencontainers/runtime-spec: config.md, config-linux.md). What is nobody's but the kernel's
// business stays JSON: resources and the seccomp filter are read where they are used.
#include <boost/json/object.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/capability.h"
#include "runtime/hooks.h"
#include "runtime/resolve.h"

namespace engine::oci {

/// What `features` and `state` say that we implement.
constexpr const char* kSpecVersion = "1.2.0";

struct Rlimit {
    std::string type;  ///< RLIMIT_NOFILE
    uint64_t soft = 0, hard = 0;
};

struct CapabilitySets {
    runtime::CapabilitySet bounding = 0, effective = 0, inheritable = 0, permitted = 0, ambient = 0;
};

struct Process {
    bool terminal = false;
    uint16_t rows = 0, columns = 0;  ///< consoleSize
    runtime::Identity user;          ///< uid, gid, additionalGids
    std::optional<uint32_t> umask;
    std::vector<std::string> args, env;
    std::string cwd = "/";
    CapabilitySets capabilities;
    std::vector<Rlimit> rlimits;
    bool no_new_privileges = false;
    std::string apparmor_profile, selinux_label;
    std::optional<int> oom_score_adj;
    std::optional<uint64_t> io_priority;  ///< ioprio_set's value
};

struct IdMapping {
    uint32_t container = 0, host = 0, size = 0;
};

struct MountEntry {
    std::string destination, type, source;
    std::vector<std::string> options;
    std::vector<IdMapping> uid_mappings, gid_mappings;
};

using runtime::Hook;
struct Hooks {
    std::vector<Hook> prestart, create_runtime, create_container, start_container, poststart, poststop;
};

struct Namespace {
    uint64_t type = 0;  ///< CLONE_NEW…
    std::string name, path;
};

struct DeviceNode {
    std::string path;
    char type = 'c';  ///< c, u, b, p
    int64_t major = 0, minor = 0;
    uint32_t mode = 0666, uid = 0, gid = 0;
};

struct Spec {
    std::string version;
    std::optional<Process> process;
    std::string root;  ///< as written
    bool root_read_only = false;
    std::string hostname, domainname;
    std::vector<MountEntry> mounts;
    Hooks hooks;
    std::map<std::string, std::string> annotations;
    std::vector<Namespace> namespaces;
    std::vector<IdMapping> uid_mappings, gid_mappings;
    std::vector<DeviceNode> devices;
    std::map<std::string, std::string> sysctl;
    std::string cgroups_path, rootfs_propagation, mount_label;
    boost::json::object resources;
    std::optional<boost::json::object> seccomp;
    std::vector<std::string> masked_paths, readonly_paths;
    std::optional<uint64_t> personality;

    const Namespace* find(uint64_t type) const;
    /// A new one or one that is joined: not the caller's.
    bool has(uint64_t type) const { return find(type) != nullptr; }
};

/// Parses and checks; the error names the place (`process.args`). unsupported: what this runtime cannot do (intelRdt …).
base::Result<Spec> read_spec(const boost::json::object& config);
/// `exec --process`: the process alone.
base::Result<Process> read_process(const boost::json::object& process);
/// A JSON object from text; the error says which file it was.
base::Result<boost::json::object> parse_object(std::string_view text, const std::string& file);
/// The text of `spec`: a bundle that runs `sh`.
std::string default_config(bool rootless);
/// JSON as people read it, indented by `indent` at each level.
std::string pretty(const boost::json::value& value, std::string_view indent);

}  // namespace engine::oci
