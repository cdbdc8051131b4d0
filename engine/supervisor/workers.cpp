#include "supervisor/workers.h"

#include <malloc.h>
#include <pthread.h>

#include <chrono>
#include <memory>

namespace engine::supervisor {
namespace {

constexpr auto kIdle = std::chrono::seconds(2);
constexpr size_t kStack = 1u << 20;

}  // namespace

Workers::~Workers() {
    std::unique_lock lock(mutex_);
    closing_ = true;
    queue_.clear();
    wake_.notify_all();
    ended_.wait(lock, [this] { return threads_ == 0; });
}

void Workers::run(std::function<void()> work) {
    std::unique_lock lock(mutex_);
    queue_.push_back(std::move(work));
    if (idle_ >= queue_.size() || threads_ >= most_) {
        wake_.notify_one();
        return;
    }
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStack);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    threads_++;
    int failed = pthread_create(&thread, &attributes, [](void* self) -> void* {
        static_cast<Workers*>(self)->loop();
        return nullptr;
    }, this);
    pthread_attr_destroy(&attributes);
    if (failed == 0) return;
    threads_--;
    if (threads_ != 0) return;  // the others will come to it
    auto here = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    here();
}

void Workers::loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (queue_.empty() && !closing_) {
            idle_++;
            bool woken = wake_.wait_for(lock, kIdle, [this] { return closing_ || !queue_.empty(); });
            idle_--;
            if (!woken) break;
        }
        if (queue_.empty()) break;
        auto work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work();
        work = nullptr;
        lock.lock();
    }
    threads_--;
    if (threads_ == 0 && !closing_) ::malloc_trim(0);  // a batch is over: its memory goes back
    ended_.notify_all();
}

}  // namespace engine::supervisor
