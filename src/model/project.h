#pragma once
// The typed Compose model: every attribute of the Compose Specification (compose-spec/spec.md and its chapters) after
// interpolation, merge, extends, include and normalisation. Plain values. As in Docker's own model a zero or empty value
// means "not set" unless the member is an optional, whose presence then matters.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/diagnostic.h"
#include "model/node.h"

namespace compose::model {

using Nanoseconds = std::chrono::nanoseconds;
using Strings = std::vector<std::string>;
using Labels = std::map<std::string, std::string>;
/// A name with its value; nullopt: a name alone, whose value is the caller's (environment, build args).
using Environment = std::map<std::string, std::optional<std::string>>;
/// `x-…` members at this level.
using Extensions = std::map<std::string, Node>;
/// Host name → addresses, in the order written.
using Hosts = std::map<std::string, Strings>;

/// bytes; a type of its own, since it is printed as a string.
struct Bytes {
    int64_t value = 0;
    explicit operator bool() const { return value != 0; }
    bool operator==(const Bytes&) const = default;
};

struct Ulimit {
    std::optional<int64_t> single;  ///< the short form: soft and hard
    int64_t soft = 0, hard = 0;     ///< set in either form; -1: unlimited
    Extensions extensions;
};

/// A file of a config or secret in a service or a build.
struct FileReference {
    std::string source;  ///< key below `configs` or `secrets` of the project
    std::string target;  ///< empty: the default (/NAME for configs, /run/secrets/NAME for secrets)
    std::string uid, gid;
    std::optional<int64_t> mode;  ///< 0444 is 292
    Extensions extensions;
};

struct Hook {  ///< post_start, pre_stop, develop.watch[].exec
    std::optional<Strings> command;
    std::string user;
    bool privileged = false;
    std::string working_dir;
    Environment environment;
    Extensions extensions;
};

/// pre_start[]: an init container that runs to its end before the service starts (compose-spec chapter 05 "pre_start").
struct PreStart {
    Hook hook;
    std::string image;  ///< empty: the service's
    bool per_replica = false;
};

struct Build {
    std::string context, dockerfile, dockerfile_inline;
    Strings entitlements;
    Environment args;
    std::optional<std::vector<std::pair<std::string, std::string>>> ssh;  ///< id → path, empty path: the agent
    Labels labels;
    Strings cache_from, cache_to;
    bool no_cache = false;
    Strings no_cache_filter;
    Labels additional_contexts;
    bool pull = false;
    Hosts extra_hosts;
    std::string isolation, network, target, provenance, sbom;
    std::vector<FileReference> secrets;
    Bytes shm_size;
    Strings tags;
    std::map<std::string, Ulimit> ulimits;
    Strings platforms;
    bool privileged = false;
    Extensions extensions;
};

struct BlkioWeight {
    std::string path;
    int64_t weight = 0;
    Extensions extensions;
};
struct BlkioThrottle {
    std::string path;
    Bytes rate;
    Extensions extensions;
};
struct Blkio {
    int64_t weight = 0;
    std::vector<BlkioWeight> weight_device;
    std::vector<BlkioThrottle> device_read_bps, device_read_iops, device_write_bps, device_write_iops;
    Extensions extensions;
};

struct CredentialSpec {
    std::string config, file, registry;
    Extensions extensions;
};

struct Dependency {
    std::string condition;  ///< service_started, service_healthy, service_completed_successfully
    bool restart = false;
    bool required = true;
    Extensions extensions;
};

struct DeviceMapping {
    std::string source, target, permissions;
    Extensions extensions;
};

/// `gpus` and `deploy.resources.reservations.devices`.
struct DeviceRequest {
    Strings capabilities;
    std::string driver;
    std::optional<int64_t> count;  ///< -1: all
    Strings ids;                   ///< device_ids
    Labels options;
    Extensions extensions;
};

struct GenericResource {
    std::string kind;
    int64_t value = 0;
    bool has_spec = false;
    Extensions extensions, spec_extensions;
};
struct Resource {
    double cpus = 0;
    Bytes memory;
    int64_t pids = 0;
    std::vector<DeviceRequest> devices;
    std::vector<GenericResource> generic_resources;
    Extensions extensions;
};
struct Resources {
    std::optional<Resource> limits, reservations;
    Extensions extensions;
};
struct UpdateConfig {
    std::optional<uint64_t> parallelism;
    Nanoseconds delay{0}, monitor{0};
    std::string failure_action;
    double max_failure_ratio = 0;
    std::string order;
    Extensions extensions;
};
struct RestartPolicy {
    std::string condition;  ///< none, on-failure, any
    std::optional<Nanoseconds> delay, window;
    std::optional<uint64_t> max_attempts;
    Extensions extensions;
};
struct Placement {
    struct Preference {
        std::string spread;
        Extensions extensions;
    };
    Strings constraints;
    std::vector<Preference> preferences;
    uint64_t max_replicas_per_node = 0;
    Extensions extensions;
};
struct Deploy {
    std::string mode;
    std::optional<int64_t> replicas;
    Labels labels;
    std::optional<UpdateConfig> update_config, rollback_config;
    Resources resources;
    std::optional<RestartPolicy> restart_policy;
    Placement placement;
    std::string endpoint_mode;
    Extensions extensions;
};

struct Trigger {  ///< develop.watch[]
    std::string path, action, target;
    std::optional<Hook> exec;
    Strings include, ignore;
    bool initial_sync = false;
    Extensions extensions;
};
struct Develop {
    std::vector<Trigger> watch;
    Extensions extensions;
};

struct EnvFile {
    std::string path;
    bool required = true;
    std::string format;  ///< "", "raw"
};

struct Extends {
    std::string file, service;
};

struct HealthCheck {
    Strings test;  ///< {"NONE"}, {"CMD", argv…}, {"CMD-SHELL", line}; empty: from the image
    std::optional<Nanoseconds> timeout, interval, start_period, start_interval;
    std::optional<uint64_t> retries;
    bool disable = false;
    Extensions extensions;
};

struct Logging {
    std::string driver;
    Labels options;
    Extensions extensions;
};

struct ServiceModel {
    std::string endpoint_var, model_var;
    Extensions extensions;
};

struct ServiceNetwork {
    Strings aliases;
    Labels driver_opts;
    int64_t gw_priority = 0;
    std::string interface_name, ipv4_address, ipv6_address;
    Strings link_local_ips;
    std::string mac_address;
    int64_t priority = 0;
    Extensions extensions;
};

struct Port {
    std::string name, mode, host_ip;
    uint32_t target = 0;
    std::string published;  ///< "", "8080" or a range "8000-8010" to choose from
    std::string protocol, app_protocol;
    Extensions extensions;

