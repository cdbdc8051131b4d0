#include "store/watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace engine::store {
namespace {

using std::chrono::steady_clock;

class WatchTest : public testing::Test {
protected:
    void SetUp() override {
        auto dir = base::TempDir::make("/tmp", "watch-");
        ASSERT_TRUE(dir);
        dir_ = std::make_unique<base::TempDir>(std::move(*dir));
        path_ = dir_->path() + "/changed";
    }
    static ChangeWatch::Deadline generous() { return steady_clock::now() + std::chrono::seconds(60); }
    std::unique_ptr<base::TempDir> dir_;
    std::string path_;
};

TEST_F(WatchTest, AChangeBeforeTheWaitIsNotMissed) {
    auto signal = ChangeSignal::open(path_);
    auto watch = ChangeWatch::open(path_);
    ASSERT_TRUE(signal && watch);
    signal->notify();
    EXPECT_TRUE(*watch->wait(generous()));
    EXPECT_FALSE(*watch->wait(steady_clock::now())) << "seen once";
}

TEST_F(WatchTest, TheDeadlineEndsTheWait) {
    auto watch = ChangeWatch::open(path_);
    ASSERT_TRUE(watch);
    EXPECT_FALSE(*watch->wait(steady_clock::now() + std::chrono::milliseconds(1)));
}

TEST_F(WatchTest, CancelEndsTheWait) {
    auto watch = ChangeWatch::open(path_);
    ASSERT_TRUE(watch);
    std::atomic<bool> cancel = false;
    std::thread canceller([&] { cancel = true; });
    EXPECT_FALSE(*watch->wait(std::nullopt, &cancel));
    canceller.join();
}

TEST_F(WatchTest, AnotherProcessWakesAllWaiters) {
    constexpr int kWaiters = 20;
    std::vector<ChangeWatch> watches;
    for (int i = 0; i < kWaiters; ++i) {
        auto watch = ChangeWatch::open(path_);
        ASSERT_TRUE(watch);
        watches.push_back(std::move(*watch));
    }
    std::atomic<int> woken = 0;
    std::vector<std::thread> threads;
    for (auto& watch : watches)
        threads.emplace_back([&] {
            if (watch.wait(generous()).value_or(false)) ++woken;
        });
    pid_t child = fork();
    if (child == 0) {
        auto signal = ChangeSignal::open(path_);
        if (!signal) _exit(1);
        signal->notify();
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(woken, kWaiters);
}

TEST_F(WatchTest, EventLoopsHaveAnFd) {
    auto signal = ChangeSignal::open(path_);
    auto watch = ChangeWatch::open(path_);
    ASSERT_TRUE(signal && watch);
    auto fd = watch->fd();
    ASSERT_TRUE(fd) << fd.error().message();
    pollfd entry{*fd, POLLIN, 0};
    EXPECT_EQ(poll(&entry, 1, 0), 0);
    signal->notify();
    EXPECT_EQ(poll(&entry, 1, 60000), 1);
    watch->drain();
    EXPECT_EQ(poll(&entry, 1, 0), 0);
    EXPECT_FALSE(*watch->wait(steady_clock::now())) << "drained is seen";
}

}  // namespace
}  // namespace engine::store
