#include "supervisor/core.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/process_age.h"
#include "runtime/exec.h"
#include "supervisor/removal.h"
#include "supervisor/server.h"
#include "supervisor/supervisor.h"

namespace engine::supervisor {

Core::Core(const store::Paths& paths, std::string group, GuardTable table, base::UniqueFd link, base::UniqueFd listen, pid_t guardian)
    : paths_(paths), group_(std::move(group)), table_(table), link_(std::move(link)), listen_(std::move(listen)), guardian_(guardian) {}

Core::~Core() = default;

base::Status Core::run() {
    loop_ = TRY(EventLoop::make());
    // Requests wait in the socket until the state is open: the fewer steps before the first one, the sooner it is served.
    store_ = TRY(store::Store::open(paths_));
    services_ = std::make_unique<NetworkServices>(network::table_name(paths_.root));
    starter_ = std::make_unique<Starter>(paths_, *store_, *services_,
                                         [this](const std::string& id, const Launched& launched) { return keep(id, launched); }, link_.get());
    workers_ = std::make_unique<Workers>(16);
    link_watch_ = TRY(loop_->watch(link_.get(), EPOLLIN, [this](uint32_t) { link_ready(); }));
    TRY_VOID(recover());
    server_ = std::make_unique<Server>(*this, *loop_, listen_.get());
    TRY_VOID(server_->start());
    loop_->each_round([this] { each_round(); });
    loop_->post([] {});  // the first round stores what recovery found
    return loop_->run();
}

Unit& Core::unit(const std::string& id) {
    auto& place = units_[id];
    if (!place) place = std::make_unique<Unit>(id);
    return *place;
}

Unit* Core::find(const std::string& id) {
    auto found = units_.find(id);
    return found == units_.end() ? nullptr : found->second.get();
}

void Core::event(Unit& unit, std::string action, Labels more) { events_.push_back(store::container_event(unit.info, std::move(action), std::move(more))); }

// ---- the guardian -----------------------------------------------------------------------------------------------------

base::Status Core::keep(const std::string& id, const Launched& launched) {
    const Channels& channels = launched.channels;
    GuardMessage message;
    message.type = GuardMessage::keep;
    message.pid = launched.process.pid();
    message.time = launched.started;
    message.token = launched.token;
    message.set_id(id);
    const std::array<int, kSentFds> all{launched.process.fd(), channels.in.get(), channels.out.get(), channels.err.get(), channels.terminal.get(),
                                        channels.terminal_pipe.get(), launched.go};
    if (!tell_guardian(message, all)) return base::fail(base::Code::interrupted, "the supervisor's guardian was killed");
    return {};
}

bool Core::tell_guardian(GuardMessage& message, std::span<const int> fds) {
    int open[kSentFds];
    size_t count = 0;
    for (uint32_t i = 0; i < fds.size(); i++) {
        if (fds[i] < 0) continue;
        message.fd_mask |= 1u << i;
        open[count++] = fds[i];
    }
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof open)] = {};
    iovec data{&message, sizeof message};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    if (count != 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        std::memcpy(CMSG_DATA(rights), open, sizeof(int) * count);
    }
    while (::sendmsg(link_.get(), &header, MSG_NOSIGNAL) < 0)
        if (errno != EINTR) return false;
    return true;
}

void Core::tell_guardian(GuardMessage::Type type, const Unit& unit, pid_t pid) {
    GuardMessage message;
    message.type = type;
    message.pid = pid;
    message.set_id(unit.id);
    (void)tell_guardian(message, {});  // a guardian that is gone is noticed by its end of file
}

void Core::link_ready() {
    for (;;) {
        GuardMessage message;
        ssize_t n = ::recv(link_.get(), &message, sizeof message, MSG_DONTWAIT);
        if (n == 0) {
            // Once no worker is in the middle of a start: what it begins would be nobody's.
            guardian_lost_ = true;
            link_watch_.reset();
            return;
        }
        if (n != static_cast<ssize_t>(sizeof message)) return;
        if (message.type == GuardMessage::exited) exited(message.id_text(), message.pid, message.status, message.time);
    }
}

