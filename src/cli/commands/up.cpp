#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/commands/up_attached.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kUpFlags[] = {
    {"abort-on-container-exit", 0, Type::boolean, "Stops all containers if any container was stopped. Incompatible with -d"},
    {"abort-on-container-failure", 0, Type::boolean, "Stops all containers if any container exited with failure. Incompatible with -d"},
    {"always-recreate-deps", 0, Type::boolean, "Recreate dependent containers. Incompatible with --no-recreate"},
    {"attach", 0, Type::list, "Restrict attaching to the specified services. Incompatible with --attach-dependencies"},
    {"attach-dependencies", 0, Type::boolean, "Automatically attach to log output of dependent services"},
    {"build", 0, Type::boolean, "Build images before starting containers"},
    {"detach", 'd', Type::boolean, "Detached mode: Run containers in the background"},
    {"exit-code-from", 0, Type::text, "Return the exit code of the selected service container. Implies --abort-on-container-exit"},
    {"force-recreate", 0, Type::boolean, "Recreate containers even if their configuration and image haven't changed"},
    {"menu", 0, Type::boolean, "Enable interactive shortcuts when running attached"},
    {"no-attach", 0, Type::list, "Do not attach (stream logs) to the specified services"},
    {"no-build", 0, Type::boolean, "Don't build an image, even if it's policy"},
    {"no-color", 0, Type::boolean, "Produce monochrome output"},
    {"no-deps", 0, Type::boolean, "Don't start linked services"},
    {"no-log-prefix", 0, Type::boolean, "Don't print prefix in logs"},
    {"no-recreate", 0, Type::boolean, "If containers already exist, don't recreate them. Incompatible with --force-recreate"},
    {"no-start", 0, Type::boolean, "Don't start the services after creating them"},
    {"pull", 0, Type::text, "Pull image before running (\"always\"|\"missing\"|\"never\")", "policy"},
    {"quiet-build", 0, Type::boolean, "Suppress the build output"},
    {"quiet-pull", 0, Type::boolean, "Pull without printing progress information"},
    {"remove-orphans", 0, Type::boolean, "Remove containers for services not defined in the Compose file"},
    {"renew-anon-volumes", 'V', Type::boolean, "Recreate anonymous volumes instead of retrieving data from the previous containers"},
    {"scale", 0, Type::list, "Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present"},
    {"timeout", 't', Type::integer, "Use this timeout in seconds for container shutdown when attached or when containers are already running"},
    {"timestamps", 0, Type::boolean, "Show timestamps"},
    {"wait", 0, Type::boolean, "Wait for services to be running|healthy. Implies detached mode"},
    {"wait-timeout", 0, Type::integer, "Maximum duration in seconds to wait for the project to be running|healthy"},
    {"watch", 'w', Type::boolean, "Watch source code and rebuild/refresh containers when files are updated"},
    {"yes", 'y', Type::boolean, "Assume \"yes\" as answer to all prompts and run non-interactively"},
};

Status check(const Arguments& arguments) {
    constexpr std::pair<const char*, const char*> kExclusive[] = {
        {"build", "no-build"},           {"force-recreate", "no-recreate"},     {"always-recreate-deps", "no-recreate"},
        {"renew-anon-volumes", "no-recreate"}, {"attach", "attach-dependencies"}, {"detach", "abort-on-container-exit"},
        {"detach", "abort-on-container-failure"}, {"detach", "attach"},          {"detach", "attach-dependencies"},
        {"detach", "exit-code-from"},    {"wait", "abort-on-container-exit"},   {"wait", "abort-on-container-failure"},
        {"wait", "exit-code-from"},      {"abort-on-container-exit", "abort-on-container-failure"},
    };
    auto set = [&](const char* flag) { return arguments.given(flag) && arguments.text(flag) != "false"; };
    for (auto [one, other] : kExclusive)
        if (set(one) && set(other)) return fail(Code::invalid, std::string("--") + one + " and --" + other + " are incompatible");
    if (arguments.on("watch")) return fail(Code::unsupported, "--watch: this version does not watch files; run up again after a change");
    return {};
}

/// Which services' lines are shown, and whose end is waited for.
Status choose_services(AttachedUp& up, const Arguments& arguments, model::Project& project) {
    auto named = arguments.operands, attach = arguments.list("attach"), no_attach = arguments.list("no-attach");
    for (auto* list : {&attach, &no_attach})
        if (!list->empty()) (void)TRY(model::select_services(project, *list, model::Dependencies::ignore));
    auto selected = TRY(model::select_services(project, named, arguments.on("no-deps") ? model::Dependencies::ignore : model::Dependencies::include));
    std::vector<std::string> shown = !attach.empty() ? attach : named.empty() || arguments.on("attach-dependencies") ? selected : named;
    for (const std::string& name : shown) {
        auto service = project.services.find(name);
        bool hidden = attach.empty() && service != project.services.end() && !service->second.attach.value_or(true);
        if (!hidden && std::find(no_attach.begin(), no_attach.end(), name) == no_attach.end()) up.shown.insert(name);
    }
    up.awaited = named.empty() ? up.shown : std::set<std::string>(named.begin(), named.end());
    if (!up.exit_code_from.empty()) {
        (void)TRY(model::select_services(project, {up.exit_code_from}, model::Dependencies::ignore));
        up.awaited.insert(up.exit_code_from);
    }
    if (up.awaited.empty()) up.awaited.insert(selected.begin(), selected.end());
    up.selected = selected;
    return {};
}

Result<int> up_command(Context& context, const Arguments& arguments) {
    TRY_VOID(check(arguments));
    context.will_start = true;
    context.assume_yes = arguments.on("yes");
    context.quiet_pull = arguments.on("quiet-pull");
    auto* project = TRY(file_project_with(context, arguments.operands, arguments.on("no-deps") ? model::Dependencies::ignore : model::Dependencies::include));
    plan::Options options = TRY(up_options(context, arguments, plan::Verb::up));
    options.wait = arguments.on("wait");
    if (arguments.given("wait-timeout")) options.wait_timeout = std::chrono::seconds(std::max<int64_t>(1, arguments.integer("wait-timeout")));

    bool detached = arguments.on("detach") || options.wait || options.no_start || context.globals.dry_run;
    if (detached) return operate(context, *project, options, run::up);
    AttachedUp up;
    up.options = options;
    up.exit_code_from = arguments.text("exit-code-from");
    up.abort_on_exit = arguments.on("abort-on-container-exit") || !up.exit_code_from.empty();
    up.abort_on_failure = arguments.on("abort-on-container-failure");
    up.style = {!arguments.on("no-log-prefix"), !arguments.on("no-color") && colours(STDOUT_FILENO, context.globals.ansi), arguments.on("timestamps")};
    TRY_VOID(choose_services(up, arguments, *project));
    return up_attached(context, *project, up);
}

}  // namespace

const Command kUp{"up", "[OPTIONS] [SERVICE...]", "Create and start containers", kUpFlags, up_command};

}  // namespace compose::cli
