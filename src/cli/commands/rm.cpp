#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kRmFlags[] = {
    {"all", 'a', Type::boolean, "Deprecated - no effect", "", true},
    {"force", 'f', Type::boolean, "Don't ask to confirm removal"},
    {"stop", 's', Type::boolean, "Stop the containers, if required, before removing"},
    {"volumes", 'v', Type::boolean, "Remove any anonymous volumes attached to containers"},
};

Result<int> rm_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::remove);
    options.stop_first = arguments.on("stop");
    options.volumes = arguments.on("volumes");
    options.labels_only = context.from_labels();
    auto names = TRY(run::removable(*TRY(context.engine()), *project, options));
    if (names.empty()) {
        (void)base::write_all(STDERR_FILENO, "No stopped containers\n");  // ignored: only tells
        return 0;
    }
    std::string going = "Going to remove " + base::join(names, ", ");
    if (context.globals.dry_run || arguments.on("force")) {
        (void)base::write_all(STDOUT_FILENO, going + "\n");  // ignored: only tells
    } else if (!ask("? " + going)) {
        return 0;
    }
    return operate(context, *project, options, run::remove);
}

}  // namespace

const Command kRm{"rm", "[OPTIONS] [SERVICE...]", "Removes stopped service containers", kRmFlags, rm_command};

}  // namespace compose::cli
