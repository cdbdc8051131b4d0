#pragma once
// The supervisor's side of the socket: who may ask, requests into verbs, results into frames.
#include <map>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "supervisor/event_loop.h"
#include "supervisor/protocol.h"

namespace engine::supervisor {

class Core;
struct Attachment;

class Server {
public:
    Server(Core& core, EventLoop& loop, int listen_fd) : core_(core), loop_(loop), listen_fd_(listen_fd) {}
    base::Status start();
    /// Accepts what waits in the socket; true when there was something.
    bool accept_pending();
    /// A request is open, or a client is attached.
    bool busy() const { return !connections_.empty(); }

private:
    struct Connection {
        base::UniqueFd fd;
        EventLoop::FdHandle watch;
        FrameParser parser;
        std::string unsent;
        bool asked = false, closing = false;
        bool announced = false;           ///< the answer to an attach has been sent
        std::optional<std::string> ended; ///< the end came before it
        std::string attached_to;
        std::shared_ptr<Attachment> attachment;
    };
    using Id = uint64_t;

    void readable(Id id);
    void handle(Id id, const Request& request);
    void attach(Id id, const Request& request);
    void attached(Id id, const std::string& container);
    void take_attachment(Id id, const std::string& container, std::shared_ptr<Attachment> attachment);
    void reply(Id id, const Reply& reply, bool last = false);
    void finish(Id id, const base::Status& status, const std::string& container);
    void write_unsent(Id id);
    void close(Id id);
    Connection* find(Id id);

    Core& core_;
    EventLoop& loop_;
    int listen_fd_;
    EventLoop::FdHandle listen_watch_;
    Id next_id_ = 1;
    std::map<Id, std::unique_ptr<Connection>> connections_;
};

}  // namespace engine::supervisor
