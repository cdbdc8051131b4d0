#include "supervisor/client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "log/log_reader.h"
#include "runtime/terminal.h"
#include "store/store.h"
#include "supervisor/guardian.h"
#include "supervisor/keepers.h"
#include "supervisor/protocol.h"
#include "supervisor/spawn.h"
#include "supervisor/starter.h"

namespace engine::supervisor {

using base::Code;
using base::fail;

namespace {

constexpr int kMostTries = 20;
using ClientClock = std::chrono::steady_clock;
constexpr auto kLookAtKeepers = std::chrono::seconds(3);

Result<store::Paths> paths_of(const EngineOptions& options) {
    if (!options.root.empty() && !options.run_dir.empty()) {
        store::Paths paths;
        paths.root = options.root;
        paths.run = options.run_dir;
        return paths;
    }
    return store::Paths::resolve(options.root, options.run_dir);
}

/// Never 0.
uint64_t fresh_token() {
    uint64_t token = 0;
    while (token == 0)
        if (::getrandom(&token, sizeof token, 0) != static_cast<ssize_t>(sizeof token)) token = 0;
    return token >> 1 | 1;  // JSON's numbers are signed
}

class SocketClient final : public SupervisorClient {
public:
    SocketClient(store::Paths paths, std::string group) : paths_(std::move(paths)), group_(std::move(group)) {}

    std::vector<StartResult> start_many(const std::vector<std::string>& ids, const std::function<void(const StartResult&)>& report) override {
        std::vector<StartResult> results;
        std::map<std::string, size_t> places;
        for (const auto& id : ids) {
            places[id] = results.size();
            results.push_back({id, fail(Code::unavailable, "the supervisor gave no answer")});
        }
        if (ids.empty()) return results;
        Request request;
        request.verb = "start";
        request.ids = ids;
        auto asked = ask(request, [&](const Reply& reply) {
            auto place = places.find(reply.id);
            if (place == places.end()) return;
            StartResult& result = results[place->second];
            result.status = reply.error ? Status(base::Error(*reply.error)) : Status{};
            if (report) report(result);
        });
        if (!asked)
            for (auto& result : results)
                if (!result.status && result.status.error().code == Code::unavailable) result.status = base::Error(asked.error());
        return results;
    }

    Result<StopOutcome> stop(const std::string& id, std::optional<Nanoseconds> timeout) override {
        return std::move(stop_many({{id, timeout, ""}}, {}).front());
    }

    std::vector<Result<StopOutcome>> stop_many(const std::vector<StopRequest>& requests,
                                               const std::function<void(size_t, const Result<StopOutcome>&)>& report) override {
        return outcomes("stop", requests, report);
    }

    std::vector<Result<StopOutcome>> halt_many(const std::vector<StopRequest>& requests,
                                               const std::function<void(size_t, const Result<StopOutcome>&)>& report) override {
        return outcomes("halt", requests, report);
    }

    Result<StopOutcome> restart(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal) override {
        return std::move(outcomes("restart", {{id, timeout, signal}}, {}).front());
    }

    Status kill(const std::string& id, const std::string& signal) override {
        Request request;
        request.verb = "kill";
        request.signal = signal;
        return simple(std::move(request), id);
    }
    Status pause(const std::string& id) override { return simple("pause", id); }
    Status unpause(const std::string& id) override { return simple("unpause", id); }
    Status reload(const std::string& id) override { return simple("reload", id); }
    Status connect_network(const std::string& id, const Endpoint& endpoint) override {
        Request request;
        request.verb = "connect";
        request.endpoint = to_json(endpoint);
        return simple(std::move(request), id);
    }
    Status disconnect_network(const std::string& id, const std::string& network) override {
        Request request;
        request.verb = "disconnect";
        request.network = network;
        return simple(std::move(request), id);
    }
    Status hand_over(const std::string& program) override {
        Request request;
        request.verb = "hand over";
        request.program = program;
        Status status;
        TRY_VOID(ask(request, [&](const Reply& reply) {
            if (reply.error) status = base::Error(*reply.error);
        }));
        return status;
    }
    Result<AttachResult> attach(const std::string& id, const AttachOptions& options, bool start) override;

private:
    /// Sends a request and gives each reply to `take`, until the end. Asked again when the supervisor dies meanwhile: its
    /// guardian starts the next one.
    Status ask(Request request, const std::function<void(const Reply&)>& take) {
        request.token = fresh_token();
        for (int attempt = 1;; attempt++) {
            auto fd = TRY(connect_or_spawn(paths_, group_));
            const auto silent = [this] { return wake_keepers(paths_, group_); };
            auto sent = send_frame(fd.get(), to_json(request), {}, silent);
            if (!sent && sent.error().sys_errno == 0) return sent;  // nobody will take it
            if (sent) {
                for (;;) {
                    auto frame = TRY(receive_frame(fd.get(), silent));
                    if (!frame) break;
                    auto reply = TRY(reply_from_json(frame->json));
                    if (reply.end) return {};
                    take(reply);
                }
            }
            if (attempt == kMostTries) return fail(Code::unavailable, "the supervisor of \"" + group_ + "\" ends before it answers");
        }
    }

