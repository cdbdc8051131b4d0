#pragma once
// What the command line asks for, on a whole project: observe, plan, carry out. Results are values; printing is the caller's.
// The caller holds the group's lock (Engine::lock_group) around everything that changes something.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "model/project.h"
#include "plan/observed.h"
#include "plan/plan.h"
#include "plan/planner.h"
#include "run/events.h"

namespace compose::run {

/// What every operation needs. Only `engine` is required.
struct Context {
    engine::Engine* engine = nullptr;
    Listener listener;                                      ///< progress; called from several threads, one call at a time
    const std::atomic<bool>* cancel = nullptr;              ///< set: no new step starts, waits and pulls end
    std::function<void(const std::string&)> warn;           ///< `Found orphan containers …`: once each
    std::function<bool(const std::string&)> confirm;        ///< a question with yes or no; absent: no
    /// Builds the image of a service and tags it; absent: a build step is an Error (unsupported).
    std::function<base::Result<std::string>(const model::Project&, const model::Service&)> build;
    int parallel = -1;                                      ///< most steps under way at a time (waits are none); -1: no limit
    bool dry_run = false;                                   ///< tell the listener what would be done, change nothing
};

/// What an operation did. The first error decides the exit status; all are printed.
struct Report {
    plan::Plan plan;                      ///< what was carried out (the last one, when images had to be pulled first)
    std::vector<base::Error> errors;
    bool interrupted = false;
    bool ok() const { return errors.empty() && !interrupted; }
};

/// The containers of a project (by label), its networks and volumes, and the images its services name.
base::Result<plan::Observed> observe(engine::Engine& engine, const model::Project& project);
/// By name only, without a Compose file.
base::Result<plan::Observed> observe(engine::Engine& engine, const std::string& project_name);
/// A Project made from the labels of what is there (`down -p NAME` without a file): services with their depends_on.
model::Project project_from_labels(const std::string& name, const plan::Observed& observed);

/// Observes, plans and carries out any verb. The functions below are this with the verb set. An Error: nothing was done.
base::Result<Report> apply(const Context& context, const model::Project& project, const plan::Options& options);
/// Only the plan (`compose plan`, --dry-run).
base::Result<plan::Plan> preview(engine::Engine& engine, const model::Project& project, const plan::Options& options);

base::Result<Report> up(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> create(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> scale(const Context& context, const model::Project& project, plan::Options options);
/// start: an error names services without containers (`service "a" has no container to start`).
base::Result<Report> start(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> stop(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> restart(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> kill(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> pause(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> unpause(const Context& context, const model::Project& project, plan::Options options);
/// rm: the caller asks first, with the names that `removable` gives.
base::Result<Report> remove(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> down(const Context& context, const model::Project& project, plan::Options options);
base::Result<Report> pull(const Context& context, const model::Project& project, plan::Options options);

/// Names of the containers that `rm` would remove (stopped ones; all with stop_first), for `Going to remove p-b-1, p-j-1`.
base::Result<std::vector<std::string>> removable(engine::Engine& engine, const model::Project& project, const plan::Options& options);

// ---- run: one-off containers ------------------------------------------------------------------------------------------

/// `compose run`'s own flags.
struct RunOptions {
    std::string service;
    std::vector<std::string> command;                    ///< empty: the service's
    std::optional<std::vector<std::string>> entrypoint;  ///< --entrypoint, split; clears the default command
    std::vector<std::string> env;                        ///< -e "K=V" or "K" (from `environment`)
    std::vector<std::string> labels;                     ///< -l "k=v"
    std::vector<std::string> volumes;                    ///< -v SRC:DST[:MODE]
    std::vector<std::string> publish;                    ///< -p
    std::vector<std::string> cap_add, cap_drop;
    std::string name, user, working_dir;
    bool service_ports = false, use_aliases = false, remove = false, tty = false, interactive = true, detach = false;
    std::function<std::optional<std::string>(const std::string&)> environment;  ///< the caller's variables, for -e K
};
struct OneOff {
    std::string id, name;
    bool tty = false;
};
/// Brings up the dependencies (unless options.no_deps) and the image, networks and volumes, and creates the container without
/// starting it: the caller attaches and starts (Engine::start_attached) or starts it. The Report has errors when a dependency failed.
base::Result<OneOff> prepare_run(const Context& context, const model::Project& project, const RunOptions& run, plan::Options options,
                                 Report& report);

// ---- wait, images -----------------------------------------------------------------------------------------------------

struct Ended {
    std::string id, name, service;
    int exit_code = 0;
};
/// Blocks until the containers of the services have ended; `ended` is called as each does. first_only: returns at the first.
/// not_found: `no containers for project "p"`.
base::Result<std::vector<Ended>> wait(const Context& context, const model::Project& project, const std::vector<std::string>& services,
                                      bool first_only, const std::function<void(const Ended&)>& ended);

/// Waits for all of these at once (or the first); in the order in which they ended.
base::Result<std::vector<Ended>> wait_for_all(engine::Engine& engine, const std::vector<Ended>& containers, bool first_only,
                                              const std::function<void(const Ended&)>& ended, const std::atomic<bool>* cancel);

struct UsedImage {
    std::string container;  ///< name
    std::string service;
    std::string reference;  ///< as the container was created with
    engine::ImageInfo image;
};
/// The images of the project's containers, by container name.
base::Result<std::vector<UsedImage>> images(engine::Engine& engine, const std::string& project, const std::vector<std::string>& services);

}  // namespace compose::run
