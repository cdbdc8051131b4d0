#include "supervisor/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

namespace engine::supervisor {

using base::Result;
using base::Status;

Result<std::unique_ptr<EventLoop>> EventLoop::make() {
    std::unique_ptr<EventLoop> loop(new EventLoop);
    loop->epoll_ = base::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!loop->epoll_) return base::fail_errno("make an event loop");
    loop->wake_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!loop->wake_) return base::fail_errno("make an event loop");
    epoll_event event{EPOLLIN, {.fd = loop->wake_.get()}};
    if (::epoll_ctl(loop->epoll_.get(), EPOLL_CTL_ADD, loop->wake_.get(), &event) != 0) return base::fail_errno("make an event loop");
    return loop;
}

void EventLoop::FdHandle::reset() {
    if (watch_) loop_->forget(watch_);
    watch_.reset();
}

void EventLoop::FdHandle::events(uint32_t mask) {
    if (watch_) loop_->set_events(*watch_, mask);
}

void EventLoop::Timer::reset() {
    if (!alarm_) return;
    auto [begin, end] = loop_->alarms_.equal_range(alarm_->at);
    for (auto it = begin; it != end; ++it) {
        if (it->second == alarm_) {
            loop_->alarms_.erase(it);
            break;
        }
    }
    alarm_->callback = nullptr;
    alarm_.reset();
}

EventLoop::Timer::operator bool() const { return alarm_ && alarm_->callback; }

Result<EventLoop::FdHandle> EventLoop::watch(int fd, uint32_t events, std::function<void(uint32_t)> callback) {
    auto watch = std::make_shared<Watch>();
    watch->fd = fd;
    watch->callback = std::move(callback);
    epoll_event event{events, {.fd = fd}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return base::fail_errno("watch fd " + std::to_string(fd));
    watch->events = events;
    watch->registered = true;
    watches_[fd] = watch;
    return FdHandle(this, std::move(watch));
}

void EventLoop::set_events(Watch& watch, uint32_t events) {
    if (watch.events == events && watch.registered == (events != 0)) return;
    epoll_event event{events, {.fd = watch.fd}};
    // Hang-ups are reported even with an empty mask: a paused fd has to leave the set.
    int operation = events == 0 ? EPOLL_CTL_DEL : watch.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (operation == EPOLL_CTL_DEL && !watch.registered) return;
    (void)::epoll_ctl(epoll_.get(), operation, watch.fd, &event);
    watch.registered = events != 0;
    watch.events = events;
}

void EventLoop::forget(const std::shared_ptr<Watch>& watch) {
    if (watch->registered) (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watch->fd, nullptr);
    watch->registered = false;
    watch->callback = nullptr;
    if (auto found = watches_.find(watch->fd); found != watches_.end() && found->second == watch) watches_.erase(found);
}

EventLoop::Timer EventLoop::after(std::chrono::nanoseconds delay, std::function<void()> callback) {
    auto alarm = std::make_shared<Alarm>();
    alarm->at = Clock::now() + std::max(delay, std::chrono::nanoseconds(0));
    alarm->callback = std::move(callback);
    alarms_.emplace(alarm->at, alarm);
    return Timer(this, std::move(alarm));
}

void EventLoop::post(std::function<void()> work) {
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
    }
    uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::run_posted() {
    uint64_t count;
    (void)!::read(wake_.get(), &count, sizeof count);
    std::vector<std::function<void()>> work;
    {
        std::lock_guard lock(mutex_);
        work.swap(posted_);
    }
    for (auto& each : work) each();
}

void EventLoop::run_timers() {
    const auto now = Clock::now();
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
        auto alarm = alarms_.begin()->second;
        alarms_.erase(alarms_.begin());
        if (auto callback = std::exchange(alarm->callback, nullptr)) callback();
    }
}

Status EventLoop::run() {
    std::array<epoll_event, 64> events;
    while (!stopped_) {
        int timeout = -1;
        if (!alarms_.empty()) {
            auto left = std::chrono::ceil<std::chrono::milliseconds>(alarms_.begin()->first - Clock::now()).count();
            timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
        }
        int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), timeout);
        if (count < 0 && errno != EINTR) return base::fail_errno("wait for events");
        for (int i = 0; i < count; i++) {
            int fd = events[static_cast<size_t>(i)].data.fd;
            if (fd == wake_.get()) {
                run_posted();
                continue;
            }
            auto found = watches_.find(fd);
            if (found == watches_.end()) continue;  // closed by an earlier callback of this round
            auto watch = found->second;
            if (watch->callback && watch->registered) {
                auto callback = watch->callback;  // it may reset its own handle
                callback(events[static_cast<size_t>(i)].events);
            }
        }
        run_timers();
        if (each_round_) each_round_();
    }
    return {};
}

}  // namespace engine::supervisor