    std::vector<Result<StopOutcome>> outcomes(const std::string& verb, const std::vector<StopRequest>& requests,
                                              const std::function<void(size_t, const Result<StopOutcome>&)>& report) {
        std::vector<Result<StopOutcome>> results;
        std::map<std::string, size_t> places;
        Request request;
        request.verb = verb;
        for (const auto& each : requests) {
            places[each.id] = results.size();
            results.emplace_back(fail(Code::unavailable, "the supervisor gave no answer"));
            request.ids.push_back(each.id);
            if (!each.signal.empty()) request.signals.resize(request.ids.size());
            if (!each.signal.empty()) request.signals.back() = each.signal;
            // -1 is "the container's own" on the way; a caller's negative grace, without end, is another negative number.
            request.timeouts_ns.push_back(!each.timeout ? -1 : each.timeout->count() < 0 ? -2 : each.timeout->count());
        }
        if (requests.empty()) return results;
        auto asked = ask(request, [&](const Reply& reply) {
            auto place = places.find(reply.id);
            if (place == places.end()) return;
            auto& result = results[place->second];
            result = reply.error ? Result<StopOutcome>(base::Error(*reply.error)) : Result<StopOutcome>(StopOutcome{reply.killed, reply.note});
            if (report) report(place->second, result);
        });
        if (!asked)
            for (auto& result : results)
                if (!result && result.error().code == Code::unavailable) result = base::Error(asked.error());
        return results;
    }

    Status simple(Request request, const std::string& id) {
        request.ids = {id};
        Status status;
        TRY_VOID(ask(request, [&](const Reply& reply) {
            if (reply.error) status = base::Error(*reply.error);
        }));
        return status;
    }
    Status simple(const char* verb, const std::string& id) {
        Request request;
        request.verb = verb;
        return simple(std::move(request), id);
    }

    store::Paths paths_;
    std::string group_;
};

/// Output comes from the log, which is followed from where it was before the start; input goes straight into the container's
/// pipe or terminal, whose fd the supervisor hands over. So a supervisor that dies disturbs neither.
class Attached {
public:
    Attached(const store::Paths& paths, const std::string& group, const std::string& id, const AttachOptions& options)
        : paths_(paths), group_(group), id_(id), options_(options) {}

    Result<AttachResult> run(base::UniqueFd connection, base::UniqueFd input, bool tty, const std::string& folder, uint64_t from) {
        connection_ = std::move(connection);
        int ends[2];
        // Its end tells the copier of the input that all output has been written.
        if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe");
        base::UniqueFd over(ends[0]), follower_end(ends[1]);
        Status followed;
        std::thread follower([&] {
            log::Follow follow;
            follow.from = from;
            follow.live = [this] { return live(); };
            follow.wake_fd = connection_.get();
            follow.woken = [this] { read_connection(); };
            follow.cancel = &cancel_;
            follow.progress = [this](uint64_t position) { tell_position(position); };
            const int err = tty ? -1 : options_.streams.err;
            followed = log::copy_streams(folder, follow, options_.streams.out, err);
            follower_end.reset();
        });
        runtime::CopyJob job;
        job.local.in = input && options_.stdin_open ? options_.streams.in : -1;
        job.local.out = job.local.err = -1;
        job.remote_in = job.local.in >= 0 ? input.get() : -1;
        job.remote_out = over.get();
        job.tty = tty && input;
        job.watch_keys = tty;
        job.detach_keys = options_.detach_keys;
        // Without a terminal the end of our input is the end of the container's, where no one else holds its pipe.
        if (!tty) job.close_input = [&] { input.reset(); };
        auto copied = runtime::copy_streams(job);
        const bool detached = copied && (*copied == runtime::CopyEnd::detached || *copied == runtime::CopyEnd::local_gone);
        if (detached || !copied) cancel_ = true;
        follower.join();
        if (!copied) return base::Error(copied.error());
        AttachResult result;
        result.detached = detached;
        result.hung_up = *copied == runtime::CopyEnd::local_gone;
        if (result.hung_up) result.exit_code = 128 + SIGHUP;
        if (result.detached) return result;
        if (!followed && followed.error().sys_errno != EPIPE) return base::Error(followed.error());
        result.exit_code = exit_code_.value_or(0);
        return result;
    }

private:
    /// Until the supervisor says that it has ended; when that one is gone, by the stored state.
    bool live() {
        if (exit_code_) return false;
        if (const auto now = ClientClock::now(); now >= look_) {
            look_ = now + kLookAtKeepers;
            (void)wake_keepers(paths_, group_);  // ignored: it has been said, and the container runs on
        }
        if (connection_ && !lost_) return true;
        if (!store_) return false;
        auto state = store_->container_state(id_);
        if (!state) return false;
        if (state->status == ContainerStatus::running || state->status == ContainerStatus::paused || state->status == ContainerStatus::restarting) return true;
        exit_code_ = state->exit_code;
        return false;
    }

