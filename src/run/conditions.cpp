// Waiting for what depends_on and --wait ask for, with Docker's words for what goes wrong (behaviour.md §5, §7).
#include "run/actions.h"

namespace compose::run {
namespace {

using base::Code;
using engine::ContainerInfo;
using engine::ContainerStatus;
using engine::HealthStatus;

bool has_ended(const ContainerInfo& container) {
    return container.state.status == ContainerStatus::exited || container.state.status == ContainerStatus::dead ||
           container.state.status == ContainerStatus::removing;
}

std::string exited(const std::string& name, const ContainerInfo& container) {
    return "container " + name + " exited (" + std::to_string(container.state.exit_code) + ")";
}

std::string indented(const std::string& text) {
    std::string result;
    for (const auto& line : base::split(base::trim(text), '\n')) result += "\n    " + base::printable(line);
    return result;
}

base::Error not_in_time(const plan::Step& step) {
    return base::fail(Code::timeout, "application not healthy after " + base::format_duration(*step.timeout));
}

}  // namespace

bool Actions::has_health_check(const ContainerInfo& container) {
    if (const auto& check = container.spec.health_check; check && !check->test.empty()) return check->test.front() != "NONE";
    if (container.state.health != HealthStatus::none) return true;
    auto image = engine_.image(container.spec.image_id.empty() ? container.spec.image : container.spec.image_id);
    if (!image || !image->config.health_check) return false;
    const auto& test = image->config.health_check->test;
    return !test.empty() && test.front() != "NONE";
}

/// What people ask next: what the check said, what the service said, and who waits for it.
std::string Actions::why_unhealthy(const plan::Step& step, const ContainerInfo& container) {
    std::string text;
    if (!container.state.probes.empty()) {
        const auto& probe = container.state.probes.back();
        text += "\n  last health check exited with " + std::to_string(probe.exit_code) + (probe.output.empty() ? "" : ":");
        text += probe.output.empty() ? "" : indented(probe.output);
    }
    std::string log;
    engine::LogOptions options;
    options.tail = 5;
    auto status = engine_.logs(container.id, options,
                               [&](const engine::LogLine& line) {
                                   log += std::string(line.text.substr(0, 500)) + (line.ends_line ? "\n" : "");
                                   return true;
                               },
                               work_.cancel);
    if (status && !base::trim(log).empty()) text += "\n  last lines of its log:" + indented(log);
    std::string waiting;
    for (const auto& edge : work_.plan->edges)
        if (edge.from == step.id && work_.plan->step(edge.to).kind == plan::Kind::start)
            waiting += (waiting.empty() ? "" : ", ") + work_.plan->step(edge.to).object;
    if (!waiting.empty()) text += "\n  waiting for it: " + waiting;
    return text;
}

base::Status Actions::until_healthy(const plan::Step& step, const std::string& name, const std::string& id,
                                    std::optional<std::chrono::steady_clock::time_point> deadline) {
    bool or_running = step.condition == plan::Condition::running_or_healthy;
    ContainerInfo now = TRY(engine_.container(id));
    bool checked = has_health_check(now);
    if (!checked && !or_running) return base::fail(Code::unhealthy, "container " + name + " has no healthcheck configured");
    now = TRY(engine_.wait_until(
        id,
        [&](const ContainerInfo& container) {
            if (has_ended(container)) return true;
            if (container.state.status != ContainerStatus::running) return false;
            return !checked || container.state.health == HealthStatus::healthy || container.state.health == HealthStatus::unhealthy;
        },
        deadline, work_.cancel));
    if (has_ended(now)) {
        // A job that has done its work is what --wait wanted (differs from Docker: docker/compose#10596).
        bool done = or_running && now.state.exit_code == 0 && (now.spec.restart.name == "no" || now.spec.restart.name == "on-failure");
        if (done) return {};
        return base::fail(Code::unhealthy, exited(name, now) + (now.state.error.empty() ? "" : ": " + now.state.error));
    }
    if (checked && now.state.health == HealthStatus::unhealthy)
        return base::fail(Code::unhealthy, "container " + name + " is unhealthy" + why_unhealthy(step, now));
    if (now.state.status != ContainerStatus::running || (checked && now.state.health != HealthStatus::healthy)) {
        if (work_.cancel && *work_.cancel) return base::fail(Code::interrupted, "interrupted");
        return step.timeout ? not_in_time(step) : base::fail(Code::timeout, "container " + name + " is not healthy");
    }
    return {};
}

base::Status Actions::until_ended(const plan::Step& step, const std::string& name, const std::string& id,
                                  std::optional<std::chrono::steady_clock::time_point> deadline) {
    ContainerInfo now = TRY(engine_.wait_until(id, has_ended, deadline, work_.cancel));
    if (!has_ended(now)) {
        if (work_.cancel && *work_.cancel) return base::fail(Code::interrupted, "interrupted");
        return step.timeout ? not_in_time(step) : base::fail(Code::timeout, "container " + name + " has not ended");
    }
    if (now.state.exit_code == 0) return {};
    return base::fail(Code::unhealthy, base::quote(step.service) + " didn't complete successfully: exit " + std::to_string(now.state.exit_code));
}

base::Status Actions::wait(const plan::Step& step) {
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (step.timeout) deadline = std::chrono::steady_clock::now() + *step.timeout;
    bool completed = step.condition == plan::Condition::completed;
    for (const auto& name : step.containers) reporter_.container(step, name, "Waiting", Phase::working);
    for (const auto& name : step.containers) {
        std::string id = TRY(id_of_name(name));
        base::Status status = completed ? until_ended(step, name, id, deadline) : until_healthy(step, name, id, deadline);
        if (status) {
            reporter_.container(step, name, completed ? "Exited" : "Healthy", Phase::done);
            continue;
        }
        base::Error error = std::move(status.error());
        if (error.code == Code::interrupted) return error;
        if (error.code == Code::timeout) {
            reporter_.container(step, name, "Error", Phase::error, error.what);
            return error;
        }
        if (step.optional) {
            std::string text = completed ? "optional dependency " + error.what
                                         : "optional dependency " + base::quote(step.service) + " failed to start: " + error.what;
            reporter_.container(step, name, "Skipped: " + text, Phase::warning, text);
            error.what = text;
            return error;
        }
        if (completed)
            error.what = "service " + error.what;
        else if (step.condition != plan::Condition::running_or_healthy)
            error.what = "dependency failed to start: " + error.what;
        reporter_.container(step, name, "Error", Phase::error, error.what);
        return error;
    }
    return {};
}

}  // namespace compose::run
