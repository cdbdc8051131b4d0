#include "log/shipper.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"
#include "base/log.h"
#include "log/log_reader.h"

namespace engine::log {
namespace {

constexpr size_t kLongestLine = 16 * 1024;  // as Docker's: longer ones go in parts
constexpr auto kLastTries = std::chrono::seconds(3);
constexpr int kTryAgainMs = 200;

std::string shipped_file(const std::string& folder) { return folder + "/shipped"; }

}  // namespace

LogShipper::LogShipper(std::string folder, const LogSettings& settings)
    : folder_(std::move(folder)), may_drop_(settings.non_blocking), target_(make_target(settings)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {}

LogShipper::~LogShipper() {
    cancel_ = true;
    (void)::eventfd_write(wake_.get(), 1);
    thread_.join();
}

void LogShipper::finish(std::function<void()> done) {
    done_ = std::move(done);
    ended_ = true;
    (void)::eventfd_write(wake_.get(), 1);
}

bool LogShipper::deliver(Stream stream, Time time, std::string_view text, bool whole) {
    std::chrono::steady_clock::time_point give_up{};
    bool warned = false;
    for (;;) {
        auto sent = target_->send(stream, time, text, whole);
        if (sent) return true;
        if (!std::exchange(warned, true)) base::log::warn("log \"" + folder_ + "\": " + sent.error().message());
        if (may_drop_) return true;
        const auto now = std::chrono::steady_clock::now();
        if (ended_ && give_up == std::chrono::steady_clock::time_point{}) give_up = now + kLastTries;
        if (cancel_ || (ended_ && now >= give_up)) return false;
        pollfd woken{wake_.get(), 0, 0};
        (void)::poll(&woken, 1, kTryAgainMs);
    }
}

void LogShipper::run() {
    auto ship = [&]() -> base::Status {
        TRY_VOID(base::make_dirs(folder_, 0700));
        // One of an earlier start may still be at its last lines.
        auto alone = TRY(base::FileLock::acquire(shipped_file(folder_) + ".lock"));
        uint64_t from = 0;
        if (auto text = base::read_file(shipped_file(folder_), 64)) from = static_cast<uint64_t>(base::parse_int(base::trim(*text)).value_or(0));
        uint64_t delivered = 0;
        bool complete = true;
        auto save = [&](uint64_t position) { (void)base::write_file(shipped_file(folder_), std::to_string(position) + "\n"); };
        LogOptions options;
        options.follow = true;
        Follow follow;
        follow.from = from;
        follow.wake_fd = wake_.get();
        follow.woken = [this] {
            eventfd_t count;
            (void)::eventfd_read(wake_.get(), &count);
        };
        follow.live = [this] { return !ended_; };
        follow.cancel = &cancel_;
        follow.progress = [&](uint64_t position) {
            // Not while a line is only half here: its beginning would be missing in the next one's.
            if (from + delivered == position) save(position);
        };
        TRY_VOID(read_log(folder_, options, follow, [&](const LogLine& line) {
            const Stream stream = line.is_stderr ? Stream::err : Stream::out;
            std::string_view text = line.text;
            delivered += text.size() + (line.ends_line ? 1 : 0);
            while (complete && text.size() > kLongestLine) {
                complete = deliver(stream, line.time, text.substr(0, kLongestLine), false);
                text.remove_prefix(kLongestLine);
            }
            complete = complete && deliver(stream, line.time, text, line.ends_line);
            return complete;
        }));
        if (complete && ended_ && !cancel_) save(from + delivered);
        return {};
    };
    if (auto shipped = ship(); !shipped) base::log::warn("log \"" + folder_ + "\": " + shipped.error().message());
    // After an error there is nothing left to do but to be told of the end.
    while (!ended_ && !cancel_) {
        pollfd woken{wake_.get(), POLLIN, 0};
        (void)::poll(&woken, 1, -1);
        eventfd_t count;
        (void)::eventfd_read(wake_.get(), &count);
    }
    if (ended_ && done_) done_();
}

}  // namespace engine::log
