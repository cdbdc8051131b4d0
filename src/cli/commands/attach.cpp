#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/interrupts.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kAttachFlags[] = {
    {"detach-keys", 0, Type::text, "Override the key sequence for detaching from a container"},
    {"index", 0, Type::integer, "index of the container if service has multiple replicas"},
    {"no-stdin", 0, Type::boolean, "Do not attach STDIN"},
    {"sig-proxy", 0, Type::boolean, "Proxy all received signals to the process", "true"},
};

Result<int> attach_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    auto container = TRY(running_replica(context, arguments.operands[0], static_cast<int>(arguments.integer("index"))));
    if (container.state.status == engine::ContainerStatus::paused)
        return fail(Code::conflict, "container " + container.spec.name + " is paused, unpause it before attach");
    auto* engine = TRY(context.engine());
    engine::AttachOptions options;
    options.tty = container.spec.tty && is_terminal(STDIN_FILENO) && !arguments.on("no-stdin");
    options.stdin_open = !arguments.on("no-stdin") && container.spec.stdin_open;
    options.signal_proxy = false;
    options.detach_keys = arguments.text("detach-keys");
    if (arguments.on("no-stdin")) options.streams.in = -1;
    std::optional<interrupts::Watch> watch;
    if (arguments.on("sig-proxy"))
        watch.emplace([&](int) { (void)engine->kill(container.id, std::to_string(interrupts::last_signal())); });  // ignored: it may have ended
    auto result = TRY(engine->attach(container.id, options));
    return result.exit_code;
}

}  // namespace

const Command kAttach{"attach", "[OPTIONS] SERVICE", "Attach local standard input, output, and error streams to a service's running container",
                      kAttachFlags, attach_command, 1, 1};

}  // namespace compose::cli