base::Status Core::hand_over(const std::string& program) {
    struct stat own {}, wanted {};
    base::UniqueFd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fstat(file.get(), &wanted) != 0) return base::fail_errno("open \"" + program + "\"");
    if (!S_ISREG(wanted.st_mode) || ::access(program.c_str(), X_OK) != 0) return base::fail(base::Code::invalid, "\"" + program + "\" is no program");
    if (::stat("/proc/self/exe", &own) == 0 && own.st_dev == wanted.st_dev && own.st_ino == wanted.st_ino) return {};
    next_program_ = std::move(file);
    return base::fail(base::Code::interrupted, "going over");
}

/// Between two starts, with everything stored: the guardian executes the new program with all that it keeps, and that forks our
/// successor.
void Core::go_over() {
    GuardMessage message;
    message.type = GuardMessage::renew;
    if (!tell_guardian(message, std::array{next_program_.get()})) base::log::error("go over to another program: " + base::errno_text(errno));
    ::_exit(0);
}

/// Also when the loop has not come to it yet.
bool Core::guardian_is_gone() {
    pollfd link{link_.get(), 0, 0};
    if (!guardian_lost_ && ::poll(&link, 1, 0) == 1 && (link.revents & POLLHUP) != 0) {
        guardian_lost_ = true;
        link_watch_.reset();
    }
    return guardian_lost_;
}

/// Our parent was killed: nobody would start a successor of ours, nor be the parent of new containers. This process turns
/// into a guardian: it executes its program anew with everything it holds, and that one forks a supervisor.
void Core::guardian_gone() {
    (void)flush();  // ignored: the new supervisor reads the state, and the containers are still as they were
    const int next_listen = listen_.get();
    std::vector<Kept> entries;
    for (auto& [id, unit] : units_) {
        if (!unit->running() || !unit->process) continue;
        Kept& kept = entries.emplace_back();
        kept.used = kept.foreign = true;
        kept.pid = unit->process.pid();
        kept.started = unit->info.state.started;
        id.copy(kept.id.data(), kept.id.size());
        const Channels& channels = unit->channels;
        kept.fds = {unit->process.fd(), channels.in.get(), channels.out.get(), channels.err.get(), channels.terminal.get(), channels.terminal_pipe.get()};
    }
    const int table = write_table(entries.data(), entries.size());
    ::fcntl(next_listen, F_SETFD, 0);
    GuardianArguments arguments{paths_, group_, -1, -1, next_listen, table};
    auto argv = guardian_argv(arguments);
    std::vector<char*> pointers;
    for (auto& text : argv) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    ::execv("/proc/self/exe", pointers.data());
    base::log::error("take the guardian's place: " + base::errno_text(errno));
    ::_exit(1);
}

// ---- taking over ------------------------------------------------------------------------------------------------------

namespace {

/// Of a process that an earlier supervisor started: the kernel counts its age from the boot; without one left, by the wall clock.
Clock::time_point began_at(const ContainerState& state) {
    if (state.pid_start == 0) return Clock::now() - std::chrono::nanoseconds(std::max<Time>(base::now() - state.started, 0));
    return Clock::now() - base::process_age(state.pid_start);
}

}  // namespace

