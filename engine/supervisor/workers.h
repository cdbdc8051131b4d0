#pragma once
// Threads for what may block (mounts, copying into volumes, waiting for a program to begin): as many as there is work for, up
// to a bound, and none after some idle seconds.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace engine::supervisor {

class Workers {
public:
    explicit Workers(size_t most) : most_(most) {}
    ~Workers();  ///< waits for what is being done; the rest is dropped
    void run(std::function<void()> work);

private:
    void loop();
    std::mutex mutex_;
    std::condition_variable wake_, ended_;
    std::deque<std::function<void()>> queue_;
    size_t most_, threads_ = 0, idle_ = 0;
    bool closing_ = false;
};

}  // namespace engine::supervisor
