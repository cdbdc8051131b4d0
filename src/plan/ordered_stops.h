#pragma once
// Stops in the reverse order of depends_on: a container stops after all that depend on it, also through services that have
// none to stop.
#include <map>
#include <string>
#include <vector>

#include "plan/draft.h"

namespace compose::plan {

class OrderedStops {
public:
    explicit OrderedStops(Draft& draft);
    /// The stop of a container of `service` (with its pre_stop hooks), or 0 when it does not run. Dependents come first.
    StepId stop(const std::string& service, const engine::ContainerInfo& container, const std::string& reason);

private:
    std::vector<StepId> before(const std::string& service) const;
    Draft& draft_;
    std::map<std::string, std::vector<std::string>> dependents_;
    std::map<std::string, std::vector<StepId>> stops_;
};

}  // namespace compose::plan
