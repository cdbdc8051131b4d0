#pragma once
// Bytes from one thread to another, bounded.
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace engine::image {

class ChunkQueue {
public:
    explicit ChunkQueue(size_t most_bytes) : most_(most_bytes) {}

    /// Waits for room; false when the queue was aborted.
    bool push(std::string_view bytes) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return aborted_ || queued_ < most_; });
        if (aborted_) return false;
        std::string chunk;
        if (!spare_.empty()) {
            chunk = std::move(spare_.back());
            spare_.pop_back();
        }
        lock.unlock();
        chunk.assign(bytes);
        lock.lock();
        if (aborted_) return false;
        queued_ += chunk.size();
        chunks_.push_back(std::move(chunk));
        lock.unlock();
        filled_.notify_one();
        return true;
    }
    /// No more will come.
    void finish() {
        std::lock_guard lock(mutex_);
        finished_ = true;
        filled_.notify_all();
    }
    /// Both sides stop.
    void abort() {
        std::lock_guard lock(mutex_);
        aborted_ = true;
        filled_.notify_all();
        room_.notify_all();
    }
    /// The next bytes into `chunk` (whose memory is reused); false at the end or when aborted.
    bool pop(std::string& chunk) {
        std::unique_lock lock(mutex_);
        if (chunk.capacity() > 0 && spare_.size() < 4) spare_.push_back(std::move(chunk));
        filled_.wait(lock, [&] { return aborted_ || finished_ || !chunks_.empty(); });
        if (aborted_ || chunks_.empty()) return false;
        chunk = std::move(chunks_.front());
        chunks_.pop_front();
        queued_ -= chunk.size();
        lock.unlock();
        room_.notify_one();
        return true;
    }
    bool aborted() {
        std::lock_guard lock(mutex_);
        return aborted_;
    }

private:
    size_t most_, queued_ = 0;
    std::mutex mutex_;
    std::condition_variable filled_, room_;
    std::deque<std::string> chunks_;
    std::vector<std::string> spare_;
    bool finished_ = false, aborted_ = false;
};

}  // namespace engine::image