    /// First and last host port; {0, 0}: any free one. nullopt: not numbers.
    std::optional<std::pair<uint16_t, uint16_t>> published_range() const;
};

struct Provider {
    std::string type;
    std::map<std::string, Strings> options;
    Extensions extensions;
};

struct MountBind {
    std::string propagation, selinux, recursive;
    std::optional<bool> create_host_path;  ///< unset counts as true
    Extensions extensions;
    bool creates_host_path() const { return create_host_path.value_or(true); }
};
struct MountVolume {
    Labels labels;
    bool nocopy = false;
    std::string subpath;
    Extensions extensions;
};
struct MountTmpfs {
    Bytes size;
    uint32_t mode = 0;
    Extensions extensions;
};
struct MountImage {
    std::string subpath;
    Extensions extensions;
};
struct Mount {  ///< volumes[]
    using Bind = MountBind;
    using VolumeOptions = MountVolume;
    using Tmpfs = MountTmpfs;
    using Image = MountImage;
    std::string type, source, target, consistency;
    bool read_only = false;
    std::optional<Bind> bind;
    std::optional<VolumeOptions> volume;
    std::optional<Tmpfs> tmpfs;
    std::optional<Image> image;
    Extensions extensions;
};

struct Service {
    std::string name;
    Strings profiles;
    Labels annotations;
    std::optional<bool> attach;
    std::optional<Build> build;
    std::optional<Develop> develop;
    std::optional<Blkio> blkio_config;
    Strings cap_add, cap_drop;
    std::string cgroup_parent, cgroup;
    int64_t cpu_count = 0;
    double cpu_percent = 0;
    int64_t cpu_period = 0, cpu_quota = 0, cpu_rt_period = 0, cpu_rt_runtime = 0;
    double cpus = 0;
    std::string cpuset;
    int64_t cpu_shares = 0;
    std::optional<Strings> command;  ///< nullopt: the image's; empty: cleared
    std::vector<FileReference> configs;
    std::string container_name;
    std::optional<CredentialSpec> credential_spec;
    std::map<std::string, Dependency> depends_on;  ///< also what links, network_mode and the like imply
    std::optional<Deploy> deploy;
    Strings device_cgroup_rules;
    std::vector<DeviceMapping> devices;
    Strings dns, dns_opt, dns_search;
    std::string domainname;
    std::optional<Strings> entrypoint;  ///< as command
    std::optional<Provider> provider;
    /// What the container gets: env_file contents below `environment`, names without a value resolved from the caller or
    /// dropped. (With `no_env_resolution` only what `environment` says.)
    Environment environment;
    std::vector<EnvFile> env_files;
    Strings expose;
    std::optional<Extends> extends;
    Strings external_links;
    Hosts extra_hosts;
    Strings group_add;
    std::vector<DeviceRequest> gpus;
    std::string hostname;
    std::optional<HealthCheck> healthcheck;
    std::string image;
    std::optional<bool> init;
    std::string ipc, isolation;
    Labels labels;
    Strings label_files;
    Strings links;
    std::optional<Logging> logging;
    Bytes mem_limit, mem_reservation, memswap_limit, mem_swappiness;
    std::string mac_address;
    std::map<std::string, ServiceModel> models;
    std::string network_mode;
    std::map<std::string, std::optional<ServiceNetwork>> networks;  ///< key below the project's networks
    bool oom_kill_disable = false;
    int64_t oom_score_adj = 0;
    std::string pid;
    int64_t pids_limit = 0;
    std::string platform;
    std::vector<Port> ports;
    bool privileged = false;
    std::string pull_policy, pull_refresh_after;
    bool read_only = false;
    std::string restart, runtime;
    std::optional<int64_t> scale;
    std::vector<FileReference> secrets;
    Strings security_opt;
    Bytes shm_size;
    bool stdin_open = false;
    std::optional<Nanoseconds> stop_grace_period;
    std::string stop_signal;
    Labels storage_opt;
    Labels sysctls;
    Strings tmpfs;
    bool tty = false;
    std::map<std::string, Ulimit> ulimits;
    bool use_api_socket = false;
    std::string user, userns_mode, uts;
    std::vector<Mount> volumes;
    Strings volumes_from;
    std::string working_dir;
    std::vector<Hook> post_start, pre_stop;
    std::vector<PreStart> pre_start;
    Extensions extensions;

