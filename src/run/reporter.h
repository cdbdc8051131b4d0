#pragma once
#include <mutex>
#include <string>

#include "run/events.h"

namespace compose::run {

/// Turns steps into events with Docker's words, one call of the listener at a time.
class Reporter {
public:
    explicit Reporter(Listener listener) : listener_(std::move(listener)) {}

    void begin(const plan::Step& step);
    void end(const plan::Step& step, const std::string& container_id = "");
    void fail(const plan::Step& step, const std::string& text);
    /// Something that is neither: Skipped, `Resource is still in use`.
    void note(const plan::Step& step, const std::string& status, Phase phase, const std::string& text = "");
    /// About one of the containers that a step waits for.
    void container(const plan::Step& step, const std::string& name, const std::string& status, Phase phase, const std::string& text = "");
    void pull(const plan::Step& step, const engine::PullProgress& progress);

private:
    void send(StepEvent event);
    std::mutex mutex_;
    Listener listener_;
};

/// "Container p-a-1", "Network p_default", … as Docker names the resource of a step.
std::string resource_of(const plan::Step& step);

}  // namespace compose::run
