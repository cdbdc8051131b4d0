#pragma once
// An engine in memory that keeps count of its calls: what matters is how much work the executor asks for, and in which order.
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace compose::run::test {

using base::Code;
using base::Result;
using base::Status;

class FakeEngine : public engine::Engine {
public:
    // ---- what a test sets and reads -----------------------------------------------------------------------------------
    std::vector<std::string> calls;              ///< "create_many p-a-1 p-b-1", "start_many p-a-1" …
    std::map<std::string, engine::ImageInfo> local_images, remote_images;
    std::map<std::string, engine::ContainerInfo> store;  ///< by id
    std::map<std::string, engine::NetworkSpec> network_store;
    std::map<std::string, engine::VolumeSpec> volume_store;
    std::set<std::string> cannot_start;          ///< container names
    std::map<std::string, int> ends_with;        ///< container name → it ends with this at once when started
    std::map<std::string, engine::HealthStatus> turns;  ///< container name → its health some time after the start
    std::map<std::string, std::string> log_text; ///< container name → its log
    int exec_status = 0;

    engine::ContainerInfo& put(engine::ContainerSpec spec, engine::ContainerStatus status = engine::ContainerStatus::running) {
        std::lock_guard lock(mutex_);
        engine::ContainerInfo info;
        info.id = new_id();
        info.spec = std::move(spec);
        info.state.status = status;
        return store[info.id] = info;
    }
    engine::ContainerInfo* named(const std::string& name) {
        for (auto& [id, info] : store)
            if (info.spec.name == name) return &info;
        return nullptr;
    }
    size_t count(const std::string& prefix) {
        std::lock_guard lock(mutex_);
        size_t n = 0;
        for (const auto& call : calls) n += call.starts_with(prefix);
        return n;
    }
    /// Position of the first call that starts so; -1 when there is none.
    int at(const std::string& prefix) {
        std::lock_guard lock(mutex_);
        for (size_t i = 0; i < calls.size(); ++i)
            if (calls[i].starts_with(prefix)) return static_cast<int>(i);
        return -1;
    }
    void change(const std::string& name, const std::function<void(engine::ContainerInfo&)>& edit) {
        std::lock_guard lock(mutex_);
        edit(*named(name));
        changed_.notify_all();
    }

    // ---- the engine ---------------------------------------------------------------------------------------------------
    const engine::EngineOptions& options() const override { return options_; }
    Result<base::UniqueFd> lock_group(const std::function<void(const std::string&)>&) override { return base::UniqueFd(); }

    std::vector<Result<engine::ImageInfo>> pull(const std::vector<engine::PullRequest>& requests, const engine::PullOptions&) override {
        std::lock_guard lock(mutex_);
        std::string call = "pull";
        std::vector<Result<engine::ImageInfo>> results;
        for (const auto& request : requests) {
            call += " " + request.reference;
            auto found = remote_images.find(request.reference);
            if (found == remote_images.end())
                results.push_back(base::fail(Code::not_found, "pull " + request.reference + ": not found"));
            else
                results.push_back(local_images[request.reference] = found->second);
        }
        calls.push_back(call);
        return results;
    }
    Result<engine::ImageInfo> image(const std::string& reference) override {
        std::lock_guard lock(mutex_);
        if (auto found = local_images.find(reference); found != local_images.end()) return found->second;
        for (const auto& [name, image] : local_images)
            if (image.id == reference) return image;
        return base::fail(Code::not_found, "No such image: " + reference);
    }
    Result<std::vector<engine::ImageInfo>> images() override { return std::vector<engine::ImageInfo>{}; }
    Result<engine::RemovedImage> remove_image(const std::string& reference, bool) override {
        note("remove_image " + reference);
        local_images.erase(reference);
        return engine::RemovedImage{};
    }
    Status tag_image(const std::string&, const std::string&) override { return {}; }
    Status push(const std::string&, const engine::PushOptions&) override { return {}; }
    Result<std::string> resolve_digest(const std::string&) override { return std::string(); }
    Result<std::pair<std::vector<std::string>, uint64_t>> prune_images(bool) override { return std::pair<std::vector<std::string>, uint64_t>{}; }
    Status save_images(const std::vector<std::string>&, int) override { return {}; }
    Result<std::vector<std::string>> load_images(int) override { return std::vector<std::string>{}; }
    Result<std::string> import_image(int, const engine::CommitOptions&) override { return std::string(); }
    Result<engine::ImageDetail> image_detail(const std::string&) override { return engine::ImageDetail(); }
    Result<engine::VerifyResult> verify_images(const engine::VerifyOptions&) override { return engine::VerifyResult(); }
    Result<engine::DiskUsage> disk_usage() override { return engine::DiskUsage(); }

    Result<engine::NetworkInfo> create_network(const engine::NetworkSpec& spec) override {
        note("create_network " + spec.name);
        network_store[spec.name] = spec;
        return network(spec.name);
    }
    Result<engine::NetworkInfo> network(const std::string& name) override {
        auto found = network_store.find(name);
        if (found == network_store.end()) return base::fail(Code::not_found, "no network " + name);
        engine::NetworkInfo info;
        info.spec = found->second;
        return info;
    }
    Result<std::vector<engine::NetworkInfo>> networks(const engine::Labels& labels) override {
        std::vector<engine::NetworkInfo> result;
        for (const auto& [name, spec] : network_store)
            if (matches(spec.labels, labels)) result.push_back(*network(name));
        return result;
    }
    Status remove_network(const std::string& name) override {
        note("remove_network " + name);
        for (const auto& [id, info] : store)
            for (const auto& endpoint : info.spec.endpoints)
                if (endpoint.network == name && info.state.status == engine::ContainerStatus::running)
                    return base::fail(Code::conflict, "network " + name + " is in use");
        network_store.erase(name);
        return {};
    }
    Result<engine::VolumeInfo> create_volume(const engine::VolumeSpec& spec) override {
        note("create_volume " + spec.name);
        volume_store[spec.name] = spec;
        return volume(spec.name);
    }
    Result<engine::VolumeInfo> volume(const std::string& name) override {
        auto found = volume_store.find(name);
        if (found == volume_store.end()) return base::fail(Code::not_found, "no volume " + name);
        engine::VolumeInfo info;
        info.spec = found->second;
        return info;
    }
    Result<std::vector<engine::VolumeInfo>> volumes(const engine::Labels& labels) override {
        std::vector<engine::VolumeInfo> result;
        for (const auto& [name, spec] : volume_store)
            if (matches(spec.labels, labels)) result.push_back(*volume(name));
        return result;
    }
    Status remove_volume(const std::string& name) override {
        note("remove_volume " + name);
        volume_store.erase(name);
        return {};
    }

    Result<std::string> create(const engine::ContainerSpec& spec) override { return std::move(create_many({spec})[0]); }
    std::vector<Result<std::string>> create_many(const std::vector<engine::ContainerSpec>& specs) override {
        std::lock_guard lock(mutex_);
        std::string call = "create_many";
        std::vector<Result<std::string>> results;
        for (const auto& spec : specs) {
            call += " " + spec.name;
            if (named(spec.name)) {
                results.push_back(base::fail(Code::conflict, "name taken: " + spec.name));
                continue;
            }
            engine::ContainerInfo info;
            info.id = new_id();
            info.spec = spec;
            store[info.id] = info;
            results.push_back(info.id);
        }
        calls.push_back(call);
        return results;
    }
    Status start(const std::string& id) override { return std::move(start_many({id})[0].status); }
    std::vector<engine::StartResult> start_many(const std::vector<std::string>& ids) override {
        std::lock_guard lock(mutex_);
        std::string call = "start_many";
        std::vector<engine::StartResult> results;
        for (const auto& id : ids) {
            auto& info = store.at(id);
            call += " " + info.spec.name;
            if (cannot_start.contains(info.spec.name)) {
                results.push_back({id, base::fail(Code::no_such_command, "exec: no-such-command")});
                continue;
            }
            info.state.status = engine::ContainerStatus::running;
            if (auto end = ends_with.find(info.spec.name); end != ends_with.end()) {
                info.state.status = engine::ContainerStatus::exited;
                info.state.exit_code = end->second;
            }
            if (auto turn = turns.find(info.spec.name); turn != turns.end()) info.state.health = turn->second;
            results.push_back({id, {}});
        }
        calls.push_back(call);
        changed_.notify_all();
        return results;
    }
    Status stop(const std::string& id, std::optional<engine::Nanoseconds> timeout) override {
        std::lock_guard lock(mutex_);
        auto& info = store.at(id);
        calls.push_back("stop " + info.spec.name + (timeout ? " " + base::format_duration(*timeout) : ""));
        info.state.status = engine::ContainerStatus::exited;
        changed_.notify_all();
        return {};
    }
    std::vector<Status> stop_many(const std::vector<engine::StopRequest>& requests,
                                  const std::function<void(size_t, const Status&)>& ended) override {
        note("stop_many of " + std::to_string(requests.size()));
        std::vector<Status> results;
        for (size_t i = 0; i < requests.size(); ++i) {
            results.push_back(stop(requests[i].id, requests[i].timeout));
            ended(i, results.back());
        }
        return results;
    }
    Status kill(const std::string& id, const std::string& signal) override {
        note("kill " + store.at(id).spec.name + " " + signal);
        return {};
    }
    Status restart(const std::string& id, std::optional<engine::Nanoseconds>, const std::string&) override {
        note("restart " + store.at(id).spec.name);
        return {};
    }
    Status pause(const std::string& id) override { note("pause " + store.at(id).spec.name); return {}; }
    Status unpause(const std::string& id) override { note("unpause " + store.at(id).spec.name); return {}; }
    Status remove(const std::string& id, bool, bool volumes) override {
        std::lock_guard lock(mutex_);
        calls.push_back("remove " + store.at(id).spec.name + (volumes ? " with volumes" : ""));
        store.erase(id);
        return {};
    }
    std::vector<Status> remove_many(const std::vector<engine::RemoveRequest>& requests) override {
        note("remove_many of " + std::to_string(requests.size()));
        return Engine::remove_many(requests);
    }
    Status rename(const std::string& id, const std::string& name) override {
        std::lock_guard lock(mutex_);
        calls.push_back("rename " + store.at(id).spec.name + " " + name);
        if (named(name)) return base::fail(Code::conflict, "name taken: " + name);
        store.at(id).spec.name = name;
        return {};
    }
    Status update(const std::string&, const engine::Resources&, const std::optional<engine::RestartPolicy>&) override { return {}; }
    Result<engine::ContainerInfo> container(const std::string& id) override {
        std::lock_guard lock(mutex_);
        if (auto found = store.find(id); found != store.end()) return found->second;
        if (auto* info = named(id)) return *info;
        return base::fail(Code::not_found, "no such container: " + id);
    }
    Result<std::vector<engine::ContainerInfo>> containers(const engine::ContainerFilter& filter) override {
        std::lock_guard lock(mutex_);
        std::vector<engine::ContainerInfo> result;
        for (const auto& [id, info] : store)
            if (matches(info.spec.labels, filter.labels)) result.push_back(info);
        return result;
    }
    Result<engine::ContainerInfo> wait_until(const std::string& id, const std::function<bool(const engine::ContainerInfo&)>& done,
                                             std::optional<std::chrono::steady_clock::time_point> deadline,
                                             const std::atomic<bool>* cancel) override {
        std::unique_lock lock(mutex_);
        calls.push_back("wait_until " + store.at(id).spec.name);
        while (!done(store.at(id))) {
            if (cancel && *cancel) return base::fail(Code::interrupted, "interrupted");
            if (!deadline)
                changed_.wait(lock);
            else if (changed_.wait_until(lock, *deadline) == std::cv_status::timeout)
                break;
        }
        return store.at(id);
    }
    void wake() {
        std::lock_guard lock(mutex_);
        changed_.notify_all();
    }
    Result<int> exec(const std::string& id, const engine::ExecOptions& exec_options) override {
        note("exec " + store.at(id).spec.name + " " + base::join(exec_options.argv, " "));
        return exec_status;
    }
    Result<engine::AttachResult> attach(const std::string&, const engine::AttachOptions&) override { return engine::AttachResult{}; }
    Result<engine::AttachResult> start_attached(const std::string&, const engine::AttachOptions&) override { return engine::AttachResult{}; }
    Status logs(const std::string& id, const engine::LogOptions&, const std::function<bool(const engine::LogLine&)>& sink,
                const std::atomic<bool>*) override {
        std::string text;
        {
            std::lock_guard lock(mutex_);
            text = log_text[store.at(id).spec.name];
        }
        for (const auto& line : base::split(text, '\n'))
            if (!line.empty() && !sink({.text = line})) break;
        return {};
    }
    Status copy_log(const std::string&, const engine::LogOptions&, int, const std::atomic<bool>*) override { return {}; }
    Result<std::vector<engine::ProcessRow>> top(const std::string&) override { return std::vector<engine::ProcessRow>{}; }
    Result<engine::ContainerStats> stats(const std::string&) override { return engine::ContainerStats{}; }
    Status copy_from(const std::string&, const std::string&, bool, int) override { return {}; }
    Status copy_to(const std::string&, const std::string&, int) override { return {}; }
    Result<PathStat> stat_path(const std::string&, const std::string&) override { return PathStat{}; }
    Status export_container(const std::string&, int) override { return {}; }
    Result<std::string> commit(const std::string&, const engine::CommitOptions&) override { return std::string(); }
    Result<std::vector<std::string>> diff(const std::string&) override { return std::vector<std::string>{}; }
    Status events(engine::Time, engine::Time, const std::function<bool(const engine::Event&)>&, const std::atomic<bool>*) override { return {}; }
    Result<int64_t> last_event() override { return int64_t{0}; }
    Status events_after(int64_t, engine::Time, const std::function<bool(const engine::Event&)>&, const std::atomic<bool>*) override { return {}; }
    Result<uint64_t> log_position(const std::string&) override { return uint64_t{0}; }

private:
    void note(std::string call) {
        std::lock_guard lock(mutex_);
        calls.push_back(std::move(call));
    }
    std::string new_id() {
        // As with real ones, twelve digits are enough to tell them apart.
        std::string id = std::to_string(++last_id_);
        return std::string(12 - id.size(), '0') + id + std::string(52, '0');
    }
    static bool matches(const engine::Labels& labels, const engine::Labels& wanted) {
        for (const auto& [name, value] : wanted) {
            auto found = labels.find(name);
            if (found == labels.end() || (!value.empty() && found->second != value)) return false;
        }
        return true;
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    engine::EngineOptions options_;
    int last_id_ = 0;
};

}  // namespace compose::run::test
