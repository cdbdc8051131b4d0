#include <unistd.h>

#include <boost/json.hpp>

#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kVolumesFlags[] = {
    {"format", 0, Type::text, "Format output: 'table', 'table TEMPLATE', 'json' or a Go template", "table"},
    {"quiet", 'q', Type::boolean, "Only display volume names"},
};

/// Names of the volumes that the named services mount: of their containers, and as the file says.
Result<std::set<std::string>> mounted(Context& context, const model::Project* project, const std::vector<std::string>& services) {
    std::set<std::string> names;
    for (const auto& container : TRY(select_containers(context, {services, true, false, 0})))
        for (const auto& mount : container.spec.mounts)
            if (mount.type == engine::Mount::Type::volume) names.insert(mount.source);
    if (!project) return names;
    for (const std::string& name : services) {
        auto service = project->services.find(name);
        if (service == project->services.end()) continue;
        for (const auto& mount : service->second.volumes) {
            auto volume = mount.type == "volume" ? project->volumes.find(mount.source) : project->volumes.end();
            if (volume != project->volumes.end()) names.insert(volume->second.name);
        }
    }
    return names;
}

Result<int> volumes_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(context.project_if_any());
    TRY_VOID(context.check_services(arguments.operands));
    auto* engine = TRY(context.engine());
    auto volumes = TRY(engine->volumes({{plan::label::kProject, TRY(context.project_name())}}));
    if (!arguments.operands.empty()) {
        auto names = TRY(mounted(context, project, arguments.operands));
        std::erase_if(volumes, [&](const engine::VolumeInfo& volume) { return !names.contains(volume.spec.name); });
    }
    std::sort(volumes.begin(), volumes.end(), [](const auto& a, const auto& b) { return a.spec.name < b.spec.name; });
    Output out(STDOUT_FILENO);
    Listing listing;
    listing.heading = {"DRIVER", "VOLUME NAME"};
    listing.cells = [](const Row& row) { return std::vector<std::string>{text_of(row, "Driver"), text_of(row, "Name")}; };
    for (const auto& volume : volumes) {
        if (arguments.on("quiet")) {
            out << volume.spec.name + "\n";
            continue;
        }
        listing.rows.push_back(Row{{"Availability", "N/A"}, {"Driver", volume.spec.driver}, {"Group", "N/A"}, {"Labels", labels_text(volume.spec.labels)},
                                   {"Links", "N/A"}, {"Mountpoint", volume.path}, {"Name", volume.spec.name}, {"Scope", "local"}, {"Size", "N/A"}, {"Status", "N/A"}});
    }
    if (!arguments.on("quiet")) out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kVolumes{"volumes", "[OPTIONS] [SERVICE...]", "List volumes", kVolumesFlags, volumes_command};

}  // namespace compose::cli
