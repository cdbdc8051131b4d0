#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kDownFlags[] = {
    {"remove-orphans", 0, Type::boolean, "Remove containers for services not defined in the Compose file"},
    {"rmi", 0, Type::text, "Remove images used by services. \"local\" remove only images that don't have a custom tag (\"local\"|\"all\")"},
    {"timeout", 't', Type::integer, "Specify a shutdown timeout in seconds"},
    {"volumes", 'v', Type::boolean, "Remove named volumes declared in the \"volumes\" section of the Compose file and anonymous volumes attached to containers"},
};

Result<int> down_command(Context& context, const Arguments& arguments) {
    std::string rmi = arguments.text("rmi");
    if (arguments.given("rmi") && rmi != "all" && rmi != "local") return fail(Code::invalid, "invalid value for --rmi: " + base::quote(rmi) + ": use all or local");
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::down);
    options.volumes = arguments.on("volumes");
    options.rmi = rmi;
    options.labels_only = context.from_labels();
    return operate(context, *project, options, run::down);
}

}  // namespace

const Command kDown{"down", "[OPTIONS] [SERVICES]", "Stop and remove containers, networks", kDownFlags, down_command};

}  // namespace compose::cli
