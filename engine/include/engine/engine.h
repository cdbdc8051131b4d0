#pragma once
// The engine as a front end sees it: verbs on images, networks, volumes and containers. One Engine per process; its methods
// may be called from several threads at once. Long verbs take a progress callback that may be called from any thread.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "engine/types.h"

namespace engine {

using base::Result;
using base::Status;

/// How registries are spoken to, besides what the machine's files say (daemon.json, registries.conf, certs.d).
struct RegistryAccess {
    bool tls_verify = true;             ///< false: no certificate is verified, plain HTTP where a registry speaks only that
    std::vector<std::string> insecure;  ///< the same for these alone: host, host:port or network
};

struct EngineOptions {
    std::string root;         ///< empty: COMPOSE_ROOT, else /var/lib/compose, or XDG_DATA_HOME/compose without root
    std::string run_dir;      ///< empty: /run/compose (or XDG_RUNTIME_DIR/compose); another root has a run folder of its own
    std::string group;        ///< the Compose project: containers created here run under its supervisor
    RegistryAccess registries;
    bool will_start = false;  ///< containers will be started: their supervisor is brought up while the command gets ready
    /// What is worth telling but no error: a container's name and a sentence (a stop signal that PID 1 cannot hear …). From
    /// any thread. Empty: logged as a warning.
    std::function<void(const std::string& container, const std::string& text)> notice;
};

// ---- images -----------------------------------------------------------------------------------------------------------

struct PullProgress {
    enum class Phase : uint8_t { resolving, waiting, downloading, extracting, exists, done };
    std::string reference;  ///< as given in the request
    std::string layer;      ///< first 12 digits; empty: about the whole image
    Phase phase = Phase::resolving;
    uint64_t current = 0, total = 0;  ///< bytes
};
struct PullRequest {
    std::string reference;
    std::string platform;  ///< empty: this machine's
};
struct PullOptions {
    std::function<void(const PullProgress&)> progress;
    const std::atomic<bool>* cancel = nullptr;
    bool tls_verify = true;
};
struct PushOptions {
    std::function<void(const PullProgress&)> progress;
    const std::atomic<bool>* cancel = nullptr;
    bool tls_verify = true;
};
/// All that is known of one image.
struct ImageDetail {
    ImageInfo image;
    std::string config;                    ///< the configuration's bytes (JSON)
    std::vector<uint64_t> layer_sizes;     ///< unpacked, as `image.layers`
    std::vector<std::string> layer_dirs;   ///< overlay lower folders, lowest first
};
struct VerifyOptions {
    std::vector<std::string> references;  ///< empty: every layer
    bool repair = false;                  ///< what is broken is fetched or unpacked again
    const std::atomic<bool>* cancel = nullptr;
};
struct VerifyResult {
    size_t layers = 0;                  ///< looked at
    std::vector<std::string> problems;  ///< a line each: what is wrong, and with `repair` what became of it
    size_t broken = 0;                  ///< problems that are still there
};

/// What takes how much room: `system df`. Bytes.
struct DiskUsage {
    struct ImageUse {
        ImageInfo image;
        uint64_t shared = 0;   ///< of its size, in layers that other images have too
        size_t containers = 0;
    };
    struct ContainerUse {
        ContainerInfo container;
        uint64_t size = 0;  ///< what it has written, and its log
    };
    struct VolumeUse {
        VolumeInfo volume;
        uint64_t size = 0;
        size_t containers = 0;
    };
    std::vector<ImageUse> images;
    std::vector<ContainerUse> containers;
    std::vector<VolumeUse> volumes;
    uint64_t layers = 0;         ///< of all images, each layer counted once, unpacked
    uint64_t unused_layers = 0;  ///< of those, in layers that only images without a container have
    uint64_t packed = 0;         ///< layers as registries give them, kept for push, save and repair
};

struct RemovedImage {
    std::vector<std::string> untagged, deleted;
};
struct CommitOptions {
    std::string reference, author, message;
    std::vector<std::string> changes;  ///< Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR
    bool pause = true;
};

// ---- containers -------------------------------------------------------------------------------------------------------

struct ContainerFilter {
    Labels labels;              ///< all must match; an empty value matches any
    std::vector<std::string> ids;  ///< full ids; empty: all
};
struct LogOptions {
    bool follow = false, timestamps = false;
    int64_t tail = -1;  ///< lines from the end; -1: all
    Time since = 0, until = 0;
    std::optional<uint64_t> from{};  ///< begins at this position instead of by `since` and `tail`; no jump of the clock moves it
    uint64_t* reached = nullptr;   ///< gets the position behind what was read
};
/// One line of a log without its newline, or a part of a longer one.
struct LogLine {
    Time time = 0;
    bool is_stderr = false;
    bool ends_line = true;
    std::string_view text;
};
struct StreamSet {  ///< fds that a process gets or that an attach copies from and to; -1: none
    int in = -1, out = -1, err = -1;
};
struct ExecOptions {
    std::vector<std::string> argv, env;
    std::string user, working_dir;
    bool tty = false, privileged = false, detach = false, interactive = true;
    std::string detach_keys;
    StreamSet streams{0, 1, 2};
};
struct AttachOptions {
    bool tty = false, stdin_open = true, signal_proxy = true, from_start = false;
    std::string detach_keys;  ///< "ctrl-p,ctrl-q" when empty
    StreamSet streams{0, 1, 2};
};
struct AttachResult {
    bool detached = false;  ///< the container runs on: the detach keys were typed, or our terminal is gone
    bool hung_up = false;   ///< our terminal is gone
    int exit_code = 0;      ///< the container's; detached: 0, hung up: 128 and SIGHUP
};
struct ContainerStats {
    std::string id, name;
    uint64_t cpu_ns = 0, system_ns = 0, memory = 0, memory_limit = 0, net_in = 0, net_out = 0, block_in = 0, block_out = 0, pids = 0;
    Time read = 0;
    int cpus = 1;
};
struct ProcessRow {
    std::string uid, pid, ppid, c, stime, tty, time, command;
};
struct StartResult {
    std::string id;
    Status status;
};

struct StopRequest {
    std::string id;
    std::optional<Nanoseconds> timeout;  ///< nullopt: the container's own
    std::string signal;                  ///< instead of the container's stop signal, once; empty: that one
};
struct RemoveRequest {
    std::string id;
    bool force = false, volumes = false;
};

class Engine {
public:
    /// Opens the state; makes it when absent. Recovers what a killed process left half-made.
    static Result<std::unique_ptr<Engine>> open(EngineOptions options);
    virtual ~Engine() = default;
    virtual const EngineOptions& options() const = 0;

