#pragma once
// The engine's nouns as plain values: what a container, an image, a network and a volume is asked to be and is. They hold
// no system resources and serialise to JSON (engine/store/codec.h). Nothing here knows of Compose files.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace engine {

using Labels = std::map<std::string, std::string>;
using Nanoseconds = std::chrono::nanoseconds;
using Time = base::Time;  ///< ns since 1970 UTC; 0 is never

// ---- images -----------------------------------------------------------------------------------------------------------

struct HealthCheck {
    std::vector<std::string> test;  ///< {"NONE"}, {"CMD", argv…} or {"CMD-SHELL", line}; empty: inherit from the image
    Nanoseconds interval{0}, timeout{0}, start_period{0}, start_interval{0};  ///< 0: default (30 s, 30 s, 0, 5 s)
    int retries = 0;                                                          ///< 0: default (3)
    bool operator==(const HealthCheck&) const = default;
};

/// OCI image-spec config.md, "config" (with Docker's Healthcheck, OnBuild, Shell).
struct ImageConfig {
    std::string user, working_dir, stop_signal;
    std::vector<std::string> env, entrypoint, cmd, shell, on_build;
    std::vector<std::string> exposed_ports;  ///< "80/tcp"
    std::vector<std::string> volumes;        ///< paths
    Labels labels;
    std::optional<HealthCheck> health_check;
};

struct Platform {
    std::string os, architecture, variant;
    std::string text() const { return os + "/" + architecture + (variant.empty() ? "" : "/" + variant); }
    bool operator==(const Platform&) const = default;
};

struct ImageInfo {
    std::string id;                         ///< "sha256:…" of the config
    std::vector<std::string> references;    ///< "docker.io/library/nginx:1.27", canonical
    std::vector<std::string> repo_digests;  ///< "docker.io/library/nginx@sha256:…"
    Platform platform;
    Time created = 0;
    Time tagged = 0;  ///< when the reference was last set
    Time pulled = 0;  ///< when a registry last said that this is what the reference stands for; 0: never
    uint64_t size = 0;  ///< bytes of all layers, unpacked
    ImageConfig config;
    std::vector<std::string> layers;  ///< diff ids, lowest first
    struct History {
        Time created = 0;
        std::string created_by, comment, author;
        bool empty_layer = false;
    };
    std::vector<History> history;
    std::string author;
};

// ---- containers: what is asked for ------------------------------------------------------------------------------------

struct Mount {
    enum class Type : uint8_t { bind, volume, tmpfs, image };
    Type type = Type::bind;
    std::string source;  ///< host path, volume name or image reference; empty for tmpfs
    std::string target;
    bool read_only = false;
    bool anonymous = false;              ///< a volume without a name: removed with the container
    bool create_host_path = true;        ///< bind: make a missing source folder
    std::string propagation;             ///< bind: rprivate (default), rshared, rslave, private, shared, slave
    bool non_recursive = false;          ///< bind: without the mounts below
    bool read_only_non_recursive = false;
    std::string selinux;                 ///< "z" or "Z"
    std::vector<std::string> bind_options;  ///< bind: nosuid, nodev, noexec, noatime, nosymfollow
    bool no_copy = false;                ///< volume: do not fill it from the image
    std::string subpath;                 ///< volume, image
    std::optional<int64_t> tmpfs_size;   ///< bytes
    std::optional<uint32_t> tmpfs_mode;
    std::string tmpfs_options;           ///< "size=64m,uid=1000": as in `tmpfs:`
    bool operator==(const Mount&) const = default;
};

/// A config or secret: a file in the container. Content is kept in the engine's run-time folder, never in the store.
struct FileMount {
    std::string target;                  ///< absolute path in the container
    std::string host_path;               ///< bound from there when set (and uid, gid, mode are not)
    std::optional<std::string> content;  ///< else these bytes
    std::string uid, gid;                ///< numbers; empty: 0
    std::optional<uint32_t> mode;        ///< default 0444
    bool secret = false;
    bool operator==(const FileMount&) const = default;
};

struct PortMapping {
    std::string host_ip;             ///< empty: all addresses
    uint16_t host_port = 0;          ///< 0: any free one
    uint16_t host_port_last = 0;     ///< when a range was asked for: the first free one in it
    uint16_t container_port = 0;
    std::string protocol = "tcp";    ///< tcp, udp, sctp
    bool operator==(const PortMapping&) const = default;
};

