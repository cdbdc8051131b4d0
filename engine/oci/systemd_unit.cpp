#include "oci/systemd_unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace engine::oci {
namespace {
using base::Code;
using base::quote;
using runtime::CgroupVersion;
using runtime::CgroupWrite;

constexpr uint64_t kUnlimited = UINT64_MAX;

/// "0-2,5" as systemd's bit mask, the first CPU in the lowest bit of the first byte.
std::vector<uint8_t> mask_of(std::string_view list) {
    std::vector<uint8_t> mask;
    for (const std::string& part : base::split(list, ',')) {
        auto [first, last] = base::cut(base::trim(part), '-');
        auto from = base::parse_int(first), to = last ? base::parse_int(*last) : from;
        if (!from || !to || *from < 0 || *to > 8191) continue;  // the file's own write complains
        for (int64_t bit = *from; bit <= *to; ++bit) {
            auto byte = static_cast<size_t>(bit / 8);
            if (mask.size() <= byte) mask.resize(byte + 1);
            mask[byte] = static_cast<uint8_t>(mask[byte] | 1U << (bit % 8));
        }
    }
    return mask;
}

struct Row {
    const char *file, *property;
};
constexpr Row kNumbersV2[] = {{"memory.max", "MemoryMax"},        {"memory.low", "MemoryLow"}, {"memory.high", "MemoryHigh"}, {"memory.min", "MemoryMin"},
                              {"memory.swap.max", "MemorySwapMax"}, {"cpu.weight", "CPUWeight"}, {"pids.max", "TasksMax"}};
constexpr Row kNumbersV1[] = {{"memory.limit_in_bytes", "MemoryLimit"}, {"cpu.shares", "CPUShares"}, {"blkio.weight", "BlockIOWeight"}, {"pids.max", "TasksMax"}};
constexpr Row kMasks[] = {{"cpuset.cpus", "AllowedCPUs"}, {"cpuset.mems", "AllowedMemoryNodes"}};

void add_quota(std::vector<UnitProperty>& out, int64_t quota, int64_t period) {
    if (quota == 0 && period == 0) return;
    if (period > 0) out.push_back({"CPUQuotaPeriodUSec", static_cast<uint64_t>(period)});
    uint64_t each_second = kUnlimited;
    if (quota > 0) {
        // In steps of 10 ms, as systemd rounds; up, so that it is never less than what was asked for.
        each_second = static_cast<uint64_t>(quota) * 1'000'000 / static_cast<uint64_t>(period > 0 ? period : 100'000);
        each_second = (each_second + 9'999) / 10'000 * 10'000;
    }
    out.push_back({"CPUQuotaPerSecUSec", each_second});
}
}  // namespace

base::Result<std::string> slice_path(const std::string& slice) {
    auto wrong = [&] { return base::fail(Code::invalid, "invalid slice name " + quote(slice) + " in cgroupsPath: it must be a systemd slice such as \"system.slice\""); };
    if (!slice.ends_with(".slice") || slice.find('/') != std::string::npos) return wrong();
    std::string stem = slice.substr(0, slice.size() - 6);
    if (stem == "-") return std::string();
    if (stem.empty() || stem.front() == '-' || stem.back() == '-' || stem.find("--") != std::string::npos) return wrong();
    std::string path, prefix;
    for (const std::string& part : base::split(stem, '-')) {
        prefix += (prefix.empty() ? "" : "-") + part;
        path += "/" + prefix + ".slice";
    }
    return path;
}

std::string SystemdUnit::path() const {
    if (is_slice()) return slice_path(name).value_or("");
    return slice_path(slice).value_or("") + "/" + name;
}

base::Result<SystemdUnit> systemd_unit(const std::string& cgroups_path, const std::string& id) {
    std::vector<std::string> parts = cgroups_path.empty() ? std::vector<std::string>{"", "runc", id} : base::split(cgroups_path, ':');
    if (parts.size() != 3 || parts[2].empty())
        return base::fail(Code::invalid, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got " + quote(cgroups_path) + " instead");
    SystemdUnit unit;
    unit.slice = parts[0].empty() ? "system.slice" : parts[0];
    unit.name = parts[2];
    if (!unit.is_slice()) unit.name = (parts[1].empty() ? "" : parts[1] + "-") + unit.name + ".scope";
    // systemd.unit(5): these characters, at most 255.
    bool fits = unit.name.size() <= 255 && std::all_of(unit.name.begin(), unit.name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view(":-_.\\@").find(c) != std::string_view::npos;
    });
    if (!fits) return base::fail(Code::invalid, quote(unit.name) + " is no name for a systemd unit");
    (void)TRY(slice_path(unit.slice));
    if (unit.is_slice()) (void)TRY(slice_path(unit.name));
    return unit;
}

std::vector<UnitProperty> unit_properties(std::span<const CgroupWrite> writes, CgroupVersion version) {
    std::vector<UnitProperty> out;
    int64_t quota = 0, period = 0;
    for (const CgroupWrite& write : writes) {
        for (const Row& row : version == CgroupVersion::v2 ? std::span<const Row>(kNumbersV2) : std::span<const Row>(kNumbersV1))
            if (write.file == row.file) {
                auto number = base::parse_int(write.value);
                out.push_back({row.property, number && *number >= 0 ? static_cast<uint64_t>(*number) : kUnlimited});
            }
        for (const Row& row : kMasks)
            if (version == CgroupVersion::v2 && write.file == row.file) out.push_back({row.property, mask_of(write.value)});
        if (write.file == "cpu.max") {
            auto [most, each] = base::cut(write.value, ' ');
            quota = base::parse_int(most).value_or(-1);
            period = each ? base::parse_int(*each).value_or(0) : 0;
        }
        if (write.file == "cpu.cfs_quota_us") quota = base::parse_int(write.value).value_or(0);
        if (write.file == "cpu.cfs_period_us") period = base::parse_int(write.value).value_or(0);
        if (write.file == "io.weight" && write.value.starts_with("default "))
            if (auto weight = base::parse_int(write.value.substr(8))) out.push_back({"IOWeight", static_cast<uint64_t>(*weight)});
    }
    add_quota(out, quota, period);
    return out;
}

base::Result<Anchor> Anchor::make() {
    const pid_t owner = ::getpid();
    Anchor anchor;
    anchor.pid_ = ::fork();
    if (anchor.pid_ < 0) return base::fail_errno("start a process that keeps the unit alive");
    if (anchor.pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != owner) ::_exit(0);
        for (;;) ::pause();
    }
    return anchor;
}

Anchor::Anchor(Anchor&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Anchor::~Anchor() {
    if (pid_ < 0) return;
    // Not by the end of a pipe: the container's process has a copy of every descriptor until it executes.
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

}  // namespace engine::oci
