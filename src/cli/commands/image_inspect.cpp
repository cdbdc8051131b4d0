// `compose image inspect`, `history`, `verify`: what an image is, how it came to be, whether it is still whole.
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"
#include "cli/interrupts.h"
#include "cli/json_text.h"

namespace compose::cli {
namespace {

namespace json = boost::json;
using Type = Flag::Type;
constexpr Flag kImageInspectFlags[] = {{"format", 'f', Type::text, "Format output using a Go template, or 'json'"}};
constexpr Flag kImageHistoryFlags[] = {
    {"format", 0, Type::text, "Format output: 'table', 'json' or a Go template", "table"},
    {"human", 'H', Type::boolean, "Print sizes and dates in human readable format", "true"},
    {"no-trunc", 0, Type::boolean, "Don't truncate output"},
    {"quiet", 'q', Type::boolean, "Only show image IDs"},
};
constexpr Flag kImageVerifyFlags[] = {{"repair", 0, Type::boolean, "Fetch or unpack again what is broken"}};

json::array json_texts(const std::vector<std::string>& values) {
    json::array array;
    for (const auto& value : values) array.emplace_back(value);
    return array;
}

/// Docker's names, in Docker's order.
Row inspected_image(const engine::ImageDetail& detail) {
    const engine::ImageInfo& image = detail.image;
    std::vector<std::string> names;
    for (const std::string& reference : image.references) {
        auto [repository, tag] = repository_and_tag(reference);
        names.push_back(repository + ":" + tag);
    }
    Row row{{"Id", image.id}, {"RepoTags", json_texts(names)}, {"RepoDigests", json_texts(image.repo_digests)}};
    row["Comment"] = image.history.empty() ? "" : image.history.back().comment;
    row["Created"] = image.created ? base::format_time(image.created) : "";
    row["Author"] = image.author;
    boost::system::error_code error;
    json::value config = json::parse(detail.config, error);
    if (const auto* object = error ? nullptr : config.if_object())
        if (const auto* inner = object->if_contains("config")) row["Config"] = *inner;
    row["Architecture"] = image.platform.architecture;
    if (!image.platform.variant.empty()) row["Variant"] = image.platform.variant;
    row["Os"] = image.platform.os;
    row["Size"] = image.size;
    row["GraphDriver"] = json::object{{"Name", "overlay"}, {"Data", json::object{{"LowerDirs", json_texts(detail.layer_dirs)}}}};
    row["RootFS"] = json::object{{"Type", "layers"}, {"Layers", json_texts(image.layers)}};
    row["Metadata"] = json::object{{"LastTagTime", base::format_time(image.tagged)}};
    return row;
}

Result<int> inspect_images(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    std::string format = arguments.text("format");
    std::optional<Template> form;
    if (!format.empty() && format != "json") form = TRY(Template::parse(format));
    json::array found;
    Output out(STDOUT_FILENO);
    int status = 0;
    for (const std::string& reference : arguments.operands) {
        auto detail = engine->image_detail(reference);
        if (!detail) {
            print_error(detail.error());
            status = 1;
            continue;
        }
        Row row = inspected_image(*detail);
        if (form)
            out << TRY(form->fill(row)) + "\n";
        else
            found.emplace_back(std::move(row));
    }
    if (!form) out << (format == "json" ? json::serialize(found) : indented_json(found)) + "\n";
    TRY_VOID(out.flush());
    return status;
}

std::string cut_with_dots(const std::string& text, size_t most) { return width(text) <= most ? text : cut_to(text, most - 1) + "…"; }

Result<int> image_history(Context& context, const Arguments& arguments) {
    auto detail = TRY(TRY(context.engine_without_project())->image_detail(arguments.operands[0]));
    bool whole = arguments.on("no-trunc"), human = arguments.on("human");
    const auto& steps = detail.image.history;
    engine::Time now = base::now();
    Listing listing;
    listing.heading = {"IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"};
    listing.cells = [&](const Row& row) {
        return std::vector<std::string>{text_of(row, "ID"), human ? text_of(row, "CreatedSince") : text_of(row, "CreatedAt"), text_of(row, "CreatedBy"),
                                        text_of(row, "Size"), text_of(row, "Comment")};
    };
    // Newest first. Steps that made a layer take the layers in order.
    std::vector<uint64_t> sizes;
    size_t next = 0;
    for (const auto& step : steps) sizes.push_back(!step.empty_layer && next < detail.layer_sizes.size() ? detail.layer_sizes[next++] : 0);
    Output out(STDOUT_FILENO);
    for (size_t i = steps.size(); i-- > 0;) {
        bool top = i + 1 == steps.size();
        std::string id = !top ? "<missing>" : whole ? detail.image.id : short_id(detail.image.id);
        if (arguments.on("quiet")) {
            out << id + "\n";
            continue;
        }
        std::string by = base::printable(steps[i].created_by);
        listing.rows.push_back(Row{{"ID", id}, {"CreatedSince", steps[i].created ? ago(steps[i].created, now) : "N/A"},
                                   {"CreatedAt", steps[i].created ? base::format_time(steps[i].created) : "N/A"}, {"CreatedBy", whole ? by : cut_with_dots(by, 45)},
                                   {"Size", human ? base::format_bytes(sizes[i]) : std::to_string(sizes[i])}, {"Comment", base::printable(steps[i].comment)}});
    }
    if (!arguments.on("quiet")) out << TRY(render(listing, arguments.text("format")));
    TRY_VOID(out.flush());
    return 0;
}

Result<int> verify_images(Context& context, const Arguments& arguments) {
    interrupts::install();
    engine::VerifyOptions options;
    options.references = arguments.operands;
    options.repair = arguments.on("repair");
    options.cancel = &interrupts::flag();
    auto result = TRY(TRY(context.engine_without_project())->verify_images(options));
    Output out(STDOUT_FILENO);
    for (const std::string& problem : result.problems) out << base::printable(problem) + "\n";
    std::string layers = std::to_string(result.layers) + (result.layers == 1 ? " layer" : " layers");
    if (result.problems.empty())
        out << layers + " verified: all is whole\n";
    else
        out << layers + " verified: " + std::to_string(result.problems.size()) + " damaged" +
                   (options.repair ? ", " + std::to_string(result.broken) + " still are" : "; `compose image verify --repair` mends what it can") + "\n";
    TRY_VOID(out.flush());
    return result.broken == 0 ? 0 : 1;
}

}  // namespace

const Command kImageInspect{"image inspect", "[OPTIONS] IMAGE [IMAGE...]", "Show all that is known of images", kImageInspectFlags, inspect_images, 1};
const Command kImageHistory{"image history", "[OPTIONS] IMAGE", "Show the steps that made an image", kImageHistoryFlags, image_history, 1, 1};
const Command kImageVerify{"image verify", "[OPTIONS] [IMAGE...]", "Check that stored layers are what was pulled", kImageVerifyFlags, verify_images};

}  // namespace compose::cli
