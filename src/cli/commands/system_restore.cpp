// `compose system stop`, `compose system restore` and `compose system update`: for all projects of the root at once.
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/exit_status.h"
#include "engine/maintenance.h"

namespace compose::cli {
namespace {

Result<engine::EngineOptions> options_of_root(Context& context) { return TRY(context.engine_without_project())->options(); }

Result<int> restore_command(Context& context, const Arguments&) {
    auto options = TRY(options_of_root(context));
    int status = 0;
    auto restored = TRY(engine::restore(options, [&](const engine::Restored& each) {
        if (each.status) {
            (void)base::write_all(STDERR_FILENO, " Container " + each.name + "  Started\n");  // ignored: only tells
        } else {
            print_error(Error(each.status.error()).with("restore " + each.name));
            status = exit_status(each.status.error().code);
        }
    }));
    if (restored.empty()) (void)base::write_all(STDERR_FILENO, "nothing to restore\n");
    return status;
}

Result<int> halt_command(Context& context, const Arguments&) {
    auto options = TRY(options_of_root(context));
    int status = 0;
    (void)TRY(engine::halt(options, [&](const engine::Restored& each) {
        if (each.status) {
            (void)base::write_all(STDERR_FILENO, " Container " + each.name + "  Stopped\n");  // ignored: only tells
        } else {
            print_error(Error(each.status.error()).with("stop " + each.name));
            status = exit_status(each.status.error().code);
        }
    }));
    return status;
}

Result<int> update_command(Context& context, const Arguments&) {
    auto options = TRY(options_of_root(context));
    int status = 0;
    for (const auto& each : TRY(engine::hand_over(options))) {
        const std::string name = each.project.empty() ? "containers of no project" : each.project;
        if (each.status) {
            (void)base::write_all(STDERR_FILENO, " Supervisor " + name + "  Updated\n");  // ignored: only tells
        } else {
            print_error(Error(each.status.error()).with("update the supervisor of " + name));
            status = exit_status(each.status.error().code);
        }
    }
    return status;
}

}  // namespace

const Command kSystemRestore{"system restore", "", "Start what its restart policy wants running, as after a restart of the machine", {}, restore_command, 0, 0};
const Command kSystemStop{"system stop", "", "Stop all containers of all projects, as the machine goes down: restore starts again what its restart policy wants", {}, halt_command, 0, 0};
const Command kSystemUpdate{"system update", "", "Hand the running supervisors over to this program, after an update of it", {}, update_command, 0, 0};

}  // namespace compose::cli