struct Endpoint {
    std::string network;               ///< the network's name
    std::vector<std::string> aliases;  ///< DNS names on that network, besides the container's name and short id
    std::string ipv4, ipv6;            ///< asked for; empty: from the pool
    std::vector<std::string> link_local_ips;
    std::string mac;
    std::string interface_name;        ///< empty: eth0, eth1 … by priority
    int priority = 0;                  ///< higher is attached first
    int gateway_priority = 0;          ///< highest gives the default route
    std::map<std::string, std::string> driver_options;
    bool operator==(const Endpoint&) const = default;
};

struct Device {
    std::string source, target, permissions = "rwm";
    bool operator==(const Device&) const = default;
};
struct DeviceRequest {  ///< gpus and CDI
    std::string driver;
    int count = 0;  ///< -1: all
    std::vector<std::string> ids, capabilities;
    std::map<std::string, std::string> options;
    bool operator==(const DeviceRequest&) const = default;
};
struct Ulimit {
    std::string name;  ///< nofile, nproc …
    int64_t soft = 0, hard = 0;  ///< -1: unlimited
    bool operator==(const Ulimit&) const = default;
};
struct ThrottleDevice {
    std::string path;
    uint64_t rate = 0;
    bool operator==(const ThrottleDevice&) const = default;
};

/// Limits; 0 or nullopt is "not set". Bytes, CPUs, shares as Docker's API.
struct Resources {
    int64_t memory = 0, memory_reservation = 0, memory_swap = 0;  ///< swap: memory + swap; -1 unlimited; 0: twice memory
    std::optional<int64_t> memory_swappiness;
    double cpus = 0;
    int64_t cpu_shares = 0, cpu_period = 0, cpu_quota = 0, cpu_rt_period = 0, cpu_rt_runtime = 0;
    std::string cpuset_cpus, cpuset_mems;
    int64_t pids = 0;  ///< -1 unlimited
    uint16_t blkio_weight = 0;
    std::vector<ThrottleDevice> blkio_weight_device, read_bps, write_bps, read_iops, write_iops;
    bool oom_kill_disable = false;
    bool operator==(const Resources&) const = default;
};

struct RestartPolicy {
    std::string name = "no";  ///< no, always, unless-stopped, on-failure
    int maximum_retries = 0;  ///< on-failure: 0 is without end
    bool operator==(const RestartPolicy&) const = default;
};

struct LogConfig {
    std::string driver;  ///< empty: local
    std::map<std::string, std::string> options;
    bool operator==(const LogConfig&) const = default;
};

/// Everything that makes a container, as asked for: image defaults are not yet filled in (that is `resolve` in
/// engine/api, which uses the image's config).
struct ContainerSpec {
    std::string name;
    std::string image;     ///< the reference as the user wrote it
    std::string image_id;  ///< "sha256:…"
    std::optional<std::vector<std::string>> entrypoint, command;  ///< nullopt: the image's; an entrypoint drops the image's cmd
    std::vector<std::string> env;                                 ///< "K=V"; "K" removes the image's
    std::string user, working_dir, hostname, domainname, stop_signal;
    std::vector<std::string> group_add;
    std::optional<Nanoseconds> stop_grace;  ///< default 10 s
    Labels labels, annotations;
    bool tty = false, stdin_open = false, stdin_once = false, init = false, read_only = false, privileged = false;
    std::vector<std::string> cap_add, cap_drop, security_opt;
    std::vector<Device> devices;
    std::vector<DeviceRequest> device_requests;
    std::vector<std::string> device_cgroup_rules;  ///< "c 1:3 mr"
    std::vector<Ulimit> ulimits;
    std::map<std::string, std::string> sysctls;
    int64_t shm_size = 0;               ///< bytes; 0: 64 MiB
    std::map<std::string, std::string> tmpfs;  ///< target → options
    std::vector<Mount> mounts;
    std::vector<FileMount> files;
    std::vector<std::string> extra_hosts;  ///< "name:address"; address "host-gateway" is the bridge's
    std::vector<std::string> dns, dns_search, dns_options;
    std::string network_mode;           ///< "" (endpoints), "none", "host", "bridge", "container:ID"
    std::vector<Endpoint> endpoints;
    std::vector<std::string> links;     ///< "alias=name": a DNS name for this container only, and what it stands for
    std::vector<PortMapping> ports;
    std::vector<std::string> expose;    ///< "80/tcp"
    bool publish_all = false;
    std::string pid_mode, ipc_mode, uts_mode, userns_mode, cgroup_mode;  ///< "", "host", "private", "container:ID" (ipc: shareable, none)
    std::string cgroup_parent, runtime, isolation;
    Resources resources;
    int oom_score_adj = 0;
    RestartPolicy restart;
    std::optional<HealthCheck> health_check;
    LogConfig log;
    std::map<std::string, std::string> storage_options;
    std::optional<std::string> platform;
    bool auto_remove = false;
    bool operator==(const ContainerSpec&) const = default;
};

