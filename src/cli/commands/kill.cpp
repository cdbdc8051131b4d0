#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kKillFlags[] = {
    {"remove-orphans", 0, Type::boolean, "Remove containers for services not defined in the Compose file"},
    {"signal", 's', Type::text, "SIGNAL to send to the container", "SIGKILL"},
};

Result<int> kill_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::kill);
    options.signal = arguments.text("signal");
    options.labels_only = context.from_labels();
    return operate(context, *project, options, run::kill);
}

}  // namespace

const Command kKill{"kill", "[OPTIONS] [SERVICE...]", "Force stop service containers", kKillFlags, kill_command};

}  // namespace compose::cli
