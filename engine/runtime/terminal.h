#pragma once
// Terminals and the copying of streams between a person and a process: used by exec, attach and run.
#include <termios.h>

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"

namespace engine::runtime {

/// Raw mode on a terminal until destruction; the old mode comes back also when the process is ended by SIGTERM, SIGHUP or SIGINT.
class RawMode {
public:
    /// Not a terminal: a no-op.
    static base::Result<RawMode> enter(int fd);
    RawMode(RawMode&& other) noexcept;
    RawMode& operator=(RawMode&&) = delete;
    ~RawMode();

private:
    RawMode() = default;
    int fd_ = -1;
    termios saved_{};
};

struct Pty {
    base::UniqueFd master, slave;
};
/// From the host's devpts.
base::Result<Pty> open_pty();
/// From a devpts instance: `ptmx` is opened (O_RDWR | O_NOCTTY) there; the slave by TIOCGPTPEER, never by path.
base::Result<Pty> open_pty_from(base::UniqueFd ptmx);
/// From the devpts of a container, whose root is given. What is opened must be its multiplexer: a container may put anything at
/// /dev/pts. The terminal is given to `uid`.
base::Result<Pty> open_pty_inside(int root, uint32_t uid);
/// The size of one terminal given to another; nothing when `from` is no terminal.
void copy_window_size(int from, int to);

/// Docker's detach sequence: "ctrl-p,ctrl-q", single characters or ctrl-@ a-z [ \ ] ^ _, comma separated.
class DetachKeys {
public:
    /// Empty text: the default. invalid otherwise: `Unknown character: 'xx'`.
    static base::Result<DetachKeys> parse(std::string_view text);
    /// Appends what goes on to `out`; true once the whole sequence was typed (its bytes are not passed on).
    bool feed(std::string_view bytes, std::string& out);

private:
    std::string keys_;
    size_t matched_ = 0;
};

struct CopyJob {
    StreamSet local;          ///< the person's side
    int remote_in = -1;       ///< to the process: pipe, socket or pty master
    int remote_out = -1, remote_err = -1;
    bool tty = false;         ///< remote is a pty master: raw mode on local.in, SIGWINCH passed on, detach keys watched
    bool watch_keys = false;  ///< detach keys also without a pty here (attach to a tty through a socket)
    std::string detach_keys;
    int end_fd = -1;          ///< readable when the process has ended: rest of the output is drained, then the copy ends
    std::function<void()> close_input;    ///< at EOF of local.in; default: closes/shuts down nothing but what is owned by the caller
    std::function<void(int)> on_signal;   ///< when set: SIGINT, SIGTERM, SIGHUP and SIGQUIT come here instead of ending us
    std::function<void()> window_changed;  ///< at start and on SIGWINCH; default with tty: TIOCSWINSZ on remote_in
};
enum class CopyEnd : uint8_t {
    output_closed,  ///< all outputs are at EOF
    process_ended,  ///< end_fd became readable and the outputs are drained
    detached,       ///< by the keys
    local_gone,     ///< nobody reads our output any more (EPIPE, EIO), or the terminal of our input is gone
};
/// Copies until one of the ends. Restores the terminal.
base::Result<CopyEnd> copy_streams(const CopyJob& job);

}  // namespace engine::runtime
