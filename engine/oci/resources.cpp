#include "oci/resources.h"

#include <limits>

#include "base/text.h"
#include "oci/json_reader.h"
#include "runtime/cgroup_limits.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;
using runtime::CgroupVersion;
using runtime::CgroupWrite;

constexpr int64_t kLeastLimit = -1, kMostLimit = std::numeric_limits<int64_t>::max();

struct Writer {
    JsonReader reader{"resources"};
    bool v2;
    std::vector<CgroupWrite> out;

    void add(const char* controller, std::string file, std::string value, bool optional = false) {
        out.push_back({controller, std::move(file), std::move(value), optional});
    }
    /// "max" is v2's word for -1.
    std::string limit(int64_t value) const { return value < 0 ? (v2 ? "max" : "-1") : std::to_string(value); }

    void memory(const json::object& object) {
        auto most = reader.number(object, "limit", "memory", kLeastLimit, kMostLimit), swap = reader.number(object, "swap", "memory", kLeastLimit, kMostLimit);
        auto reservation = reader.number(object, "reservation", "memory", kLeastLimit, kMostLimit);
        bool limited = most && *most != 0;
        if (!v2) {
            if (limited) add("memory", "memory.limit_in_bytes", limit(*most));
            // A limit alone keeps the sum at least as high; an unlimited one must lift it.
            if (swap && *swap != 0)
                add("memory", "memory.memsw.limit_in_bytes", limit(*swap), *swap < 0);
            else if (limited && *most < 0)
                add("memory", "memory.memsw.limit_in_bytes", "-1", true);
            if (reservation && *reservation != 0) add("memory", "memory.soft_limit_in_bytes", limit(*reservation));
            if (auto kernel = reader.number(object, "kernelTCP", "memory", kLeastLimit, kMostLimit); kernel && *kernel != 0)
                add("memory", "memory.kmem.tcp.limit_in_bytes", limit(*kernel), true);
            if (auto swappiness = reader.number(object, "swappiness", "memory", 0, kMostLimit)) {
                if (*swappiness > 100)
                    reader.complain("memory.swappiness", "invalid memory swappiness value: " + std::to_string(*swappiness) + " (valid range is 0-100)");
                add("memory", "memory.swappiness", std::to_string(*swappiness));
            }
            if (reader.flag(object, "disableOOMKiller", "memory")) add("memory", "memory.oom_control", "1");
            return;
        }
        if (limited) add("memory", "memory.max", limit(*most));
        if (swap && *swap != 0) {
            if (*swap > 0 && (!limited || *most < 0))
                reader.complain("memory.swap", "unable to set swap limit without memory limit");
            else if (*swap > 0 && *swap < *most)
                reader.complain("memory.swap", "memory+swap limit should be >= memory limit");
            else
                add("memory", "memory.swap.max", *swap < 0 ? "max" : std::to_string(*swap - *most), *swap < 0);
        }
        if (reservation && *reservation != 0) add("memory", "memory.low", limit(*reservation));
    }

    void cpu(const json::object& object) {
        auto shares = reader.number(object, "shares", "cpu", 0, kMostLimit);
        auto quota = reader.number(object, "quota", "cpu", std::numeric_limits<int64_t>::min(), kMostLimit);
        auto period = reader.number(object, "period", "cpu", 0, kMostLimit), burst = reader.number(object, "burst", "cpu", 0, kMostLimit);
        auto idle = reader.number(object, "idle", "cpu", 0, 1);
        auto rt_period = reader.number(object, "realtimePeriod", "cpu", 0, kMostLimit);
        auto rt_runtime = reader.number(object, "realtimeRuntime", "cpu", std::numeric_limits<int64_t>::min(), kMostLimit);
        std::string cpus = reader.text(object, "cpus", "cpu"), nodes = reader.text(object, "mems", "cpu");
        if (v2) {
            if (shares && *shares != 0) add("cpu", "cpu.weight", std::to_string(runtime::cpu_weight(static_cast<uint64_t>(*shares))));
            if ((quota && *quota != 0) || (period && *period != 0)) {
                std::string value = quota && *quota > 0 ? std::to_string(*quota) : "max";
                if (period && *period != 0) value += " " + std::to_string(*period);
                add("cpu", "cpu.max", value);
            }
            if (burst) add("cpu", "cpu.max.burst", std::to_string(*burst));
        } else {
            if (shares && *shares != 0) add("cpu", "cpu.shares", std::to_string(*shares));
            if (period && *period != 0) add("cpu", "cpu.cfs_period_us", std::to_string(*period));
            if (quota && *quota != 0) add("cpu", "cpu.cfs_quota_us", std::to_string(*quota));
            if (burst) add("cpu", "cpu.cfs_burst_us", std::to_string(*burst));
            if (rt_period && *rt_period != 0) add("cpu", "cpu.rt_period_us", std::to_string(*rt_period));
            if (rt_runtime && *rt_runtime != 0) add("cpu", "cpu.rt_runtime_us", std::to_string(*rt_runtime));
        }
        if (idle) add("cpu", "cpu.idle", std::to_string(*idle));
        if (!cpus.empty()) add("cpuset", "cpuset.cpus", cpus);
        if (!nodes.empty()) add("cpuset", "cpuset.mems", nodes);
    }

