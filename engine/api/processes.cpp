// Processes in a container: exec, attach, top, stats.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "oci/foreign.h"
#include "runtime/cgroup.h"
#include "runtime/exec.h"
#include "runtime/process_table.h"

namespace engine::api {

Result<int> EngineImpl::exec(const std::string& id, const ExecOptions& options) {
    auto container = TRY(running_container(id));
    if (container.state.status == ContainerStatus::paused)
        return base::fail(base::Code::conflict, "Container " + container.spec.name + " is paused, unpause the container before exec");
    auto config = TRY(image_config(container));
    const std::string folder = paths().container_run(container.id) + "/oci";
    return runtime::exec_process(container, config, options, paths().seccomp_cache(), [&](const runtime::ExecInput& input) { return oci::exec_start(input, folder); });
}

Result<AttachResult> EngineImpl::attach(const std::string& id, const AttachOptions& options) {
    auto container = TRY(store().container(id));
    if (container.state.status == ContainerStatus::paused)
        return base::fail(base::Code::conflict, "You cannot attach to a paused container, unpause it first");
    if (!is_active(container.state)) return base::fail(base::Code::not_running, "You cannot attach to a stopped container, start it first");
    auto* client = TRY(supervisor(container.supervisor));
    return client->attach(container.id, options, false);
}

Result<AttachResult> EngineImpl::start_attached(const std::string& id, const AttachOptions& options) {
    auto container = TRY(store().container(id));
    if (!is_active(container.state)) TRY_VOID(prepare_start(container));
    auto* client = TRY(supervisor(container.supervisor));
    return client->attach(container.id, options, true);
}

namespace {

/// Sums of all interfaces but lo, from /proc/PID/net/dev.
void read_network(pid_t pid, ContainerStats& stats) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/net/dev", 1u << 20);
    if (!text) return;
    for (const auto& line : base::split(*text, '\n')) {
        auto [name, rest] = base::cut(line, ':');
        if (!rest || base::trim(name) == "lo") continue;
        std::vector<int64_t> numbers;
        for (const auto& word : base::split(*rest, ' '))
            if (!word.empty()) numbers.push_back(base::parse_int(word).value_or(0));
        if (numbers.size() < 16) continue;
        stats.net_in += static_cast<uint64_t>(numbers[0]);
        stats.net_out += static_cast<uint64_t>(numbers[8]);
    }
}

/// CPU time of the whole machine: the first line of /proc/stat.
uint64_t system_cpu_ns() {
    auto text = base::read_file("/proc/stat", 4u << 20);
    if (!text) return 0;
    uint64_t ticks = 0;
    int column = 0;
    for (const auto& word : base::split(base::cut(*text, '\n').first, ' ')) {
        if (word.empty() || word == "cpu") continue;
        if (++column > 8) break;  // guest time is in user time already
        ticks += static_cast<uint64_t>(base::parse_int(word).value_or(0));
    }
    return ticks * (1'000'000'000u / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
}

uint64_t machine_memory() { return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Result<std::vector<ProcessRow>> EngineImpl::top(const std::string& id) {
    auto container = TRY(running_container(id));
    auto cgroup = TRY(runtime::Cgroup::open(runtime::cgroup_path(container)));
    auto pids = TRY(cgroup.pids());
    std::sort(pids.begin(), pids.end());
    return runtime::process_rows(pids);
}

Result<ContainerStats> EngineImpl::stats(const std::string& id) {
    auto container = TRY(store().container(id));
    ContainerStats stats;
    if (has_process(container.state)) {
        auto cgroup = TRY(runtime::Cgroup::open(runtime::cgroup_path(container)));
        stats = TRY(cgroup.stats());
        read_network(container.state.pid, stats);
        if (stats.memory_limit == 0 || stats.memory_limit > machine_memory()) stats.memory_limit = machine_memory();
    }
    stats.id = container.id;
    stats.name = container.spec.name;
    stats.system_ns = system_cpu_ns();
    stats.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    stats.read = base::now();
    return stats;
}

}  // namespace engine::api