base::Status Core::recover() {
    store::Store::ContainerQuery query;
    query.supervisor = group_;
    auto containers = TRY(store_->containers(query));
    std::multimap<std::string, const Kept*> kept;
    for (size_t i = 0; i < table_.capacity; i++) {
        const Kept& entry = table_.entries[i];
        if (!entry.used) continue;
        GuardMessage name;
        name.id = entry.id;
        kept.emplace(name.id_text(), &entry);
    }
    std::set<const Kept*> adopted;
    if (table_.answered) {
        for (const auto& start : *table_.answered) {
            GuardMessage name;
            name.id = start.id;
            if (start.token != 0) answered_.emplace(name.id_text(), start.token);
        }
    }
    std::map<std::pair<std::string, pid_t>, ExitRecord> records;
    if (auto bytes = base::read_file(exits_file(paths_, group_))) {
        for (size_t at = 0; at + sizeof(ExitRecord) <= bytes->size(); at += sizeof(ExitRecord)) {
            ExitRecord record;
            std::memcpy(&record, bytes->data() + at, sizeof record);
            GuardMessage name;
            name.id = record.id;
            records[{name.id_text(), record.pid}] = record;
        }
    }
    for (auto& info : containers) {
        auto status = info.state.status;
        const Kept *mine = nullptr, *begun = nullptr;
        for (auto [entry, last] = kept.equal_range(info.id); entry != last; ++entry) (entry->second->started == info.state.started ? mine : begun) = entry->second;
        // A run that its supervisor could not store any more: it is this container's present one, and is not made again.
        if (begun) status = ContainerStatus::running;
        const bool was_alive = status == ContainerStatus::running || status == ContainerStatus::paused;
        if (!was_alive && status != ContainerStatus::restarting) {
            // Its end was stored, and then the supervisor died that was to remove it.
            if (status == ContainerStatus::exited && info.spec.auto_remove) remove_later(info.id);
            continue;
        }
        Unit& one = unit(info.id);
        one.info = std::move(info);
        was_used_ = true;
        one.backoff.resume(one.info.state.restart_count);
        auto image = starter_->image_config(one.info.spec.image_id);
        if (image) one.image = std::move(*image);
        if (auto resolved = runtime::resolve(one.info.spec, one.image, one.id)) one.resolved = std::move(*resolved);
        if (status == ContainerStatus::restarting) {
            one.phase = Phase::waiting;
            one.network_made = base::exists(paths_.netns(one.id));
            one.restart_timer = loop_->after(RestartBackoff::kFirst, [this, &one] {
                to_start_.push_back(one.id);
            });
            continue;
        }
        if (begun) {
            mine = begun;
            auto& state = one.info.state;
            state.status = status;
            state.pid = begun->pid;
            state.pid_start = begun->exited ? 0 : process_start_time(begun->pid);
            state.exit_code = 0;
            state.oom_killed = state.stopped_by_user = false;
            state.error.clear();
            state.started = begun->started;
            state.failing_streak = 0;
            state.health = one.resolved.health_check ? HealthStatus::starting : HealthStatus::none;
            save_runtime(one);
            event(one, "start");
        }
        if (mine) adopted.insert(mine);
        if (one.info.spec.auto_remove) keep_for_client(one.id);
        if (auto taken = adopt_running(one, mine); !taken) base::log::warn("take over " + one.info.spec.name + ": " + taken.error().message());
        if (mine && mine->exited) {
            on_exit(one, mine->status, mine->time);
        } else if (!mine) {
            auto record = records.find({one.id, one.info.state.pid});
            if (record != records.end()) {
                on_exit(one, record->second.status, record->second.time);
            } else if (!one.process || process_start_time(one.process.pid()) != one.info.state.pid_start || !one.process.alive()) {
                // After a restart of the machine, or when guardian and supervisor were killed together. What its new parent has not
                // reaped still tells how it ended.
                const int32_t last = one.process ? foreign_exit_status(one.process.fd(), one.process.pid()) : kStatusUnknown;
                if (last == kStatusUnknown) one.info.state.error = "the exit status was lost: nobody was there when it ended";
                on_exit(one, last, base::now());
            }
        }
    }
    // What ended and is stored, or was removed.
    for (const auto& [id, entry] : kept) {
        if (adopted.contains(entry)) continue;
        // By its pidfd: one that is not the guardian's child may have been reaped, and its number be another's.
        if (!entry->exited && entry->fds[kPidFd] >= 0) (void)::syscall(SYS_pidfd_send_signal, entry->fds[kPidFd], SIGKILL, nullptr, 0);
        if (entry->exited) {
            Unit nameless(id);
            tell_guardian(GuardMessage::forget, nameless, entry->pid);
        }
    }
    watch_others();
    services_->update_records();
    guard_networks();
    return {};
}

constexpr auto kStayForClient = std::chrono::seconds(3);

/// Its client has lost the supervisor that would have told it the exit code, and looks into the store: a container that removes
/// itself stays for that moment.
void Core::keep_for_client(const std::string& id) {
    auto stay = attach_ahead(id, UINT64_MAX);
    stay->ended = [this, id, stay = std::weak_ptr(stay)](int, uint64_t) {
        busy_++;
        Unit* one = find(id);
        if (!one) return;
        one->removal_timer = loop_->after(kStayForClient, [this, id, stay] {
            busy_--;
            if (auto attachment = stay.lock()) detach(id, attachment);
        });
    };
}

void Core::remove_later(const std::string& id) {
    busy_++;
    was_used_ = true;
    removals_.push_back(loop_->after(kStayForClient, [this, id] {
        busy_--;
        if (const Unit* one = find(id); one && (one->phase != Phase::idle || one->removing)) return;  // started anew
        remove_now(unit(id));
    }));
}

