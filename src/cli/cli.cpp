#include "cli/cli.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/context.h"
#include "cli/exit_status.h"
#include "cli/help.h"
#include "cli/interrupts.h"
#include "cli/parse.h"

namespace compose::cli {
namespace {

int print(const std::string& text) {
    auto status = base::write_all(STDOUT_FILENO, text);
    return status || status.error().sys_errno == EPIPE ? 0 : 1;
}

int failed(const Error& error) {
    print_error(error);
    return exit_status(error.code);
}

/// A flag of the command line, else the variable.
std::string either(const Arguments& arguments, const char* flag, const char* variable) {
    if (arguments.given(flag)) return arguments.text(flag);
    const char* value = getenv(variable);  // NOLINT(concurrency-mt-unsafe): before any thread
    return value ? value : "";
}

bool variable_on(const char* name) {
    const char* value = getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread
    std::string text = value ? base::to_lower(value) : "";
    return !text.empty() && text != "0" && text != "false";
}

Result<Globals> globals_of(const Arguments& arguments) {
    Globals result;
    result.files = arguments.list("file");
    result.env_files = arguments.list("env-file");
    result.profiles = arguments.list("profile");
    result.project_name = arguments.text("project-name");
    if (arguments.given("project-name") && result.project_name.empty()) return fail(Code::invalid, "project name must not be empty");
    result.project_directory = arguments.given("project-directory") ? arguments.text("project-directory") : arguments.text("workdir");
    result.root = arguments.text("root");
    result.insecure_registries = arguments.list("insecure-registry");
    result.progress = either(arguments, "progress", "COMPOSE_PROGRESS");
    std::string ansi = arguments.on("no-ansi") ? "never" : either(arguments, "ansi", "COMPOSE_ANSI");
    if (ansi == "always")
        result.ansi = Ansi::always;
    else if (ansi == "never")
        result.ansi = Ansi::never;
    else if (!ansi.empty() && ansi != "auto")
        return fail(Code::invalid, "unknown value " + base::quote(ansi) + " for --ansi: use never, always or auto");
    if (std::string_view modes[] = {"", "auto", "tty", "plain", "json", "quiet"}; std::find(std::begin(modes), std::end(modes), result.progress) == std::end(modes))
        return fail(Code::invalid, "unsupported --progress value " + base::quote(result.progress) + ": use auto, tty, plain, json or quiet");
    std::string parallel = either(arguments, "parallel", "COMPOSE_PARALLEL_LIMIT");
    result.parallel = static_cast<int>(base::parse_int(parallel).value_or(-1));
    result.dry_run = arguments.on("dry-run");
    result.compatibility = arguments.on("compatibility") || variable_on("COMPOSE_COMPATIBILITY");
    result.all_resources = arguments.on("all-resources");
    result.debug = arguments.on("debug") || arguments.on("verbose");
    return result;
}

/// The command named by the first words (`image ls` is one), and the words after it.
const Command* resolve(const std::vector<std::string>& words, std::vector<std::string>& rest) {
    for (size_t count = std::min<size_t>(3, words.size()); count > 0; --count) {
        std::string name = base::join({words.begin(), words.begin() + static_cast<long>(count)}, " ");
        if (const Command* command = find_command(name)) {
            rest.assign(words.begin() + static_cast<long>(count), words.end());
            return command;
        }
    }
    return nullptr;
}

/// A group's members, when a name is only the beginning of commands (`compose image`).
std::string group_help(const std::string& group) {
    std::string text;
    size_t widest = 0;
    for (const Command* command : commands())
        if (command->name.starts_with(group + " ")) widest = std::max(widest, command->name.size());
    for (const Command* command : commands())
        if (command->name.starts_with(group + " "))
            text += "  compose " + std::string(command->name) + std::string(widest - command->name.size() + 2, ' ') + std::string(command->summary) + "\n";
    return text.empty() ? text : "Usage:  compose " + group + " COMMAND\n\nCommands:\n" + text;
}

Result<int> dispatch(const std::vector<std::string>& words) {
    Arguments global = TRY(parse_globals(words));
    std::vector<std::string> rest = global.operands;
    if (global.on("version")) rest = {"version"};
    if (rest.empty() || (rest[0] == "help" && rest.size() == 1)) return print(help());
    bool wants_help = global.on("help");
    if (rest[0] == "help") {
        rest.erase(rest.begin());
        wants_help = true;
    }
    std::vector<std::string> own;
    const Command* command = resolve(rest, own);
    if (!command) {
        std::string members = group_help(rest[0]);
        if (members.empty()) return unknown_command(rest[0]);
        if (rest.size() == 1 || rest[1] == "--help" || rest[1] == "-h") return print(members);
        return unknown_command(rest[0] + " " + rest[1]);
    }
    if (command->raw) {
        Arguments untouched;
        if (wants_help) own.insert(own.begin(), "--help");
        untouched.operands = std::move(own);
        Context context(Globals{});
        return command->run(context, untouched);
    }
    if (wants_help) return print(help(*command));
    auto failed_command = [&](const Error& error) {
        print_error(error);
        return error.code == Code::interrupted ? kInterrupted : command->failure;
    };
    auto parsed = parse_command(*command, own);
    if (!parsed) return failed_command(parsed.error());
    Arguments& arguments = *parsed;
    if (arguments.on("help")) return print(help(*command));
    Globals globals = TRY(globals_of(global));
    if (arguments.on("dry-run")) globals.dry_run = true;  // the one global flag that every command takes
    if (globals.debug) base::log::set_level(base::log::Level::debug);
    Context context(std::move(globals));
    auto result = command->run(context, arguments);
    return result ? *result : failed_command(result.error());
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_fds();
    interrupts::ignore_broken_pipes();
    std::vector<std::string> words(argv + 1, argv + argc);
    // By this name (a link), the program is an OCI runtime: others call it with the verb as the first word.
    if (std::string_view name = argc > 0 ? argv[0] : ""; name.substr(name.rfind('/') + 1) == "compose-runtime") words.insert(words.begin(), "runtime");
    auto result = dispatch(words);
    if (!result) return failed(result.error());
    return *result;
}

}  // namespace compose::cli
