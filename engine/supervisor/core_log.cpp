// From a container's pipes into its log, and the clients that read along.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <limits>

#include "base/log.h"
#include "supervisor/core.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::Status;

namespace {

/// How far an attached reader may be behind before the container has to wait for it.
constexpr uint64_t kBehind = 64u << 20;
/// A pipe that was found full this often in a row is made larger: fewer wake-ups under load. Not from the start, as the kernel
/// counts the pages of all pipes of a user.
constexpr int kLargePipe = 256 * 1024;

}  // namespace

Status Core::open_log(Unit& one) {
    auto settings = log::LogSettings::parse(one.info.spec.log, one.info);
    if (!settings) return std::move(settings.error());
    one.log = TRY(log::LogWriter::open(log_folder(paths_, one.info), *settings));
    one.never_hold = settings->non_blocking;
    if (settings->ships() && !one.shipper) one.shipper = std::make_unique<log::LogShipper>(log_folder(paths_, one.info), *settings);
    return {};
}

/// It has ended for good: the last lines are sent before the supervisor may end.
void Core::end_shipping(Unit& one) {
    if (!one.shipper) return;
    busy_++;
    auto shipper = std::shared_ptr<log::LogShipper>(std::move(one.shipper));
    const auto* name = shipper.get();
    shippers_[name] = shipper;
    shipper->finish([this, name] {
        loop_->post([this, name] {
            busy_--;
            shippers_.erase(name);  // not in its own thread, which it waits for
        });
    });
}

void Core::begin_log(Unit& one) {
    one.log_stopped = false;
    auto add = [&](const base::UniqueFd& fd, EventLoop::FdHandle& watch, std::function<void(uint32_t)> callback) {
        if (!fd) return;
        auto handle = loop_->watch(fd.get(), EPOLLIN, std::move(callback));
        if (handle) {
            watch = std::move(*handle);
        } else {
            base::log::error(handle.error().message());
        }
    };
    add(one.channels.out, one.out_watch, [this, &one](uint32_t) { pump(one, log::Stream::out); });
    add(one.channels.err, one.err_watch, [this, &one](uint32_t) { pump(one, log::Stream::err); });
    add(one.channels.terminal, one.terminal_watch, [this, &one](uint32_t) { pump_terminal(one); });
}

void Core::pump(Unit& one, log::Stream stream) {
    auto& fd = stream == log::Stream::out ? one.channels.out : one.channels.err;
    auto& watch = stream == log::Stream::out ? one.out_watch : one.err_watch;
    if (!one.log || !fd) return;
    if (held_back(one)) return;
    auto pumped = one.log->pump(fd.get(), stream);
    if (!pumped) {
        base::log::error(one.info.spec.name + ": " + pumped.error().message());
        watch.reset();
        return;
    }
    if (pumped->bytes >= 64 * 1024) (void)::fcntl(fd.get(), F_SETPIPE_SZ, kLargePipe);  // ignored: at the user's limit it stays small
    if (pumped->ended) watch.reset();
}

/// A terminal's bytes go through a pipe that the guardian keeps, so that they too are moved and not copied.
void Core::pump_terminal(Unit& one) {
    if (held_back(one)) return;
    for (;;) {
        ssize_t n = ::splice(one.channels.terminal.get(), nullptr, one.channels.terminal_pipe.get(), nullptr, 64 * 1024, SPLICE_F_NONBLOCK);
        if (n > 0) {
            pump(one, log::Stream::out);
            if (one.log_stopped) return;
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        // EIO: nobody has the other side open. Before the first open this also comes; the process's end is told otherwise.
        if (n < 0 && errno == EIO) {
            one.terminal_watch.events(0);
            return;
        }
        one.terminal_watch.reset();
        return;
    }
}

/// What the process left in its pipes when it ended.
void Core::drain(Unit& one) {
    one.log_stopped = false;
    if (!one.log) return;
    auto all = [&](const base::UniqueFd& fd, log::Stream stream) {
        while (fd) {
            auto pumped = one.log->pump(fd.get(), stream);
            if (!pumped || pumped->bytes == 0) break;
        }
    };
    if (one.channels.terminal) {
        for (;;) {
            ssize_t n = ::splice(one.channels.terminal.get(), nullptr, one.channels.terminal_pipe.get(), nullptr, 64 * 1024, SPLICE_F_NONBLOCK);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) break;
            all(one.channels.out, log::Stream::out);
        }
    }
    all(one.channels.out, log::Stream::out);
    all(one.channels.err, log::Stream::err);
}