// ---- containers: what is ----------------------------------------------------------------------------------------------

enum class ContainerStatus : uint8_t { created, running, paused, restarting, removing, exited, dead };
const char* to_text(ContainerStatus status);  ///< Docker's words: "created", "running" …
enum class HealthStatus : uint8_t { none, starting, healthy, unhealthy };
const char* to_text(HealthStatus status);

struct HealthProbe {
    Time start = 0, end = 0;
    int exit_code = 0;
    std::string output;  ///< at most 4 KiB
};

struct ContainerState {
    ContainerStatus status = ContainerStatus::created;
    pid_t pid = 0;
    uint64_t pid_start = 0;  ///< start time of /proc/PID/stat: tells a reused pid
    int exit_code = 0;
    bool oom_killed = false;
    bool stopped_by_user = false;  ///< `stop` or `kill` ended it: restart policies leave it alone
    std::string error;             ///< why it did not start
    Time started = 0, finished = 0;
    int restart_count = 0;
    HealthStatus health = HealthStatus::none;
    int failing_streak = 0;
    std::vector<HealthProbe> probes;  ///< the last five
};

struct EndpointState {
    std::string network;     ///< name
    std::string network_id;
    std::string ipv4, ipv6;  ///< without prefix length
    int prefix4 = 0, prefix6 = 0;
    std::string gateway4, gateway6, mac, interface_name;
    std::vector<std::string> aliases;
};

struct ContainerInfo {
    std::string id;  ///< 64 hexadecimal digits
    ContainerSpec spec;
    Time created = 0;
    ContainerState state;
    std::vector<EndpointState> endpoints;  ///< while it runs: addresses in use
    std::vector<PortMapping> ports;        ///< while it runs: what is published
    std::vector<std::string> argv;         ///< entrypoint + command, resolved
    std::string supervisor;                ///< the group (Compose project) whose supervisor runs it
};

// ---- networks and volumes ---------------------------------------------------------------------------------------------

struct IpamPool {
    std::string subnet, gateway, ip_range;
    std::map<std::string, std::string> aux_addresses;
    bool operator==(const IpamPool&) const = default;
};
struct NetworkSpec {
    std::string name;
    std::string driver = "bridge";
    std::map<std::string, std::string> driver_options;
    std::vector<IpamPool> pools;  ///< empty: a free subnet of the engine's
    std::string ipam_driver;
    bool internal = false, attachable = false, enable_ipv4 = true, enable_ipv6 = false;
    Labels labels;
    bool operator==(const NetworkSpec&) const = default;
};
struct NetworkInfo {
    std::string id;  ///< 64 hexadecimal digits
    NetworkSpec spec;
    Time created = 0;
    std::string bridge;  ///< link name, "cp" + 12 digits
    std::string subnet4, gateway4, subnet6, gateway6;  ///< subnet with prefix length; gateway without
};
struct VolumeSpec {
    std::string name;
    std::string driver = "local";
    std::map<std::string, std::string> driver_options;
    Labels labels;
    bool operator==(const VolumeSpec&) const = default;
};
struct VolumeInfo {
    VolumeSpec spec;
    Time created = 0;
    std::string path;  ///< the folder with its content
    bool anonymous = false;
};

// ---- events -----------------------------------------------------------------------------------------------------------

/// As Docker's: type container, image, network, volume; action create, start, die, kill, stop, destroy, health_status: healthy …
struct Event {
    int64_t sequence = 0;
    Time time = 0;
    std::string type, action, id;
    Labels attributes;  ///< name, image, signal, exitCode, labels
};

}  // namespace engine
