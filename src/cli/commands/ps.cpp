#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

namespace json = boost::json;
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

Row row_of(const engine::ContainerInfo& container, const std::string& project, engine::Time now, bool whole) {
    json::array published;
    for (const auto& port : publishers(container))
        published.push_back(json::object{{"URL", port.url}, {"TargetPort", port.target}, {"PublishedPort", port.published}, {"Protocol", port.protocol}});
    std::vector<std::string> mounts, networks;
    int volumes = 0;
    for (const auto& mount : container.spec.mounts) {
        mounts.push_back(mount.source.empty() ? mount.target : mount.source);
        volumes += mount.type == engine::Mount::Type::volume;
    }
    for (const auto& endpoint : container.spec.endpoints) networks.push_back(endpoint.network);
    if (networks.empty() && !container.spec.network_mode.empty()) networks.push_back(container.spec.network_mode);
    std::string health = container.state.health == engine::HealthStatus::none ? "" : engine::to_text(container.state.health);
    return Row{
        {"Command", command_text(container, whole)},
        {"CreatedAt", created_text(container.created)},
        {"ExitCode", plan::is_running(container) ? 0 : container.state.exit_code},
        {"Health", health},
        {"ID", whole ? container.id : short_id(container.id)},
        {"Image", container.spec.image},
        {"Labels", labels_text(container.spec.labels)},
        {"LocalVolumes", std::to_string(volumes)},
        {"Mounts", base::join(mounts, ",")},
        {"Name", container.spec.name},
        {"Names", container.spec.name},
        {"Networks", base::join(networks, ",")},
        {"Ports", ports_text(container)},
        {"Project", project},
        {"Publishers", published},
        {"RunningFor", ago(container.created, now)},
        {"Service", plan::service_of(container)},
        {"Size", "0B"},
        {"State", engine::to_text(container.state.status)},
        {"Status", status_text(container, now)},
    };
}

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
    for (const auto& container : containers) listing.rows.push_back(row_of(container, name, now, arguments.on("no-trunc")));
    out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kPs{"ps", "[OPTIONS] [SERVICE...]", "List containers", kPsFlags, ps_command};

}  // namespace compose::cli
