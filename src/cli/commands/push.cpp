#include "cli/commands/commands.h"
#include "cli/interrupts.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kPushFlags[] = {
    {"ignore-push-failures", 0, Type::boolean, "Push what it can and ignores images with push failures"},
    {"include-deps", 0, Type::boolean, "Also push images of services declared as dependencies"},
    {"quiet", 'q', Type::boolean, "Push without printing progress information"},
    {"tls-verify", 0, Type::boolean, "Require HTTPS with a verified certificate", "true"},
};

Result<int> push_command(Context& context, const Arguments& arguments) {
    context.tls_verify = arguments.on("tls-verify");
    auto dependencies = arguments.on("include-deps") ? model::Dependencies::include : model::Dependencies::ignore;
    auto* project = TRY(context.project());
    auto services = TRY(model::select_services(*project, arguments.operands, dependencies));
    auto* engine = TRY(context.engine());
    auto progress = context.make_progress(arguments.on("quiet"));
    interrupts::install();
    std::vector<Error> errors;
    for (const std::string& name : services) {
        const model::Service& service = project->services.at(name);
        if (!service.build || service.image.empty()) {  // as Docker Compose: only what is built here and has a name to go to
            progress->say(name, "Skipped", run::Phase::warning);
            continue;
        }
        progress->say(name, "Pushing", run::Phase::working);
        engine::PushOptions options;
        options.cancel = &interrupts::flag();
        options.progress = [&](const engine::PullProgress& at) { progress->transfer(name, at, true); };
        auto status = context.globals.dry_run ? Status() : engine->push(service.image, options);
        progress->say(name, status ? "Pushed" : "Error", status ? run::Phase::done : run::Phase::error, status ? "" : status.error().message());
        if (!status) errors.push_back(Error(status.error()).with("push " + service.image));
    }
    progress->close();
    for (const Error& error : errors) print_error(error);
    return errors.empty() || arguments.on("ignore-push-failures") ? 0 : 1;
}

}  // namespace

const Command kPush{"push", "[OPTIONS] [SERVICE...]", "Push service images", kPushFlags, push_command};

}  // namespace compose::cli
