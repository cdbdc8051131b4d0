#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_folders.h"

namespace engine::runtime {
namespace {

uint64_t number(const std::string& content) {
    std::string text = base::trim(content);
    if (text == "max") return UINT64_MAX;
    return static_cast<uint64_t>(base::parse_int(text).value_or(0));
}

uint64_t host_memory() {
    static const uint64_t bytes = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    return bytes;
}

/// The first line of /proc/stat, as Docker's system_cpu_usage.
uint64_t system_ns() {
    static const uint64_t tick = 1'000'000'000ULL / static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
    std::string content = base::read_file("/proc/stat").value_or("");
    uint64_t ticks = 0;
    int column = 0;
    for (const std::string& field : base::split(std::string_view(content).substr(0, content.find('\n')), ' ')) {
        if (field.empty() || field == "cpu") continue;
        if (column++ < 7) ticks += static_cast<uint64_t>(base::parse_int(field).value_or(0));  // guest time is in user already
    }
    return ticks * tick;
}

/// Read and Write sums of v1's "8:0 Read 4096" or v2's "8:0 rbytes=4096 wbytes=0 …".
void block_io(const std::string& content, ContainerStats& out) {
    for (const std::string& line : base::split(content, '\n')) {
        std::vector<std::string> fields = base::split(line, ' ');
        if (fields.size() == 3 && (fields[1] == "Read" || fields[1] == "Write")) {
            auto bytes = static_cast<uint64_t>(base::parse_int(fields[2]).value_or(0));
            (fields[1] == "Read" ? out.block_in : out.block_out) += bytes;
            continue;
        }
        for (const std::string& field : fields) {
            auto [key, value] = base::cut(field, '=');
            auto bytes = static_cast<uint64_t>(base::parse_int(value.value_or("")).value_or(0));
            if (key == "rbytes") out.block_in += bytes;
            if (key == "wbytes") out.block_out += bytes;
        }
    }
}

/// Without a blkio group of the container's own: what its living processes have read and written.
void process_io(const std::vector<pid_t>& pids, ContainerStats& out) {
    for (pid_t pid : pids) {
        std::string content = base::read_file("/proc/" + std::to_string(pid) + "/io").value_or("");
        out.block_in += keyed_value(content, "read_bytes:");
        out.block_out += keyed_value(content, "write_bytes:");
    }
}
}  // namespace

base::Result<ContainerStats> Cgroup::stats() const {
    ContainerStats out;
    bool v2 = cgroup_version() == CgroupVersion::v2;
    out.read = base::now();
    out.cpus = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
    out.system_ns = system_ns();
    std::string memory = cgroup_folder(path_, "memory");
    if (!base::exists(memory)) return base::fail(base::Code::not_running, "control group " + base::quote(path_) + " is not there");
    std::string memory_stat = read_cgroup_file(memory + "/memory.stat");
    // Docker's figure: what is used less the cache that the kernel can drop.
    uint64_t usage = number(read_cgroup_file(memory + (v2 ? "/memory.current" : "/memory.usage_in_bytes")));
    uint64_t inactive = keyed_value(memory_stat, v2 ? "inactive_file" : "total_inactive_file");
    out.memory = usage > inactive ? usage - inactive : usage;
    out.memory_limit = std::min(number(read_cgroup_file(memory + (v2 ? "/memory.max" : "/memory.limit_in_bytes"))), host_memory());
    if (v2) {
        out.cpu_ns = keyed_value(read_cgroup_file(memory + "/cpu.stat"), "usage_usec") * 1000;
        out.pids = number(read_cgroup_file(memory + "/pids.current"));
        block_io(read_cgroup_file(memory + "/io.stat"), out);
        return out;
    }
    out.cpu_ns = number(read_cgroup_file(cgroup_folder(path_, "cpuacct") + "/cpuacct.usage"));
    std::vector<pid_t> processes = TRY(pids());
    std::string pids_file = cgroup_folder(path_, "pids") + "/pids.current";
    if (base::exists(pids_file)) {
        out.pids = number(read_cgroup_file(pids_file));
    } else {
        std::string folder = process_folder(path_);
        std::vector<std::string> folders = folders_below(folder);
        folders.push_back(folder);
        for (const std::string& one : folders) {
            std::string tasks = read_cgroup_file(one + "/tasks");
            out.pids += static_cast<uint64_t>(std::count(tasks.begin(), tasks.end(), '\n'));
        }
    }
    std::string block = cgroup_folder(path_, "blkio");
    if (base::exists(block + "/blkio.throttle.io_service_bytes_recursive"))
        block_io(read_cgroup_file(block + "/blkio.throttle.io_service_bytes_recursive"), out);
    else
        process_io(processes, out);
    return out;
}

}  // namespace engine::runtime