    std::string device_of(const json::object& entry) {
        return std::to_string(reader.number(entry, "major", "blockIO", 0, 0xfff).value_or(0)) + ":" + std::to_string(reader.number(entry, "minor", "blockIO", 0, 0xfffff).value_or(0));
    }

    void block(const json::object& object) {
        auto weight = reader.number(object, "weight", "blockIO", 0, 1000);
        if (weight && *weight != 0) {
            if (v2) add("io", "io.bfq.weight", std::to_string(std::max<int64_t>(*weight, 1)), true);
            if (v2)
                add("io", "io.weight", "default " + std::to_string(1 + (std::max<int64_t>(*weight, 10) - 10) * 9999 / 990));
            else
                add("blkio", "blkio.weight", std::to_string(*weight));
        }
        if (auto leaf = reader.number(object, "leafWeight", "blockIO", 0, 1000); leaf && *leaf != 0 && !v2) add("blkio", "blkio.leaf_weight", std::to_string(*leaf));
        for (const json::object* entry : reader.objects(object, "weightDevice", "blockIO")) {
            auto of_device = reader.number(*entry, "weight", "blockIO.weightDevice", 0, 1000);
            if (!of_device || *of_device == 0) continue;
            if (v2) add("io", "io.bfq.weight", device_of(*entry) + " " + std::to_string(*of_device), true);
            if (v2)
                add("io", "io.weight", device_of(*entry) + " " + std::to_string(1 + (std::max<int64_t>(*of_device, 10) - 10) * 9999 / 990));
            else
                add("blkio", "blkio.weight_device", device_of(*entry) + " " + std::to_string(*of_device));
        }
        struct Row {
            const char *key, *v1_file, *v2_key;
        };
        constexpr Row kRows[] = {{"throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"},
                                 {"throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"},
                                 {"throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"},
                                 {"throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"}};
        for (const Row& row : kRows)
            for (const json::object* entry : reader.objects(object, row.key, "blockIO")) {
                std::string rate = std::to_string(reader.number(*entry, "rate", "blockIO." + std::string(row.key), 0, kMostLimit).value_or(0));
                if (v2)
                    add("io", "io.max", device_of(*entry) + " " + row.v2_key + "=" + rate);
                else
                    add("blkio", row.v1_file, device_of(*entry) + " " + rate);
            }
    }

