#pragma once
// A plan while it is being made: steps in any order, edges between them, and the three things it is made from.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/project.h"
#include "plan/names.h"
#include "plan/observed.h"
#include "plan/plan.h"
#include "plan/planner.h"

namespace compose::plan {

/// A service of the project with what is there of it.
struct ServiceState {
    const model::Service* service = nullptr;
    std::vector<const engine::ContainerInfo*> containers;  ///< not one-offs; by number
};

class Draft {
public:
    Draft(const model::Project& project, const Observed& observed, const Options& options);

    const model::Project& project;
    const Observed& observed;
    const Options& options;
    Plan plan;
    std::map<std::string, ServiceState> services;  ///< the enabled ones

    /// Takes over a step and gives its (provisional) id.
    StepId add(Step step);
    Step& at(StepId id) { return plan.steps[static_cast<size_t>(id) - 1]; }
    /// `to` after `from`; 0 is no step.
    void edge(StepId from, StepId to, bool required = true);
    void edges(const std::vector<StepId>& from, StepId to, bool required = true);
    /// Puts the steps into an order in which they could be carried out one by one, and numbers them by it.
    base::Result<Plan> finish();

    /// A step about an existing container.
    Step about(Kind kind, const engine::ContainerInfo& container, std::string reason) const;
    /// The pre_stop hooks (when `hooks`) and the stop of a running container, after `before`; the id of the stop, or 0 when it
    /// does not run.
    StepId stop(const engine::ContainerInfo& container, std::string reason, bool hooks, const std::vector<StepId>& before = {});
    /// The start of a container and its post_start hooks, after `before`; the id of the last of these.
    StepId start(Step step, const std::vector<StepId>& before);
    /// The grace period that -t asks for, else the service's own (nullopt: the container's).
    std::optional<std::chrono::nanoseconds> grace() const { return options.timeout; }
    const model::Service* service(const std::string& name) const;
    /// As `service`, but also one that is not enabled.
    const model::Service* any_service(const std::string& name) const;
};

// ---- the parts of planning, each in its file ---------------------------------------------------------------------------

/// images.cpp: steps that bring the images of these services; image reference → last step. An image that must not be pulled
/// and is not there is an Error.
base::Result<std::map<std::string, StepId>> plan_images(Draft& draft, const std::vector<std::string>& services);
base::Status plan_pull(Draft& draft, const std::vector<std::string>& services);
base::Status plan_build(Draft& draft, const std::vector<std::string>& services);

struct Resources {
    std::map<std::string, StepId> networks, volumes;      ///< real name → step that makes it
    std::set<std::string> remade_networks, remade_volumes;  ///< real names of those that are removed and made again
    std::map<std::string, StepId> stops;                  ///< container id → the step that stops it for that
    std::map<std::string, StepId> removed;                ///< container id → the step that removes it for that
    std::map<std::string, std::string> network_reasons;   ///< real name → why it is made again
};
/// resources.cpp: networks and volumes that these services use.
base::Result<Resources> plan_resources(Draft& draft, const std::vector<std::string>& services);

/// difference.cpp: why a container is not what the service asks for, with the values that differ; "" when it is.
std::string difference(const Draft& draft, const model::Service& service, const engine::ContainerInfo& container);

/// orphans.cpp: containers that the file does not declare.
std::vector<const engine::ContainerInfo*> orphans_of(const Draft& draft);
/// Warned of, or stopped and removed with --remove-orphans; the steps that remove them.
std::vector<StepId> plan_orphans(Draft& draft);

/// up.cpp, lifecycle.cpp, down.cpp
base::Status plan_up(Draft& draft);
base::Status plan_start(Draft& draft);
base::Status plan_stop(Draft& draft);
base::Status plan_restart(Draft& draft);
base::Status plan_each(Draft& draft, Kind kind);  ///< kill, pause, unpause
base::Status plan_remove(Draft& draft);
base::Status plan_down(Draft& draft);

/// waits.cpp: the steps after which a service counts as started, healthy or completed, made on demand.
class Waits {
public:
    explicit Waits(Draft& draft) : draft_(draft) {}
    /// What starts in this plan of a service: last step of each container.
    void starts(const std::string& service, StepId step) { starts_[service].push_back(step); }
    /// A service that has (or gets) these containers.
    void container(const std::string& service, const std::string& name) { names_[service].push_back(name); }
    const std::vector<StepId>& started(const std::string& service) { return starts_[service]; }
    /// Makes `step` wait for all that its service depends on.
    void before(const model::Service& service, StepId step);
    /// The step that waits for a service's condition; 0 when it holds already. Made once.
    StepId until(const std::string& service, Condition condition, bool required);

private:
    bool holds(const std::string& service, Condition condition);
    Draft& draft_;
    std::map<std::string, std::vector<StepId>> starts_;
    std::map<std::string, std::vector<std::string>> names_;
    std::map<std::pair<std::string, Condition>, StepId> waits_;
};
Condition condition_of(const model::Dependency& dependency);
/// `--wait`: a step for each of the services.
void plan_wait(Draft& draft, Waits& waits, const std::vector<std::string>& services);

/// `a1b2c3d4e5f6…`: the start of a digest or hash, without "sha256:".
std::string abbreviate(std::string_view hash);

}  // namespace compose::plan
