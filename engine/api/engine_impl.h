#pragma once
// The engine over its parts. One class, its verbs parted by subject into the .cpp files of this folder; each file's public
// verbs come first. Everything is opened late: a command that only reads the store opens nothing else.
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/engine.h"
#include "image/image_store.h"
#include "store/store.h"
#include "supervisor/client.h"
#include "volume/volume_store.h"

namespace engine::api {

using supervisor::SupervisorClient;

class EngineImpl final : public Engine {
public:
    EngineImpl(EngineOptions options, std::unique_ptr<store::Store> store);

    const EngineOptions& options() const override { return options_; }
    Result<base::UniqueFd> lock_group(const std::function<void(const std::string&)>& waiting) override;

    // images.cpp
    std::vector<Result<ImageInfo>> pull(const std::vector<PullRequest>& requests, const PullOptions& options) override;
    Result<ImageInfo> image(const std::string& reference) override;
    Result<std::vector<ImageInfo>> images() override;
    Result<RemovedImage> remove_image(const std::string& reference, bool force) override;
    Status tag_image(const std::string& source, const std::string& target) override;
    Status push(const std::string& reference, const PushOptions& options) override;
    Result<std::string> resolve_digest(const std::string& reference) override;
    Result<std::pair<std::vector<std::string>, uint64_t>> prune_images(bool all) override;
    Status save_images(const std::vector<std::string>& references, int fd) override;
    Result<std::vector<std::string>> load_images(int fd) override;
    Result<std::string> import_image(int fd, const CommitOptions& options) override;
    Result<ImageDetail> image_detail(const std::string& reference) override;
    Result<VerifyResult> verify_images(const VerifyOptions& options) override;
    Result<DiskUsage> disk_usage() override;  // usage.cpp

    // networks.cpp
    Result<NetworkInfo> create_network(const NetworkSpec& spec) override;
    Result<NetworkInfo> network(const std::string& name) override;
    Result<std::vector<NetworkInfo>> networks(const Labels& labels) override;
    Status remove_network(const std::string& name) override;

    // volumes.cpp
    Result<VolumeInfo> create_volume(const VolumeSpec& spec) override;
    Result<VolumeInfo> volume(const std::string& name) override;
    Result<std::vector<VolumeInfo>> volumes(const Labels& labels) override;
    Status remove_volume(const std::string& name) override;

    // create.cpp
    Result<std::string> create(const ContainerSpec& spec) override;
    std::vector<Result<std::string>> create_many(const std::vector<ContainerSpec>& specs) override;

    // lifecycle.cpp
    Status start(const std::string& id) override;
    std::vector<StartResult> start_many(const std::vector<std::string>& ids) override;
    Status stop(const std::string& id, std::optional<Nanoseconds> timeout) override;
    std::vector<Status> stop_many(const std::vector<StopRequest>& requests, const std::function<void(size_t, const Status&)>& ended) override;
    Status kill(const std::string& id, const std::string& signal) override;
    Status restart(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal) override;
    Status pause(const std::string& id) override;
    Status unpause(const std::string& id) override;

    // containers.cpp
    Status remove(const std::string& id, bool force, bool volumes) override;
    std::vector<Status> remove_many(const std::vector<RemoveRequest>& requests) override;
    Status rename(const std::string& id, const std::string& name) override;
    Status update(const std::string& id, const Resources& resources, const std::optional<RestartPolicy>& restart) override;
    Result<ContainerInfo> container(const std::string& id) override;
    Result<std::vector<ContainerInfo>> containers(const ContainerFilter& filter) override;

    // observe.cpp
    Result<ContainerInfo> wait_until(const std::string& id, const std::function<bool(const ContainerInfo&)>& done,
                                     std::optional<std::chrono::steady_clock::time_point> deadline, const std::atomic<bool>* cancel) override;
    Status logs(const std::string& id, const LogOptions& options, const std::function<bool(const LogLine&)>& sink,
                const std::atomic<bool>* cancel) override;
    Status copy_log(const std::string& id, const LogOptions& options, int fd, const std::atomic<bool>* cancel) override;
    Result<uint64_t> log_position(const std::string& id) override;
    Status events(Time since, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) override;
    Result<int64_t> last_event() override;
    Status events_after(int64_t sequence, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) override;

    // processes.cpp
    Result<int> exec(const std::string& id, const ExecOptions& options) override;
    Result<AttachResult> attach(const std::string& id, const AttachOptions& options) override;
    Result<AttachResult> start_attached(const std::string& id, const AttachOptions& options) override;
    Result<std::vector<ProcessRow>> top(const std::string& id) override;
    Result<ContainerStats> stats(const std::string& id) override;

