// One list of fields per struct serves both directions: `fields(archive, value, defaults)`.
#include "store/codec.h"

#include <boost/json.hpp>

namespace engine {

const char* to_text(ContainerStatus status) {
    switch (status) {
        case ContainerStatus::created: return "created";
        case ContainerStatus::running: return "running";
        case ContainerStatus::paused: return "paused";
        case ContainerStatus::restarting: return "restarting";
        case ContainerStatus::removing: return "removing";
        case ContainerStatus::exited: return "exited";
        case ContainerStatus::dead: return "dead";
    }
    return "unknown";
}

const char* to_text(HealthStatus status) {
    switch (status) {
        case HealthStatus::none: return "none";
        case HealthStatus::starting: return "starting";
        case HealthStatus::healthy: return "healthy";
        case HealthStatus::unhealthy: return "unhealthy";
    }
    return "unknown";
}

}  // namespace engine

namespace engine::store {
namespace {

namespace json = boost::json;

const char* to_text(Mount::Type type) {
    switch (type) {
        case Mount::Type::bind: return "bind";
        case Mount::Type::volume: return "volume";
        case Mount::Type::tmpfs: return "tmpfs";
        case Mount::Type::image: return "image";
    }
    return "unknown";
}

// ---- the fields -------------------------------------------------------------------------------------------------------

#define F(name) archive(#name, v.name, d.name)

template <class A, class V> void fields(A& archive, V& v, const HealthCheck& d) {
    F(test), F(interval), F(timeout), F(start_period), F(start_interval), F(retries);
}
template <class A, class V> void fields(A& archive, V& v, const ImageConfig& d) {
    F(user), F(working_dir), F(stop_signal), F(env), F(entrypoint), F(cmd), F(shell), F(on_build), F(exposed_ports), F(volumes), F(labels),
        F(health_check);
}
template <class A, class V> void fields(A& archive, V& v, const Platform& d) { F(os), F(architecture), F(variant); }
template <class A, class V> void fields(A& archive, V& v, const ImageInfo::History& d) {
    F(created), F(created_by), F(comment), F(author), F(empty_layer);
}
template <class A, class V> void fields(A& archive, V& v, const ImageInfo& d) {
    F(id), F(references), F(repo_digests), F(platform), F(created), F(tagged), F(pulled), F(size), F(config), F(layers), F(history), F(author);
}
template <class A, class V> void fields(A& archive, V& v, const Mount& d) {
    F(type), F(source), F(target), F(read_only), F(anonymous), F(create_host_path), F(propagation), F(non_recursive),
        F(read_only_non_recursive), F(selinux), F(bind_options), F(no_copy), F(subpath), F(tmpfs_size), F(tmpfs_mode), F(tmpfs_options);
}
template <class A, class V> void fields(A& archive, V& v, const FileMount& d) {
    F(target), F(host_path), F(content), F(uid), F(gid), F(mode), F(secret);
}
template <class A, class V> void fields(A& archive, V& v, const PortMapping& d) {
    F(host_ip), F(host_port), F(host_port_last), F(container_port), F(protocol);
}
template <class A, class V> void fields(A& archive, V& v, const Endpoint& d) {
    F(network), F(aliases), F(ipv4), F(ipv6), F(link_local_ips), F(mac), F(interface_name), F(priority), F(gateway_priority),
        F(driver_options);
}
template <class A, class V> void fields(A& archive, V& v, const Device& d) { F(source), F(target), F(permissions); }
template <class A, class V> void fields(A& archive, V& v, const DeviceRequest& d) {
    F(driver), F(count), F(ids), F(capabilities), F(options);
}
template <class A, class V> void fields(A& archive, V& v, const Ulimit& d) { F(name), F(soft), F(hard); }
template <class A, class V> void fields(A& archive, V& v, const ThrottleDevice& d) { F(path), F(rate); }
template <class A, class V> void fields(A& archive, V& v, const Resources& d) {
    F(memory), F(memory_reservation), F(memory_swap), F(memory_swappiness), F(cpus), F(cpu_shares), F(cpu_period), F(cpu_quota),
        F(cpu_rt_period), F(cpu_rt_runtime), F(cpuset_cpus), F(cpuset_mems), F(pids), F(blkio_weight), F(blkio_weight_device), F(read_bps),
        F(write_bps), F(read_iops), F(write_iops), F(oom_kill_disable);
}
template <class A, class V> void fields(A& archive, V& v, const RestartPolicy& d) { F(name), F(maximum_retries); }
template <class A, class V> void fields(A& archive, V& v, const LogConfig& d) { F(driver), F(options); }
template <class A, class V> void fields(A& archive, V& v, const ContainerSpec& d) {
    F(name), F(image), F(image_id), F(entrypoint), F(command), F(env), F(user), F(working_dir), F(hostname), F(domainname), F(stop_signal),
        F(group_add), F(stop_grace), F(labels), F(annotations), F(tty), F(stdin_open), F(stdin_once), F(init), F(read_only), F(privileged),
        F(cap_add), F(cap_drop), F(security_opt), F(devices), F(device_requests), F(device_cgroup_rules), F(ulimits), F(sysctls),
        F(shm_size), F(tmpfs), F(mounts), F(files), F(extra_hosts), F(dns), F(dns_search), F(dns_options), F(network_mode), F(endpoints),
        F(links), F(ports), F(expose), F(publish_all), F(pid_mode), F(ipc_mode), F(uts_mode), F(userns_mode), F(cgroup_mode), F(cgroup_parent),
        F(runtime), F(isolation), F(resources), F(oom_score_adj), F(restart), F(health_check), F(log), F(storage_options), F(platform),
        F(auto_remove);
}
template <class A, class V> void fields(A& archive, V& v, const HealthProbe& d) { F(start), F(end), F(exit_code), F(output); }
template <class A, class V> void fields(A& archive, V& v, const ContainerState& d) {
    F(status), F(pid), F(pid_start), F(exit_code), F(oom_killed), F(stopped_by_user), F(error), F(started), F(finished), F(restart_count),
        F(health), F(failing_streak), F(probes);
}
template <class A, class V> void fields(A& archive, V& v, const EndpointState& d) {
    F(network), F(network_id), F(ipv4), F(ipv6), F(prefix4), F(prefix6), F(gateway4), F(gateway6), F(mac), F(interface_name), F(aliases);
}
template <class A, class V> void fields(A& archive, V& v, const ContainerInfo& d) {
    F(id), F(spec), F(created), F(state), F(endpoints), F(ports), F(argv), F(supervisor);
}
template <class A, class V> void fields(A& archive, V& v, const IpamPool& d) { F(subnet), F(gateway), F(ip_range), F(aux_addresses); }
template <class A, class V> void fields(A& archive, V& v, const NetworkSpec& d) {
    F(name), F(driver), F(driver_options), F(pools), F(ipam_driver), F(internal), F(attachable), F(enable_ipv4), F(enable_ipv6), F(labels);
}
template <class A, class V> void fields(A& archive, V& v, const NetworkInfo& d) {
    F(id), F(spec), F(created), F(bridge), F(subnet4), F(gateway4), F(subnet6), F(gateway6);
}
template <class A, class V> void fields(A& archive, V& v, const VolumeSpec& d) { F(name), F(driver), F(driver_options), F(labels); }
template <class A, class V> void fields(A& archive, V& v, const VolumeInfo& d) { F(spec), F(created), F(path), F(anonymous); }
template <class A, class V> void fields(A& archive, V& v, const Event& d) { F(sequence), F(time), F(type), F(action), F(id), F(attributes); }

#undef F

// ---- writing ----------------------------------------------------------------------------------------------------------

template <class T> json::value encode(const T& value);

struct Encoder {
    json::object object;
    template <class T> void operator()(const char* key, const T& value, const T& standard) {
        if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::string> || std::is_same_v<T, Nanoseconds>) {
            if (value != standard) object.emplace(key, encode(value));
        } else {
            add(key, value);
        }
    }

private:
    template <class T> void add(const char* key, const std::optional<T>& value) {
        if (value) object.emplace(key, encode(*value));
    }
    template <class T> void add(const char* key, const std::vector<T>& value) {
        if (!value.empty()) object.emplace(key, encode(value));
    }
    void add(const char* key, const Labels& value) {
        if (!value.empty()) object.emplace(key, encode(value));
    }
    template <class T> void add(const char* key, const T& value) {
        json::value inner = encode(value);
        if (!inner.get_object().empty()) object.emplace(key, std::move(inner));
    }
};

json::value encode_item(const std::string& value) { return json::value(json::string_view(value.data(), value.size())); }
json::value encode_item(const Nanoseconds& value) { return json::value(static_cast<int64_t>(value.count())); }
json::value encode_item(const Labels& value) {
    json::object object;
    object.reserve(value.size());
    for (const auto& [key, item] : value) object.emplace(json::string_view(key.data(), key.size()), encode(item));
    return object;
}
template <class T> json::value encode_item(const std::vector<T>& value) {
    json::array array;
    array.reserve(value.size());
    for (const auto& item : value) array.push_back(encode(item));
    return array;
}
template <class T> json::value encode_item(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        return json::value(value);
    } else if constexpr (std::is_same_v<T, double>) {
        return json::value(value);
    } else if constexpr (std::is_same_v<T, ContainerStatus> || std::is_same_v<T, HealthStatus>) {
        return json::value(engine::to_text(value));
    } else if constexpr (std::is_same_v<T, Mount::Type>) {
        return json::value(to_text(value));
    } else if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T>) {
        return json::value(static_cast<uint64_t>(value));
    } else if constexpr (std::is_integral_v<T>) {
        return json::value(static_cast<int64_t>(value));
    } else {
        static const T standard{};
        Encoder encoder;
        fields(encoder, value, standard);
        return std::move(encoder.object);
    }
}
template <class T> json::value encode(const T& value) { return encode_item(value); }

