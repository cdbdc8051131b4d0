// `compose system df_command` and `prune`: what the engine's things take on disk, and taking away what nothing uses.
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kSystemDfFlags[] = {
    {"format", 0, Type::text, "Format output: 'table', 'json' or a Go template", "table"},
    {"verbose", 'v', Type::boolean, "Show each image, container and volume"},
};
constexpr Flag kSystemPruneFlags[] = {
    {"all", 'a', Type::boolean, "Remove all unused images, not only those without a name"},
    {"force", 'f', Type::boolean, "Do not prompt for confirmation"},
    {"volumes", 0, Type::boolean, "Prune anonymous volumes too"},
};

using DfCells = std::vector<std::string>;

bool container_in_use(const engine::ContainerInfo& container) {
    using S = engine::ContainerStatus;
    S status = container.state.status;
    return status == S::running || status == S::paused || status == S::restarting;
}

Listing df_listing(const std::vector<std::string>& fields, const std::vector<std::string>& heading) {
    Listing listing;
    listing.heading = heading;
    listing.cells = [fields](const Row& row) {
        DfCells cells;
        for (const std::string& field : fields) cells.push_back(text_of(row, field));
        return cells;
    };
    return listing;
}

std::string df_share(uint64_t part, uint64_t whole) {
    return base::format_bytes(part) + (whole == 0 ? "" : " (" + std::to_string(part * 100 / whole) + "%)");
}

Row df_row(const char* type, size_t total, size_t active, uint64_t size, uint64_t reclaimable) {
    return Row{{"Type", type}, {"TotalCount", std::to_string(total)}, {"Active", std::to_string(active)}, {"Size", base::format_bytes(size)},
               {"Reclaimable", df_share(reclaimable, size)}};
}

