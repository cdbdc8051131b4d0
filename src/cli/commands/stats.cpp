#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/stats_view.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kStatsFlags[] = {
    {"all", 'a', Type::boolean, "Show all containers (default shows just running)"},
    {"format", 0, Type::text, "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"},
    {"no-stream", 0, Type::boolean, "Disable streaming stats and only pull the first result"},
    {"no-trunc", 0, Type::boolean, "Do not truncate output"},
};

Result<int> stats_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    auto* engine = TRY(context.engine());
    Selection selection{arguments.operands, arguments.on("all"), true, 0};
    return show_stats(*engine, arguments, [&] { return select_containers(context, selection); });
}

}  // namespace

const Command kStats{"stats", "[OPTIONS] [SERVICE]", "Display a live stream of container(s) resource usage statistics", kStatsFlags, stats_command};

}  // namespace compose::cli
