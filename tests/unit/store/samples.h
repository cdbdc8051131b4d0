#pragma once
// Values with every field away from its default: what the store's tests send through the codec and the tables.
#include "engine/types.h"

namespace engine::store::samples {

inline HealthCheck health_check() { return {{"CMD", "true"}, Nanoseconds(1), Nanoseconds(2), Nanoseconds(3), Nanoseconds(4), 5}; }

inline ImageConfig image_config() {
    ImageConfig config;
    config.user = "alice", config.working_dir = "/w", config.stop_signal = "SIGINT";
    config.env = {"A=1"}, config.entrypoint = {"/e"}, config.cmd = {"c"}, config.shell = {"/bin/sh", "-c"}, config.on_build = {"RUN x"};
    config.exposed_ports = {"80/tcp"}, config.volumes = {"/data"}, config.labels = {{"k", "v"}};
    config.health_check = health_check();
    return config;
}

inline ImageInfo image() {
    ImageInfo image;
    image.id = "sha256:00", image.references = {"docker.io/library/x:1"}, image.repo_digests = {"docker.io/library/x@sha256:11"};
    image.platform = {"linux", "arm64", "v8"};
    image.created = 1, image.tagged = 2, image.pulled = 7, image.size = 3;
    image.config = image_config();
    image.layers = {"sha256:22"};
    image.history = {{4, "RUN", "comment", "me", true}};
    image.author = "me";
    return image;
}

inline Mount mount() {
    Mount mount;
    mount.type = Mount::Type::image, mount.source = "s", mount.target = "/t", mount.read_only = true, mount.anonymous = true;
    mount.create_host_path = false, mount.propagation = "rslave", mount.non_recursive = true, mount.read_only_non_recursive = true;
    mount.selinux = "z", mount.bind_options = {"nosuid"}, mount.no_copy = true, mount.subpath = "a/b", mount.tmpfs_size = 7, mount.tmpfs_mode = 01777, mount.tmpfs_options = "size=1m";
    return mount;
}

inline FileMount file() { return {"/run/secrets/x", "/host", std::string("bytes \0 \xff", 8), "1", "2", 0400, true}; }
inline PortMapping port() { return {"127.0.0.1", 8080, 8090, 80, "udp"}; }
inline Endpoint endpoint() { return {"net", {"alias"}, "10.0.0.9", "fd00::9", {"169.254.1.1"}, "02:00:00:00:00:01", "eth7", -3, 4, {{"a", "b"}}}; }

inline Resources resources() {
    Resources r;
    r.memory = 1, r.memory_reservation = 2, r.memory_swap = -1, r.memory_swappiness = 0, r.cpus = 1.25, r.cpu_shares = 5, r.cpu_period = 6;
    r.cpu_quota = -7, r.cpu_rt_period = 8, r.cpu_rt_runtime = 9, r.cpuset_cpus = "0-1", r.cpuset_mems = "0", r.pids = -1, r.blkio_weight = 500;
    r.blkio_weight_device = {{"/dev/a", 1}}, r.read_bps = {{"/dev/b", 2}}, r.write_bps = {{"/dev/c", 3}}, r.read_iops = {{"/dev/d", UINT64_MAX}};
    r.write_iops = {{"/dev/e", 5}}, r.oom_kill_disable = true;
    return r;
}

inline ContainerSpec spec() {
    ContainerSpec s;
    s.name = "p-web-1", s.image = "web:1", s.image_id = "sha256:00";
    s.entrypoint = std::vector<std::string>{}, s.command = std::vector<std::string>{"a", ""};
    s.env = {"K=\xff\xfe", "GONE"}, s.user = "1:2", s.working_dir = "/w", s.hostname = "h", s.domainname = "d", s.stop_signal = "INT";
    s.group_add = {"g"}, s.stop_grace = Nanoseconds(0), s.labels = {{"com.docker.compose.project", "p"}, {"empty", ""}}, s.annotations = {{"x", "y"}};
    s.tty = s.stdin_open = s.stdin_once = s.init = s.read_only = s.privileged = true;
    s.cap_add = {"ALL"}, s.cap_drop = {"NET_RAW"}, s.security_opt = {"no-new-privileges:true"};
    s.devices = {{"/dev/null", "/dev/x", "r"}}, s.device_requests = {{"nvidia", -1, {"0"}, {"gpu"}, {{"o", "p"}}}}, s.device_cgroup_rules = {"c 1:3 mr"};
    s.ulimits = {{"nofile", 1, -1}}, s.sysctls = {{"net.core.somaxconn", "1"}}, s.shm_size = 1, s.tmpfs = {{"/tmp", "size=1m"}};
    s.mounts = {mount()}, s.files = {file()}, s.extra_hosts = {"a:1.2.3.4"}, s.dns = {"1.1.1.1"}, s.dns_search = {"x"}, s.dns_options = {"ndots:1"};
    s.network_mode = "bridge", s.endpoints = {endpoint()}, s.links = {"db=p-db-1"}, s.ports = {port()}, s.expose = {"80/tcp"}, s.publish_all = true;
    s.pid_mode = "host", s.ipc_mode = "shareable", s.uts_mode = "host", s.userns_mode = "host", s.cgroup_mode = "private";
    s.cgroup_parent = "/c", s.runtime = "runc", s.isolation = "default", s.resources = resources(), s.oom_score_adj = -5, s.restart = {"on-failure", 3};
    s.health_check = health_check(), s.log = {"json-file", {{"max-size", "1m"}}}, s.storage_options = {{"size", "1g"}}, s.platform = "linux/amd64";
    s.auto_remove = true;
    return s;
}

inline ContainerState state() {
    ContainerState s;
    s.status = ContainerStatus::restarting, s.pid = 42, s.pid_start = UINT64_MAX, s.exit_code = 137, s.oom_killed = true, s.stopped_by_user = true;
    s.error = "e", s.started = 1, s.finished = 2, s.restart_count = 3, s.health = HealthStatus::unhealthy, s.failing_streak = 4;
    s.probes = {{5, 6, -1, "out\nput"}};
    return s;
}

inline EndpointState endpoint_state() { return {"net", "id", "10.0.0.2", "fd00::2", 24, 64, "10.0.0.1", "fd00::1", "02:00:00:00:00:02", "eth0", {"web"}}; }

inline ContainerInfo container() {
    ContainerInfo c;
    c.id = std::string(64, 'a'), c.spec = spec(), c.created = 9, c.state = state(), c.endpoints = {endpoint_state()}, c.ports = {port()};
    c.argv = {"/e", "c"}, c.supervisor = "p";
    return c;
}

inline NetworkSpec network_spec() {
    NetworkSpec s;
    s.name = "n", s.driver = "macvlan", s.driver_options = {{"parent", "eth0"}}, s.pools = {{"10.0.0.0/24", "10.0.0.1", "10.0.0.128/25", {{"h", "10.0.0.5"}}}};
    s.ipam_driver = "default", s.internal = s.attachable = true, s.enable_ipv4 = false, s.enable_ipv6 = true, s.labels = {{"a", "b"}};
    return s;
}
inline NetworkInfo network() {
    NetworkInfo n;
    n.id = std::string(64, 'b'), n.spec = network_spec(), n.created = 1, n.bridge = "cp0", n.subnet4 = "10.0.0.0/24", n.gateway4 = "10.0.0.1";
    n.subnet6 = "fd00::/64", n.gateway6 = "fd00::1";
    return n;
}
inline VolumeSpec volume_spec() { return {"v", "other", {{"type", "tmpfs"}}, {{"a", "b"}}}; }
inline VolumeInfo volume() { return {volume_spec(), 1, "/p", true}; }
inline Event event() { return {1, 2, "container", "die", "id", {{"exitCode", "0"}}}; }

}  // namespace engine::store::samples
