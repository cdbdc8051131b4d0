#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/container_row.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kPsFlags[] = {
    {"all", 'a', Type::boolean, "Show all stopped containers (including those created by the run command)"},
    {"filter", 0, Type::list, "Filter services by a property (supported filters: status)"},
    {"format", 0, Type::text, "Format output: 'table', 'table TEMPLATE', 'json' or a Go template", "table"},
    {"no-trunc", 0, Type::boolean, "Don't truncate output"},
    {"orphans", 0, Type::boolean, "Include orphaned services (not declared by project)", "true"},
    {"quiet", 'q', Type::boolean, "Only display IDs"},
    {"services", 0, Type::boolean, "Display services"},
    {"status", 0, Type::list, "Filter services by status. Values: [paused | restarting | removing | running | dead | created | exited]"},
};

Result<std::vector<std::string>> states_of(const Arguments& arguments) {
    auto states = arguments.list("status");
    for (const std::string& filter : arguments.list("filter")) {
        auto [name, value] = base::cut(filter, '=');
        if (!value) return fail(Code::invalid, "arguments to --filter should be in form KEY=VAL");
        if (name != "status") return fail(Code::invalid, "unknown filter " + base::quote(name) + ": there is status");
        states.push_back(*value);
    }
    constexpr std::string_view kKnown[] = {"paused", "restarting", "removing", "running", "dead", "created", "exited"};
    for (std::string& state : states)
        if (state = base::to_lower(state); std::find(std::begin(kKnown), std::end(kKnown), state) == std::end(kKnown))
            return fail(Code::invalid, "unknown status " + base::quote(state) + ": use created, running, paused, restarting, removing, exited or dead");
    return states;
}

Result<int> ps_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(context.project_if_any());
    auto states = TRY(states_of(arguments));
    bool all = arguments.on("all") || !states.empty();
    auto containers = TRY(select_containers(context, {arguments.operands, all, all, 0}));
    std::erase_if(containers, [&](const engine::ContainerInfo& container) {
        if (!states.empty() && std::find(states.begin(), states.end(), engine::to_text(container.state.status)) == states.end()) return true;
        std::string service = plan::service_of(container);
        return !arguments.on("orphans") && project && !project->services.contains(service) && !project->disabled_services.contains(service);
    });
    Output out(STDOUT_FILENO);
    if (arguments.on("quiet")) {
        for (const auto& container : containers) out << container.id + "\n";
        TRY_VOID(out.flush());
        return 0;
    }
    if (arguments.on("services")) {
        std::set<std::string> services;
        for (const auto& container : containers) services.insert(plan::service_of(container));
        for (const auto& service : services) out << service + "\n";
        TRY_VOID(out.flush());
        return 0;
    }
    Listing listing;
    listing.heading = {"NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"};
    listing.cells = [](const Row& row) {
        return std::vector<std::string>{text_of(row, "Name"),       text_of(row, "Image"),  text_of(row, "Command"), text_of(row, "Service"),
                                        text_of(row, "RunningFor"), text_of(row, "Status"), text_of(row, "Ports")};
    };
    std::string name = TRY(context.project_name());
    engine::Time now = base::now();
    for (const auto& container : containers) listing.rows.push_back(container_row(container, name, now, arguments.on("no-trunc")));
    out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kPs{"ps", "[OPTIONS] [SERVICE...]", "List containers", kPsFlags, ps_command};

}  // namespace compose::cli
