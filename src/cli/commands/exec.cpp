#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/exit_status.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kExecFlags[] = {
    {"detach", 'd', Type::boolean, "Detached mode: Run command in the background"},
    {"env", 'e', Type::list, "Set environment variables"},
    {"index", 0, Type::integer, "Index of the container if service has multiple replicas"},
    {"interactive", 'i', Type::boolean, "Keep STDIN open even if not attached", "true", true},
    {"no-tty", 'T', Type::boolean, "Disable pseudo-TTY allocation. By default 'compose exec' allocates a TTY"},
    {"no-TTY", 0, Type::boolean, "Disable pseudo-TTY allocation", "", true},
    {"privileged", 0, Type::boolean, "Give extended privileges to the process"},
    {"tty", 't', Type::boolean, "Allocate a pseudo-TTY", "true", true},
    {"user", 'u', Type::text, "Run the command as this user"},
    {"workdir", 'w', Type::text, "Path to workdir directory for this command"},
};

Result<int> exec_command(Context& context, const Arguments& arguments) {
    const std::string& service = arguments.operands[0];
    (void)TRY(context.project_if_any());
    auto container = TRY(running_replica(context, service, static_cast<int>(arguments.integer("index"))));
    if (container.state.status == engine::ContainerStatus::paused)
        return fail(Code::conflict, "container " + container.spec.name + " is paused, unpause the container before exec");
    engine::ExecOptions options;
    options.argv.assign(arguments.operands.begin() + 1, arguments.operands.end());
    for (const std::string& variable : arguments.list("env")) {
        if (variable.find('=') != std::string::npos)
            options.env.push_back(variable);
        else if (auto it = context.environment().find(variable); it != context.environment().end())
            options.env.push_back(variable + "=" + it->second);
    }
    options.user = arguments.text("user");
    options.working_dir = arguments.text("workdir");
    options.privileged = arguments.on("privileged");
    options.detach = arguments.on("detach");
    options.interactive = arguments.on("interactive");
    bool wanted = arguments.on("tty") && !arguments.on("no-tty") && !arguments.on("no-TTY") && !options.detach;
    options.tty = wanted && is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
    if (!options.interactive) options.streams.in = -1;
    if (context.globals.dry_run) return 0;
    auto code = TRY(context.engine())->exec(container.id, options);
    if (code) return *code;
    print_error(code.error());
    return options.detach ? 1 : exec_status(code.error().code);
}

}  // namespace

const Command kExec{"exec", "[OPTIONS] SERVICE COMMAND [ARGS...]", "Execute a command in a running container", kExecFlags, exec_command, 2, -1, true};

}  // namespace compose::cli
