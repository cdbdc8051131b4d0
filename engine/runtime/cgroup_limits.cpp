#include "runtime/cgroup_limits.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmath>

#include "base/text.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

Result<std::string> device_of(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return base::fail_errno("block device " + base::quote(path));
    dev_t device = S_ISBLK(info.st_mode) ? info.st_rdev : info.st_dev;
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

base::Status check(const Resources& r) {
    // Docker's texts (daemon_unix.go).
    if (r.memory > 0 && r.memory < 6 * 1024 * 1024) return base::fail(Code::invalid, "Minimum memory limit allowed is 6MB");
    if (r.memory_swap > 0 && r.memory == 0) return base::fail(Code::invalid, "You should always set the Memory limit when using Memoryswap limit, see usage");
    if (r.memory > 0 && r.memory_swap > 0 && r.memory_swap < r.memory)
        return base::fail(Code::invalid, "Minimum memoryswap limit should be larger than memory limit, see usage");
    if (r.memory > 0 && r.memory_reservation > r.memory)
        return base::fail(Code::invalid, "Minimum memory limit can not be less than memory reservation limit, see usage");
    if (r.memory_swappiness && (*r.memory_swappiness < -1 || *r.memory_swappiness > 100))
        return base::fail(Code::invalid, "Invalid value: " + std::to_string(*r.memory_swappiness) + ", valid memory swappiness range is 0-100");
    if (r.cpus < 0) return base::fail(Code::invalid, "cpus: a negative number of CPUs");
    if (r.cpus > 0 && (r.cpu_quota > 0 || r.cpu_period > 0)) {
        if (r.cpu_quota > 0) return base::fail(Code::invalid, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        return base::fail(Code::invalid, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if (r.cpu_period != 0 && (r.cpu_period < 1000 || r.cpu_period > 1000000))
        return base::fail(Code::invalid, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
    if (r.cpu_quota > 0 && r.cpu_quota < 1000) return base::fail(Code::invalid, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
    if (r.blkio_weight != 0 && (r.blkio_weight < 10 || r.blkio_weight > 1000))
        return base::fail(Code::invalid, "Range of blkio weight is from 10 to 1000");
    return {};
}

struct CpuTime {
    int64_t quota = 0, period = 0;
};
CpuTime cpu_time(const Resources& r) {
    if (r.cpus > 0) return {std::llround(r.cpus * 1e9) / 10000, 100000};  // of whole nanoseconds, as Docker
    return {r.cpu_quota, r.cpu_period};
}

std::string number(int64_t n) { return std::to_string(n); }
/// memory + swap: 0 means twice the memory (Docker), -1 unlimited.
int64_t memory_and_swap(const Resources& r) { return r.memory_swap != 0 ? r.memory_swap : r.memory > INT64_MAX / 2 ? -1 : r.memory * 2; }
}  // namespace

uint64_t cpu_weight(uint64_t shares) {
    if (shares == 0) return 0;
    shares = std::min<uint64_t>(std::max<uint64_t>(shares, 2), 262144);
    return 1 + ((shares - 2) * 9999) / 262142;
}

// g++ 12: TRY inside a braced initialiser leaks the members that were made before it, so numbers are looked up first.
static base::Status add_v1(std::vector<CgroupWrite>& out, const Resources& r) {
    if (r.memory > 0) {
        out.push_back({"memory", "memory.limit_in_bytes", number(r.memory)});
        out.push_back({"memory", "memory.memsw.limit_in_bytes", number(memory_and_swap(r)), r.memory_swap == 0});
    }
    if (r.memory_reservation > 0) out.push_back({"memory", "memory.soft_limit_in_bytes", number(r.memory_reservation)});
    if (r.memory_swappiness && *r.memory_swappiness >= 0) out.push_back({"memory", "memory.swappiness", number(*r.memory_swappiness)});
    if (r.oom_kill_disable) out.push_back({"memory", "memory.oom_control", "1"});
    if (r.cpu_shares > 0) out.push_back({"cpu", "cpu.shares", number(r.cpu_shares)});
    auto [quota, period] = cpu_time(r);
    if (period > 0) out.push_back({"cpu", "cpu.cfs_period_us", number(period)});
    if (quota != 0) out.push_back({"cpu", "cpu.cfs_quota_us", number(quota)});
    if (r.cpu_rt_period > 0) out.push_back({"cpu", "cpu.rt_period_us", number(r.cpu_rt_period)});
    if (r.cpu_rt_runtime > 0) out.push_back({"cpu", "cpu.rt_runtime_us", number(r.cpu_rt_runtime)});
    if (!r.cpuset_cpus.empty()) out.push_back({"cpuset", "cpuset.cpus", r.cpuset_cpus});
    if (!r.cpuset_mems.empty()) out.push_back({"cpuset", "cpuset.mems", r.cpuset_mems});
    if (r.pids != 0) out.push_back({"pids", "pids.max", r.pids < 0 ? "max" : number(r.pids)});
    // One of both is there: CFQ's up to Linux 4.20, then BFQ's.
    for (const char* file : {"blkio.weight", "blkio.bfq.weight"})
        if (r.blkio_weight != 0) out.push_back({"blkio", file, number(r.blkio_weight), true});
    for (const ThrottleDevice& device : r.blkio_weight_device)
        {
            std::string number_of = TRY(device_of(device.path));
            for (const char* file : {"blkio.weight_device", "blkio.bfq.weight_device"}) out.push_back({"blkio", file, number_of + " " + std::to_string(device.rate), true});
        }
    using Row = std::pair<const std::vector<ThrottleDevice>*, const char*>;
    for (auto [list, file] : {Row{&r.read_bps, "blkio.throttle.read_bps_device"}, Row{&r.write_bps, "blkio.throttle.write_bps_device"},
                              Row{&r.read_iops, "blkio.throttle.read_iops_device"}, Row{&r.write_iops, "blkio.throttle.write_iops_device"}})
        for (const ThrottleDevice& device : *list) {
            std::string number_of = TRY(device_of(device.path));
            out.push_back({"blkio", file, number_of + " " + std::to_string(device.rate)});
        }
    return {};
}

static base::Status add_v2(std::vector<CgroupWrite>& out, const Resources& r) {
    if (r.memory > 0) {
        out.push_back({"memory", "memory.max", number(r.memory)});
        int64_t total = memory_and_swap(r);
        out.push_back({"memory", "memory.swap.max", total < 0 ? "max" : number(total - r.memory), r.memory_swap == 0});
    }
    if (r.memory_reservation > 0) out.push_back({"memory", "memory.low", number(r.memory_reservation)});
    if (r.cpu_shares > 0) out.push_back({"cpu", "cpu.weight", std::to_string(cpu_weight(static_cast<uint64_t>(r.cpu_shares)))});
    auto [quota, period] = cpu_time(r);
    if (quota != 0 || period > 0)
        out.push_back({"cpu", "cpu.max", (quota > 0 ? number(quota) : std::string("max")) + " " + number(period > 0 ? period : 100000)});
    if (r.cpu_rt_period > 0 || r.cpu_rt_runtime > 0)
        return base::fail(Code::unsupported_kernel, "cpu_rt_period and cpu_rt_runtime need cgroup v1: v2 has no real-time group scheduling");
    if (!r.cpuset_cpus.empty()) out.push_back({"cpuset", "cpuset.cpus", r.cpuset_cpus});
    if (!r.cpuset_mems.empty()) out.push_back({"cpuset", "cpuset.mems", r.cpuset_mems});
    if (r.pids != 0) out.push_back({"pids", "pids.max", r.pids < 0 ? "max" : number(r.pids)});
    // By the scheduler BFQ, which has Docker's range, where its module is loaded; else by the kernel's cost model. apply_writes chooses.
    if (r.blkio_weight != 0) {
        out.push_back({"io", "io.bfq.weight", number(r.blkio_weight), true});
        out.push_back({"io", "io.weight", "default " + number(1 + (r.blkio_weight - 10) * 9999 / 990)});
    }
    for (const ThrottleDevice& device : r.blkio_weight_device) {
        std::string number_of = TRY(device_of(device.path));
        out.push_back({"io", "io.bfq.weight", number_of + " " + std::to_string(device.rate), true});
        out.push_back({"io", "io.weight", number_of + " " + std::to_string(1 + (device.rate - 10) * 9999 / 990)});
    }
    using Row = std::pair<const std::vector<ThrottleDevice>*, const char*>;
    for (auto [list, key] : {Row{&r.read_bps, "rbps"}, Row{&r.write_bps, "wbps"}, Row{&r.read_iops, "riops"}, Row{&r.write_iops, "wiops"}})
        for (const ThrottleDevice& device : *list) {
            std::string number_of = TRY(device_of(device.path));
            out.push_back({"io", "io.max", number_of + " " + key + "=" + std::to_string(device.rate)});
        }
    return {};
}

Result<std::vector<CgroupWrite>> cgroup_writes(const Resources& resources, CgroupVersion version) {
    TRY_VOID(check(resources));
    std::vector<CgroupWrite> out;
    TRY_VOID(version == CgroupVersion::v1 ? add_v1(out, resources) : add_v2(out, resources));
    return out;
}

}  // namespace engine::runtime
