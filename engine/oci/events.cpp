// `events`: what the control groups count, and what the kernel's out-of-memory killer did.
#include <poll.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "oci/verbs.h"
#include "runtime/cgroup_folders.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Result;
using runtime::cgroup_folder;
using runtime::CgroupVersion;
using runtime::read_cgroup_file;

uint64_t number_in(const std::string& file) {
    std::string text = base::trim(read_cgroup_file(file));
    if (text == "max") return UINT64_MAX;
    return static_cast<uint64_t>(base::parse_int(text).value_or(0));
}

json::object flat_keys(const std::string& content) {
    json::object out;
    for (const std::string& line : base::split(content, '\n')) {
        auto [key, value] = base::cut(line, ' ');
        if (auto number = base::parse_int(value.value_or(""))) out[key] = *number;
    }
    return out;
}

json::object memory_entry(const std::string& folder, const std::string& prefix) {
    return {{"limit", number_in(folder + "/" + prefix + ".limit_in_bytes")},
            {"usage", number_in(folder + "/" + prefix + ".usage_in_bytes")},
            {"max", number_in(folder + "/" + prefix + ".max_usage_in_bytes")},
            {"failcnt", number_in(folder + "/" + prefix + ".failcnt")}};
}

json::array numbers_of(const std::string& content) {
    json::array out;
    for (const std::string& word : base::split(base::trim(content), ' '))
        if (auto number = base::parse_int(word)) out.push_back(*number);
    return out;
}

/// v1's "8:0 Read 4096" lines.
json::array block_entries(const std::string& content) {
    json::array out;
    for (const std::string& line : base::split(content, '\n')) {
        std::vector<std::string> fields = base::split(line, ' ');
        if (fields.size() != 3) continue;
        auto [major, minor] = base::cut(fields[0], ':');
        out.push_back(json::object{{"major", base::parse_int(major).value_or(0)},
                                   {"minor", base::parse_int(minor.value_or("")).value_or(0)},
                                   {"op", fields[1]},
                                   {"value", base::parse_int(fields[2]).value_or(0)}});
    }
    return out;
}

json::object data_v1(const std::string& path) {
    json::object out, cpu, usage, throttling, memory, block;
    std::string accounting = cgroup_folder(path, "cpuacct");
    usage["total"] = number_in(accounting + "/cpuacct.usage");
    usage["percpu"] = numbers_of(read_cgroup_file(accounting + "/cpuacct.usage_percpu"));
    std::string times = read_cgroup_file(accounting + "/cpuacct.stat");
    uint64_t tick = 1'000'000'000ULL / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    usage["kernel"] = runtime::keyed_value(times, "system") * tick;
    usage["user"] = runtime::keyed_value(times, "user") * tick;
    std::string throttled = read_cgroup_file(cgroup_folder(path, "cpu") + "/cpu.stat");
    throttling["periods"] = runtime::keyed_value(throttled, "nr_periods");
    throttling["throttledPeriods"] = runtime::keyed_value(throttled, "nr_throttled");
    throttling["throttledTime"] = runtime::keyed_value(throttled, "throttled_time");
    cpu["usage"] = std::move(usage);
    cpu["throttling"] = std::move(throttling);
    out["cpu"] = std::move(cpu);
    std::string folder = cgroup_folder(path, "memory"), statistics = read_cgroup_file(folder + "/memory.stat");
    memory["cache"] = runtime::keyed_value(statistics, "cache");
    memory["usage"] = memory_entry(folder, "memory");
    memory["swap"] = memory_entry(folder, "memory.memsw");
    memory["kernel"] = memory_entry(folder, "memory.kmem");
    memory["kernelTCP"] = memory_entry(folder, "memory.kmem.tcp");
    memory["raw"] = flat_keys(statistics);
    out["memory"] = std::move(memory);
    std::string pids = cgroup_folder(path, "pids");
    out["pids"] = json::object{{"current", number_in(pids + "/pids.current")}, {"limit", number_in(pids + "/pids.max")}};
    std::string block_folder = cgroup_folder(path, "blkio");
    block["ioServiceBytesRecursive"] = block_entries(read_cgroup_file(block_folder + "/blkio.throttle.io_service_bytes_recursive"));
    block["ioServicedRecursive"] = block_entries(read_cgroup_file(block_folder + "/blkio.throttle.io_serviced_recursive"));
    out["blkio"] = std::move(block);
    return out;
}

