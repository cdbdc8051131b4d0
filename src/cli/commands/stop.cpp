#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

constexpr Flag kStopFlags[] = {
    {"timeout", 't', Flag::Type::integer, "Specify a shutdown timeout in seconds"},
};

Result<int> stop_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::stop);
    options.labels_only = context.from_labels();
    return operate(context, *project, options, run::stop);
}

}  // namespace

const Command kStop{"stop", "[OPTIONS] [SERVICE...]", "Stop services", kStopFlags, stop_command};

}  // namespace compose::cli