template <class T> std::string write(const T& value) {
    return json::serialize(encode(value));
}

// ---- reading ----------------------------------------------------------------------------------------------------------

[[noreturn]] void wrong_type(const char* key) { throw std::runtime_error(std::string("field \"") + key + "\" has another type"); }

template <class T> void decode(const char* key, const json::value& from, T& to);

struct Decoder {
    const json::object& object;
    template <class T> void operator()(const char* key, T& value, const T& /*standard: value has it already*/) {
        if (const json::value* found = object.if_contains(key); found && !found->is_null()) decode(key, *found, value);
    }
};

template <class E> void decode_enum(const char* key, const json::value& from, E& to, E last, const char* (*text)(E)) {
    if (!from.is_string()) wrong_type(key);
    for (int i = 0; i <= static_cast<int>(last); ++i)
        if (from.get_string() == text(static_cast<E>(i))) {
            to = static_cast<E>(i);
            return;
        }
    wrong_type(key);
}

void decode_item(const char* key, const json::value& from, std::string& to) {
    if (!from.is_string()) wrong_type(key);
    to.assign(from.get_string().data(), from.get_string().size());
}
void decode_item(const char* key, const json::value& from, Nanoseconds& to) {
    if (!from.is_int64()) wrong_type(key);
    to = Nanoseconds(from.get_int64());
}
void decode_item(const char* key, const json::value& from, Labels& to) {
    if (!from.is_object()) wrong_type(key);
    for (const auto& item : from.get_object()) {
        std::string value;
        decode_item(key, item.value(), value);
        to.emplace_hint(to.end(), std::string(item.key().data(), item.key().size()), std::move(value));
    }
}
template <class T> void decode_item(const char* key, const json::value& from, std::vector<T>& to) {
    if (!from.is_array()) wrong_type(key);
    to.clear();
    to.reserve(from.get_array().size());
    for (const auto& item : from.get_array()) decode(key, item, to.emplace_back());
}
template <class T> void decode_item(const char* key, const json::value& from, std::optional<T>& to) { decode(key, from, to.emplace()); }
template <class T> void decode_item(const char* key, const json::value& from, T& to) {
    if constexpr (std::is_same_v<T, bool>) {
        if (!from.is_bool()) wrong_type(key);
        to = from.get_bool();
    } else if constexpr (std::is_same_v<T, double>) {
        if (!from.is_number()) wrong_type(key);
        to = from.to_number<double>();
    } else if constexpr (std::is_same_v<T, ContainerStatus>) {
        decode_enum<ContainerStatus>(key, from, to, ContainerStatus::dead, engine::to_text);
    } else if constexpr (std::is_same_v<T, HealthStatus>) {
        decode_enum<HealthStatus>(key, from, to, HealthStatus::unhealthy, engine::to_text);
    } else if constexpr (std::is_same_v<T, Mount::Type>) {
        decode_enum<Mount::Type>(key, from, to, Mount::Type::image, to_text);
    } else if constexpr (std::is_integral_v<T>) {
        if (!from.is_int64() && !from.is_uint64()) wrong_type(key);
        boost::system::error_code error;
        T number = from.to_number<T>(error);
        if (error) wrong_type(key);
        to = number;
    } else {
        if (!from.is_object()) wrong_type(key);
        static const T standard{};
        Decoder decoder{from.get_object()};
        fields(decoder, to, standard);
    }
}
template <class T> void decode(const char* key, const json::value& from, T& to) { decode_item(key, from, to); }

