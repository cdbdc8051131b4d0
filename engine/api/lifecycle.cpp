// Verbs that change whether a container runs: all of them are the supervisor's work.
#include <thread>

#include "api/engine_impl.h"
#include "base/text.h"
#include "runtime/signals.h"

namespace engine::api {

namespace {

Status check_startable(const ContainerInfo& container) {
    if (container.state.status == ContainerStatus::paused)
        return base::fail(base::Code::conflict, "cannot start a paused container, try unpause instead");
    if (container.state.status == ContainerStatus::removing)
        return base::fail(base::Code::conflict, "container " + container.spec.name + " is marked for removal and cannot be started");
    return {};
}

}  // namespace

Status EngineImpl::prepare_start(const ContainerInfo& container) {
    TRY_VOID(check_startable(container));
    std::vector<std::string> networks;
    for (const auto& endpoint : container.spec.endpoints) networks.push_back(endpoint.network);
    return ensure_networks(networks);
}

Status EngineImpl::start(const std::string& id) { return std::move(start_many({id}).front().status); }

std::vector<StartResult> EngineImpl::start_many(const std::vector<std::string>& ids) {
    std::vector<StartResult> results(ids.size());
    std::map<std::string, std::vector<size_t>> by_group;
    std::map<std::string, Status> network_states;  // each network is looked at once for the whole wave
    for (size_t i = 0; i < ids.size(); ++i) {
        results[i].id = ids[i];
        auto container = store().container(ids[i]);
        if (!container) {
            results[i].status = std::move(container.error());
            continue;
        }
        results[i].id = container->id;
        if (container->state.status == ContainerStatus::running) continue;
        results[i].status = check_startable(*container);
        for (const auto& endpoint : container->spec.endpoints) {
            if (!results[i].status) break;
            auto [state, fresh] = network_states.try_emplace(endpoint.network);
            if (fresh) state->second = ensure_networks({endpoint.network});
            results[i].status = state->second;
        }
        if (results[i].status) by_group[container->supervisor].push_back(i);
    }
    for (const auto& [group, indices] : by_group) {
        auto client = supervisor(group);
        if (!client) {
            for (size_t i : indices) results[i].status = client.error();
            continue;
        }
        std::vector<std::string> wave;
        for (size_t i : indices) wave.push_back(results[i].id);
        auto started = (*client)->start_many(wave, {});
        for (size_t k = 0; k < indices.size() && k < started.size(); ++k) results[indices[k]].status = std::move(started[k].status);
    }
    return results;
}

Status EngineImpl::stop(const std::string& id, std::optional<Nanoseconds> timeout) {
    auto container = TRY(store().container(id));
    if (!is_active(container.state)) return {};
    auto client = TRY(supervisor_of(container));
    if (!client) return recover();  // nobody runs it: its state is what is wrong
    auto outcome = TRY(client->stop(container.id, timeout));
    if (!outcome.note.empty()) tell(container.spec.name, outcome.note);
    return {};
}

std::vector<Status> EngineImpl::stop_many(const std::vector<StopRequest>& requests, const std::function<void(size_t, const Status&)>& ended) {
    std::vector<Status> results(requests.size());
    std::map<std::string, std::vector<size_t>> by_group;
    std::vector<StopRequest> full(requests);
    std::vector<std::string> names(requests.size());
    std::map<std::string, bool> alive;  ///< by group: a process is there
    for (size_t i = 0; i < requests.size(); ++i) {
        auto container = store().container(requests[i].id);
        if (!container) {
            results[i] = std::move(container.error());
        } else if (!requests[i].signal.empty() && !runtime::parse_signal(requests[i].signal)) {
            results[i] = base::fail(base::Code::invalid, "Invalid signal: " + base::printable(requests[i].signal));
        } else if (is_active(container->state)) {
            full[i].id = container->id;
            names[i] = container->spec.name;
            by_group[container->supervisor].push_back(i);
            alive[container->supervisor] = alive[container->supervisor] || is_alive(container->state);
            continue;
        }
        if (ended) ended(i, results[i]);
    }
    auto work = [&](const std::string& group, const std::vector<size_t>& indices) {
        std::vector<bool> reported(indices.size());
        auto finish = [&](size_t k, Status status) {
            if (k >= indices.size() || reported[k]) return;
            reported[k] = true;
            results[indices[k]] = std::move(status);
            if (ended) ended(indices[k], results[indices[k]]);
        };
        auto client = running_supervisor(group);
        if (client && !*client && alive.at(group)) client = SupervisorClient::connect_or_start(options_, group);  // takes them over
        if (!client || !*client) {
            Status recovered = client ? recover() : Status(client.error());
            for (size_t k = 0; k < indices.size(); ++k) finish(k, recovered);
            return;
        }
        std::vector<StopRequest> wave;
        for (size_t i : indices) wave.push_back(full[i]);
        auto take = [&](size_t k, const Result<supervisor::StopOutcome>& outcome) {
            if (outcome && !outcome->note.empty() && k < indices.size()) tell(names[indices[k]], outcome->note);
            finish(k, outcome ? Status() : Status(outcome.error()));
        };
        auto outcomes = (*client)->stop_many(wave, take);
        for (size_t k = 0; k < indices.size(); ++k) {
            if (k < outcomes.size())
                finish(k, outcomes[k] ? Status() : Status(outcomes[k].error()));
            else
                finish(k, base::fail(base::Code::internal, "the supervisor did not answer for " + names[indices[k]]));
        }
    };
    // Containers of several projects: a supervisor each, side by side.
    std::vector<std::thread> threads;
    size_t left = by_group.size();
    for (const auto& [group, indices] : by_group) {
        if (--left == 0)
            work(group, indices);
        else
            threads.emplace_back(work, std::cref(group), std::cref(indices));
    }
    for (auto& thread : threads) thread.join();
    return results;
}

Status EngineImpl::kill(const std::string& id, const std::string& signal) {
    auto container = TRY(store().container(id));
    if (!signal.empty() && !runtime::parse_signal(signal)) return base::fail(base::Code::invalid, "Invalid signal: " + base::printable(signal));
    if (!is_active(container.state))
        return base::fail(base::Code::not_running, "cannot kill container: " + container.spec.name + ": container " + container.id + " is not running");
    auto client = TRY(supervisor_of(container));
    if (!client) return recover();
    return client->kill(container.id, signal.empty() ? "SIGKILL" : signal);
}

Status EngineImpl::restart(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal) {
    if (!signal.empty() && !runtime::parse_signal(signal)) return base::fail(base::Code::invalid, "Invalid signal: " + base::printable(signal));
    auto container = TRY(store().container(id));
    if (container.state.status != ContainerStatus::paused) TRY_VOID(prepare_start(container));
    auto* client = TRY(supervisor(container.supervisor));
    auto outcome = TRY(client->restart(container.id, timeout, signal));
    if (!outcome.note.empty()) tell(container.spec.name, outcome.note);
    return {};
}

Status EngineImpl::pause(const std::string& id) {
    auto container = TRY(running_container(id));
    if (container.state.status == ContainerStatus::paused) return base::fail(base::Code::conflict, "container " + container.spec.name + " is already paused");
    auto* client = TRY(supervisor(container.supervisor));
    return client->pause(container.id);
}

Status EngineImpl::unpause(const std::string& id) {
    auto container = TRY(store().container(id));
    if (container.state.status != ContainerStatus::paused) return base::fail(base::Code::conflict, "container " + container.spec.name + " is not paused");
    auto* client = TRY(supervisor(container.supervisor));
    return client->unpause(container.id);
}

}  // namespace engine::api
