#include "supervisor/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "supervisor/core.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::Status;

namespace {

constexpr size_t kMostConnections = 4096;
constexpr size_t kMostUnsent = 16u << 20;

}  // namespace

Status Server::start() {
    listen_watch_ = TRY(loop_.watch(listen_fd_, EPOLLIN, [this](uint32_t) { (void)accept_pending(); }));
    return {};
}

bool Server::accept_pending() {
    bool any = false;
    for (;;) {
        base::UniqueFd fd(::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) return any;
        ucred peer{};
        socklen_t length = sizeof peer;
        // The socket's mode keeps others out; this also holds when somebody changes it.
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || (peer.uid != 0 && peer.uid != ::geteuid())) continue;
        if (connections_.size() >= kMostConnections) continue;
        any = true;
        Id id = next_id_++;
        auto connection = std::make_unique<Connection>();
        connection->fd = std::move(fd);
        auto watch = loop_.watch(connection->fd.get(), EPOLLIN, [this, id](uint32_t events) {
            if ((events & EPOLLOUT) != 0) write_unsent(id);
            if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) readable(id);
        });
        if (!watch) continue;
        connection->watch = std::move(*watch);
        connections_[id] = std::move(connection);
    }
}

Server::Connection* Server::find(Id id) {
    auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second.get();
}

void Server::readable(Id id) {
    Connection* connection = find(id);
    if (!connection) return;
    char buffer[16 * 1024];
    for (;;) {
        ssize_t n = ::recv(connection->fd.get(), buffer, sizeof buffer, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) {
            close(id);
            return;
        }
        if (auto fed = connection->parser.feed({buffer, static_cast<size_t>(n)}); !fed) {
            close(id);
            return;
        }
    }
    while (auto text = connection->parser.next()) {
        if (connection->attachment) {
            auto moved = reply_from_json(*text);
            if (moved && moved->position) core_.attachment_moved(connection->attached_to, connection->attachment, *moved->position);
            continue;
        }
        if (std::exchange(connection->asked, true)) {
            close(id);
            return;
        }
        auto request = request_from_json(*text);
        if (request) {
            handle(id, *request);
        } else {
            finish(id, base::Error(request.error()), {});
        }
        connection = find(id);
        if (!connection) return;
    }
}

void Server::handle(Id id, const Request& request) {
    const std::string& verb = request.verb;
    if (verb == "hand over") {
        // Without an answer when it goes over: the client asks again, and the successor says that all is well.
        auto done = core_.hand_over(request.program);
        if (done || done.error().code != Code::interrupted) finish(id, done, {});
        return;
    }
    core_.used();
    if (request.ids.empty()) {
        finish(id, fail(Code::invalid, "message names no container"), {});
        return;
    }
    const std::string first = request.ids.front();
    auto timeout_of = [&](size_t i) {
        return request.timeouts_ns[i] == -1 ? std::optional<Nanoseconds>() : std::optional<Nanoseconds>(request.timeouts_ns[i]);
    };
    // One reply a container, and the end with the last of them.
    auto left = std::make_shared<size_t>(request.ids.size());
    auto one_done = [this, id, left](Reply each) {
        reply(id, each);
        if (--*left != 0) return;
        Reply end;
        end.end = true;
        reply(id, end, true);
    };
    auto stopped = [one_done](const std::string& container) {
        return [one_done, container](const Result<StopOutcome>& outcome) {
            Reply each;
            each.id = container;
            if (outcome) {
                each.killed = outcome->killed;
                each.note = outcome->note;
            } else {
                each.error = outcome.error();
            }
            one_done(std::move(each));
        };
    };
    auto signal_of = [&](size_t i) { return i < request.signals.size() ? request.signals[i] : std::string(); };
    auto done = [this, id, first](const Status& status) { finish(id, status, first); };
    if (verb == "start") {
        core_.start(request.ids, request.token, [one_done](const std::string& container, const Status& status) {
            Reply each;
            each.id = container;
            if (!status) each.error = status.error();
            one_done(std::move(each));
        });
    } else if (verb == "stop") {
        for (size_t i = 0; i < request.ids.size(); i++) core_.stop(request.ids[i], timeout_of(i), signal_of(i), stopped(request.ids[i]));
    } else if (verb == "halt") {
        for (size_t i = 0; i < request.ids.size(); i++) core_.halt(request.ids[i], timeout_of(i), stopped(request.ids[i]));
    } else if (verb == "restart") {
        for (size_t i = 0; i < request.ids.size(); i++) core_.restart(request.ids[i], request.token, timeout_of(i), signal_of(i), stopped(request.ids[i]));
    } else if (verb == "kill") {
        core_.kill(first, request.signal, done);
    } else if (verb == "pause" || verb == "unpause") {
        core_.pause(first, verb == "pause", done);
    } else if (verb == "reload") {
        core_.reload(first, done);
    } else if (verb == "connect") {
        auto endpoint = endpoint_from_json(request.endpoint);
        if (endpoint) {
            core_.connect_network(first, *endpoint, done);
        } else {
            done(base::Error(endpoint.error()));
        }
    } else if (verb == "disconnect") {
        core_.disconnect_network(first, request.network, done);
    } else if (verb == "attach") {
        attach(id, request);
    } else {
        finish(id, fail(Code::unsupported, "the supervisor knows no verb " + base::quote(verb)), {});
    }
}

