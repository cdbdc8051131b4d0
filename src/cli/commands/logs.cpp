#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/exit_status.h"
#include "cli/followers.h"
#include "cli/interrupts.h"
#include "cli/when.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kLogsFlags[] = {
    {"follow", 'f', Type::boolean, "Follow log output"},
    {"index", 0, Type::integer, "index of the container if service has multiple replicas"},
    {"no-color", 0, Type::boolean, "Produce monochrome output"},
    {"no-log-prefix", 0, Type::boolean, "Don't print prefix in logs"},
    {"since", 0, Type::text, "Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)"},
    {"tail", 'n', Type::text, "Number of lines to show from the end of the logs for each container", "all"},
    {"timestamps", 't', Type::boolean, "Show timestamps"},
    {"until", 0, Type::text, "Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)"},
};

/// What went wrong with one container's log is said, and the others are shown all the same.
void complain(const engine::ContainerInfo& container, const Status& status) {
    if (status || status.error().sys_errno == EPIPE || status.error().code == Code::interrupted) return;
    warn("Can't retrieve logs for " + base::quote(container.spec.name) + ": " + status.error().message());
}

int show(engine::Engine& engine, const std::vector<engine::ContainerInfo>& containers, const engine::LogOptions& options, const LogStyle& style) {
    LogPrinter printer(STDOUT_FILENO, style);
    for (const auto& container : containers) printer.expect(plan::short_name(container));
    for (const auto& container : containers) {
        if (!style.prefix) {
            complain(container, engine.copy_log(container.id, options, STDOUT_FILENO, nullptr));
            continue;
        }
        auto& source = printer.add(plan::short_name(container));
        complain(container, engine.logs(container.id, options, [&](const engine::LogLine& line) { return source.line(line); }, nullptr));
        source.finish();
        if (printer.broken()) break;
    }
    return 0;
}

int follow(engine::Engine& engine, const std::string& project, const std::vector<engine::ContainerInfo>& containers,
           const std::set<std::string>& services, int index, engine::LogOptions options, const LogStyle& style) {
    LogPrinter printer(STDOUT_FILENO, style);
    std::set<std::string> over;  // those that had ended before: their lines are shown, their end is no news
    for (const auto& container : containers) {
        printer.expect(plan::short_name(container));
        if (!plan::is_running(container)) over.insert(container.id);
    }
    std::mutex mutex;
    Followers followers(engine, printer, [&](const EndedContainer& ended) {
        std::lock_guard lock(mutex);
        if (ended.removed || over.contains(ended.id)) return;
        printer.note((is_terminal(STDOUT_FILENO) ? "\r\033[K" : "") + printer.painted(ended.short_name) + " exited with code " + std::to_string(ended.exit_code));
    });
    interrupts::Watch watch([&](int) {
        followers.cancel();
        followers.nudge();
    });
    std::atomic<bool> done{false};
    auto last = engine.last_event();
    for (const auto& container : containers) followers.follow(container, options, true);
    std::thread events([&] {
        // what is started while others are still followed joins them
        if (!last) return;  // ignored: without events nothing new is shown
        (void)engine.events_after(*last, 0, [&](const engine::Event& event) {  // ignored: as above
            if (done || event.type != "container" || event.action != "start") return !done;
            auto container = engine.container(event.id);
            if (!container || plan::is_one_off(*container) || plan::label_of(container->spec.labels, plan::label::kProject) != project) return true;
            if (!services.empty() && !services.contains(plan::service_of(*container))) return true;
            if (index && plan::number_of(*container) != index) return true;
            {
                std::lock_guard lock(mutex);
                over.erase(event.id);
            }
            followers.follow(*container, options, true);
            return true;
        }, &done);
    });
    followers.wait([] { return interrupts::count() > 0; });
    done = true;
    followers.cancel();
    events.join();
    return interrupts::count() ? kInterrupted : 0;
}

Result<int> logs_command(Context& context, const Arguments& arguments) {
    engine::LogOptions options;
    options.follow = arguments.on("follow");
    options.timestamps = arguments.on("timestamps");
    options.since = TRY(parse_when(arguments.text("since")));
    options.until = TRY(parse_when(arguments.text("until")));
    std::string tail = arguments.text("tail");
    if (tail != "all" && !tail.empty()) {
        auto lines = base::parse_int(tail);
        if (!lines) return fail(Code::invalid, "invalid value for --tail: " + base::quote(tail) + ": use a number of lines or all");
        options.tail = std::max<int64_t>(-1, *lines);
    }
    int index = static_cast<int>(arguments.integer("index"));
    (void)TRY(context.project_if_any());
    auto containers = TRY(select_containers(context, {arguments.operands, true, false, index}));
    auto* engine = TRY(context.engine());
    LogStyle style{!arguments.on("no-log-prefix"), !arguments.on("no-color") && colours(STDOUT_FILENO, context.globals.ansi), options.timestamps};
    if (!options.follow) return show(*engine, containers, options, style);
    return follow(*engine, TRY(context.project_name()), containers, {arguments.operands.begin(), arguments.operands.end()}, index, options, style);
}

}  // namespace

const Command kLogs{"logs", "[OPTIONS] [SERVICE...]", "View output from containers", kLogsFlags, logs_command};

}  // namespace compose::cli
