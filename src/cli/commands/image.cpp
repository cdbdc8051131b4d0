// `compose image …`: the engine's images, whatever project uses them.
#include <unistd.h>

#include <boost/json.hpp>

#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kListFlags[] = {
    {"format", 0, Type::text, "Format output: 'table', 'json' or a Go template", "table"},
    {"quiet", 'q', Type::boolean, "Only display IDs"},
};
constexpr Flag kRemoveFlags[] = {{"force", 'f', Type::boolean, "Remove it although a stopped container uses it"}};
constexpr Flag kPruneFlags[] = {
    {"all", 'a', Type::boolean, "Remove all unused images, not only those without a name"},
    {"force", 'f', Type::boolean, "Don't ask to confirm removal"},
};

Result<int> list(Context& context, const Arguments& arguments) {
    auto images = TRY(TRY(context.engine_without_project())->images());
    std::sort(images.begin(), images.end(), [](const auto& a, const auto& b) { return a.tagged > b.tagged; });
    Output out(STDOUT_FILENO);
    Listing listing;
    listing.heading = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
    listing.cells = [](const Row& row) {
        return std::vector<std::string>{text_of(row, "Repository"), text_of(row, "Tag"), short_id(text_of(row, "ID")), text_of(row, "CreatedSince"), text_of(row, "Size")};
    };
    engine::Time now = base::now();
    for (const auto& image : images) {
        if (arguments.on("quiet")) out << short_id(image.id) + "\n";
        auto names = image.references;
        if (names.empty()) names = {"<none>:<none>"};
        for (const std::string& name : names) {
            auto [repository, tag] = repository_and_tag(name);
            listing.rows.push_back(Row{{"ID", image.id}, {"Repository", repository}, {"Tag", tag}, {"Platform", image.platform.text()},
                                       {"CreatedSince", image.created ? ago(image.created, now) : "N/A"}, {"Size", base::format_bytes(image.size)}});
        }
    }
    if (!arguments.on("quiet")) out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

Result<int> remove(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    Output out(STDOUT_FILENO);
    int status = 0;
    for (const std::string& reference : arguments.operands) {
        auto removed = engine->remove_image(reference, arguments.on("force"));
        if (!removed) {
            print_error(Error(removed.error()).with("remove image " + reference));
            status = 1;
            continue;
        }
        for (const std::string& name : removed->untagged) out << "Untagged: " + name + "\n";
        for (const std::string& id : removed->deleted) out << "Deleted: " + id + "\n";
    }
    TRY_VOID(out.flush());
    return status;
}

Result<int> tag(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    TRY_VOID(engine->tag_image(arguments.operands[0], arguments.operands[1]));
    return 0;
}

Result<int> prune(Context& context, const Arguments& arguments) {
    bool all = arguments.on("all");
    if (!arguments.on("force") && !ask(all ? "This removes every image that no container uses. Go on?" : "This removes every unused image without a name. Go on?")) return 0;
    auto [removed, bytes] = TRY(TRY(context.engine_without_project())->prune_images(all));
    Output out(STDOUT_FILENO);
    for (const std::string& id : removed) out << "Deleted: " + id + "\n";
    out << "Total reclaimed space: " + base::format_bytes(bytes) + "\n";
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kImageLs{"image ls", "[OPTIONS]", "List the engine's images", kListFlags, list, 0, 0};
const Command kImageRm{"image rm", "[OPTIONS] IMAGE [IMAGE...]", "Remove images", kRemoveFlags, remove, 1};
const Command kImageTag{"image tag", "IMAGE NAME[:TAG]", "Give an image another name", {}, tag, 2, 2};
const Command kImagePrune{"image prune", "[OPTIONS]", "Remove unused images", kPruneFlags, prune, 0, 0};

}  // namespace compose::cli
