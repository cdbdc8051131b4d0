#include "cli/stats_view.h"

#include <fmt/core.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <thread>

#include "cli/container_text.h"
#include "cli/format.h"
#include "cli/interrupts.h"
#include "cli/terminal.h"
#include "plan/observed.h"

namespace compose::cli {
namespace {

/// CPU is a share of time between two readings.
constexpr auto kStatsInterval = std::chrono::milliseconds(1000), kStatsFirstInterval = std::chrono::milliseconds(200);

using Readings = std::map<std::string, engine::ContainerStats>;

Row stats_row(const engine::ContainerInfo& container, const Readings& before, const Readings& now, bool whole) {
    std::string id = whole ? container.id : short_id(container.id);
    auto current = now.find(container.id);
    if (current == now.end())
        return Row{{"BlockIO", "--"}, {"CPUPerc", "--"}, {"Container", container.spec.name}, {"ID", id}, {"MemPerc", "--"},
                   {"MemUsage", "-- / --"}, {"Name", container.spec.name}, {"NetIO", "--"}, {"PIDs", "--"}};
    const auto& stats = current->second;
    double cpu = 0;
    if (auto earlier = before.find(container.id); earlier != before.end() && stats.read > earlier->second.read && stats.cpu_ns > earlier->second.cpu_ns)
        cpu = 100.0 * static_cast<double>(stats.cpu_ns - earlier->second.cpu_ns) / static_cast<double>(stats.read - earlier->second.read);
    double memory = stats.memory_limit ? 100.0 * static_cast<double>(stats.memory) / static_cast<double>(stats.memory_limit) : 0;
    auto pair = [](uint64_t a, uint64_t b, bool decimal) { return base::format_bytes(a, decimal) + " / " + base::format_bytes(b, decimal); };
    return Row{{"BlockIO", pair(stats.block_in, stats.block_out, true)},
               {"CPUPerc", fmt::format("{:.2f}%", cpu)},
               {"Container", container.spec.name},
               {"ID", id},
               {"MemPerc", fmt::format("{:.2f}%", memory)},
               {"MemUsage", pair(stats.memory, stats.memory_limit, false)},
               {"Name", container.spec.name},
               {"NetIO", pair(stats.net_in, stats.net_out, true)},
               {"PIDs", std::to_string(stats.pids)}};
}

Readings read_all(engine::Engine& engine, const std::vector<engine::ContainerInfo>& containers) {
    Readings result;
    for (const auto& container : containers)
        if (plan::is_running(container))
            if (auto stats = engine.stats(container.id)) result.emplace(container.id, *stats);
    return result;
}

}  // namespace

Result<int> show_stats(engine::Engine& engine, const Arguments& arguments, const std::function<Result<std::vector<engine::ContainerInfo>>()>& containers_of) {
    bool stream = !arguments.on("no-stream"), terminal = is_terminal(STDOUT_FILENO), whole = arguments.on("no-trunc");
    interrupts::install();
    Readings before;
    for (bool first = true;; first = false) {
        auto containers = TRY(containers_of());
        if (first) {
            before = read_all(engine, containers);
            std::this_thread::sleep_for(kStatsFirstInterval);  // what CPU % is measured over
        }
        Readings now = read_all(engine, containers);
        Listing listing;
        listing.heading = {"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"};
        listing.cells = [](const Row& row) {
            return std::vector<std::string>{text_of(row, "ID"),      text_of(row, "Name"),  text_of(row, "CPUPerc"), text_of(row, "MemUsage"),
                                            text_of(row, "MemPerc"), text_of(row, "NetIO"), text_of(row, "BlockIO"), text_of(row, "PIDs")};
        };
        for (const auto& container : containers) listing.rows.push_back(stats_row(container, before, now, whole));
        Output out(STDOUT_FILENO);
        if (stream && terminal) out << "\033[H\033[2J";
        out << TRY(render(listing, arguments.text("format")));
        TRY_VOID(out.flush());
        if (!stream) return 0;
        before = std::move(now);
        auto next = std::chrono::steady_clock::now() + kStatsInterval;
        while (std::chrono::steady_clock::now() < next && !interrupts::count()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (interrupts::count()) return 130;
    }
}

}  // namespace compose::cli
