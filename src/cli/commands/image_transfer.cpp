// `compose image pull`, `push`, `save`, `load`, `import`: images between the engine, registries and archives.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/interrupts.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kImagePullFlags[] = {
    {"platform", 0, Type::text, "Platform to pull for, such as linux/arm64"},
    {"quiet", 'q', Type::boolean, "Pull without printing progress information"},
    {"tls-verify", 0, Type::boolean, "Require HTTPS with a verified certificate", "true"},
};
constexpr Flag kImagePushFlags[] = {
    {"quiet", 'q', Type::boolean, "Push without printing progress information"},
    {"tls-verify", 0, Type::boolean, "Require HTTPS with a verified certificate", "true"},
};
constexpr Flag kImageSaveFlags[] = {{"output", 'o', Type::text, "Write to a file, instead of STDOUT"}};
constexpr Flag kImageLoadFlags[] = {
    {"input", 'i', Type::text, "Read from a file or an OCI layout folder, instead of STDIN"},
    {"quiet", 'q', Type::boolean, "Suppress the load output"},
};
constexpr Flag kImageImportFlags[] = {
    {"author", 'a', Type::text, "Author of the image"},
    {"change", 'c', Type::list, "Apply Dockerfile instruction to the created image"},
    {"message", 'm', Type::text, "Set commit message for imported image"},
};

Result<int> pull_images(Context& context, const Arguments& arguments) {
    context.tls_verify = arguments.on("tls-verify");
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
    options.progress = [&](const engine::PullProgress& at) { progress->transfer(at.reference, at); };
    auto pulled = engine->pull(requests, options);
    for (size_t i = 0; i < pulled.size(); ++i)
        progress->say(requests[i].reference, pulled[i] ? "Pulled" : "Error", pulled[i] ? run::Phase::done : run::Phase::error);
    progress->close();
    int status = 0;
    for (const auto& image : pulled)
        if (!image) {
            print_error(image.error());
            status = interrupts::flag().load() ? 130 : 1;
        }
    return status;
}

Result<int> push_image(Context& context, const Arguments& arguments) {
    context.tls_verify = arguments.on("tls-verify");
    auto* engine = TRY(context.engine_without_project());
    auto progress = context.make_progress(arguments.on("quiet"));
    interrupts::install();
    const std::string& reference = arguments.operands[0];
    engine::PushOptions options;
    options.cancel = &interrupts::flag();
    options.progress = [&](const engine::PullProgress& at) { progress->transfer(reference, at, true); };
    progress->say(reference, "Pushing", run::Phase::working);
    auto pushed = engine->push(reference, options);
    progress->say(reference, pushed ? "Pushed" : "Error", pushed ? run::Phase::done : run::Phase::error);
    progress->close();
    if (!pushed) return std::move(pushed.error());
    return 0;
}

Result<int> save_images(Context& context, const Arguments& arguments) {
    std::string output = arguments.text("output");
    if (output.empty() && is_terminal(STDOUT_FILENO)) return fail(Code::invalid, "cowardly refusing to save to a terminal: use -o FILE or redirect the output");
    auto* engine = TRY(context.engine_without_project());
    struct stat there {};
    bool special = !output.empty() && stat(output.c_str(), &there) == 0 && !S_ISREG(there.st_mode);  // a pipe or device is written, not replaced
    if (output.empty() || special) {
        base::UniqueFd opened;
        if (special) opened = TRY(base::open_at(AT_FDCWD, output, O_WRONLY));
        TRY_VOID(engine->save_images(arguments.operands, special ? opened.get() : STDOUT_FILENO));
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

Result<int> load_images(Context& context, const Arguments& arguments) {
    base::UniqueFd file;
    if (arguments.given("input")) file = TRY(base::open_at(AT_FDCWD, arguments.text("input"), O_RDONLY));
    if (!file && is_terminal(STDIN_FILENO)) return fail(Code::invalid, "requested load from stdin, but stdin is a terminal: use -i FILE or redirect the input");
    Output out(STDOUT_FILENO);
    auto loaded = TRY(TRY(context.engine_without_project())->load_images(file ? file.get() : STDIN_FILENO));
    if (!arguments.on("quiet"))
        for (const std::string& name : loaded) out << (name.starts_with("sha256:") ? "Loaded image ID: " : "Loaded image: ") + name + "\n";
    TRY_VOID(out.flush());
    return 0;
}

Result<int> import_image(Context& context, const Arguments& arguments) {
    const std::string& source = arguments.operands[0];
    if (source.starts_with("http://") || source.starts_with("https://"))
        return fail(Code::unsupported, "import " + base::quote(source) + ": this engine fetches no archives; `curl URL | compose image import - NAME` does");
    base::UniqueFd file;
    if (source != "-") file = TRY(base::open_at(AT_FDCWD, source, O_RDONLY));
    engine::CommitOptions options;
    if (arguments.operands.size() > 1) options.reference = arguments.operands[1];
    options.author = arguments.text("author");
    options.message = arguments.text("message");
    options.changes = arguments.list("change");
    std::string id = TRY(TRY(context.engine_without_project())->import_image(file ? file.get() : STDIN_FILENO, options));
    Output out(STDOUT_FILENO);
    out << id + "\n";
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kImagePull{"image pull", "[OPTIONS] IMAGE [IMAGE...]", "Pull images from a registry", kImagePullFlags, pull_images, 1};
const Command kImagePush{"image push", "[OPTIONS] NAME[:TAG]", "Push an image to a registry", kImagePushFlags, push_image, 1, 1};
const Command kImageSave{"image save", "[OPTIONS] IMAGE [IMAGE...]", "Write images to a tar archive", kImageSaveFlags, save_images, 1};
const Command kImageLoad{"image load", "[OPTIONS]", "Read images from a tar archive", kImageLoadFlags, load_images, 0, 0};
const Command kImageImport{"image import", "[OPTIONS] FILE|- [REPOSITORY[:TAG]]", "Make an image of a tar of a root file system", kImageImportFlags, import_image, 1, 2};

}  // namespace compose::cli
