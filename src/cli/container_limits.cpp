#include <cmath>

#include "cli/container_spec.h"
#include "model/short_forms.h"

namespace compose::cli {

Result<int64_t> bytes_of(const Arguments& arguments, std::string_view flag, bool unlimited) {
    std::string text = arguments.text(flag);
    if (text.empty()) return 0;
    if (unlimited && text == "-1") return -1;
    auto size = model::parse_size(text);
    if (!size || *size < 0) return fail(Code::invalid, "invalid argument " + base::quote(text) + " for \"--" + std::string(flag) + "\" flag: invalid size: " + base::quote(text));
    return *size;
}

Result<engine::RestartPolicy> restart_policy_of(const std::string& text) {
    auto [name, count] = base::cut(text, ':');
    engine::RestartPolicy policy{name.empty() ? "no" : name, 0};
    if (!count) return policy;
    auto number = base::parse_int(*count);
    if (!number || *number < 0 || *number > 1'000'000) return fail(Code::invalid, "invalid restart policy format: maximum retry count must be an integer");
    policy.maximum_retries = static_cast<int>(*number);
    return policy;
}

namespace {

/// `/dev/sda:1mb`, `/dev/sda:1000`, `/dev/sda:500`
Result<std::vector<engine::ThrottleDevice>> device_rates(const Arguments& arguments, std::string_view flag, bool bytes) {
    std::vector<engine::ThrottleDevice> result;
    for (const std::string& text : arguments.list(flag)) {
        size_t colon = text.rfind(':');
        std::string path = text.substr(0, colon), rate = colon == std::string::npos ? "" : text.substr(colon + 1);
        if (!path.starts_with("/dev/")) return fail(Code::invalid, "bad format for device path: " + text);
        std::optional<int64_t> value;
        if (bytes) {
            if (auto size = model::parse_size(rate)) value = *size;
        } else {
            value = base::parse_int(rate);
        }
        if (!value || *value < 0) return fail(Code::invalid, "invalid rate for device: " + text + ": the format is <device-path>:<number>" + (bytes ? "[<unit>]" : ""));
        result.push_back({path, static_cast<uint64_t>(*value)});
    }
    return result;
}

Result<double> cpus_of(const std::string& text) {
    if (text.empty()) return 0.0;
    char* end = nullptr;
    double value = strtod(text.c_str(), &end);
    if (*end != '\0' || !std::isfinite(value) || value < 0) return fail(Code::invalid, "invalid argument " + base::quote(text) + " for \"--cpus\" flag: failed to parse " + text + " as a rational number");
    return value;
}

/// `all`, `2`, `device=0`, `"device=0,1",capabilities=utility`
Result<engine::DeviceRequest> gpu_request(const std::string& text) {
    engine::DeviceRequest request;
    request.capabilities = {"gpu"};
    bool counted = false;
    for (const std::string& field : TRY(csv_fields(text, "gpus"))) {
        auto [key, value] = base::cut(field, '=');
        if (!value) value = std::exchange(key, "count");
        if (key == "count") {
            auto number = *value == "all" ? std::optional<int64_t>(-1) : base::parse_int(*value);
            if (!number || *number < -1) return fail(Code::invalid, "--gpus: count (" + *value + ") must be an integer or \"all\"");
            request.count = static_cast<int>(*number);
            counted = true;
        } else if (key == "device") {
            request.ids = base::split(*value, ',');
        } else if (key == "driver") {
            request.driver = *value;
        } else if (key == "capabilities") {
            for (const std::string& capability : base::split(*value, ',')) request.capabilities.push_back(capability);
        } else if (key == "options") {
            for (const std::string& option : base::split(*value, ',')) {
                auto [name, setting] = base::cut(option, '=');
                request.options[name] = setting.value_or("");
            }
        } else {
            return fail(Code::invalid, "--gpus: unexpected key " + base::quote(key) + " in " + base::quote(field));
        }
    }
    if (!counted && request.ids.empty()) request.count = 1;
    return request;
}

}  // namespace

Result<engine::Resources> resources_of(const Arguments& arguments) {
    engine::Resources resources;
    resources.memory = TRY(bytes_of(arguments, "memory"));
    resources.memory_reservation = TRY(bytes_of(arguments, "memory-reservation"));
    resources.memory_swap = TRY(bytes_of(arguments, "memory-swap", true));
    if (arguments.given("memory-swappiness") && arguments.integer("memory-swappiness") != -1) resources.memory_swappiness = arguments.integer("memory-swappiness");
    resources.cpus = TRY(cpus_of(arguments.text("cpus")));
    resources.cpu_shares = arguments.integer("cpu-shares");
    resources.cpu_period = arguments.integer("cpu-period");
    resources.cpu_quota = arguments.integer("cpu-quota");
    resources.cpu_rt_period = arguments.integer("cpu-rt-period");
    resources.cpu_rt_runtime = arguments.integer("cpu-rt-runtime");
    resources.cpuset_cpus = arguments.text("cpuset-cpus");
    resources.cpuset_mems = arguments.text("cpuset-mems");
    resources.pids = arguments.integer("pids-limit");
    int64_t weight = arguments.integer("blkio-weight");
    if (weight != 0 && (weight < 10 || weight > 1000)) return fail(Code::invalid, "Range of blkio weight is from 10 to 1000");
    resources.blkio_weight = static_cast<uint16_t>(weight);
    resources.blkio_weight_device = TRY(device_rates(arguments, "blkio-weight-device", false));
    resources.read_bps = TRY(device_rates(arguments, "device-read-bps", true));
    resources.write_bps = TRY(device_rates(arguments, "device-write-bps", true));
    resources.read_iops = TRY(device_rates(arguments, "device-read-iops", false));
    resources.write_iops = TRY(device_rates(arguments, "device-write-iops", false));
    return resources;
}

Status add_device_flags(engine::ContainerSpec& spec, const Arguments& arguments) {
    for (const std::string& text : arguments.list("device")) {
        if (!text.starts_with("/") && text.find('=') != std::string::npos) {
            spec.device_requests.push_back({.driver = "cdi", .ids = {text}});
            continue;
        }
        auto parts = base::split(text, ':');
        auto is_mode = [](const std::string& part) { return !part.empty() && part.find_first_not_of("rwm") == std::string::npos; };
        engine::Device device{parts[0], parts[0]};
        if (parts.size() == 2 && is_mode(parts[1]))
            device.permissions = parts[1];
        else if (parts.size() >= 2)
            device.target = parts[1];
        if (parts.size() == 3) device.permissions = parts[2];
        if (parts.size() > 3 || device.source.empty() || device.target.empty() || !is_mode(device.permissions)) return fail(Code::invalid, "invalid device specification: " + text);
        spec.devices.push_back(device);
    }
    for (const std::string& text : arguments.list("gpus")) spec.device_requests.push_back(TRY(gpu_request(text)));
    spec.device_cgroup_rules = arguments.list("device-cgroup-rule");
    for (const std::string& text : arguments.list("ulimit")) {
        auto [name, values] = base::cut(text, '=');
        auto [soft_text, hard_text] = base::cut(values.value_or(""), ':');
        auto soft = base::parse_int(soft_text), hard = hard_text ? base::parse_int(*hard_text) : soft;
        if (name.empty() || !soft || !hard) return fail(Code::invalid, "invalid ulimit argument: " + text);
        if (*hard != -1 && (*soft == -1 || *soft > *hard)) return fail(Code::invalid, "ulimit soft limit must be less than or equal to hard limit: " + text);
        std::erase_if(spec.ulimits, [&](const engine::Ulimit& other) { return other.name == name; });
        spec.ulimits.push_back({name, *soft, *hard});
    }
    return {};
}

}  // namespace compose::cli