    /// Holds the group's lock: two `up` of one project wait for each other. `waiting` is called when another holds it.
    virtual Result<base::UniqueFd> lock_group(const std::function<void(const std::string&)>& waiting) = 0;

    // images
    /// All layers of all images under one bound; one result per request, in order.
    virtual std::vector<Result<ImageInfo>> pull(const std::vector<PullRequest>& requests, const PullOptions& options) = 0;
    /// By reference (normalised as Docker does), id or unique id prefix. not_found when absent.
    virtual Result<ImageInfo> image(const std::string& reference) = 0;
    virtual Result<std::vector<ImageInfo>> images() = 0;
    virtual Result<RemovedImage> remove_image(const std::string& reference, bool force) = 0;
    virtual Status tag_image(const std::string& source, const std::string& target) = 0;
    virtual Status push(const std::string& reference, const PushOptions& options) = 0;
    /// The reference with the digest that its registry gives for it (`docker.io/library/nginx:1@sha256:…`), without pulling;
    /// one that has a digest only loses its tag.
    virtual Result<std::string> resolve_digest(const std::string& reference) = 0;
    /// Images that nothing uses: without a reference, or all of them. Returns what went and the bytes freed.
    virtual Result<std::pair<std::vector<std::string>, uint64_t>> prune_images(bool all) = 0;
    virtual Status save_images(const std::vector<std::string>& references, int fd) = 0;
    virtual Result<std::vector<std::string>> load_images(int fd) = 0;
    /// A one-layer image of a tar of a root file system. Returns the id.
    virtual Result<std::string> import_image(int fd, const CommitOptions& options) = 0;
    virtual Result<ImageDetail> image_detail(const std::string& reference) = 0;
    /// Hashes packed layers again and compares unpacked ones with them.
    virtual Result<VerifyResult> verify_images(const VerifyOptions& options) = 0;
    virtual Result<DiskUsage> disk_usage() = 0;

    // networks
    virtual Result<NetworkInfo> create_network(const NetworkSpec& spec) = 0;
    virtual Result<NetworkInfo> network(const std::string& name) = 0;
    virtual Result<std::vector<NetworkInfo>> networks(const Labels& labels) = 0;
    /// conflict while a container uses it.
    virtual Status remove_network(const std::string& name) = 0;

    // volumes
    virtual Result<VolumeInfo> create_volume(const VolumeSpec& spec) = 0;
    virtual Result<VolumeInfo> volume(const std::string& name) = 0;
    virtual Result<std::vector<VolumeInfo>> volumes(const Labels& labels) = 0;
    virtual Status remove_volume(const std::string& name) = 0;

