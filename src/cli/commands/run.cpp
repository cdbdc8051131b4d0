#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"
#include "cli/operate.h"
#include "cli/when.h"
#include "model/dotenv.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kRunFlags[] = {
    {"build", 0, Type::boolean, "Build image before starting container"},
    {"cap-add", 0, Type::list, "Add Linux capabilities"},
    {"cap-drop", 0, Type::list, "Drop Linux capabilities"},
    {"detach", 'd', Type::boolean, "Run container in background and print container ID"},
    {"entrypoint", 0, Type::text, "Override the entrypoint of the image"},
    {"env", 'e', Type::list, "Set environment variables"},
    {"env-from-file", 0, Type::list, "Set environment variables from file"},
    {"interactive", 'i', Type::boolean, "Keep STDIN open even if not attached", "true"},
    {"label", 'l', Type::list, "Add or override a label"},
    {"name", 0, Type::text, "Assign a name to the container"},
    {"no-tty", 'T', Type::boolean, "Disable pseudo-TTY allocation (default: auto-detected)"},
    {"no-TTY", 0, Type::boolean, "Disable pseudo-TTY allocation", "", true},
    {"no-deps", 0, Type::boolean, "Don't start linked services"},
    {"publish", 'p', Type::list, "Publish a container's port(s) to the host"},
    {"pull", 0, Type::text, "Pull image before running (\"always\"|\"missing\"|\"never\")", "policy"},
    {"quiet", 'q', Type::boolean, "Don't print anything to STDOUT"},
    {"quiet-build", 0, Type::boolean, "Suppress progress output from the build process"},
    {"quiet-pull", 0, Type::boolean, "Pull without printing progress information"},
    {"remove-orphans", 0, Type::boolean, "Remove containers for services not defined in the Compose file"},
    {"rm", 0, Type::boolean, "Automatically remove the container when it exits"},
    {"service-ports", 'P', Type::boolean, "Run command with all service's ports enabled and mapped to the host"},
    {"tty", 't', Type::boolean, "Allocate a pseudo-TTY", "true", true},
    {"use-aliases", 0, Type::boolean, "Use the service's network useAliases in the network(s) the container connects to"},
    {"user", 'u', Type::text, "Run as specified username or uid"},
    {"volume", 'v', Type::list, "Bind mount a volume"},
    {"workdir", 'w', Type::text, "Working directory inside the container"},
};

/// The lines of an --env-from-file as K=V.
Result<std::vector<std::string>> env_lines(const std::string& file, const std::map<std::string, std::string>& environment) {
    model::Variables variables;
    auto parsed = model::parse_dotenv(TRY(base::read_file(file)), variables, [&](std::string_view name) -> std::optional<std::string> {
        auto it = environment.find(std::string(name));
        return it == environment.end() ? std::nullopt : std::optional(it->second);
    });
    if (!parsed) {
        Error error = fail(Code::invalid, parsed.error().message);
        error.at = base::SourcePos{file, parsed.error().line, 1};
        return error;
    }
    std::vector<std::string> lines;
    for (auto& [name, value] : variables) lines.push_back(name + "=" + value);
    return lines;
}

Result<run::RunOptions> options_of(Context& context, const Arguments& arguments) {
    run::RunOptions options;
    options.service = arguments.operands[0];
    options.command.assign(arguments.operands.begin() + 1, arguments.operands.end());
    if (arguments.given("entrypoint")) options.entrypoint = TRY(split_words(arguments.text("entrypoint")));
    options.environment = [&context](const std::string& name) -> std::optional<std::string> {
        auto it = context.environment().find(name);
        return it == context.environment().end() ? std::nullopt : std::optional(it->second);
    };
    for (const std::string& file : arguments.list("env-from-file")) {
        for (auto& line : TRY(env_lines(file, context.environment()))) options.env.push_back(line);
    }
    for (const std::string& variable : arguments.list("env")) options.env.push_back(variable);
    options.labels = arguments.list("label");
    options.volumes = arguments.list("volume");
    options.publish = arguments.list("publish");
    options.cap_add = arguments.list("cap-add");
    options.cap_drop = arguments.list("cap-drop");
    options.name = arguments.text("name");
    options.user = arguments.text("user");
    options.working_dir = arguments.text("workdir");
    options.service_ports = arguments.on("service-ports");
    options.use_aliases = arguments.on("use-aliases");
    options.remove = arguments.on("rm");
    options.detach = arguments.on("detach");
    options.interactive = arguments.on("interactive") && !options.detach;
    bool wanted = arguments.on("tty") && !arguments.on("no-tty") && !arguments.on("no-TTY");
    options.tty = wanted && !options.detach && is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO);
    return options;
}

/// Attached until the container ends; signals of this process go to the container, the third one is SIGKILL. A terminal that is
/// gone is told and stops the container, as nobody is left to do it.
Result<int> attached(engine::Engine& engine, const run::OneOff& one_off, const run::RunOptions& options) {
    engine::AttachOptions attach;
    attach.tty = one_off.tty;
    attach.stdin_open = options.interactive;
    attach.signal_proxy = false;
    attach.from_start = true;
    if (!options.interactive) attach.streams.in = -1;
    auto hang_up = [&] {
        (void)engine.kill(one_off.id, "SIGHUP");  // ignored: it may have ended meanwhile
        (void)engine.stop(one_off.id, std::nullopt);
    };
    interrupts::Watch watch([&](int count) {
        if (interrupts::last_signal() == SIGHUP) return hang_up();
        std::string signal = count > 2 ? "SIGKILL" : std::to_string(interrupts::last_signal());
        (void)engine.kill(one_off.id, signal);  // ignored: it may have ended meanwhile
    });
    auto ended = TRY(engine.start_attached(one_off.id, attach));
    if (ended.hung_up) hang_up();
    return ended.exit_code;
}

Result<int> run_command(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto options = TRY(options_of(context, arguments));
    plan::Options plan_options = base_options(context, arguments, plan::Verb::run);
    plan_options.services = {options.service};
    plan_options.no_deps = arguments.on("no-deps");
    plan_options.build = arguments.on("build");
    if (arguments.given("pull") && arguments.text("pull") != "policy") plan_options.pull = arguments.text("pull");
    auto* project = TRY(file_project_with(context, {options.service}, plan_options.no_deps ? model::Dependencies::ignore : model::Dependencies::include));
    auto* engine = TRY(context.engine());

    run::OneOff one_off;
    {
        Lock lock;
        if (!context.globals.dry_run) lock = TRY(context.lock());
        auto progress = context.make_progress(arguments.on("quiet"));
        context.quiet_pull = arguments.on("quiet-pull");
        auto run_context = TRY(context.run_context(*progress));
        run::Report report;
        one_off = TRY(run::prepare_run(run_context, *project, options, plan_options, report));
        progress->close();
        if (int status = finish(Result<run::Report>(std::move(report)))) return status;
        if (context.globals.dry_run) return 0;
    }
    if (options.detach) {
        TRY_VOID(engine->start(one_off.id));
        TRY_VOID(base::write_all(STDOUT_FILENO, one_off.id + "\n"));
        return 0;
    }
    auto code = attached(*engine, one_off, options);
    if (options.remove)
        if (auto removed = engine->remove(one_off.id, true, true); !removed && removed.error().code != Code::not_found) print_error(removed.error());
    return code;
}

}  // namespace

const Command kRun{"run", "[OPTIONS] SERVICE [COMMAND] [ARGS...]", "Run a one-off command on a service", kRunFlags, run_command, 1, -1, true};

}  // namespace compose::cli
