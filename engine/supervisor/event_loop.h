#pragma once
// The supervisor's one loop: file descriptors, timers, and work handed over by threads. Callbacks run in the loop's thread;
// a handle that goes away takes its callback with it, so an object that owns its handles is never called after its end.
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace engine::supervisor {

using Clock = std::chrono::steady_clock;

class EventLoop {
    struct Watch;
    struct Alarm;

public:
    /// Owns a registration.
    class FdHandle {
    public:
        FdHandle() = default;
        FdHandle(FdHandle&& other) noexcept : loop_(other.loop_), watch_(std::move(other.watch_)) {}
        FdHandle& operator=(FdHandle&& other) noexcept {
            if (this != &other) {
                reset();
                loop_ = other.loop_;
                watch_ = std::move(other.watch_);
            }
            return *this;
        }
        ~FdHandle() { reset(); }
        void reset();
        /// Changes what is waited for; 0 pauses it.
        void events(uint32_t mask);
        explicit operator bool() const { return watch_ != nullptr; }

    private:
        friend class EventLoop;
        FdHandle(EventLoop* loop, std::shared_ptr<Watch> watch) : loop_(loop), watch_(std::move(watch)) {}
        EventLoop* loop_ = nullptr;
        std::shared_ptr<Watch> watch_;
    };
    class Timer {
    public:
        Timer() = default;
        Timer(Timer&& other) noexcept : loop_(other.loop_), alarm_(std::move(other.alarm_)) {}
        Timer& operator=(Timer&& other) noexcept {
            if (this != &other) {
                reset();
                loop_ = other.loop_;
                alarm_ = std::move(other.alarm_);
            }
            return *this;
        }
        ~Timer() { reset(); }
        void reset();
        explicit operator bool() const;

    private:
        friend class EventLoop;
        Timer(EventLoop* loop, std::shared_ptr<Alarm> alarm) : loop_(loop), alarm_(std::move(alarm)) {}
        EventLoop* loop_ = nullptr;
        std::shared_ptr<Alarm> alarm_;
    };

    static base::Result<std::unique_ptr<EventLoop>> make();

    /// The fd is borrowed and must outlive the handle. `events`: EPOLLIN …
    base::Result<FdHandle> watch(int fd, uint32_t events, std::function<void(uint32_t)> callback);
    /// Once.
    Timer after(std::chrono::nanoseconds delay, std::function<void()> callback);
    /// From any thread.
    void post(std::function<void()> work);
    /// Called after each round of callbacks, before the loop sleeps.
    void each_round(std::function<void()> callback) { each_round_ = std::move(callback); }
    /// Until stop().
    base::Status run();
    void stop() { stopped_ = true; }

private:
    struct Watch {
        int fd = -1;
        uint32_t events = 0;
        bool registered = false;
        std::function<void(uint32_t)> callback;
    };
    struct Alarm {
        Clock::time_point at;
        std::function<void()> callback;
    };
    EventLoop() = default;
    void set_events(Watch& watch, uint32_t events);
    void forget(const std::shared_ptr<Watch>& watch);
    void run_posted();
    void run_timers();

    base::UniqueFd epoll_, wake_;
    std::map<int, std::shared_ptr<Watch>> watches_;
    std::multimap<Clock::time_point, std::shared_ptr<Alarm>> alarms_;
    std::mutex mutex_;
    std::vector<std::function<void()>> posted_;
    std::function<void()> each_round_;
    bool stopped_ = false;
};

}  // namespace engine::supervisor
