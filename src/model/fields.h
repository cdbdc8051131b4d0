#pragma once
// Every attribute once: its name, its member and, by the member's type, its form. The decoder (tree → Project) and the
// encoder (Project → tree) both walk these lists, so that neither can forget one.
#include <concepts>
#include <type_traits>

#include "model/project.h"

namespace compose::model {

template <class T, class S>
concept Is = std::same_as<std::remove_const_t<T>, S>;

template <class V, Is<Hook> T>
void describe(V& v, T& x) {
    v.command("command", x.command);
    v("user", x.user);
    v("privileged", x.privileged);
    v("working_dir", x.working_dir);
    v("environment", x.environment);
    v.extensions(x.extensions);
}

template <class V, Is<PreStart> T>
void describe(V& v, T& x) {
    v("image", x.image);
    v("per_replica", x.per_replica);
    describe(v, x.hook);
}

template <class V, Is<FileReference> T>
void describe(V& v, T& x) {
    v("source", x.source);
    v("target", x.target);
    v("uid", x.uid);
    v("gid", x.gid);
    v.mode("mode", x.mode);
    v.extensions(x.extensions);
}

template <class V, Is<Build> T>
void describe(V& v, T& x) {
    v("context", x.context);
    v("dockerfile", x.dockerfile);
    v("dockerfile_inline", x.dockerfile_inline);
    v("entitlements", x.entitlements);
    v("args", x.args);
    v.ssh("ssh", x.ssh);
    v("labels", x.labels);
    v("cache_from", x.cache_from);
    v("cache_to", x.cache_to);
    v("no_cache", x.no_cache);
    v("no_cache_filter", x.no_cache_filter);
    v("additional_contexts", x.additional_contexts);
    v("pull", x.pull);
    v("extra_hosts", x.extra_hosts);
    v("isolation", x.isolation);
    v("network", x.network);
    v("target", x.target);
    v("provenance", x.provenance);
    v("sbom", x.sbom);
    v("secrets", x.secrets);
    v("shm_size", x.shm_size);
    v("tags", x.tags);
    v("ulimits", x.ulimits);
    v("platforms", x.platforms);
    v("privileged", x.privileged);
    v.extensions(x.extensions);
}

template <class V, Is<BlkioWeight> T>
void describe(V& v, T& x) {
    v.odd("path", "Path", x.path);
    v.odd("weight", "Weight", x.weight);
    v.extensions(x.extensions);
}
template <class V, Is<BlkioThrottle> T>
void describe(V& v, T& x) {
    v.odd("path", "Path", x.path);
    v.odd("rate", "Rate", x.rate);
    v.extensions(x.extensions);
}
template <class V, Is<Blkio> T>
void describe(V& v, T& x) {
    v("weight", x.weight);
    v("weight_device", x.weight_device);
    v("device_read_bps", x.device_read_bps);
    v("device_read_iops", x.device_read_iops);
    v("device_write_bps", x.device_write_bps);
    v("device_write_iops", x.device_write_iops);
    v.extensions(x.extensions);
}

template <class V, Is<CredentialSpec> T>
void describe(V& v, T& x) {
    v("config", x.config);
    v("file", x.file);
    v("registry", x.registry);
    v.extensions(x.extensions);
}

template <class V, Is<Dependency> T>
void describe(V& v, T& x) {
    v("condition", x.condition);
    v("restart", x.restart);
    v.always("required", x.required);
    v.extensions(x.extensions);
}

template <class V, Is<DeviceMapping> T>
void describe(V& v, T& x) {
    v("source", x.source);
    v("target", x.target);
    v("permissions", x.permissions);
    v.extensions(x.extensions);
}

template <class V, Is<DeviceRequest> T>
void describe(V& v, T& x) {
    v("capabilities", x.capabilities);
    v("driver", x.driver);
    v.count("count", x.count);
    v("device_ids", x.ids);
    v("options", x.options);
    v.extensions(x.extensions);
}

template <class V, Is<Resource> T>
void describe(V& v, T& x) {
    v("cpus", x.cpus);
    v("memory", x.memory);
    v("pids", x.pids);
    v("devices", x.devices);
    v("generic_resources", x.generic_resources);
    v.extensions(x.extensions);
}
template <class V, Is<Resources> T>
void describe(V& v, T& x) {
    v("limits", x.limits);
    v("reservations", x.reservations);
    v.extensions(x.extensions);
}
template <class V, Is<UpdateConfig> T>
void describe(V& v, T& x) {
    v("parallelism", x.parallelism);
    v("delay", x.delay);
    v("failure_action", x.failure_action);
    v("monitor", x.monitor);
    v("max_failure_ratio", x.max_failure_ratio);
    v("order", x.order);
    v.extensions(x.extensions);
}
template <class V, Is<RestartPolicy> T>
void describe(V& v, T& x) {
    v("condition", x.condition);
    v("delay", x.delay);
    v("max_attempts", x.max_attempts);
    v("window", x.window);
    v.extensions(x.extensions);
}
template <class V, Is<Placement::Preference> T>
void describe(V& v, T& x) {
    v("spread", x.spread);
    v.extensions(x.extensions);
}
template <class V, Is<Placement> T>
void describe(V& v, T& x) {
    v("constraints", x.constraints);
    v("preferences", x.preferences);
    v("max_replicas_per_node", x.max_replicas_per_node);
    v.extensions(x.extensions);
}
template <class V, Is<Deploy> T>
void describe(V& v, T& x) {
    v("mode", x.mode);
    v("replicas", x.replicas);
    v("labels", x.labels);
    v("update_config", x.update_config);
    v("rollback_config", x.rollback_config);
    v.inline_struct("resources", x.resources);
    v("restart_policy", x.restart_policy);
    v.inline_struct("placement", x.placement);
    v("endpoint_mode", x.endpoint_mode);
    v.extensions(x.extensions);
}

template <class V, Is<Trigger> T>
void describe(V& v, T& x) {
    v("path", x.path);
    v("action", x.action);
    v("target", x.target);
    v.trigger_hook("exec", x.exec);
    v("include", x.include);
    v("ignore", x.ignore);
    v("initial_sync", x.initial_sync);
    v.extensions(x.extensions);
}
template <class V, Is<Develop> T>
void describe(V& v, T& x) {
    v("watch", x.watch);
    v.extensions(x.extensions);
}

template <class V, Is<EnvFile> T>
void describe(V& v, T& x) {
    v("path", x.path);
    v.unless_true("required", x.required);
    v("format", x.format);
}

template <class V, Is<HealthCheck> T>
void describe(V& v, T& x) {
    v.test("test", x.test);
    v("timeout", x.timeout);
    v("interval", x.interval);
    v("retries", x.retries);
    v("start_period", x.start_period);
    v("start_interval", x.start_interval);
    v("disable", x.disable);
    v.extensions(x.extensions);
}

template <class V, Is<Logging> T>
void describe(V& v, T& x) {
    v("driver", x.driver);
    v("options", x.options);
    v.extensions(x.extensions);
}

template <class V, Is<ServiceModel> T>
void describe(V& v, T& x) {
    v("endpoint_var", x.endpoint_var);
    v("model_var", x.model_var);
    v.extensions(x.extensions);
}

template <class V, Is<ServiceNetwork> T>
void describe(V& v, T& x) {
    v("aliases", x.aliases);
    v("driver_opts", x.driver_opts);
    v("gw_priority", x.gw_priority);
    v("interface_name", x.interface_name);
    v("ipv4_address", x.ipv4_address);
    v("ipv6_address", x.ipv6_address);
    v("link_local_ips", x.link_local_ips);
    v("mac_address", x.mac_address);
    v("priority", x.priority);
    v.extensions(x.extensions);
}

template <class V, Is<Port> T>
void describe(V& v, T& x) {
    v("name", x.name);
    v("mode", x.mode);
    v("host_ip", x.host_ip);
    v("target", x.target);
    v("published", x.published);
    v("protocol", x.protocol);
    v("app_protocol", x.app_protocol);
    v.extensions(x.extensions);
}

template <class V, Is<Provider> T>
void describe(V& v, T& x) {
    v("type", x.type);
    v.options("options", x.options);
    v.extensions(x.extensions);
}

template <class V, Is<Mount::Bind> T>
void describe(V& v, T& x) {
    v("propagation", x.propagation);
    v("selinux", x.selinux);
    v("recursive", x.recursive);
    v.if_true("create_host_path", x.create_host_path);
    v.extensions(x.extensions);
}
template <class V, Is<Mount::VolumeOptions> T>
void describe(V& v, T& x) {
    v("labels", x.labels);
    v("nocopy", x.nocopy);
    v("subpath", x.subpath);
    v.extensions(x.extensions);
}
template <class V, Is<Mount::Tmpfs> T>
void describe(V& v, T& x) {
    v("size", x.size);
    v.octal("mode", x.mode);
    v.extensions(x.extensions);
}
template <class V, Is<Mount::Image> T>
void describe(V& v, T& x) {
    v("subpath", x.subpath);
    v.extensions(x.extensions);
}
template <class V, Is<Mount> T>
void describe(V& v, T& x) {
    v("type", x.type);
    v("source", x.source);
    v("target", x.target);
    v("read_only", x.read_only);
    v("consistency", x.consistency);
    v("bind", x.bind);
    v("volume", x.volume);
    v("tmpfs", x.tmpfs);
    v("image", x.image);
    v.extensions(x.extensions);
}

template <class V, Is<Service> T>
void describe(V& v, T& x) {
    v("profiles", x.profiles);
    v("annotations", x.annotations);
    v("attach", x.attach);
    v("build", x.build);
    v("develop", x.develop);
    v("blkio_config", x.blkio_config);
    v("cap_add", x.cap_add);
    v("cap_drop", x.cap_drop);
    v("cgroup_parent", x.cgroup_parent);
    v("cgroup", x.cgroup);
    v("cpu_count", x.cpu_count);
    v("cpu_percent", x.cpu_percent);
    v("cpu_period", x.cpu_period);
    v("cpu_quota", x.cpu_quota);
    v("cpu_rt_period", x.cpu_rt_period);
    v("cpu_rt_runtime", x.cpu_rt_runtime);
    v("cpus", x.cpus);
    v("cpuset", x.cpuset);
    v("cpu_shares", x.cpu_shares);
    v.command("command", x.command);
    v("configs", x.configs);
    v("container_name", x.container_name);
    v("credential_spec", x.credential_spec);
    v("depends_on", x.depends_on);
    v("deploy", x.deploy);
    v("device_cgroup_rules", x.device_cgroup_rules);
    v("devices", x.devices);
    v("dns", x.dns);
    v("dns_opt", x.dns_opt);
    v("dns_search", x.dns_search);
    v("domainname", x.domainname);
    v.command("entrypoint", x.entrypoint);
    v("provider", x.provider);
    v("environment", x.environment);
    v("env_file", x.env_files);
    v("expose", x.expose);
    v("external_links", x.external_links);
    v("extra_hosts", x.extra_hosts);
    v("group_add", x.group_add);
    v("gpus", x.gpus);
    v("hostname", x.hostname);
    v("healthcheck", x.healthcheck);
    v("image", x.image);
    v("init", x.init);
    v("ipc", x.ipc);
    v("isolation", x.isolation);
    v("labels", x.labels);
    v("label_file", x.label_files);
    v("links", x.links);
    v("logging", x.logging);
    v("mem_limit", x.mem_limit);
    v("mem_reservation", x.mem_reservation);
    v("memswap_limit", x.memswap_limit);
    v("mem_swappiness", x.mem_swappiness);
    v("mac_address", x.mac_address);
    v("models", x.models);
    v("network_mode", x.network_mode);
    v("networks", x.networks);
    v("oom_kill_disable", x.oom_kill_disable);
    v("oom_score_adj", x.oom_score_adj);
    v("pid", x.pid);
    v("pids_limit", x.pids_limit);
    v("platform", x.platform);
    v("ports", x.ports);
    v("privileged", x.privileged);
    v("pull_policy", x.pull_policy);
    v("pull_refresh_after", x.pull_refresh_after);
    v("read_only", x.read_only);
    v("restart", x.restart);
    v("runtime", x.runtime);
    v("scale", x.scale);
    v("secrets", x.secrets);
    v("security_opt", x.security_opt);
    v("shm_size", x.shm_size);
    v("stdin_open", x.stdin_open);
    v("stop_grace_period", x.stop_grace_period);
    v("stop_signal", x.stop_signal);
    v("storage_opt", x.storage_opt);
    v("sysctls", x.sysctls);
    v("tmpfs", x.tmpfs);
    v("tty", x.tty);
    v("ulimits", x.ulimits);
    v("use_api_socket", x.use_api_socket);
    v("user", x.user);
    v("userns_mode", x.userns_mode);
    v("uts", x.uts);
    v("volumes", x.volumes);
    v("volumes_from", x.volumes_from);
    v("working_dir", x.working_dir);
    v("pre_start", x.pre_start);
    v("post_start", x.post_start);
    v("pre_stop", x.pre_stop);
    v.extensions(x.extensions);
}

template <class V, Is<IpamPool> T>
void describe(V& v, T& x) {
    v("subnet", x.subnet);
    v("gateway", x.gateway);
    v("ip_range", x.ip_range);
    v("aux_addresses", x.aux_addresses);
    v.extensions(x.extensions);
}
template <class V, Is<Ipam> T>
void describe(V& v, T& x) {
    v("driver", x.driver);
    v("config", x.config);
    v.unprinted("options", x.options);
    v.extensions(x.extensions);
}
template <class V, Is<Network> T>
void describe(V& v, T& x) {
    v("name", x.name);
    v("driver", x.driver);
    v("driver_opts", x.driver_opts);
    v.inline_struct("ipam", x.ipam);
    v("external", x.external);
    v("internal", x.internal);
    v("attachable", x.attachable);
    v("labels", x.labels);
    v("enable_ipv4", x.enable_ipv4);
    v("enable_ipv6", x.enable_ipv6);
    v.extensions(x.extensions);
}

template <class V, Is<Volume> T>
void describe(V& v, T& x) {
    v("name", x.name);
    v("driver", x.driver);
    v("driver_opts", x.driver_opts);
    v("external", x.external);
    v("labels", x.labels);
    v.extensions(x.extensions);
}

template <class V, Is<FileObject> T>
void describe(V& v, T& x) {
    v("name", x.name);
    v("file", x.file);
    v("environment", x.environment);
    v.content("content", x);
    v("external", x.external);
    v("labels", x.labels);
    v("driver", x.driver);
    v("driver_opts", x.driver_opts);
    v("template_driver", x.template_driver);
    v.extensions(x.extensions);
}

template <class V, Is<Model> T>
void describe(V& v, T& x) {
    v("name", x.name);
    v("model", x.model);
    v("context_size", x.context_size);
    v("runtime_flags", x.runtime_flags);
    v.extensions(x.extensions);
}

}  // namespace compose::model