bool Core::held_back(Unit& one) {
    uint64_t slowest = std::numeric_limits<uint64_t>::max();
    for (const auto& attachment : one.attachments) slowest = std::min(slowest, attachment->position);
    const bool hold = !one.never_hold && !one.attachments.empty() && one.log && one.log->position() > slowest && one.log->position() - slowest > kBehind;
    if (hold != one.log_stopped) {
        one.log_stopped = hold;
        const uint32_t mask = hold ? 0u : static_cast<uint32_t>(EPOLLIN);
        one.out_watch.events(mask);
        one.err_watch.events(mask);
        one.terminal_watch.events(mask);
    }
    return hold;
}

void Core::update_kept(Unit& one) {
    uint64_t slowest = std::numeric_limits<uint64_t>::max();
    for (const auto& attachment : one.attachments) slowest = std::min(slowest, attachment->position);
    if (one.log && !one.never_hold) one.log->keep_from(slowest);
    if (one.running()) (void)held_back(one);
}

Result<Core::Streams> Core::attach(const std::string& id) {
    Unit* one = find(id);
    if (!one || !one->running()) return fail(Code::not_running, "container " + id.substr(0, 12) + " is not running");
    return streams_of(id, attach_ahead(id, one->log ? one->log->position() : 0));
}

std::shared_ptr<Attachment> Core::attach_ahead(const std::string& id, uint64_t position) {
    Unit& one = unit(id);
    auto attachment = std::make_shared<Attachment>();
    attachment->position = position;
    one.attachments.insert(attachment);
    update_kept(one);
    return attachment;
}

Core::Streams Core::streams_of(const std::string& id, const std::shared_ptr<Attachment>& attachment) {
    Streams streams;
    streams.attachment = attachment;
    streams.position = attachment->position;
    Unit* one = find(id);
    if (!one) return streams;
    streams.tty = one->info.spec.tty;
    if (one->channels.terminal) {
        streams.fds.push_back(one->channels.terminal.get());
    } else if (one->channels.in) {
        streams.fds.push_back(one->channels.in.get());
    }
    return streams;
}

/// stdin_once: with its first client's end the container sees the end of its input.
void Core::stdin_given_away(const std::string& id) {
    Unit* one = find(id);
    if (!one || !one->running() || !one->info.spec.stdin_once || !one->channels.in) return;
    one->channels.in.reset();
    tell_guardian(GuardMessage::drop_stdin, *one, one->process.pid());
}

void Core::attachment_moved(const std::string& id, const std::shared_ptr<Attachment>& attachment, uint64_t position) {
    Unit* one = find(id);
    if (!one) return;
    attachment->position = std::max(attachment->position, position);
    update_kept(*one);
}

void Core::detach(const std::string& id, const std::shared_ptr<Attachment>& attachment) {
    Unit* one = find(id);
    if (!one) return;
    one->attachments.erase(attachment);
    update_kept(*one);
    if (!one->attachments.empty() || one->phase != Phase::idle) return;
    if (one->removing) {
        remove_now(*one);
    } else if (one->on_started.empty() && std::find(to_start_.begin(), to_start_.end(), id) == to_start_.end()) {
        units_.erase(id);
    }
}

}  // namespace engine::supervisor
