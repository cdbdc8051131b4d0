#pragma once
// One planner for every verb, pure over (Project, observed state, options). Rules of convergence: behaviour.md §6.
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "plan/observed.h"
#include "plan/plan.h"

namespace compose::model {
struct Project;
struct Service;
}  // namespace compose::model

namespace compose::plan {

enum class Verb : uint8_t { up, create, scale, run, start, stop, restart, kill, pause, unpause, remove, down, pull, build };

/// The flags of all verbs; each verb reads those that it has.
struct Options {
    Verb verb = Verb::up;
    std::vector<std::string> services;     ///< named on the command line; empty: all that are enabled
    bool no_deps = false;
    bool include_deps = false;             ///< pull --include-deps, build --with-dependencies
    // up, create, scale, run
    bool force_recreate = false, no_recreate = false, always_recreate_deps = false;
    bool renew_anonymous_volumes = false;  ///< up -V
    bool no_start = false;
    bool wait = false;                     ///< up --wait, start --wait
    std::optional<std::chrono::nanoseconds> wait_timeout;
    std::map<std::string, int> scale;      ///< --scale, `scale`
    bool build = false, no_build = false;
    std::optional<std::string> pull;       ///< --pull: always, missing, never, build, policy …; wins over the file
    bool ignore_buildable = false;         ///< pull: skip services that have build
    bool images_ready = false;             ///< images were pulled and built by an earlier plan: take what is there
    std::set<std::string> recreate_volumes;  ///< real names of volumes whose Question was answered with yes
    // orphans
    bool remove_orphans = false, ignore_orphans = false;
    // stop, restart, down, remove, recreate
    std::optional<std::chrono::nanoseconds> timeout;  ///< -t; wins over stop_grace_period
    std::string signal = "SIGKILL";        ///< kill -s
    bool stop_first = false;               ///< rm -s
    bool volumes = false;                  ///< down -v, rm -v
    std::string rmi;                       ///< down --rmi: "", "all", "local"
    std::string separator = "-";           ///< in container names; "_" with --compatibility
    bool labels_only = false;              ///< down -p NAME without a file: the project was made from labels
    base::Time now = 0;                    ///< for pull policies daily, weekly, every_…; 0: the clock
};

/// The steps that make it so. Errors: unknown service, missing external network or volume, a cycle (as the path it makes),
/// a fixed container name for several replicas, a network of somebody else …
base::Result<Plan> make_plan(const model::Project& project, const Observed& observed, const Options& options);

/// The services that `names` selects: themselves and, unless no_deps, what they depend on; sorted so that a dependency comes
/// first. Empty: all enabled ones. not_found: `no such service: x`. A service that is not enabled must be enabled before
/// (model::select_services).
base::Result<std::vector<std::string>> select(const model::Project& project, const std::vector<std::string>& names, bool no_deps);

/// `p-web-1` (separator "_" with --compatibility); container_name when the service has one.
std::string container_name(const model::Project& project, const model::Service& service, int number, const std::string& separator = "-");
/// The image that a service runs: `image`, else `p-service`.
std::string image_of(const model::Project& project, const model::Service& service);
/// How many containers: --scale, then `scale`, then deploy.replicas, then 1.
int replicas_of(const model::Service& service, const Options& options);

}  // namespace compose::plan