    // containers
    /// Checks the spec against the image and the kernel, and stores it. Returns the id; starts nothing. conflict: name taken.
    virtual Result<std::string> create(const ContainerSpec& spec) = 0;
    /// In one transaction; one result per spec, in order.
    virtual std::vector<Result<std::string>> create_many(const std::vector<ContainerSpec>& specs) = 0;
    virtual Status start(const std::string& id) = 0;
    /// Independent containers, started at once by the group's supervisor.
    virtual std::vector<StartResult> start_many(const std::vector<std::string>& ids) = 0;
    /// The stop signal, then SIGKILL after `timeout` (nullopt: the container's own, default 10 s). Not running: fine.
    virtual Status stop(const std::string& id, std::optional<Nanoseconds> timeout) = 0;
    /// All at once, each with its own grace period; `ended` is called as each has ended, from any thread. One result per
    /// request, in order. (This one: a thread each; an engine with a supervisor does better.)
    virtual std::vector<Status> stop_many(const std::vector<StopRequest>& requests, const std::function<void(size_t, const Status&)>& ended) {
        std::vector<Status> results(requests.size());
        std::vector<std::thread> threads;
        for (size_t i = 0; i < requests.size(); ++i)
            threads.emplace_back([&, i] {
                results[i] = stop(requests[i].id, requests[i].timeout);
                if (ended) ended(i, results[i]);
            });
        for (auto& thread : threads) thread.join();
        return results;
    }
    virtual Status kill(const std::string& id, const std::string& signal) = 0;
    virtual Status restart(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal = "") = 0;
    virtual Status pause(const std::string& id) = 0;
    virtual Status unpause(const std::string& id) = 0;
    /// `force` kills a running one; `volumes` removes its anonymous volumes too.
    virtual Status remove(const std::string& id, bool force, bool volumes) = 0;
    /// In one transaction; one result per request, in order. (This one: one by one.)
    virtual std::vector<Status> remove_many(const std::vector<RemoveRequest>& requests) {
        std::vector<Status> results;
        for (const auto& request : requests) results.push_back(remove(request.id, request.force, request.volumes));
        return results;
    }
    virtual Status rename(const std::string& id, const std::string& name) = 0;
    virtual Status update(const std::string& id, const Resources& resources, const std::optional<RestartPolicy>& restart) = 0;
    /// By id, unique id prefix or name.
    virtual Result<ContainerInfo> container(const std::string& id) = 0;
    virtual Result<std::vector<ContainerInfo>> containers(const ContainerFilter& filter) = 0;
    /// Waits until the state satisfies `done` or `deadline` (steady clock) passes; wakes on change, never polls by sleeping.
    virtual Result<ContainerInfo> wait_until(const std::string& id, const std::function<bool(const ContainerInfo&)>& done,
                                             std::optional<std::chrono::steady_clock::time_point> deadline,
                                             const std::atomic<bool>* cancel = nullptr) = 0;
    /// The exit code of an exec'ed process (0 when detached). cannot_execute / no_such_command as exit 126 / 127.
    virtual Result<int> exec(const std::string& id, const ExecOptions& options) = 0;
    /// Copies streams until the container ends or the detach keys are typed.
    virtual Result<AttachResult> attach(const std::string& id, const AttachOptions& options) = 0;
    /// Attach that is in place before the process starts, so that no byte is missed and its stdin is this one; starts it.
    virtual Result<AttachResult> start_attached(const std::string& id, const AttachOptions& options) = 0;
    /// Lines of one container in order; returning false from `sink` ends it. With follow: until it ends (over restarts) or cancel.
    virtual Status logs(const std::string& id, const LogOptions& options, const std::function<bool(const LogLine&)>& sink,
                        const std::atomic<bool>* cancel) = 0;
    /// The same log copied as bytes to an fd, stdout and stderr in the order written: as fast as the kernel copies.
    virtual Status copy_log(const std::string& id, const LogOptions& options, int fd, const std::atomic<bool>* cancel) = 0;
    /// Where its log ends now: bytes of both streams since it began.
    virtual Result<uint64_t> log_position(const std::string& id) = 0;
    virtual Result<std::vector<ProcessRow>> top(const std::string& id) = 0;
    virtual Result<ContainerStats> stats(const std::string& id) = 0;
    /// A tar stream of `path` in the container (running or not), as `docker cp`'s; numeric owners.
    virtual Status copy_from(const std::string& id, const std::string& path, bool follow_link, int tar_fd) = 0;
    /// Extracts a tar stream below `path`, which must be a folder; owners as in the archive unless `chown_to` is given.
    virtual Status copy_to(const std::string& id, const std::string& path, int tar_fd) = 0;
    struct PathStat {
        std::string name, link_target;
        uint32_t mode = 0;
        uint64_t size = 0;
        Time modified = 0;
    };
    virtual Result<PathStat> stat_path(const std::string& id, const std::string& path) = 0;
    virtual Status export_container(const std::string& id, int tar_fd) = 0;
    virtual Result<std::string> commit(const std::string& id, const CommitOptions& options) = 0;
    /// Changes against the image: "A /path", "C /path", "D /path".
    virtual Result<std::vector<std::string>> diff(const std::string& id) = 0;
    /// Bytes of the files that the container has written over its image.
    virtual Result<uint64_t> layer_size(const std::string& id) { return base::fail(base::Code::unsupported, "the layer of " + id + " has no known size"); }

    /// Events of the group (or all when it is empty) from `since`; blocks for new ones until `sink` returns false, `until`
    /// (0: never) has passed or cancel.
    virtual Status events(Time since, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) = 0;
    /// The number of the last event, and the events behind a number: what happens from now on, however the clock is set.
    virtual Result<int64_t> last_event() = 0;
    virtual Status events_after(int64_t sequence, Time until, const std::function<bool(const Event&)>& sink, const std::atomic<bool>* cancel) = 0;
};

}  // namespace engine