base::Status Core::adopt_running(Unit& one, const Kept* kept) {
    one.phase = Phase::running;
    one.began = began_at(one.info.state);
    one.network_made = base::exists(paths_.netns(one.id));
    const pid_t pid = one.info.state.pid;
    if (kept) {
        // Copies: the table's numbers stay the guardian's in a fork of ours.
        auto copy = [&](KeptFd which) {
            int fd = kept->fds[which];
            return base::UniqueFd(fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 3));
        };
        one.process = base::PidFd(pid, copy(kPidFd));
        one.channels = {copy(kStdin), copy(kStdout), copy(kStderr), copy(kTerminal), copy(kTerminalPipe)};
        for (int fd : kept->fds)
            if (fd >= 0) ::close(fd);
    } else if (auto process = base::PidFd::open(pid); process && process_start_time(pid) == one.info.state.pid_start) {
        one.process = std::move(*process);
        // Its pipes have lost their readers; what the kernel still holds in them can be had by the process's own fds.
        if (!one.info.spec.tty) {
            auto reopen = [&](int number) {
                const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(number);
                char target[64] = {};
                (void)!::readlink(path.c_str(), target, sizeof target - 1);
                if (std::strncmp(target, "pipe:", 5) != 0) return base::UniqueFd();
                return base::UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
            };
            one.channels.out = reopen(1);
            one.channels.err = reopen(2);
        }
        (void)keep(one.id, {one.process, one.channels, one.info.state.started});  // a killed guardian is noticed elsewhere
    }
    if (auto opened = open_log(one); !opened) base::log::warn(opened.error().message());
    begin_log(one);
    if (one.info.spec.resources.memory > 0) {
        if (auto cgroup = runtime::Cgroup::open(runtime::cgroup_path(one.info))) {
            if (auto fd = cgroup->oom_events()) one.oom_fd = std::move(*fd);
        }
    }
    if (one.network_made && has_embedded_dns(one.info.spec)) {
        services_->directory().put(one.info, one.info.endpoints);
        TRY_VOID(starter_->serve_dns(one.info));
    }
    if (!one.info.ports.empty()) {
        auto* publisher = TRY(services_->publisher());
        (void)TRY(publisher->reserve(one.id, one.info.ports));
        if (const auto* chosen = starter_->published_endpoint(one.info.spec, one.info.endpoints))
            TRY_VOID(publisher->publish(one.id, chosen->ipv4, chosen->ipv6));
    }
    begin_health(one, true);
    return {};
}

/// Containers of other groups on networks that ours share (external ones): their names are answered too.
void Core::watch_others() {
    auto watch = store_->watch();
    if (!watch) return;
    changes_.emplace(std::move(*watch));
    auto fd = changes_->fd();
    if (!fd) return;
    auto handle = loop_->watch(*fd, EPOLLIN, [this](uint32_t) {
        changes_->drain();
        read_others();
    });
    if (handle) others_watch_ = std::move(*handle);
    read_others();
}

void Core::read_others() {
    if (!services_->dns_if_any()) return;
    std::set<std::string> shared;
    for (const auto& [id, one] : units_) {
        if (!one->running()) continue;
        for (const auto& endpoint : one->info.endpoints) {
            auto network = store_->network(endpoint.network);
            if (!network) continue;
            auto project = network->spec.labels.find("com.docker.compose.project");
            if (project == network->spec.labels.end() || project->second != group_) shared.insert(endpoint.network);
        }
    }
    if (shared.empty()) return;
    auto all = store_->containers({});
    if (!all) return;
    std::erase_if(*all, [&](const ContainerInfo& other) {
        if (other.supervisor == group_ || other.state.status != ContainerStatus::running) return true;
        return std::none_of(other.endpoints.begin(), other.endpoints.end(), [&](const EndpointState& each) { return shared.contains(each.network); });
    });
    services_->directory().set_others(*all);
    services_->update_records();
}

// ---- storing ----------------------------------------------------------------------------------------------------------

