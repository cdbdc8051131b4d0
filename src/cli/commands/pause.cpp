#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

Result<int> pause(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    return operate(context, *project, base_options(context, arguments, plan::Verb::pause), run::pause);
}

Result<int> unpause(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    return operate(context, *project, base_options(context, arguments, plan::Verb::unpause), run::unpause);
}

}  // namespace

const Command kPause{"pause", "[SERVICE...]", "Pause services", {}, pause};
const Command kUnpause{"unpause", "[SERVICE...]", "Unpause services", {}, unpause};

}  // namespace compose::cli
