#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

constexpr Flag kWaitFlags[] = {
    {"down-project", 0, Flag::Type::boolean, "Drops project when the first container stops"},
};

Result<int> wait_command(Context& context, const Arguments& arguments) {
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::ignore));
    bool first = arguments.on("down-project");
    auto progress = context.make_progress(true);
    auto run_context = TRY(context.run_context(*progress));
    auto ended = TRY(run::wait(run_context, *project, arguments.operands, first, [](const run::Ended& one) {
        // ignored: the status of the command says it too
        (void)base::write_all(STDOUT_FILENO, "container " + base::quote(one.id) + " exited with status code " + std::to_string(one.exit_code) + "\n");
    }));
    int code = ended.empty() ? 0 : ended.back().exit_code;
    if (first) {
        plan::Options options = base_options(context, arguments, plan::Verb::down);
        options.services.clear();
        if (int status = TRY(operate(context, *project, options, run::down))) return status;
    }
    return code;
}

}  // namespace

const Command kWait{"wait", "SERVICE [SERVICE...] [OPTIONS]", "Block until containers of all (or specified) services stop", kWaitFlags, wait_command, 1};

}  // namespace compose::cli