Status df_verbose(const engine::DiskUsage& usage, Output& out) {
    engine::Time now = base::now();
    Listing images = df_listing({"Repository", "Tag", "ID", "Created", "Size", "Shared", "Unique", "Containers"},
                                {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"});
    for (const auto& use : usage.images) {
        auto names = use.image.references;
        if (names.empty()) names = {"<none>:<none>"};
        for (const std::string& name : names) {
            auto [repository, tag] = repository_and_tag(name);
            images.rows.push_back(Row{{"Repository", repository}, {"Tag", tag}, {"ID", short_id(use.image.id)}, {"Created", use.image.created ? ago(use.image.created, now) : "N/A"},
                                      {"Size", base::format_bytes(use.image.size)}, {"Shared", base::format_bytes(use.shared)},
                                      {"Unique", base::format_bytes(use.image.size - std::min(use.shared, use.image.size))}, {"Containers", std::to_string(use.containers)}});
        }
    }
    Listing containers = df_listing({"ID", "Image", "Command", "Size", "Created", "Status", "Names"}, {"CONTAINER ID", "IMAGE", "COMMAND", "SIZE", "CREATED", "STATUS", "NAMES"});
    for (const auto& use : usage.containers)
        containers.rows.push_back(Row{{"ID", short_id(use.container.id)}, {"Image", use.container.spec.image}, {"Command", command_text(use.container, false)},
                                      {"Size", base::format_bytes(use.size)}, {"Created", ago(use.container.created, now)}, {"Status", status_text(use.container, now)},
                                      {"Names", use.container.spec.name}});
    Listing volumes = df_listing({"Name", "Links", "Size"}, {"VOLUME NAME", "LINKS", "SIZE"});
    for (const auto& use : usage.volumes)
        volumes.rows.push_back(Row{{"Name", use.volume.spec.name}, {"Links", std::to_string(use.containers)}, {"Size", base::format_bytes(use.size)}});
    out << "Images space usage:\n\n" + TRY(render(images, "table")) + "\nContainers space usage:\n\n" + TRY(render(containers, "table")) +
               "\nLocal Volumes space usage:\n\n" + TRY(render(volumes, "table")) + "\nPacked layers: " + base::format_bytes(usage.packed) + "\n";
    return {};
}

Result<int> df_command(Context& context, const Arguments& arguments) {
    auto usage = TRY(TRY(context.engine_without_project())->disk_usage());
    Output out(STDOUT_FILENO);
    if (arguments.on("verbose")) {
        TRY_VOID(df_verbose(usage, out));
        TRY_VOID(out.flush());
        return 0;
    }
    size_t used_images = 0, running = 0, used_volumes = 0;
    uint64_t written = 0, stopped = 0, volumes = 0, unused_volumes = 0;
    for (const auto& use : usage.images) used_images += use.containers > 0;
    for (const auto& use : usage.containers) {
        written += use.size;
        running += container_in_use(use.container);
        if (!container_in_use(use.container)) stopped += use.size;
    }
    for (const auto& use : usage.volumes) {
        volumes += use.size;
        used_volumes += use.containers > 0;
        if (use.containers == 0) unused_volumes += use.size;
    }
    Listing listing = df_listing({"Type", "TotalCount", "Active", "Size", "Reclaimable"}, {"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"});
    listing.rows.push_back(df_row("Images", usage.images.size(), used_images, usage.layers, usage.unused_layers));
    listing.rows.push_back(df_row("Containers", usage.containers.size(), running, written, stopped));
    listing.rows.push_back(df_row("Local Volumes", usage.volumes.size(), used_volumes, volumes, unused_volumes));
    Row packed = df_row("Packed Layers", 0, 0, usage.packed, 0);
    packed["TotalCount"] = packed["Active"] = packed["Reclaimable"] = "-";
    listing.rows.push_back(packed);
    out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

/// Errors are told and the rest goes on.
struct PrunedSystem {
    uint64_t bytes = 0;
    int status = 0;
    std::string text;
    void list(const char* title, const std::vector<std::string>& names) {
        if (names.empty()) return;
        text += std::string(title) + "\n";
        for (const std::string& name : names) text += name + "\n";
        text += "\n";
    }
    void failed(const Error& error) {
        print_error(error);
        status = 1;
    }
};

void prune_system_containers(engine::Engine& engine, const engine::DiskUsage& usage, PrunedSystem& pruned) {
    std::vector<std::string> gone;
    for (const auto& use : usage.containers) {
        if (container_in_use(use.container) || use.container.state.status == engine::ContainerStatus::removing) continue;
        auto removed = engine.remove(use.container.id, false, false);
        if (removed) {
            gone.push_back(use.container.id);
            pruned.bytes += use.size;
        } else if (removed.error().code != Code::not_found && removed.error().code != Code::conflict) {  // gone or started meanwhile
            pruned.failed(removed.error());
        }
    }
    pruned.list("Deleted Containers:", gone);
}

Status prune_system_networks(engine::Engine& engine, PrunedSystem& pruned) {
    std::set<std::string> used;
    for (const auto& container : TRY(engine.containers({})))
        for (const auto& endpoint : container.spec.endpoints) used.insert(endpoint.network);
    std::vector<std::string> gone;
    for (const auto& network : TRY(engine.networks({}))) {
        if (used.contains(network.spec.name)) continue;
        auto removed = engine.remove_network(network.spec.name);
        if (removed)
            gone.push_back(network.spec.name);
        else if (removed.error().code != Code::conflict && removed.error().code != Code::not_found)
            pruned.failed(removed.error());
    }
    pruned.list("Deleted Networks:", gone);
    return {};
}

Status prune_system_volumes(engine::Engine& engine, PrunedSystem& pruned) {
    std::vector<std::string> gone;
    for (const auto& use : TRY(engine.disk_usage()).volumes) {
        if (!(use.volume.anonymous || use.volume.spec.labels.contains("com.docker.volume.anonymous")) || use.containers > 0) continue;
        auto removed = engine.remove_volume(use.volume.spec.name);
        if (removed) {
            gone.push_back(use.volume.spec.name);
            pruned.bytes += use.size;
        } else if (removed.error().code != Code::conflict && removed.error().code != Code::not_found) {
            pruned.failed(removed.error());
        }
    }
    pruned.list("Deleted Volumes:", gone);
    return {};
}

Result<int> prune_system(Context& context, const Arguments& arguments) {
    bool all = arguments.on("all"), volumes = arguments.on("volumes");
    std::string warning = std::string("WARNING! This will remove, of every project:\n  - all stopped containers\n  - all networks not used by at least one container\n") +
                          (volumes ? "  - all anonymous volumes not used by at least one container\n" : "") +
                          (all ? "  - all images without at least one container associated to them\n" : "  - all dangling images\n");
    if (!arguments.on("force") && !ask(warning + "\nAre you sure you want to continue?")) return 0;
    auto* engine = TRY(context.engine_without_project());
    if (context.globals.dry_run) return 0;
    PrunedSystem pruned;
    prune_system_containers(*engine, TRY(engine->disk_usage()), pruned);
    TRY_VOID(prune_system_networks(*engine, pruned));
    if (volumes) TRY_VOID(prune_system_volumes(*engine, pruned));
    auto [images, bytes] = TRY(engine->prune_images(all));
    pruned.list("Deleted Images:", images);
    pruned.bytes += bytes;
    Output out(STDOUT_FILENO);
    out << pruned.text + "Total reclaimed space: " + base::format_bytes(pruned.bytes) + "\n";
    TRY_VOID(out.flush());
    return pruned.status;
}

}  // namespace

const Command kSystemDf{"system df", "[OPTIONS]", "Show what images, containers and volumes take on disk", kSystemDfFlags, df_command, 0, 0};
const Command kSystemPrune{"system prune", "[OPTIONS]", "Remove what no container uses", kSystemPruneFlags, prune_system, 0, 0};

}  // namespace compose::cli