    /// deploy.replicas, else scale, else 1.
    int64_t replicas() const;
    /// The image to run: `image`, or PROJECT-SERVICE for one that is built.
    std::string image_name(std::string_view project) const;
};

struct IpamPool {
    std::string subnet, gateway, ip_range;
    Labels aux_addresses;
    Extensions extensions;
};
struct Ipam {
    std::string driver;
    std::vector<IpamPool> config;
    Labels options;
    Extensions extensions;
};
struct Network {
    std::string name, driver;
    Labels driver_opts;
    Ipam ipam;
    bool external = false, internal = false, attachable = false;
    Labels labels;
    std::optional<bool> enable_ipv4, enable_ipv6;
    Extensions extensions;
};

struct Volume {
    std::string name, driver;
    Labels driver_opts;
    bool external = false;
    Labels labels;
    Extensions extensions;
};

/// A top-level config or secret; exactly one of file, environment, content, external.
struct FileObject {
    std::string name, file, environment;
    std::optional<std::string> content;  ///< inline, or the value of `environment` once resolved
    bool external = false;
    Labels labels;
    std::string driver;
    Labels driver_opts;
    std::string template_driver;
    Extensions extensions;
};

struct Model {
    std::string name, model;
    int64_t context_size = 0;
    Strings runtime_flags;
    Extensions extensions;
};

struct Project {
    std::string name;
    std::string working_dir;   ///< absolute: the project directory
    Strings compose_files;     ///< absolute; "-" for standard input
    Strings env_files;         ///< absolute, those given by --env-file
    std::map<std::string, std::string> environment;  ///< what interpolation saw: caller and .env
    Strings profiles;                                ///< active ones
    std::map<std::string, Service> services;           ///< enabled ones
    std::map<std::string, Service> disabled_services;  ///< those that no active profile enables
    Strings service_order;                             ///< names of all, in the order of the files
    std::map<std::string, Network> networks;
    std::map<std::string, Volume> volumes;
    std::map<std::string, FileObject> secrets;
    std::map<std::string, FileObject> configs;
    std::map<std::string, Model> models;
    Extensions extensions;

    std::shared_ptr<const Node> tree;    ///< the merged tree that this was made of, with the place of every value
    std::shared_ptr<const Files> files;  ///< names and texts behind those places

    /// Where a value was written: `services.web.image`, `services.web.ports[0]`; the nearest enclosing value that has a
    /// place when it was made up by a default. Empty file: nowhere.
    base::SourcePos where(std::string_view path) const;
};

}  // namespace compose::model