void Server::attach(Id id, const Request& request) {
    const std::string container = request.ids.front();
    if (!request.start) {
        auto streams = core_.attach(container);
        if (!streams) {
            finish(id, base::Error(streams.error()), container);
            return;
        }
        take_attachment(id, container, streams->attachment);
        attached(id, container);
        return;
    }
    take_attachment(id, container, core_.attach_ahead(container, request.position));
    core_.start({container}, request.token, [this, id, container](const std::string&, const Status& status) {
        if (status) {
            attached(id, container);
        } else {
            finish(id, status, container);
        }
    });
}

void Server::take_attachment(Id id, const std::string& container, std::shared_ptr<Attachment> attachment) {
    Connection* connection = find(id);
    connection->attached_to = container;
    connection->attachment = std::move(attachment);
    connection->attachment->ended = [this, id](int code, uint64_t end) {
        Connection* told = find(id);
        if (!told) return;
        Reply ended;
        ended.exited = code;
        ended.position = end;
        if (told->announced) {
            reply(id, ended);
        } else {
            told->ended = to_json(ended);
        }
    };
}

void Server::attached(Id id, const std::string& container) {
    Connection* connection = find(id);
    if (!connection) return;
    auto streams = core_.streams_of(container, connection->attachment);
    Reply answer;
    answer.id = container;
    answer.attached = true;
    answer.tty = streams.tty;
    answer.position = streams.position;
    // The first frame of an idle connection: it fits, so it goes at once with its fds.
    if (!send_frame(connection->fd.get(), to_json(answer), streams.fds)) {
        close(id);
        return;
    }
    connection->announced = true;
    core_.stdin_given_away(container);
    if (connection->ended) {
        if (auto ended = reply_from_json(*connection->ended)) reply(id, *ended);
    }
}

void Server::finish(Id id, const Status& status, const std::string& container) {
    Reply each;
    each.id = container;
    if (!status) each.error = status.error();
    reply(id, each);
    Reply end;
    end.end = true;
    reply(id, end, true);
}

void Server::reply(Id id, const Reply& answer, bool last) {
    Connection* connection = find(id);
    if (!connection) return;  // it did not wait for the answer
    std::string text = to_json(answer);
    FrameHead head;
    head.length = static_cast<uint32_t>(text.size());
    connection->unsent.append(reinterpret_cast<const char*>(&head), sizeof head);
    connection->unsent += text;
    connection->closing = connection->closing || last;
    if (connection->unsent.size() > kMostUnsent) {
        close(id);
        return;
    }
    write_unsent(id);
}

void Server::write_unsent(Id id) {
    Connection* connection = find(id);
    if (!connection) return;
    while (!connection->unsent.empty()) {
        ssize_t n = ::send(connection->fd.get(), connection->unsent.data(), connection->unsent.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            connection->watch.events(EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            close(id);
            return;
        }
        connection->unsent.erase(0, static_cast<size_t>(n));
    }
    if (connection->closing) {
        close(id);
        return;
    }
    connection->watch.events(EPOLLIN);
}

void Server::close(Id id) {
    auto found = connections_.find(id);
    if (found == connections_.end()) return;
    auto connection = std::move(found->second);
    connections_.erase(found);
    if (connection->attachment) {
        connection->attachment->ended = nullptr;
        core_.detach(connection->attached_to, connection->attachment);
    }
}

}  // namespace engine::supervisor
