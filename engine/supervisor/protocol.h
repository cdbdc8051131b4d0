#pragma once
// What a command and a supervisor say to each other: frames on a stream socket, each a head and a JSON object; file
// descriptors travel with the head (SCM_RIGHTS).
//
//     command ──▶ {"verb":"start","ids":[…]}                 one request a connection
//     command ◀── {"id":…,"error":{…}?,"note":…?,"killed":…?} one for each container, as it is done
//     command ◀── {"end":true}
//     attach:  ◀── {"attached":true,"tty":…}+fds  ──▶ {"position":n} …  ◀── {"exited":code}
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"

namespace engine::supervisor {

struct FrameHead {
    uint32_t magic = 0x31465043;  // "CPF1"
    uint32_t length = 0;
};
constexpr uint32_t kLongestFrame = 8u << 20;

struct Request {
    std::string verb;  ///< start, stop, halt, kill, restart, pause, unpause, reload, connect, disconnect, attach, hand over
    std::vector<std::string> ids;
    std::vector<int64_t> timeouts_ns;  ///< one an id; -1: the container's own
    std::vector<std::string> signals;  ///< stop, restart: one an id, "": the container's own; or none at all
    std::string signal, network;
    std::string program;   ///< hand over: the file to run from now on
    std::string endpoint;  ///< JSON of an Endpoint
    bool start = false;    ///< attach: starts it first
    uint64_t token = 0;    ///< start, restart, attach: the same when the request is made again after a supervisor's death
    uint64_t position = 0; ///< attach with start: of the log, before
};
std::string to_json(const Request& request);
base::Result<Request> request_from_json(std::string_view text);

struct Reply {
    std::string id;
    bool end = false, attached = false, tty = false, killed = false;
    std::string note;
    std::optional<base::Error> error;
    std::optional<int> exited;
    std::optional<uint64_t> position;  ///< of the log: in attached where to begin, in exited where it ends; from the client how far it is
};
std::string to_json(const Reply& reply);
base::Result<Reply> reply_from_json(std::string_view text);

/// What a side does while the other says nothing: called once a second; an error ends the waiting.
using WhileSilent = std::function<base::Status()>;
/// A frame to a blocking socket.
base::Status send_frame(int fd, std::string_view json, const std::vector<int>& fds = {}, const WhileSilent& silent = {});
struct Frame {
    std::string json;
    std::vector<base::UniqueFd> fds;
};
/// A frame from a blocking socket; nullopt: the other side has closed it.
base::Result<std::optional<Frame>> receive_frame(int fd, const WhileSilent& silent = {});

/// Puts a non-blocking stream together into frames.
class FrameParser {
public:
    /// Appends bytes; corrupt: this is no frame.
    base::Status feed(std::string_view bytes);
    std::optional<std::string> next();

private:
    std::string buffer_;
};

std::string to_json(const Endpoint& endpoint);
base::Result<Endpoint> endpoint_from_json(std::string_view text);

}  // namespace engine::supervisor
