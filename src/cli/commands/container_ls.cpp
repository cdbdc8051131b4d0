#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/container_filter.h"
#include "cli/container_row.h"
#include "cli/container_text.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerLsFlags[] = {
    {"all", 'a', Type::boolean, "Show all containers (default shows just running)"},
    {"filter", 'f', Type::list, "Filter output based on conditions provided"},
    {"format", 0, Type::text, "Format output: 'table', 'table TEMPLATE', 'json' or a Go template", "table"},
    {"last", 'n', Type::integer, "Show n last created containers (includes all states)", "-1"},
    {"latest", 'l', Type::boolean, "Show the latest created container (includes all states)"},
    {"no-trunc", 0, Type::boolean, "Don't truncate output"},
    {"quiet", 'q', Type::boolean, "Only display container IDs"},
    {"size", 's', Type::boolean, "Display total file sizes"},
};

/// `0B (virtual 1.2MB)`
std::string container_size_text(engine::Engine& engine, const engine::ContainerInfo& container) {
    uint64_t own = engine.layer_size(container.id).value_or(0);
    auto image = engine.image(container.spec.image_id);
    return base::format_bytes(own) + " (virtual " + base::format_bytes(own + (image ? image->size : 0)) + ")";
}

Result<int> container_ls(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto filter = TRY(ContainerMatch::parse(arguments.list("filter"), ContainerMatch::all_keys()));
    int64_t last = arguments.on("latest") ? 1 : arguments.integer("last");
    bool all = arguments.on("all") || last > 0 || filter.wants_all(), whole = arguments.on("no-trunc"), sizes = arguments.on("size");
    auto everything = TRY(engine->containers({}));
    std::vector<engine::ContainerInfo> containers;
    for (const auto& container : everything)
        if ((all || plan::is_running(container)) && TRY(filter.matches(*engine, everything, container))) containers.push_back(container);
    std::sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) { return a.created > b.created; });
    if (last > 0 && containers.size() > static_cast<size_t>(last)) containers.resize(static_cast<size_t>(last));
    Output out(STDOUT_FILENO);
    if (arguments.on("quiet")) {
        for (const auto& container : containers) out << (whole ? container.id : short_id(container.id)) + "\n";
        TRY_VOID(out.flush());
        return 0;
    }
    Listing listing;
    listing.heading = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"};
    if (sizes) listing.heading.push_back("SIZE");
    listing.cells = [&](const Row& row) {
        std::vector<std::string> cells{text_of(row, "ID"),     text_of(row, "Image"), text_of(row, "Command"), text_of(row, "RunningFor"),
                                       text_of(row, "Status"), text_of(row, "Ports"), text_of(row, "Names")};
        if (sizes) cells.push_back(text_of(row, "Size"));
        return cells;
    };
    std::string format = arguments.text("format");
    bool wants_size = sizes || format.find(".Size") != std::string::npos;
    engine::Time now = base::now();
    for (const auto& container : containers) {
        Row row = container_row(container, "", now, whole);
        for (std::string_view of_compose : {"ExitCode", "Health", "Name", "Project", "Publishers", "Service"}) {
            auto field = row.find(of_compose);
            if (field != row.end()) row.stable_erase(field);
        }
        if (wants_size) row["Size"] = container_size_text(*engine, container);
        listing.rows.push_back(std::move(row));
    }
    out << TRY(render(listing, format));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kContainerLs{"container ls", "[OPTIONS]", "List containers", kContainerLsFlags, container_ls, 0, 0, false, false, "container ps"};

}  // namespace compose::cli
