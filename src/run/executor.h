#pragma once
// Carries out a plan. A step starts as soon as those that it waits for have ended; what is ready together and of one kind goes
// to the engine in one call (one transaction, one message to the supervisor). Few threads: one a batch under way, one a wait.
#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "model/project.h"
#include "plan/observed.h"
#include "plan/plan.h"
#include "run/events.h"

namespace compose::run {

struct Work {
    engine::Engine* engine = nullptr;
    const model::Project* project = nullptr;
    const plan::Observed* observed = nullptr;
    const plan::Plan* plan = nullptr;
    Listener listener;
    const std::atomic<bool>* cancel = nullptr;
    std::function<void(const std::string&)> warn;
    int parallel = -1;  ///< most steps under way at a time, but for waits; below 1: no limit
    /// Builds and tags the image of a service; returns its id.
    std::function<base::Result<std::string>(const model::Project&, const model::Service&)> build;
};

struct Done {
    std::vector<base::Error> errors;            ///< of the steps that failed, in the order in which they did
    std::vector<plan::StepId> skipped;          ///< not carried out, because of a failure or the cancel flag
    std::map<std::string, std::string> ids;     ///< container name → id, of those created here
    bool interrupted = false;
};

/// Returns when every step has ended or can no longer start. After a failure the steps that do not need it go on, but for a
/// missing image: then nothing that has not begun is begun.
Done execute(const Work& work);
/// Tells the listener what `execute` would, in the order of the plan, and does nothing.
void rehearse(const Work& work);

}  // namespace compose::run
