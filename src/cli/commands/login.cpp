// `login` and `logout`, as docker's.
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/interrupts.h"
#include "engine/registry_login.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kLoginFlags[] = {
    {"password", 'p', Type::text, "Password or personal access token (PAT)"},
    {"password-stdin", 0, Type::boolean, "Take the password or token from stdin"},
    {"tls-verify", 0, Type::boolean, "Require HTTPS with a verified certificate", "true"},
    {"username", 'u', Type::text, "Username"},
};

void say_login(const std::string& text) { (void)base::write_all(STDERR_FILENO, text); }  // ignored: a lost line changes nothing

/// A line of the terminal; without an echo for what is secret.
Result<std::string> line_of_terminal(const std::string& question, bool secret) {
    termios before{};
    bool changed = secret && tcgetattr(STDIN_FILENO, &before) == 0;
    if (changed) {
        termios quiet = before;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        // Before the question: what is typed on it is neither shown nor thrown away.
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);  // ignored: it is seen then
    }
    say_login(question);
    std::string line;
    char c;
    while (line.size() < 65536 && !interrupts::flag().load() && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') line += c;
    if (changed) {
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);  // ignored: nothing helps then
        say_login("\n");
    }
    if (interrupts::flag().load()) return fail(Code::interrupted, "interrupted");
    if (line.ends_with('\r')) line.pop_back();
    return line;
}

Result<int> login_command(Context& context, const Arguments& arguments) {
    std::string registry = engine::registry_name(arguments.operands.empty() ? "" : arguments.operands[0]);
    engine::RegistryLogin wanted{registry, arguments.text("username"), arguments.text("password")};
    interrupts::install();
    if (arguments.on("password-stdin")) {
        if (arguments.given("password")) return fail(Code::invalid, "--password and --password-stdin are mutually exclusive");
        if (wanted.user.empty()) return fail(Code::invalid, "Must provide --username with --password-stdin");
        wanted.password = TRY(base::read_all(STDIN_FILENO, 1u << 20));
        while (wanted.password.ends_with('\n') || wanted.password.ends_with('\r')) wanted.password.pop_back();
    } else if (arguments.given("password")) {
        say_login("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    }
    if (wanted.user.empty() && wanted.password.empty()) {
        auto stored = engine::stored_login(registry);
        if (stored && !stored->user.empty() && !stored->password.empty()) {
            say_login("Authenticating with existing credentials...\n");
            wanted = *stored;
        }
    }
    if (wanted.user.empty() || wanted.password.empty()) {
        if (!is_terminal(STDIN_FILENO)) return fail(Code::invalid, "Cannot perform an interactive login from a non TTY device: use --username with --password-stdin");
        if (wanted.user.empty()) wanted.user = base::trim(TRY(line_of_terminal("Username: ", false)));
        if (wanted.user.empty()) return fail(Code::invalid, "a username is required");
        if (wanted.password.empty()) wanted.password = TRY(line_of_terminal("Password: ", true));
        if (wanted.password.empty()) return fail(Code::invalid, "a password is required");
    }
    engine::RegistryAccess access = context.registries();
    access.tls_verify = access.tls_verify && arguments.on("tls-verify");
    TRY_VOID(engine::registry_login(wanted, access, &interrupts::flag()));
    if (std::string file = TRY(engine::login_file(registry)); !file.empty())
        say_login("\nWARNING! Your credentials are stored unencrypted in " + base::quote(file) + ".\nA credential helper (`credsStore` there) keeps them safer.\n\n");
    Output out(STDOUT_FILENO);
    out << "Login Succeeded\n";
    TRY_VOID(out.flush());
    return 0;
}

Result<int> logout_command(Context&, const Arguments& arguments) {
    std::string registry = engine::registry_name(arguments.operands.empty() ? "" : arguments.operands[0]);
    auto done = engine::registry_logout(registry);
    Output out(STDOUT_FILENO);
    if (!done && done.error().code != Code::not_found) return std::move(done.error());
    out << (done ? "Removing login credentials for " : "Not logged in to ") + base::printable(registry) + "\n";
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kLogin{"login", "[OPTIONS] [SERVER]", "Authenticate to a registry", kLoginFlags, login_command, 0, 1};
const Command kLogout{"logout", "[SERVER]", "Log out from a registry", {}, logout_command, 0, 1};

}  // namespace compose::cli
