// `compose image …`: the engine's images, whatever project uses them.
#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"
#include "cli/format.h"
#include "cli/interrupts.h"

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
constexpr Flag kPullFlags[] = {
    {"platform", 0, Type::text, "Platform to pull for, such as linux/arm64"},
    {"quiet", 'q', Type::boolean, "Pull without printing progress information"},
};
constexpr Flag kSaveFlags[] = {{"output", 'o', Type::text, "Write to a file, instead of STDOUT"}};
constexpr Flag kLoadFlags[] = {{"input", 'i', Type::text, "Read from a file, instead of STDIN"}};

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

Result<int> pull(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto progress = context.make_progress(arguments.on("quiet"));
    interrupts::install();
    std::vector<engine::PullRequest> requests;
    for (const std::string& reference : arguments.operands) {
        requests.push_back({reference, arguments.text("platform")});
        progress->say(reference, "Pulling", run::Phase::working);
    }
    engine::PullOptions options;
    options.cancel = &interrupts::flag();
    options.progress = [&](const engine::PullProgress& at) {
        run::StepEvent event;
        event.id = at.reference;
        event.pull = &at;
        progress->event(event);
    };
    auto pulled = engine->pull(requests, options);
    for (size_t i = 0; i < pulled.size(); ++i)
        progress->say(requests[i].reference, pulled[i] ? "Pulled" : "Error", pulled[i] ? run::Phase::done : run::Phase::error);
    progress->close();
    int status = 0;
    for (const auto& image : pulled)
        if (!image) print_error(image.error()), status = 1;
    return status;
}

Result<int> push(Context& context, const Arguments& arguments) {
    interrupts::install();
    engine::PushOptions options;
    options.cancel = &interrupts::flag();
    auto* engine = TRY(context.engine_without_project());
    TRY_VOID(engine->push(arguments.operands[0], options));
    return 0;
}

Result<int> save(Context& context, const Arguments& arguments) {
    std::string output = arguments.text("output");
    if (output.empty() && is_terminal(STDOUT_FILENO)) return fail(Code::invalid, "cowardly refusing to save to a terminal: use -o FILE or redirect the output");
    auto* engine = TRY(context.engine_without_project());
    if (output.empty()) {
        TRY_VOID(engine->save_images(arguments.operands, STDOUT_FILENO));
        return 0;
    }
    std::string beside = output + "." + base::random_hex(8) + ".tmp";
    auto fd = TRY(base::open_at(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL, 0644));
    base::Defer drop([&] { (void)unlink(beside.c_str()); });  // ignored: it is gone already
    TRY_VOID(engine->save_images(arguments.operands, fd.get()));
    if (rename(beside.c_str(), output.c_str()) != 0) return base::fail_errno("save to " + base::quote(output));
    drop.cancel();
    return 0;
}

Result<int> load(Context& context, const Arguments& arguments) {
    base::UniqueFd file;
    if (arguments.given("input")) file = TRY(base::open_at(AT_FDCWD, arguments.text("input"), O_RDONLY));
    Output out(STDOUT_FILENO);
    for (const std::string& name : TRY(TRY(context.engine_without_project())->load_images(file ? file.get() : STDIN_FILENO))) out << "Loaded image: " + name + "\n";
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kImageLs{"image ls", "[OPTIONS]", "List the engine's images", kListFlags, list, 0, 0};
const Command kImageRm{"image rm", "[OPTIONS] IMAGE [IMAGE...]", "Remove images", kRemoveFlags, remove, 1};
const Command kImageTag{"image tag", "IMAGE NAME[:TAG]", "Give an image another name", {}, tag, 2, 2};
const Command kImagePrune{"image prune", "[OPTIONS]", "Remove unused images", kPruneFlags, prune, 0, 0};
const Command kImagePull{"image pull", "[OPTIONS] IMAGE [IMAGE...]", "Pull images from a registry", kPullFlags, pull, 1};
const Command kImagePush{"image push", "NAME[:TAG]", "Push an image to a registry", {}, push, 1, 1};
const Command kImageSave{"image save", "[OPTIONS] IMAGE [IMAGE...]", "Write images to a tar archive", kSaveFlags, save, 1};
const Command kImageLoad{"image load", "[OPTIONS]", "Read images from a tar archive", kLoadFlags, load, 0, 0};

}  // namespace compose::cli