    void read_connection() {
        if (lost_) {
            if (changes_) changes_->drain();
            return;
        }
        auto frame = receive_frame(connection_.get());
        if (!frame || !*frame) {
            // A new supervisor does not know us; the copying goes on without it, and the state tells of the end. Its changes come
            // at the same number, which the copier waits for.
            if (!lost_) {
                lost_ = true;
                if (auto opened = store::Store::open(paths_)) store_ = std::move(*opened);
                if (store_)
                    if (auto watch = store_->watch()) changes_.emplace(std::move(*watch));
                base::UniqueFd never(::eventfd(0, EFD_CLOEXEC));
                auto changed = changes_ ? changes_->fd() : Result<int>(never.get());
                (void)::dup3(changed ? *changed : never.get(), connection_.get(), O_CLOEXEC);
            }
            return;
        }
        auto reply = reply_from_json((*frame)->json);
        if (reply && reply->exited) exit_code_ = *reply->exited;
    }

    void tell_position(uint64_t position) {
        if (lost_ || position < told_ + (1u << 20)) return;
        told_ = position;
        Reply where;
        where.position = position;
        (void)send_frame(connection_.get(), to_json(where));  // ignored: its end is seen by reading
    }

    store::Paths paths_;
    std::string group_, id_;
    AttachOptions options_;
    ClientClock::time_point look_ = ClientClock::now() + kLookAtKeepers;
    base::UniqueFd connection_;
    std::unique_ptr<store::Store> store_;
    std::optional<store::ChangeWatch> changes_;
    std::optional<int> exit_code_;
    std::atomic<bool> cancel_{false};
    bool lost_ = false;
    uint64_t told_ = 0;
};

Result<AttachResult> SocketClient::attach(const std::string& id, const AttachOptions& options, bool start) {
    std::string folder;
    {
        auto store = TRY(store::Store::open(paths_));
        folder = log_folder(paths_, TRY(store->container(id)));
    }
    const uint64_t before = options.from_start ? 0 : log::end_position(folder);
    Request request;
    request.verb = "attach";
    request.ids = {id};
    request.start = start;
    request.position = before;
    request.token = fresh_token();
    for (int attempt = 1; attempt <= kMostTries; attempt++) {
        auto connection = TRY(connect_or_spawn(paths_, group_));
        const auto silent = [this] { return wake_keepers(paths_, group_); };
        auto sent = send_frame(connection.get(), to_json(request), {}, silent);
        if (!sent && sent.error().sys_errno == 0) return std::move(sent.error());  // nobody will take it
        if (!sent) continue;
        auto frame = TRY(receive_frame(connection.get(), silent));
        if (!frame) continue;
        auto reply = TRY(reply_from_json(frame->json));
        if (reply.error) return base::Error(*reply.error);
        if (!reply.attached) return fail(Code::corrupt, "answer of the supervisor is malformed");
        base::UniqueFd input = frame->fds.empty() ? base::UniqueFd() : std::move(frame->fds.front());
        const uint64_t from = start || options.from_start ? before : reply.position.value_or(before);
        return Attached(paths_, group_, id, options).run(std::move(connection), std::move(input), reply.tty, folder, from);
    }
    return fail(Code::unavailable, "the supervisor of \"" + group_ + "\" ends before it answers");
}

}  // namespace

Result<std::unique_ptr<SupervisorClient>> SupervisorClient::connect_or_start(const EngineOptions& options, const std::string& group) {
    auto paths = TRY(paths_of(options));
    // The connection itself is the caller's word that it will ask: it keeps a fresh supervisor from ending at once.
    (void)TRY(connect_or_spawn(paths, group));
    return std::unique_ptr<SupervisorClient>(std::make_unique<SocketClient>(std::move(paths), group));
}

Result<std::unique_ptr<SupervisorClient>> SupervisorClient::connect(const EngineOptions& options, const std::string& group) {
    auto paths = TRY(paths_of(options));
    auto fd = TRY(connect_socket(paths, group));
    if (!fd) return std::unique_ptr<SupervisorClient>();
    return std::unique_ptr<SupervisorClient>(std::make_unique<SocketClient>(std::move(paths), group));
}

void SupervisorClient::prestart(const EngineOptions& options, const std::string& group) {
    auto paths = paths_of(options);
    if (!paths || !paths->make()) return;
    auto lock = take_start_lock(*paths, false);
    if (!lock || !*lock) return;  // somebody is at it
    auto there = connect_socket(*paths, group);
    if (!there || *there) return;
    // ignored: who needs it starts it and gets the error
    auto ready = spawn_guardian(*paths, group, *lock);
}

}  // namespace engine::supervisor
