#pragma once
// The supervisor's state: one Unit a container, one Core for all of them. Everything here runs in the loop's thread but
// where a comment says otherwise. Its parts: core.cpp (begin, end, recovery, storing), core_start.cpp, core_stop.cpp,
// core_exit.cpp, core_log.cpp, core_health.cpp, server.cpp (connections).
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "log/log_writer.h"
#include "log/shipper.h"
#include "store/store.h"
#include "supervisor/client.h"
#include "supervisor/event_loop.h"
#include "supervisor/guardian.h"
#include "supervisor/health_machine.h"
#include "supervisor/restart_backoff.h"
#include "supervisor/starter.h"
#include "supervisor/workers.h"

namespace engine::supervisor {

class Server;

enum class Phase : uint8_t {
    idle,      ///< not running
    starting,  ///< a worker is at it
    running,   ///< also paused
    waiting,   ///< for its next start by policy
    cleaning,  ///< has ended; what it used is being taken away
};

/// A client that has a container's streams; slows the log down when it falls far behind.
struct Attachment {
    uint64_t position = 0;
    std::function<void(int exit_code, uint64_t end)> ended;
};

struct Probe;  ///< core_health.cpp

struct Unit {
    explicit Unit(std::string the_id) : id(std::move(the_id)) {}
    std::string id;
    ContainerInfo info;
    ImageConfig image;
    runtime::Resolved resolved;
    Phase phase = Phase::idle;

    base::PidFd process;
    Channels channels;
    std::unique_ptr<log::LogWriter> log;
    std::unique_ptr<log::LogShipper> shipper;
    EventLoop::FdHandle out_watch, err_watch, terminal_watch, oom_watch;
    base::UniqueFd oom_fd;
    bool log_stopped = false;  ///< held back for an attached reader
    bool never_hold = false;   ///< mode: non-blocking: a reader that is too slow misses what is rotated away
    std::set<std::shared_ptr<Attachment>> attachments;

    Clock::time_point began{};  ///< of its run; the wall clock may jump
    bool network_made = false;  ///< namespace, ports and resolver entries are there
    bool oom_seen = false;
    bool removing = false;      ///< auto_remove, waits for its last reader
    EventLoop::Timer removal_timer;

    RestartBackoff backoff;
    EventLoop::Timer restart_timer;
    std::optional<HealthMachine> health;
    EventLoop::Timer health_timer;
    std::shared_ptr<Probe> probe;

    // while it is being stopped
    EventLoop::Timer stop_timer;
    bool stopping = false, killed = false;
    bool halted = false;  ///< the machine goes down: its policy does not start it now, but when the machine is back
    int stop_signal = 0;  ///< while stopping: the one that was chosen
    std::string stop_note;
    Clock::time_point stop_deadline{};

    uint64_t wanted_token = 0;  ///< of the start that is to come; 0: by policy
    std::vector<std::function<void(const base::Status&)>> on_started;
    std::vector<std::function<void()>> on_ended;  ///< when it is idle again (or runs anew by policy)
    bool running() const { return phase == Phase::running; }
};

class Core {
public:
    Core(const store::Paths& paths, std::string group, GuardTable table, base::UniqueFd link, base::UniqueFd listen, pid_t guardian);
    ~Core();
    /// Opens the state, takes over what runs, serves until the end.
    base::Status run();

    // ---- verbs; `done` is called once, after the state is stored
    using Done = std::function<void(const base::Status&)>;
    using StopDone = std::function<void(const Result<StopOutcome>&)>;
    /// `token`: what a supervisor before this one has started for the same request is started, whatever became of it; 0: no such check.
    void start(const std::vector<std::string>& ids, uint64_t token, std::function<void(const std::string& id, const base::Status&)> done);
    /// `signal`: instead of the container's stop signal; "": that one.
    void stop(const std::string& id, std::optional<Nanoseconds> timeout, const std::string& signal, StopDone done) { end(id, timeout, false, signal, std::move(done)); }
    /// A stop that is no person's word: the container counts as one that ran.
    void halt(const std::string& id, std::optional<Nanoseconds> timeout, StopDone done) { end(id, timeout, true, "", std::move(done)); }
    void kill(const std::string& id, const std::string& signal, Done done);
    void restart(const std::string& id, uint64_t token, std::optional<Nanoseconds> timeout, const std::string& signal, StopDone done);
    void pause(const std::string& id, bool on, Done done);
    void reload(const std::string& id, Done done);
    void connect_network(const std::string& id, const Endpoint& endpoint, Done done);
    /// Fine at once when this is that program's process; else the connection ends, and the successor answers.
    base::Status hand_over(const std::string& program);
    void disconnect_network(const std::string& id, const std::string& network, Done done);
    /// Streams of a running container. The fds are borrowed until the caller's turn of the loop ends.
    struct Streams {
        bool tty = false;
        std::vector<int> fds;  ///< stdin's write end or the terminal; empty: no stdin
        uint64_t position = 0;
        std::shared_ptr<Attachment> attachment;
    };
    Result<Streams> attach(const std::string& id);
    /// For a container that is about to be started: in place before it runs, so that also its end is told.
    std::shared_ptr<Attachment> attach_ahead(const std::string& id, uint64_t position);
    /// What an attachment made ahead gets once it runs; no fds when it has already ended.
    Streams streams_of(const std::string& id, const std::shared_ptr<Attachment>& attachment);
    void stdin_given_away(const std::string& id);
    void attachment_moved(const std::string& id, const std::shared_ptr<Attachment>& attachment, uint64_t position);
    void detach(const std::string& id, const std::shared_ptr<Attachment>& attachment);

