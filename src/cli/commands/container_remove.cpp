// `container rm`, `container prune`, `container update`.
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/container_common.h"
#include "cli/container_filter.h"
#include "cli/container_spec.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerRemoveFlags[] = {
    {"force", 'f', Type::boolean, "Force the removal of a running container (uses SIGKILL)"},
    {"link", 'l', Type::boolean, "Remove the specified link", "", true},
    {"volumes", 'v', Type::boolean, "Remove anonymous volumes associated with the container"},
};
constexpr Flag kContainerPruneFlags[] = {
    {"filter", 0, Type::list, "Provide filter values (e.g. \"until=<timestamp>\")"},
    {"force", 'f', Type::boolean, "Do not prompt for confirmation"},
};
constexpr Flag kContainerUpdateFlags[] = {
    {"blkio-weight", 0, Type::integer, "Block IO (relative weight), between 10 and 1000, or 0 to disable", "0"},
    {"cpu-period", 0, Type::integer, "Limit CPU CFS (Completely Fair Scheduler) period"},
    {"cpu-quota", 0, Type::integer, "Limit CPU CFS (Completely Fair Scheduler) quota"},
    {"cpu-rt-period", 0, Type::integer, "Limit the CPU real-time period in microseconds"},
    {"cpu-rt-runtime", 0, Type::integer, "Limit the CPU real-time runtime in microseconds"},
    {"cpu-shares", 'c', Type::integer, "CPU shares (relative weight)"},
    {"cpus", 0, Type::text, "Number of CPUs"},
    {"cpuset-cpus", 0, Type::text, "CPUs in which to allow execution (0-3, 0,1)"},
    {"cpuset-mems", 0, Type::text, "MEMs in which to allow execution (0-3, 0,1)"},
    {"memory", 'm', Type::text, "Memory limit"},
    {"memory-reservation", 0, Type::text, "Memory soft limit"},
    {"memory-swap", 0, Type::text, "Swap limit equal to memory plus swap: -1 to enable unlimited swap"},
    {"pids-limit", 0, Type::integer, "Tune container pids limit (set -1 for unlimited)"},
    {"restart", 0, Type::text, "Restart policy to apply when a container exits"},
};

Result<int> container_remove(Context& context, const Arguments& arguments) {
    if (arguments.on("link")) return fail(Code::unsupported, "--link: this engine makes no links between containers");
    auto* engine = TRY(context.engine_without_project());
    std::vector<engine::RemoveRequest> requests;
    for (const std::string& name : arguments.operands) requests.push_back({name, arguments.on("force"), arguments.on("volumes")});
    if (context.globals.dry_run) return 0;
    auto removed = engine->remove_many(requests);
    int status = 0;
    for (size_t i = 0; i < removed.size(); ++i) {
        if (removed[i]) {
            TRY_VOID(base::write_all(STDOUT_FILENO, requests[i].id + "\n"));
            continue;
        }
        print_error(removed[i].error());
        // with --force what is not there is no failure, as docker has it
        if (!(arguments.on("force") && removed[i].error().code == Code::not_found)) status = 1;
    }
    return status;
}

Result<int> container_prune(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto filter = TRY(ContainerMatch::parse(arguments.list("filter"), {"until", "label", "label!"}));
    if (!arguments.on("force") && !ask("WARNING! This will remove all stopped containers.\nAre you sure you want to continue?")) return 0;
    auto containers = TRY(engine->containers({}));
    std::vector<engine::RemoveRequest> requests;
    uint64_t bytes = 0;
    for (const auto& container : containers) {
        if (plan::is_running(container) || container.state.status == engine::ContainerStatus::removing) continue;
        if (!TRY(filter.matches(*engine, containers, container))) continue;
        requests.push_back({container.id, false, false});
        if (auto size = engine->layer_size(container.id)) bytes += *size;
    }
    if (context.globals.dry_run) return 0;
    Output out(STDOUT_FILENO);
    auto removed = engine->remove_many(requests);
    int status = 0;
    bool heading = false;
    for (size_t i = 0; i < removed.size(); ++i) {
        if (!removed[i] && removed[i].error().code != Code::not_found) {
            print_error(removed[i].error());
            status = 1;
        } else if (removed[i]) {
            if (!std::exchange(heading, true)) out << "Deleted Containers:\n";
            out << requests[i].id + "\n";
        }
    }
    if (heading) out << "\n";
    out << "Total reclaimed space: " + base::format_bytes(bytes) + "\n";
    TRY_VOID(out.flush());
    return status;
}

Result<int> container_update(Context& context, const Arguments& arguments) {
    auto resources = TRY(resources_of(arguments));
    std::optional<engine::RestartPolicy> policy;
    if (arguments.given("restart")) policy = TRY(restart_policy_of(arguments.text("restart")));
    if (arguments.values.empty()) return fail(Code::invalid, "you must provide one or more flags when using this command");
    return for_each_container(context, arguments.operands, [&](engine::Engine& engine, const engine::ContainerInfo& container) {
        return engine.update(container.id, resources, policy);
    });
}

}  // namespace

const Command kContainerRm{"container rm", "[OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers", kContainerRemoveFlags, container_remove, 1, -1, false, false, "container remove"};
const Command kContainerPrune{"container prune", "[OPTIONS]", "Remove all stopped containers", kContainerPruneFlags, container_prune, 0, 0};
const Command kContainerUpdate{"container update", "[OPTIONS] CONTAINER [CONTAINER...]", "Update configuration of one or more containers", kContainerUpdateFlags, container_update, 1};

}  // namespace compose::cli
