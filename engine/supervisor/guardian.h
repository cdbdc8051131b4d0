#pragma once
// The guardian: the small parent of a group's supervisor and of every container. It forks the supervisor, keeps what must
// outlive it, reaps the containers and writes down how they ended. The supervisor is its fork, so the table below and all
// its fds are simply there in a new one: nothing is handed over, nothing can be lost on the way.
//
//     supervisor ── Keep(id, pid, fds) ──▶ guardian        a container waits for its go, which the guardian gives: so a
//                                                          program that runs is known here, whenever the supervisor dies
//     supervisor ── DropStdin(id) ───────▶                 its end of a stdin that belongs to an attached client now
//     supervisor ── Forget(id, pid) ─────▶                 the exit is in the store
//     supervisor ── Finish ──────────────▶                 nothing runs any more: both end
//     supervisor ── Renew(fd) ───────────▶                 once it has ended the guardian executes this program
//     supervisor ◀── Exited(id, pid, status, time) ──
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"
#include "store/paths.h"

namespace engine::supervisor {

/// The fds of a container that are kept, by place.
enum KeptFd : uint32_t {
    kPidFd,
    kStdin,      ///< write end
    kStdout,     ///< read end; with a terminal the read end of the pipe between terminal and log
    kStderr,     ///< read end
    kTerminal,   ///< pty master
    kTerminalPipe,  ///< write end of the pipe between terminal and log
    kKeptFds,
    kGo = kKeptFds,  ///< where the go is written; not kept
    kSentFds,
};

constexpr size_t kIdLength = 64;

struct GuardMessage {
    enum Type : uint32_t { keep = 1, drop_stdin, forget, finish, exited, renew };
    uint32_t type = 0;
    uint32_t fd_mask = 0;  ///< bit KeptFd: an fd follows, in this order
    int32_t pid = 0;
    int32_t status = 0;    ///< wait status; kStatusUnknown
    int64_t time = 0;        ///< of the exit; with keep of the start, which tells one run of a container from another
    uint64_t token = 0;      ///< of the request that this start answers; 0: of none
    std::array<char, kIdLength> id{};
    std::string id_text() const { return {id.data(), strnlen(id.data(), id.size())}; }
    void set_id(const std::string& text) {
        id = {};
        text.copy(id.data(), id.size());
    }
    static size_t strnlen(const char* text, size_t most) {
        size_t n = 0;
        while (n < most && text[n] != 0) n++;
        return n;
    }
};
/// The process ended and was reaped while nobody who may ask was its parent, and the kernel is too old to tell (PIDFD_GET_INFO, 6.15).
constexpr int32_t kStatusUnknown = -1;

struct Kept {
    bool used = false, exited = false;
    bool foreign = false;  ///< not our child any more: its first guardian was killed
    int32_t pid = 0, status = 0;
    int64_t time = 0;      ///< of its exit
    int64_t started = 0;
    std::array<char, kIdLength> id{};
    std::array<int, kKeptFds> fds{-1, -1, -1, -1, -1, -1};
};

/// Before the entries in a table that goes over an exec; the program behind it may be of another version. Kept only grows at
/// its end, so that each reads of the other's entries what it knows.
struct TableHead {
    uint32_t magic = 0x31544743;  // "CGT1"
    uint32_t entry_size = sizeof(Kept);
};
/// The entries with fds that are open over exec, as an fd for guardian_argv's table_fd.
int write_table(const Kept* entries, size_t count);

/// A start that a request asked for. The request is made again when its supervisor dies before the answer, and the start is not.
struct Answered {
    uint64_t token = 0;
    std::array<char, kIdLength> id{};
};
/// The last ones; who asks again does so within moments.
constexpr size_t kAnswered = 256;

/// What both processes see at the fork.
struct GuardTable {
    Kept* entries = nullptr;
    size_t capacity = 0;
    const std::array<Answered, kAnswered>* answered = nullptr;
};

struct GuardianArguments {
    store::Paths paths;
    std::string group;
    int ready_fd = -1;      ///< gets a byte when the socket listens
    int lock_fd = -1;       ///< start_lock, held until then
    int listen_fd = -1;     ///< taken over; -1: makes its own
    int table_fd = -1;      ///< taken over: Kept entries with fds of this process
};

/// Runs until Finish. Never returns to the caller's code; becomes the supervisor in a child.
[[noreturn]] void guardian_main(GuardianArguments arguments);

/// RUN/<group>/exits: a record an exit until the supervisor has stored it. Read by a supervisor whose guardian is another.
struct ExitRecord {
    std::array<char, kIdLength> id{};
    int64_t time = 0;
    int32_t pid = 0, status = 0;
};
std::string exits_file(const store::Paths& paths, const std::string& group);
/// Held by who starts a supervisor of any group, and by a supervisor that ends: so neither misses the other.
std::string start_lock(const store::Paths& paths);

/// Exit status of a process that has ended and is not our child: from /proc until its parent reaps it, then by PIDFD_GET_INFO.
/// kStatusUnknown when it was reaped and the kernel does not tell.
int32_t foreign_exit_status(int pidfd, pid_t pid);

/// Ours → argv of the program executed anew, and back.
std::vector<std::string> guardian_argv(const GuardianArguments& arguments);
/// nullopt: this process was started for something else.
std::optional<GuardianArguments> parse_guardian_argv(int argc, char** argv);

}  // namespace engine::supervisor
