#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kCreateFlags[] = {
    {"build", 0, Type::boolean, "Build images before starting containers"},
    {"force-recreate", 0, Type::boolean, "Recreate containers even if their configuration and image haven't changed"},
    {"no-build", 0, Type::boolean, "Don't build an image, even if it's policy"},
    {"no-recreate", 0, Type::boolean, "If containers already exist, don't recreate them. Incompatible with --force-recreate"},
    {"pull", 0, Type::text, "Pull image before running (\"always\"|\"missing\"|\"never\"|\"build\")", "policy"},
    {"quiet-pull", 0, Type::boolean, "Pull without printing progress information"},
    {"remove-orphans", 0, Type::boolean, "Remove containers for services not defined in the Compose file"},
    {"scale", 0, Type::list, "Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present"},
    {"yes", 'y', Type::boolean, "Assume \"yes\" as answer to all prompts and run non-interactively"},
};

Result<int> create_command(Context& context, const Arguments& arguments) {
    if (arguments.on("build") && arguments.on("no-build")) return fail(Code::invalid, "--build and --no-build are incompatible");
    if (arguments.on("force-recreate") && arguments.on("no-recreate")) return fail(Code::invalid, "--force-recreate and --no-recreate are incompatible");
    context.assume_yes = arguments.on("yes");
    context.quiet_pull = arguments.on("quiet-pull");
    auto* project = TRY(file_project_with(context, arguments.operands, model::Dependencies::include));
    plan::Options options = TRY(up_options(context, arguments, plan::Verb::create));
    return operate(context, *project, options, run::create);
}

}  // namespace

const Command kCreate{"create", "[OPTIONS] [SERVICE...]", "Creates containers for a service", kCreateFlags, create_command};

}  // namespace compose::cli
