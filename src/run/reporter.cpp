#include "run/reporter.h"

namespace compose::run {
namespace {

using plan::Kind;

struct Words {
    const char* begin;  ///< "" is no event
    const char* end;
};

/// behaviour.md §7: the words that people and their scripts know.
Words words(Kind kind) {
    switch (kind) {
        case Kind::pull: return {"Pulling", "Pulled"};
        case Kind::build: return {"Building", "Built"};
        case Kind::create_network:
        case Kind::create_volume:
        case Kind::create: return {"Creating", "Created"};
        case Kind::remove_network:
        case Kind::remove_volume:
        case Kind::remove_image:
        case Kind::remove: return {"Removing", "Removed"};
        case Kind::keep: return {"", "Running"};
        case Kind::recreate: return {"Recreate", "Recreated"};
        case Kind::start: return {"Starting", "Started"};
        case Kind::stop: return {"Stopping", "Stopped"};
        case Kind::restart: return {"Restarting", "Started"};
        case Kind::kill: return {"Killing", "Killed"};
        case Kind::pause: return {"", "Paused"};
        case Kind::unpause: return {"", "Unpaused"};
        case Kind::rename:
        case Kind::post_start:
        case Kind::pre_stop:
        case Kind::wait: break;
    }
    return {"", ""};
}

}  // namespace

const char* transfer_word(engine::PullProgress::Phase phase, bool push) {
    using P = engine::PullProgress::Phase;
    switch (phase) {
        case P::resolving: return "Resolving";
        case P::waiting: return "Waiting";
        case P::downloading: return push ? "Pushing" : "Downloading";
        case P::extracting: return "Extracting";
        case P::exists: return "Already exists";
        case P::done: return push ? "Pushed" : "Pull complete";
    }
    return "";
}

std::string resource_of(const plan::Step& step) {
    switch (step.kind) {
        case Kind::pull: return step.service;
        case Kind::build:
        case Kind::remove_image: return "Image " + step.name;
        case Kind::create_network:
        case Kind::remove_network: return "Network " + step.name;
        case Kind::create_volume:
        case Kind::remove_volume: return "Volume " + step.name;
        case Kind::recreate: return "Container " + step.new_name;
        default: return "Container " + step.name;
    }
}

void Reporter::send(StepEvent event) {
    if (!listener_) return;
    std::lock_guard lock(mutex_);
    listener_(event);
}

void Reporter::begin(const plan::Step& step) {
    if (const char* word = words(step.kind).begin; *word)
        send({.step = step.id, .kind = step.kind, .id = resource_of(step), .status = word, .phase = Phase::working,
              .container_id = step.container, .service = step.service});
}

void Reporter::end(const plan::Step& step, const std::string& container_id) {
    std::string word = words(step.kind).end;
    if (step.kind == Kind::keep && step.reason == "created") word = "Created";
    if (step.kind == Kind::keep && step.reason == "exited") return;
    if (!word.empty())
        send({.step = step.id, .kind = step.kind, .id = resource_of(step), .status = word, .phase = Phase::done,
              .container_id = container_id.empty() ? step.container : container_id, .service = step.service});
}

void Reporter::fail(const plan::Step& step, const std::string& text) {
    send({.step = step.id, .kind = step.kind, .id = resource_of(step), .status = "Error", .phase = Phase::error, .text = text,
          .container_id = step.container, .service = step.service});
}

void Reporter::note(const plan::Step& step, const std::string& status, Phase phase, const std::string& text) {
    send({.step = step.id, .kind = step.kind, .id = resource_of(step), .status = status, .phase = phase, .text = text,
          .container_id = step.container, .service = step.service});
}

void Reporter::container(const plan::Step& step, const std::string& name, const std::string& status, Phase phase, const std::string& text) {
    send({.step = step.id, .kind = step.kind, .id = "Container " + name, .status = status, .phase = phase, .text = text,
          .service = step.service});
}

void Reporter::pull(const plan::Step& step, const engine::PullProgress& progress) {
    send({.step = step.id, .kind = step.kind, .id = resource_of(step), .status = transfer_word(progress.phase), .phase = Phase::working, .text = progress.layer,
          .service = step.service, .pull = &progress});
}

}  // namespace compose::run