    EventLoop& loop() { return *loop_; }
    /// A request has come: with nothing running any more, it ends at once.
    void used() { was_used_ = true; }
    void after_flush(std::function<void()> action) { after_flush_.push_back(std::move(action)); }

private:
    friend struct Probe;
    Unit& unit(const std::string& id);
    Unit* find(const std::string& id);

    // core.cpp
    base::Status recover();
    void keep_for_client(const std::string& id);
    /// Removes what removes itself and was left by a supervisor that died, once its client has had the time to read its exit code.
    void remove_later(const std::string& id);
    base::Status adopt_running(Unit& unit, const Kept* kept);
    void watch_others();
    void read_others();
    void link_ready();
    void go_over();
    bool guardian_is_gone();
    void guardian_gone();
    base::Status keep(const std::string& id, const Launched& launched);  ///< any thread
    void tell_guardian(GuardMessage::Type type, const Unit& unit, pid_t pid);
    bool tell_guardian(GuardMessage& message, std::span<const int> fds);  ///< fds: by the bit of the mask, -1 for none; false: it is gone
    void each_round();
    base::Status flush();
    void forget_unstored();
    void maybe_end();
    void save(Unit& unit) { dirty_.insert(unit.id); }
    void save_runtime(Unit& unit) { dirty_.insert(unit.id), dirty_runtime_.insert(unit.id); }
    void event(Unit& unit, std::string action, Labels more = {});

    // core_start.cpp
    void start_wave();
    void started(std::vector<StartItem>& items);
    void enter_running(Unit& unit, StartItem& item);
    void started_before(Unit& unit);
    void begin_health(Unit& unit, bool resumed);
    void guard_networks();

    // core_log.cpp
    base::Status open_log(Unit& unit);
    void end_shipping(Unit& unit);
    void begin_log(Unit& unit);
    void pump(Unit& unit, log::Stream stream);
    void pump_terminal(Unit& unit);
    void drain(Unit& unit);
    bool held_back(Unit& unit);
    void update_kept(Unit& unit);

    // core_stop.cpp
    void end(const std::string& id, std::optional<Nanoseconds> timeout, bool by_machine, const std::string& signal, StopDone done);
    static void note_reason(Unit& unit, bool by_machine);
    void begin_stop(Unit& unit, std::optional<Nanoseconds> timeout, int signal);
    struct Listening {
        Clock::time_point give_up, asleep_since;
        uint64_t switches;  ///< of its first thread, as last seen
    };
    void listen_again(Unit& unit, int signal, Listening listening);
    void kill_now(Unit& unit);
    void send_signal(Unit& unit, int signal);
    void give_up_waiting(Unit& unit);

    // core_exit.cpp
    void exited(const std::string& id, pid_t pid, int32_t status, Time time);
    void on_exit(Unit& unit, int32_t status, Time time);
    void clean_wave();
    void cleaned(const std::vector<std::string>& ids);
    void settle(Unit& unit);
    void remove_now(Unit& unit);

    // core_health.cpp
    void schedule_probe(Unit& unit);
    void begin_probe(const std::string& id);
    void end_probe(Unit& unit, int exit_code, std::string output);

    store::Paths paths_;
    std::string group_;
    GuardTable table_;
    base::UniqueFd link_, listen_;
    pid_t guardian_;
    std::unique_ptr<EventLoop> loop_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<NetworkServices> services_;
    std::unique_ptr<Starter> starter_;
    std::unique_ptr<Server> server_;
    std::map<std::string, std::unique_ptr<Unit>> units_;

    std::vector<std::string> to_start_;  ///< begun together in this round
    std::set<std::string> dirty_, dirty_runtime_;
    std::vector<Event> events_;
    struct Acknowledge {
        std::string id;
        pid_t pid;
    };
    std::vector<Acknowledge> acknowledge_;  ///< exits that the next flush stores
    std::vector<std::function<void()>> after_flush_;
    std::vector<std::string> to_clean_;
    struct EarlyExit {
        int32_t status;
        Time time;
    };
    std::map<std::pair<std::string, pid_t>, EarlyExit> early_exits_;  ///< told before the start's result came
    std::set<std::pair<std::string, uint64_t>> answered_;  ///< starts that earlier supervisors made, by their requests' tokens
    EventLoop::FdHandle link_watch_, others_watch_;
    EventLoop::Timer retry_timer_, end_timer_;
    std::optional<store::ChangeWatch> changes_;
    bool was_used_ = false;
    bool guardian_lost_ = false;
    base::UniqueFd next_program_;  ///< asked for by hand_over
    std::map<const log::LogShipper*, std::shared_ptr<log::LogShipper>> shippers_;  ///< at their last lines
    std::vector<EventLoop::Timer> removals_;
    int busy_ = 0;  ///< jobs of workers whose result is still to come
    std::unique_ptr<Workers> workers_;  ///< last: its threads end before what they use
};

}  // namespace engine::supervisor
