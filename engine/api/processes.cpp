// Processes in a container: exec, attach, top, stats.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <ctime>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup.h"
#include "runtime/exec.h"

namespace engine::api {

Result<int> EngineImpl::exec(const std::string& id, const ExecOptions& options) {
    auto container = TRY(running_container(id));
    if (container.state.status == ContainerStatus::paused)
        return base::fail(base::Code::conflict, "Container " + container.spec.name + " is paused, unpause the container before exec");
    auto config = TRY(image_config(container));
    return runtime::exec_process(container, config, options, paths().seccomp_cache());
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

/// What `ps -ef` shows of a process; nullopt when it has ended meanwhile.
std::optional<ProcessRow> read_process(pid_t pid, Time boot, Time now, long ticks) {
    std::string folder = "/proc/" + std::to_string(pid);
    auto text = base::read_file(folder + "/stat", 4096);
    struct stat status;
    if (!text || stat(folder.c_str(), &status) != 0) return std::nullopt;
    size_t open = text->find('('), close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos) return std::nullopt;
    auto fields = base::split(std::string_view(*text).substr(close + 2), ' ');  // from field 3, proc(5)
    if (fields.size() < 20) return std::nullopt;
    auto number = [&](size_t index) { return base::parse_int(fields[index - 3]).value_or(0); };

    ProcessRow row;
    row.uid = status.st_uid == 0 ? "root" : std::to_string(status.st_uid);
    row.pid = std::to_string(pid);
    row.ppid = fields[1];
    int64_t used_ticks = number(14) + number(15), used = used_ticks / ticks;
    Time started = boot + number(22) * (1'000'000'000 / ticks);
    int64_t age = (now - started) / 1'000'000'000;
    row.c = std::to_string(age > 0 ? std::min<int64_t>(99, used * 100 / age) : 0);
    time_t seconds = static_cast<time_t>(started / 1'000'000'000), today = static_cast<time_t>(now / 1'000'000'000);
    tm local{}, current{};
    localtime_r(&seconds, &local);
    localtime_r(&today, &current);
    bool same_day = local.tm_yday == current.tm_yday && local.tm_year == current.tm_year;
    char stime[32];
    strftime(stime, sizeof stime, same_day ? "%H:%M" : "%b%d", &local);
    row.stime = stime;
    auto tty = static_cast<dev_t>(number(7));
    row.tty = "?";
    if (tty != 0 && major(tty) >= 136 && major(tty) <= 143) row.tty = "pts/" + std::to_string((major(tty) - 136) * 256 + minor(tty));
    char time[32];
    snprintf(time, sizeof time, "%02lld:%02lld:%02lld", static_cast<long long>(used / 3600), static_cast<long long>(used / 60 % 60), static_cast<long long>(used % 60));
    row.time = time;
    std::string command = base::read_file(folder + "/cmdline", 1u << 20).value_or("");
    while (!command.empty() && command.back() == '\0') command.pop_back();
    for (char& c : command)
        if (c == '\0') c = ' ';
    row.command = command.empty() ? "[" + text->substr(open + 1, close - open - 1) + "]" : base::printable(command);
    return row;
}

Time boot_time() {
    timespec since_boot{};
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return base::now() - (since_boot.tv_sec * 1'000'000'000 + since_boot.tv_nsec);
}

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
    Time boot = boot_time(), now = base::now();
    std::vector<ProcessRow> rows;
    for (pid_t pid : pids)
        if (auto row = read_process(pid, boot, now, sysconf(_SC_CLK_TCK))) rows.push_back(std::move(*row));
    return rows;
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
