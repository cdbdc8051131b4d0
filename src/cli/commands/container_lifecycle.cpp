// `container start`, `stop` and the other verbs that change what a container does.
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/container_common.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerStartFlags[] = {
    {"attach", 'a', Type::boolean, "Attach STDOUT/STDERR and forward signals"},
    {"detach-keys", 0, Type::text, "Override the key sequence for detaching a container"},
    {"interactive", 'i', Type::boolean, "Attach container's STDIN"},
};
constexpr Flag kContainerStopFlags[] = {
    {"signal", 's', Type::text, "Signal to send to the container"},
    {"time", 0, Type::integer, "Old spelling of --timeout", "", true},
    {"timeout", 't', Type::integer, "Seconds to wait before killing the container"},
};
constexpr Flag kContainerKillFlags[] = {{"signal", 's', Type::text, "Signal to send to the container", "KILL"}};

std::optional<engine::Nanoseconds> container_grace(const Arguments& arguments) {
    for (std::string_view flag : {"timeout", "time"})
        if (arguments.given(flag)) return std::chrono::seconds(std::max<int64_t>(0, arguments.integer(flag)));
    return std::nullopt;
}

Result<int> container_start_attached(Context& context, const Arguments& arguments) {
    if (arguments.operands.size() > 1) return fail(Code::invalid, "you cannot start and attach multiple containers at once");
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    Attaching attaching;
    attaching.start = true;
    attaching.input = arguments.on("interactive") && container.spec.stdin_open;
    attaching.detach_keys = arguments.text("detach-keys");
    TRY_VOID(check_terminal(attaching.input, container.spec.tty));
    if (context.globals.dry_run) return 0;
    auto ended = attach_to(*engine, container, attaching);
    if (!ended) {
        print_error(ended.error());
        return start_status(ended.error(), 1);
    }
    return ended->exit_code;
}

Result<int> container_start(Context& context, const Arguments& arguments) {
    context.will_start = true;
    if (arguments.on("attach") || arguments.on("interactive")) return container_start_attached(context, arguments);
    return for_each_container(context, arguments.operands, [](engine::Engine& engine, const engine::ContainerInfo& container) { return engine.start(container.id); });
}

Result<int> container_stop(Context& context, const Arguments& arguments) {
    auto grace = container_grace(arguments);
    const std::string signal = arguments.given("signal") ? arguments.text("signal") : std::string();
    // All at once; each is named as it has ended.
    auto* engine = TRY(context.engine_without_project());
    std::vector<engine::StopRequest> requests;
    for (const std::string& name : arguments.operands) requests.push_back({name, grace, signal});
    if (context.globals.dry_run) return 0;
    std::mutex mutex;
    int status = 0;
    auto done = engine->stop_many(requests, [&](size_t i, const Status& stopped) {
        std::lock_guard lock(mutex);
        if (stopped) (void)base::write_all(STDOUT_FILENO, requests[i].id + "\n");  // ignored: it only tells
    });
    for (const Status& stopped : done)
        if (!stopped) print_error(stopped.error()), status = 1;
    return status;
}

Result<int> container_restart(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto grace = container_grace(arguments);
    return for_each_container(context, arguments.operands, [&](engine::Engine& engine, const engine::ContainerInfo& container) -> Status {
        return engine.restart(container.id, grace, arguments.given("signal") ? arguments.text("signal") : std::string());
    });
}

Result<int> container_kill(Context& context, const Arguments& arguments) {
    return for_each_container(context, arguments.operands, [&](engine::Engine& engine, const engine::ContainerInfo& container) {
        return engine.kill(container.id, arguments.text("signal"));
    });
}

Result<int> container_pause(Context& context, const Arguments& arguments) {
    return for_each_container(context, arguments.operands, [](engine::Engine& engine, const engine::ContainerInfo& container) { return engine.pause(container.id); });
}

Result<int> container_unpause(Context& context, const Arguments& arguments) {
    return for_each_container(context, arguments.operands, [](engine::Engine& engine, const engine::ContainerInfo& container) { return engine.unpause(container.id); });
}

Result<int> container_rename(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    if (arguments.operands[1].empty()) return fail(Code::invalid, "new name cannot be empty");
    if (!context.globals.dry_run) TRY_VOID(engine->rename(container.id, arguments.operands[1]));
    return 0;
}

Result<int> container_wait(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    interrupts::install();
    int status = 0;
    for (const std::string& name : arguments.operands) {
        auto container = engine->container(name);
        engine::ContainerState last;
        if (container) {
            last = container->state;
            auto ended = engine->wait_until(container->id, [&](const engine::ContainerInfo& now) {
                last = now.state;
                return !plan::is_running(now);
            }, std::nullopt, &interrupts::flag());
            // one with --rm is gone: what it ended with was seen in time, or is not known any more
            if (!ended && ended.error().code != Code::not_found) container = ended;
        }
        if (!container) {
            if (container.error().code == Code::interrupted) return kInterrupted;
            print_error(container.error());
            status = 1;
            continue;
        }
        TRY_VOID(base::write_all(STDOUT_FILENO, std::to_string(last.exit_code) + "\n"));
    }
    return status;
}

}  // namespace

const Command kContainerStart{"container start", "[OPTIONS] CONTAINER [CONTAINER...]", "Start one or more stopped containers", kContainerStartFlags, container_start, 1};
const Command kContainerStop{"container stop", "[OPTIONS] CONTAINER [CONTAINER...]", "Stop one or more running containers", kContainerStopFlags, container_stop, 1};
const Command kContainerRestart{"container restart", "[OPTIONS] CONTAINER [CONTAINER...]", "Restart one or more containers", kContainerStopFlags, container_restart, 1};
const Command kContainerKill{"container kill", "[OPTIONS] CONTAINER [CONTAINER...]", "Kill one or more running containers", kContainerKillFlags, container_kill, 1};
const Command kContainerPause{"container pause", "CONTAINER [CONTAINER...]", "Pause all processes within one or more containers", {}, container_pause, 1};
const Command kContainerUnpause{"container unpause", "CONTAINER [CONTAINER...]", "Unpause all processes within one or more containers", {}, container_unpause, 1};
const Command kContainerRename{"container rename", "CONTAINER NEW_NAME", "Rename a container", {}, container_rename, 2, 2};
const Command kContainerWait{"container wait", "CONTAINER [CONTAINER...]", "Block until one or more containers stop, then print their exit codes", {}, container_wait, 1};

}  // namespace compose::cli