    // files.cpp
    Status copy_from(const std::string& id, const std::string& path, bool follow_link, int tar_fd) override;
    Status copy_to(const std::string& id, const std::string& path, int tar_fd) override;
    Result<PathStat> stat_path(const std::string& id, const std::string& path) override;
    Status export_container(const std::string& id, int tar_fd) override;
    Result<std::string> commit(const std::string& id, const CommitOptions& options) override;
    Result<std::vector<std::string>> diff(const std::string& id) override;

    // sizes.cpp
    Result<uint64_t> layer_size(const std::string& id) override;

    // recovery.cpp
    /// Finishes what a killed process or a reboot left; one query when there is nothing to do.
    Status recover();

private:
    // recovery.cpp
    /// Held while files and rows of the state differ (creation, removal): nobody sweeps meanwhile.
    std::optional<base::FileLock> hold_files();
    /// Removes folders of containers and volumes that have no row, left by a command that was killed. Ignored when it fails.
    void sweep();

    store::Store& store() { return *store_; }
    const store::Paths& paths() const { return store_->paths(); }
    volume::VolumeStore volume_store() { return volume::VolumeStore(*store_); }
    Result<image::ImageStore*> image_store();
    /// Whether a container is made of the image.
    image::ImageInUse image_in_use();
    /// The configuration of a container's image, read once per image.
    Result<ImageConfig> image_config(const ContainerInfo& container);

    /// The supervisor of a group, started when none runs.
    Result<SupervisorClient*> supervisor(const std::string& group);
    /// The running one, or nullptr: nothing of the group runs.
    Result<std::unique_ptr<SupervisorClient>> running_supervisor(const std::string& group);
    /// Whoever may end a container: the running supervisor, else a new one that takes a living process over (guardian and
    /// supervisor were both killed); nullptr: it only seems to run, recover() says so in the store.
    Result<std::unique_ptr<SupervisorClient>> supervisor_of(const ContainerInfo& container);

    /// The container, refused unless a process runs in it.
    Result<ContainerInfo> running_container(const std::string& id);

    // networks.cpp
    std::string nft_table() const;
    /// The default network of containers that name none, made when absent.
    Result<NetworkInfo> default_network();
    /// Bridges of these networks are there (a reboot takes them). One error names the network.
    Status ensure_networks(const std::vector<std::string>& names);
    /// Removes the default network when its last user has gone.
    void drop_default_network();

    // create.cpp
    struct Draft;
    Result<Draft> draft(ContainerSpec spec, std::map<std::string, ImageInfo>& images);
    Status make_volumes(Draft& draft);

    // containers.cpp
    Status end_for_removal(const ContainerInfo& container);
    Status remove_files_of(const ContainerInfo& container);
    Status drop_volumes_of(const ContainerInfo& container, bool anonymous);

    // lifecycle.cpp
    void tell(const std::string& name, const std::string& note) const;
    Status prepare_start(const ContainerInfo& container);

    // observe.cpp
    Status check_readable_log(const ContainerInfo& container) const;

    // files.cpp
    class Root;
    Result<Root> open_root(const ContainerInfo& container);

    EngineOptions options_;
    std::unique_ptr<store::Store> store_;
    std::mutex mutex_;  ///< of what is opened late, below
    std::unique_ptr<image::ImageStore> images_;
    std::map<std::string, std::unique_ptr<SupervisorClient>> supervisors_;
    std::map<std::string, ImageConfig> configs_;
};

/// Checks of a spec that need neither image nor kernel; texts as Docker's. spec_check.cpp, pure.
Status check_spec(const ContainerSpec& spec);
/// A container's name as Docker takes it: a letter or digit, then letters, digits, `_.-`.
Status check_name(const std::string& name);

/// pid of the container's process when it is the one that was started (not another with the same number).
bool is_alive(const ContainerState& state);
/// Field 22 of /proc/PID/stat, clock ticks since boot; 0 when there is no such process.
uint64_t process_start_time(pid_t pid);

/// Whether a process of the container is there: running or paused.
inline bool has_process(const ContainerState& state) {
    return state.status == ContainerStatus::running || state.status == ContainerStatus::paused;
}
/// Running, or waiting to be restarted: the supervisor is at it.
inline bool is_active(const ContainerState& state) { return has_process(state) || state.status == ContainerStatus::restarting; }

}  // namespace engine::api