template <class T> base::Result<T> read(std::string_view text) {
    T value{};
    if (text.empty()) return value;
    try {
        json::parse_options options;
        options.allow_invalid_utf8 = true;  // environment values and paths are bytes
        json::monotonic_resource arena;     // freed as a whole: a list of containers is parsed in one go
        json::value parsed = json::parse(json::string_view(text.data(), text.size()), &arena, options);
        decode("document", parsed, value);
    } catch (const std::exception& error) {
        return base::fail(base::Code::corrupt, std::string("state: ") + error.what());
    }
    return value;
}

}  // namespace

template <class T>
base::Result<T> from_json(std::string_view text) {
    return read<T>(text);
}

#define CODEC(...)                                                         \
    std::string to_json(const __VA_ARGS__& value) { return write(value); } \
    template base::Result<__VA_ARGS__> from_json<__VA_ARGS__>(std::string_view text);

CODEC(HealthCheck)
CODEC(ImageConfig)
CODEC(ImageInfo)
CODEC(Mount)
CODEC(Resources)
CODEC(RestartPolicy)
CODEC(ContainerSpec)
CODEC(ContainerState)
CODEC(ContainerInfo)
CODEC(EndpointState)
CODEC(std::vector<EndpointState>)
CODEC(PortMapping)
CODEC(std::vector<PortMapping>)
CODEC(NetworkSpec)
CODEC(NetworkInfo)
CODEC(VolumeSpec)
CODEC(VolumeInfo)
CODEC(Event)
CODEC(std::vector<std::string>)
CODEC(Labels)

}  // namespace engine::store