json::object data_v2(const std::string& path) {
    json::object out, memory;
    std::string folder = cgroup_folder(path, ""), cpu = read_cgroup_file(folder + "/cpu.stat"), statistics = read_cgroup_file(folder + "/memory.stat");
    out["cpu"] = json::object{{"usage", json::object{{"total", runtime::keyed_value(cpu, "usage_usec") * 1000},
                                                     {"kernel", runtime::keyed_value(cpu, "system_usec") * 1000},
                                                     {"user", runtime::keyed_value(cpu, "user_usec") * 1000}}},
                              {"throttling", json::object{{"periods", runtime::keyed_value(cpu, "nr_periods")},
                                                          {"throttledPeriods", runtime::keyed_value(cpu, "nr_throttled")},
                                                          {"throttledTime", runtime::keyed_value(cpu, "throttled_usec") * 1000}}}};
    memory["cache"] = runtime::keyed_value(statistics, "file");
    memory["usage"] = json::object{{"limit", number_in(folder + "/memory.max")}, {"usage", number_in(folder + "/memory.current")}};
    memory["swap"] = json::object{{"limit", number_in(folder + "/memory.swap.max")}, {"usage", number_in(folder + "/memory.swap.current")}};
    memory["raw"] = flat_keys(statistics);
    out["memory"] = std::move(memory);
    out["pids"] = json::object{{"current", number_in(folder + "/pids.current")}, {"limit", number_in(folder + "/pids.max")}};
    return out;
}
}  // namespace

Result<std::string> stats_line(const Record& record) {
    json::object out;
    out["type"] = "stats";
    out["id"] = record.id;
    out["data"] = runtime::cgroup_version() == CgroupVersion::v2 ? data_v2(record.cgroup) : data_v1(record.cgroup);
    return json::serialize(out) + "\n";
}

base::Status events(const Store& store, const std::string& id, std::chrono::nanoseconds interval, bool once) {
    if (interval <= std::chrono::nanoseconds(0)) return base::fail(base::Code::invalid, "duration interval must be greater than 0");
    Record record = TRY(store.load(id));
    if (store.status(record) == Status::stopped) return base::fail(base::Code::not_running, "container with id " + id + " is not running");
    if (once) {
        std::string line = TRY(stats_line(record));
        return base::write_all(STDOUT_FILENO, line);
    }
    base::PidFd process = TRY(store.process(record));
    auto group = TRY(runtime::Cgroup::open(record.cgroup));
    base::UniqueFd memory = TRY(group.oom_events());
    uint64_t kills = group.oom_kills().value_or(0);
    auto next = std::chrono::steady_clock::now() + interval;
    for (;;) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - std::chrono::steady_clock::now()).count();
        pollfd wait[2] = {{process.fd(), POLLIN, 0}, {memory.get(), POLLIN, 0}};
        int n = ::poll(wait, 2, static_cast<int>(std::clamp<long>(left, 0, INT32_MAX)));
        if (n < 0 && errno != EINTR) return base::fail_errno("poll");
        if (n > 0 && (wait[1].revents & POLLIN) != 0) {
            runtime::Cgroup::drain_oom_events(memory.get());
            if (uint64_t now = group.oom_kills().value_or(kills); now != kills) {
                kills = now;
                TRY_VOID(base::write_all(STDOUT_FILENO, json::serialize(json::object{{"type", "oom"}, {"id", record.id}}) + "\n"));
            }
        }
        if (n > 0 && (wait[0].revents & POLLIN) != 0) return {};
        if (std::chrono::steady_clock::now() >= next) {
            next += interval;
            std::string line = TRY(stats_line(record));
            TRY_VOID(base::write_all(STDOUT_FILENO, line));
        }
    }
}

}  // namespace engine::oci
