#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kRestartFlags[] = {
    {"no-deps", 0, Type::boolean, "Don't restart dependent services"},
    {"timeout", 't', Type::integer, "Specify a shutdown timeout in seconds"},
};

Result<int> restart_command(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::restart);
    options.no_deps = arguments.on("no-deps");
    options.labels_only = context.from_labels();
    return operate(context, *project, options, run::restart);
}

}  // namespace

const Command kRestart{"restart", "[OPTIONS] [SERVICE...]", "Restart service containers", kRestartFlags, restart_command};

}  // namespace compose::cli