/// What the round's callbacks changed becomes one transaction; only then is anybody told.
void Core::each_round() {
    if (!to_start_.empty()) start_wave();
    if (!dirty_.empty() || !events_.empty() || !acknowledge_.empty()) {
        if (auto stored = flush(); !stored) {
            base::log::error("store the state: " + stored.error().message());
            if (!base::exists(paths_.state_db())) {
                // The whole root was removed: there is nothing left that could be kept.
                forget_unstored();
            } else if (!retry_timer_) retry_timer_ = loop_->after(std::chrono::seconds(1), [] {});
        }
    }
    auto actions = std::exchange(after_flush_, {});
    for (auto& action : actions) action();
    if (!to_clean_.empty()) clean_wave();
    if (!after_flush_.empty() || !to_start_.empty()) loop_->post([] {});  // another round at once
    if (next_program_ && !guardian_lost_ && busy_ == 0 && to_start_.empty() && to_clean_.empty() && dirty_.empty() && acknowledge_.empty()) go_over();
    if (guardian_lost_ && busy_ == 0 && to_start_.empty()) guardian_gone();
    maybe_end();
}

base::Status Core::flush() {
    TRY_VOID(store_->transaction([&]() -> base::Status {
        for (const auto& id : dirty_) {
            Unit* one = find(id);
            if (!one) continue;
            // A container that was removed meanwhile has no state to keep.
            if (auto updated = store_->update_state(id, one->info.state); !updated && updated.error().code != base::Code::not_found) return updated;
            if (!dirty_runtime_.contains(id)) continue;
            if (auto set = store_->set_runtime(id, one->info.endpoints, one->info.ports); !set && set.error().code != base::Code::not_found) return set;
        }
        for (const auto& each : events_) TRY_VOID(store_->add_event(each));
        return {};
    }));
    forget_unstored();
    return {};
}

/// The guardian need not keep what is stored.
void Core::forget_unstored() {
    dirty_.clear();
    dirty_runtime_.clear();
    events_.clear();
    for (const auto& each : std::exchange(acknowledge_, {})) {
        Unit nameless(each.id);
        tell_guardian(GuardMessage::forget, nameless, each.pid);
    }
}

// ---- the end ----------------------------------------------------------------------------------------------------------

void Core::maybe_end() {
    const bool needed = busy_ != 0 || !dirty_.empty() || !acknowledge_.empty() || !after_flush_.empty() || !to_start_.empty() || !to_clean_.empty() ||
                        server_->busy() || std::any_of(units_.begin(), units_.end(), [](const auto& each) { return each.second->phase != Phase::idle; });
    if (needed) {
        end_timer_.reset();
        return;
    }
    if (end_timer_) return;
    // One that was started ahead waits for its first request; else nothing is left to do.
    end_timer_ = loop_->after(was_used_ ? std::chrono::milliseconds(0) : std::chrono::seconds(10), [this] {
        // Who starts a supervisor holds this lock: then a request is on its way.
        auto lock = base::FileLock::try_acquire(start_lock(paths_));
        // Without the folder of the lock (its root was removed) nobody can find us: there is no one to wait for.
        if (!lock && lock.error().code == base::Code::conflict) {
            end_timer_ = loop_->after(std::chrono::milliseconds(20), [this] { maybe_end(); });
            return;
        }
        if (server_->accept_pending()) return;
        // A connection from now on finds nobody, and its owner begins again with the lock.
        (void)base::remove_tree(paths_.group_dir(group_));
        GuardMessage message;
        message.type = GuardMessage::finish;
        (void)::send(link_.get(), &message, sizeof message, MSG_NOSIGNAL);
        ::_exit(0);  // the lock goes with the process
    });
}

void supervisor_main(SupervisorArguments arguments) {
    ::prctl(PR_SET_NAME, "compose");
    // One heap, given back soon: a supervisor lives long and is mostly asleep.
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
    ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)::setrlimit(RLIMIT_NOFILE, &files);
    }
    // The table of descriptors grows now: in a process with threads the kernel waits for an RCU grace period each time.
    if (const int high = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, static_cast<int>(std::min<rlim_t>(files.rlim_cur, 2048)) - 1); high >= 0) ::close(high);
    base::log::to_file(arguments.paths.group_dir(arguments.group) + "/supervisor.log");
    Core* core = new Core(arguments.paths, arguments.group, arguments.table, std::move(arguments.link), std::move(arguments.listen), arguments.guardian);
    auto ended = core->run();
    if (!ended) base::log::error("supervisor: " + ended.error().message());
    ::_exit(1);  // the end without a fault is in maybe_end
}

}  // namespace engine::supervisor
