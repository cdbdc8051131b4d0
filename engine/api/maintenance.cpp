#include "engine/maintenance.h"

#include <limits.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "supervisor/client.h"

namespace engine {
namespace {

bool comes_back(const ContainerInfo& container) {
    const auto& state = container.state;
    const auto& policy = container.spec.restart;
    if (state.status != ContainerStatus::exited || state.started == 0) return false;
    if (policy.name == "always") return true;
    if (state.stopped_by_user) return false;
    if (policy.name == "unless-stopped") return true;
    return policy.name == "on-failure" && state.exit_code != 0 && (policy.maximum_retries == 0 || state.restart_count < policy.maximum_retries);
}

/// Containers whose namespaces this one joins.
std::vector<std::string> joined_by(const ContainerSpec& spec) {
    std::vector<std::string> ids;
    for (const std::string* mode : {&spec.network_mode, &spec.pid_mode, &spec.ipc_mode, &spec.uts_mode})
        if (mode->starts_with("container:")) ids.push_back(mode->substr(10));
    return ids;
}

void restore_group(Engine& engine, const std::string& group, std::vector<Restored>& all, const std::function<void(const Restored&)>& report) {
    auto tell = [&](const ContainerInfo& container, Status status) {
        all.push_back({container.id, container.spec.name, group, std::move(status)});
        if (report) report(all.back());
    };
    auto containers = engine.containers({});
    if (!containers) return;
    std::map<std::string, ContainerInfo> waiting;
    for (auto& container : *containers) {
        if (container.supervisor != group) continue;
        if (container.spec.auto_remove && container.state.status == ContainerStatus::exited && container.state.started != 0) {
            if (auto removed = engine.remove_many({{container.id, true, true}}).front(); !removed) tell(container, std::move(removed));
        } else if (comes_back(container)) {
            waiting.emplace(container.id, std::move(container));
        }
    }
    while (!waiting.empty()) {
        // Those that join none of the waiting ones; in a circle, which can't be made by hand, all.
        std::vector<std::string> wave;
        for (const auto& [id, container] : waiting) {
            auto joined = joined_by(container.spec);
            if (std::none_of(joined.begin(), joined.end(), [&](const auto& other) { return waiting.contains(other); })) wave.push_back(id);
        }
        if (wave.empty())
            for (const auto& [id, container] : waiting) wave.push_back(id);
        for (auto& started : engine.start_many(wave)) {
            tell(waiting.at(started.id), std::move(started.status));
            waiting.erase(started.id);
        }
    }
}

}  // namespace

Result<std::vector<Restored>> restore(const EngineOptions& options, const std::function<void(const Restored&)>& report) {
    std::set<std::string> groups;
    {
        auto engine = TRY(Engine::open(options));
        for (const auto& container : TRY(engine->containers({})))
            if (comes_back(container) || (container.spec.auto_remove && container.state.started != 0)) groups.insert(container.supervisor);
    }
    std::vector<Restored> all;
    for (const auto& group : groups) {
        EngineOptions own = options;
        own.group = group;
        auto engine = TRY(Engine::open(own));
        auto lock = TRY(engine->lock_group({}));
        restore_group(*engine, group, all, report);
    }
    return all;
}

Result<std::vector<Restored>> halt(const EngineOptions& options, const std::function<void(const Restored&)>& report) {
    auto engine = TRY(Engine::open(options));
    std::map<std::string, std::vector<ContainerInfo>> groups;
    for (auto& container : TRY(engine->containers({}))) {
        const auto status = container.state.status;
        if (status == ContainerStatus::running || status == ContainerStatus::paused || status == ContainerStatus::restarting)
            groups[container.supervisor].push_back(std::move(container));
    }
    std::vector<Restored> all;
    std::mutex mutex;
    auto work = [&](const std::string& group, const std::vector<ContainerInfo>& containers) {
        auto tell = [&](size_t i, Status status) {
            std::lock_guard lock(mutex);
            all.push_back({containers[i].id, containers[i].spec.name, group, std::move(status)});
            if (report) report(all.back());
        };
        auto client = supervisor::SupervisorClient::connect_or_start(engine->options(), group);
        if (!client) {
            for (size_t i = 0; i < containers.size(); i++) tell(i, Status(client.error()));
            return;
        }
        std::vector<StopRequest> requests;
        for (const auto& container : containers) requests.push_back({container.id, std::nullopt});
        std::vector<bool> told(requests.size());
        auto ended = [&](size_t i, const base::Result<supervisor::StopOutcome>& outcome) {
            if (i >= told.size() || told[i]) return;
            told[i] = true;
            tell(i, outcome ? Status() : Status(outcome.error()));
        };
        auto outcomes = (*client)->halt_many(requests, ended);
        for (size_t i = 0; i < outcomes.size(); i++) ended(i, outcomes[i]);
    };
    std::vector<std::thread> threads;
    for (const auto& [group, containers] : groups) threads.emplace_back(work, std::cref(group), std::cref(containers));
    for (auto& thread : threads) thread.join();
    return all;
}

Result<std::vector<HandedOver>> hand_over(const EngineOptions& options) {
    auto engine = TRY(Engine::open(options));
    std::set<std::string> groups;
    for (const auto& container : TRY(engine->containers({}))) groups.insert(container.supervisor);
    char program[PATH_MAX] = {};
    if (::readlink("/proc/self/exe", program, sizeof program - 1) < 0) return base::fail_errno("find this program");
    std::vector<HandedOver> all;
    for (const auto& group : groups) {
        auto client = supervisor::SupervisorClient::connect(engine->options(), group);
        if (client && !*client) continue;  // nothing of it runs
        all.push_back({group, client ? (*client)->hand_over(program) : Status(client.error())});
    }
    return all;
}

}  // namespace engine
