#pragma once
// How a command talks to the supervisor of a group (a Compose project). Every verb is one connection of its own to
// RUN/<group>/supervisor.sock, so a client may be used from several threads. A supervisor that dies meanwhile is replaced by
// its guardian, and the verb is asked again: all verbs are idempotent.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"

namespace engine::supervisor {

using base::Result;
using base::Status;

/// Must be the first statement of main() of every program that uses a client (also of test programs): when this process was
/// started to be a guardian it never returns. The guardian is the program's own file executed anew, not a fork: SQLite's
/// locks, other threads' mutexes and the command's heap must not be carried over.
void enter_if_asked(int argc, char** argv);

struct StopOutcome {
    bool killed = false;  ///< SIGKILL was needed
    std::string note;     ///< for people: why nothing was waited for, and the cure; empty: nothing to say
};

class SupervisorClient {
public:
    /// The running supervisor of the group, else a fresh one; of several commands at once, one starts it. `options.root` and
    /// `options.run_dir` must be filled in. The group may be empty (containers of no project).
    static Result<std::unique_ptr<SupervisorClient>> connect_or_start(const EngineOptions& options, const std::string& group);
    /// nullptr when none runs (then nothing of the group runs).
    static Result<std::unique_ptr<SupervisorClient>> connect(const EngineOptions& options, const std::string& group);
    /// Begins to start one if none runs, and returns at once: a command that will need it calls this early. An unused one
    /// ends by itself after some seconds.
    static void prestart(const EngineOptions& options, const std::string& group);
    virtual ~SupervisorClient() = default;

    /// Starts created or exited containers; running ones are fine. `report` (may be empty) is called for each when it is
    /// done, from this thread; the results come in order of `ids`.
    virtual std::vector<StartResult> start_many(const std::vector<std::string>& ids,
                                                const std::function<void(const StartResult&)>& report) = 0;
    /// Returns when it has ended (state stored). Not running: fine, and a waiting restart is given up.
    virtual Result<StopOutcome> stop(const std::string& id, std::optional<Nanoseconds> timeout) = 0;
    /// All at once; `report` (may be empty) is called with the index of each as it has ended, from this thread.
    virtual std::vector<Result<StopOutcome>> stop_many(const std::vector<StopRequest>& requests,
                                                       const std::function<void(size_t, const Result<StopOutcome>&)>& report = {}) = 0;
    /// stop_many as the machine goes down: the containers count as running ones for what is to be restored.
    virtual std::vector<Result<StopOutcome>> halt_many(const std::vector<StopRequest>& requests,
                                                       const std::function<void(size_t, const Result<StopOutcome>&)>& report) = 0;
    /// "KILL", "SIGKILL", "9". SIGKILL returns when it has ended; another signal at once. not_running when it is not running.
    virtual Status kill(const std::string& id, const std::string& signal) = 0;
    virtual Result<StopOutcome> restart(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal = "") = 0;
    virtual Status pause(const std::string& id) = 0;
    virtual Status unpause(const std::string& id) = 0;
    /// The container's stored spec (restart policy, resources, name, aliases) has changed.
    virtual Status reload(const std::string& id) = 0;
    /// Attaches a running container to a network, or detaches it.
    virtual Status connect_network(const std::string& id, const Endpoint& endpoint) = 0;
    virtual Status disconnect_network(const std::string& id, const std::string& network) = 0;
    /// The supervisor and its guardian become this program; the containers run on. Returns when the new one answers.
    virtual Status hand_over(const std::string& program) = 0;
    /// Copies streams until the container ends or the detach keys are typed. `start`: is in place first, then starts it.
    virtual Result<AttachResult> attach(const std::string& id, const AttachOptions& options, bool start) = 0;
};

}  // namespace engine::supervisor
