// `container stats`, `top`, `port`, `inspect`: a look at containers.
#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/inspect.h"
#include "cli/stats_view.h"
#include "cli/table.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerStatsFlags[] = {
    {"all", 'a', Type::boolean, "Show all containers (default shows just running)"},
    {"format", 0, Type::text, "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"},
    {"no-stream", 0, Type::boolean, "Disable streaming stats and only pull the first result"},
    {"no-trunc", 0, Type::boolean, "Do not truncate output"},
};
constexpr Flag kContainerInspectFlags[] = {
    {"format", 'f', Type::text, "Format output using a Go template, or 'json'"},
    {"size", 's', Type::boolean, "Display total file sizes"},
};

Result<int> container_stats(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    return show_stats(*engine, arguments, [&]() -> Result<std::vector<engine::ContainerInfo>> {
        std::vector<engine::ContainerInfo> containers;
        if (arguments.operands.empty()) {
            for (auto& container : TRY(engine->containers({})))
                if (arguments.on("all") || plan::is_running(container)) containers.push_back(std::move(container));
        }
        for (const std::string& name : arguments.operands) containers.push_back(TRY(engine->container(name)));
        return containers;
    });
}

Result<int> container_top(Context& context, const Arguments& arguments) {
    for (size_t i = 1; i < arguments.operands.size(); ++i)
        if (arguments.operands[i] != "-ef") return fail(Code::unsupported, "ps option " + base::quote(arguments.operands[i]) + ": the columns are those of ps -ef");
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    if (!plan::is_running(container)) return fail(Code::not_running, "container " + container.id + " is not running");
    Table table({"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, 2);
    for (const auto& row : TRY(engine->top(container.id))) table.add({row.uid, row.pid, row.ppid, row.c, row.stime, row.tty, row.time, base::printable(row.command)});
    Output out(STDOUT_FILENO);
    out << table.text();
    TRY_VOID(out.flush());
    return 0;
}

Result<int> container_port(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    Output out(STDOUT_FILENO);
    bool any = false;
    auto [number, protocol] = base::cut(arguments.operands.size() > 1 ? arguments.operands[1] : "", '/');
    auto wanted = base::parse_int(number);
    if (arguments.operands.size() > 1 && (!wanted || *wanted < 1 || *wanted > 65535)) return fail(Code::invalid, "invalid port " + base::quote(arguments.operands[1]));
    for (const auto& published : publishers(container)) {
        if (!published.published) continue;
        std::string address = address_text(published.url, published.published);
        if (!wanted) {
            out << std::to_string(published.target) + "/" + published.protocol + " -> " + address + "\n";
        } else if (published.target == *wanted && published.protocol == protocol.value_or("tcp")) {
            out << address + "\n";
            any = true;
        }
    }
    if (wanted && !any) return fail(Code::not_found, "no public port '" + base::printable(arguments.operands[1]) + "' published for " + arguments.operands[0]);
    TRY_VOID(out.flush());
    return 0;
}

Result<int> container_inspect(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    std::vector<Row> found;
    int status = 0;
    for (const std::string& name : arguments.operands) {
        auto container = engine->container(name);
        if (!container) {
            print_error(container.error());
            status = 1;
            continue;
        }
        found.push_back(container_json(*engine, *container, arguments.on("size")));
    }
    Output out(STDOUT_FILENO);
    out << TRY(render_objects(found, arguments.text("format")));
    TRY_VOID(out.flush());
    return status;
}

}  // namespace

const Command kContainerStats{"container stats", "[OPTIONS] [CONTAINER...]", "Display a live stream of container(s) resource usage statistics", kContainerStatsFlags, container_stats};
const Command kContainerTop{"container top", "CONTAINER [ps OPTIONS]", "Display the running processes of a container", {}, container_top, 1, -1, true};
const Command kContainerPort{"container port", "CONTAINER [PRIVATE_PORT[/PROTO]]", "List port mappings or a specific mapping for the container", {}, container_port, 1, 2};
const Command kContainerInspect{"container inspect", "[OPTIONS] CONTAINER [CONTAINER...]", "Display detailed information on one or more containers", kContainerInspectFlags, container_inspect, 1};

}  // namespace compose::cli
