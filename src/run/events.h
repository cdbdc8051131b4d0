#pragma once
// What the execution of a plan tells about itself while it goes on: the progress view, --timings and --progress json draw
// from the same events.
#include <cstdint>
#include <functional>
#include <string>

#include "engine/engine.h"
#include "plan/plan.h"

namespace compose::run {

enum class Phase : uint8_t { working, done, warning, error };

struct StepEvent {
    plan::StepId step = 0;     ///< 0: about no step
    plan::Kind kind = plan::Kind::keep;
    std::string id;            ///< Docker's resource: "Container p-a-1", "Network p_default", "Volume p_data", "a" (pull: the service)
    std::string status;        ///< Docker's words: Creating, Created, Starting, Started, Running, Recreate, Recreated, …
    Phase phase = Phase::working;
    std::string text;          ///< details: the error, the reason of Skipped
    std::string container_id;  ///< once it is known (Created, Starting, Started, Running …)
    std::string service;
    /// Pulls: layer progress, with `status` Downloading, Extracting …; null otherwise.
    const engine::PullProgress* pull = nullptr;
};
using Listener = std::function<void(const StepEvent&)>;

/// Docker's word for what a layer is at.
const char* transfer_word(engine::PullProgress::Phase phase, bool push = false);

}  // namespace compose::run