    void rest(const json::object& resources) {
        if (auto pids = reader.number(reader.object(resources, "pids", ""), "limit", "pids", std::numeric_limits<int64_t>::min(), kMostLimit); pids && *pids != 0)
            add("pids", "pids.max", *pids < 0 ? "max" : std::to_string(*pids));
        for (const json::object* entry : reader.objects(resources, "hugepageLimits", "")) {
            std::string size = reader.text(*entry, "pageSize", "hugepageLimits");
            auto most = reader.number(*entry, "limit", "hugepageLimits", 0, kMostLimit);
            if (size.find_first_not_of("0123456789KMGB") != std::string::npos) reader.complain("hugepageLimits.pageSize", "must be a size like 2MB");
            add("hugetlb", "hugetlb." + size + (v2 ? ".max" : ".limit_in_bytes"), std::to_string(most.value_or(0)));
        }
        const json::object& net = reader.object(resources, "network", "");
        if (auto id = reader.number(net, "classID", "network", 0, 0xffffffffLL); id && *id != 0 && !v2) add("net_cls", "net_cls.classid", std::to_string(*id));
        if (!v2)
            for (const json::object* entry : reader.objects(net, "priorities", "network"))
                add("net_prio", "net_prio.ifpriomap",
                    reader.text(*entry, "name", "network.priorities") + " " + std::to_string(reader.number(*entry, "priority", "network.priorities", 0, 0xffffffffLL).value_or(0)));
        for (const auto& [name, value] : reader.object(resources, "rdma", "")) {
            if (!value.is_object()) continue;
            std::string line(name);
            if (auto handles = reader.number(value.get_object(), "hcaHandles", "rdma", 0, kMostLimit)) line += " hca_handle=" + std::to_string(*handles);
            if (auto objects = reader.number(value.get_object(), "hcaObjects", "rdma", 0, kMostLimit)) line += " hca_object=" + std::to_string(*objects);
            add("rdma", "rdma.max", line);
        }
        const json::object& unified = reader.object(resources, "unified", "");
        if (!unified.empty() && !v2) reader.complain("unified", "needs control groups version 2, and this machine has version 1");
        for (const auto& [name, value] : unified) {
            std::string file(name);
            if (file.find('/') != std::string::npos || file.find('.') == std::string::npos || file.starts_with("cgroup."))
                reader.complain("unified", base::quote(file) + " is not a controller's file");
            else if (!value.is_string())
                reader.complain("unified", "values must be strings");
            else
                for (const std::string& line : base::split(std::string_view(value.get_string()), '\n'))
                    if (!line.empty()) add(file.substr(0, file.find('.')).c_str(), file, line);
        }
    }
};
}  // namespace

Result<std::vector<CgroupWrite>> resource_writes(const json::object& resources, CgroupVersion version) {
    Writer writer;
    writer.v2 = version == CgroupVersion::v2;
    writer.memory(writer.reader.object(resources, "memory", ""));
    writer.cpu(writer.reader.object(resources, "cpu", ""));
    writer.block(writer.reader.object(resources, "blockIO", ""));
    writer.rest(resources);
    if (writer.reader.failed()) return writer.reader.take_error();
    return std::move(writer.out);
}

Result<std::vector<runtime::DeviceRule>> resource_devices(const json::object& resources) {
    JsonReader reader("resources");
    std::vector<runtime::DeviceRule> out{{false, 'a', -1, -1, "rwm"}};
    for (const json::object* entry : reader.objects(resources, "devices", "")) {
        runtime::DeviceRule rule;
        rule.allow = reader.flag(*entry, "allow", "devices");
        std::string type = reader.text(*entry, "type", "devices");
        if (!type.empty()) rule.type = type[0] == 'u' ? 'c' : type[0];
        if (type.size() > 1 || std::string_view("abc").find(rule.type) == std::string_view::npos) reader.complain("devices.type", "must be a, b or c");
        rule.major = reader.number(*entry, "major", "devices", -1, 0xfff).value_or(-1);
        rule.minor = reader.number(*entry, "minor", "devices", -1, 0xfffff).value_or(-1);
        rule.access = reader.text(*entry, "access", "devices");
        if (rule.access.empty()) rule.access = "rwm";
        if (rule.access.find_first_not_of("rwm") != std::string::npos) reader.complain("devices.access", "must be made of r, w and m");
        // "a" with numbers is both kinds: the kernel knows it as "all" only.
        if (rule.type == 'a' && (rule.major >= 0 || rule.minor >= 0 || rule.access != "rwm"))
            for (char kind : {'b', 'c'}) {
                rule.type = kind;
                out.push_back(rule);
            }
        else
            out.push_back(std::move(rule));
    }
    if (reader.failed()) return reader.take_error();
    for (runtime::DeviceRule& rule : runtime::default_device_rules()) out.push_back(std::move(rule));
    return out;
}

}  // namespace engine::oci
