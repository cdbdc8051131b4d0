#include <unistd.h>

#include <boost/json.hpp>

#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kImagesFlags[] = {
    {"format", 0, Type::text, "Format output: 'table', 'json' or a Go template", "table"},
    {"quiet", 'q', Type::boolean, "Only display IDs"},
};

Result<int> images_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    TRY_VOID(context.check_services(arguments.operands));
    auto used = TRY(run::images(*TRY(context.engine()), TRY(context.project_name()), arguments.operands));
    Output out(STDOUT_FILENO);
    if (arguments.on("quiet")) {
        std::set<std::string> seen;
        for (const auto& image : used) {
            std::string id = image.image.id.starts_with("sha256:") ? image.image.id.substr(7) : image.image.id;
            if (seen.insert(id).second) out << id + "\n";
        }
        TRY_VOID(out.flush());
        return 0;
    }
    Listing listing;
    listing.json_array = true;
    listing.heading = {"CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED"};
    engine::Time now = base::now();
    listing.cells = [](const Row& row) {
        auto size = static_cast<uint64_t>(row.at("Size").to_number<int64_t>());
        return std::vector<std::string>{text_of(row, "ContainerName"), text_of(row, "Repository"), text_of(row, "Tag"), text_of(row, "Platform"),
                                        short_id(text_of(row, "ID")), base::format_bytes(size), text_of(row, "CreatedSince")};
    };
    for (const auto& image : used) {
        auto [repository, tag] = repository_and_tag(image.reference);
        if (tag.empty()) tag = image.reference.find('@') == std::string::npos ? "latest" : "<none>";
        listing.rows.push_back(Row{{"ID", image.image.id}, {"ContainerName", image.container}, {"Repository", repository}, {"Tag", tag},
                                   {"Platform", image.image.platform.text()}, {"Size", static_cast<int64_t>(image.image.size)},
                                   {"Created", base::format_time(image.image.created)}, {"LastTagTime", base::format_time(image.image.tagged)},
                                   {"CreatedSince", image.image.created ? ago(image.image.created, now) : "N/A"}});
    }
    out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kImages{"images", "[OPTIONS] [SERVICE...]", "List images used by the created containers", kImagesFlags, images_command};

}  // namespace compose::cli
