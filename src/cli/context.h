#pragma once
// What all commands share: the global flags, the project (loaded once, when first asked for), the engine (opened once, when
// first asked for) and how things are said to people.
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "model/load.h"
#include "plan/planner.h"
#include "run/project_ops.h"

namespace compose::cli {

struct Globals {
    std::vector<std::string> files, env_files, profiles;
    std::string project_name, project_directory, root;
    std::vector<std::string> insecure_registries;
    std::string progress;  ///< "", auto, tty, plain, json, quiet
    Ansi ansi = Ansi::automatic;
    int parallel = -1;
    bool dry_run = false, compatibility = false, all_resources = false, debug = false;
};

/// An error that has been told already: main prints nothing and exits 1.
Error told(Code code = Code::invalid);
/// `text` on standard error, as every error of the program: with its place when it has one.
void print_error(const Error& error);
/// A warning line on standard error.
void warn(const std::string& text);

/// The group's lock, held until destruction.
using Lock = base::UniqueFd;

class Context {
public:
    explicit Context(Globals the_globals) : globals(std::move(the_globals)) {}

    const Globals globals;

    /// The environment of the caller.
    const std::map<std::string, std::string>& environment();
    std::string variable(const std::string& name);
    /// A variable as a switch: set, and neither empty, 0, false nor no.
    bool variable_on(const std::string& name);
    model::LoadOptions load_options();

    /// The project of the Compose files. Warnings are printed, errors as well (with their excerpts on a terminal): told().
    Result<model::Project*> project();
    /// The same; with -p and no Compose file the project is made of the labels of what is there.
    Result<model::Project*> project_or_labels();
    /// The project if there is a Compose file, else nullptr with only its name known (-p).
    Result<model::Project*> project_if_any();
    /// True when project_or_labels() had no file.
    bool from_labels() const { return from_labels_; }
    /// Its name alone. Without a file only when -p or COMPOSE_PROJECT_NAME gives it.
    Result<std::string> project_name();
    /// `no such service: x` for what the project does not have, disabled services included.
    Status check_services(const std::vector<std::string>& names);

    /// The engine, with the project as its group (none: ls).
    Result<engine::Engine*> engine();
    Result<engine::Engine*> engine_without_project();
    /// Waits for the group's lock, saying so.
    Result<Lock> lock();

    /// What run:: operations get: the engine, the progress view, Ctrl-C, warnings, questions.
    Result<run::Context> run_context(Progress& progress);
    ProgressMode progress_mode() const;
    /// Draws on standard error (standard output with COMPOSE_STATUS_STDOUT).
    std::unique_ptr<Progress> make_progress(bool quiet = false);

    /// How registries are spoken to: --insecure-registry, and a command's --tls-verify.
    engine::RegistryAccess registries() const { return {.tls_verify = tls_verify, .insecure = globals.insecure_registries}; }

    /// Whether questions are answered with yes (-y).
    bool assume_yes = false;
    /// Set before the engine is first asked for by commands that start containers: its supervisor comes up meanwhile.
    bool will_start = false;
    /// A command's --tls-verify; set before the engine is first asked for.
    bool tls_verify = true;
    /// Without the progress of layers (--quiet-pull).
    bool quiet_pull = false;

private:
    Result<engine::Engine*> open_engine(const std::string& group);

    std::optional<std::map<std::string, std::string>> environment_;
    std::unique_ptr<model::Loaded> loaded_;
    std::unique_ptr<model::Project> labels_project_;
    bool from_labels_ = false;
    std::unique_ptr<engine::Engine> engine_;
};

/// Prints what went wrong in an operation; the exit status of the command.
int finish(const Result<run::Report>& report);

// ---- containers of the project ----------------------------------------------------------------------------------------

struct Selection {
    std::vector<std::string> services;  ///< empty: all
    bool all = true;                    ///< stopped ones too
    bool one_off = false;               ///< one-off containers too
    int index = 0;                      ///< replica number, 0: any
};
/// By name in natural order (web-2 before web-10).
Result<std::vector<engine::ContainerInfo>> select_containers(Context& context, const Selection& selection);
/// The running replica that exec, attach, cp, port … act on: the one numbered `index`, else the lowest.
/// `service "a" is not running`, `service "a" is not running container #5`.
Result<engine::ContainerInfo> running_replica(Context& context, const std::string& service, int index);

/// `-t SECONDS` as a grace period, when it was given.
std::optional<std::chrono::nanoseconds> timeout_of(const Arguments& arguments);
/// A question on the terminal; anything but y or yes is no.
bool ask(const std::string& question);

}  // namespace compose::cli
