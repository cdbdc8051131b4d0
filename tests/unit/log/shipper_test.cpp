// Packed segments, and lines that are sent on to syslog and journald.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <mutex>
#include <thread>

#include "log/compress.h"
#include "log/shipper.h"
#include "log_fixture.h"

namespace engine::log {
namespace {

constexpr auto kShipPatience = std::chrono::seconds(60);

void eventually(const std::function<bool()>& done, const char* what) {
    const auto deadline = std::chrono::steady_clock::now() + kShipPatience;
    while (!done()) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain for " << what;
        ::usleep(2000);
    }
}

using Packed = LogFolder;

TEST_F(Packed, what_rotation_has_closed_is_packed_and_reads_the_same) {
    LogSettings settings;
    settings.max_size = 4096;
    settings.max_files = 1000;
    settings.compress = true;
    open(settings);
    std::string all;
    for (int i = 0; i < 2000; i++) {
        const std::string line = "line " + std::to_string(i) + "\n";
        put(line, i % 3 == 0 ? Stream::err : Stream::out);
        all += line;
    }
    auto plain = [&] {
        size_t count = 0;
        for (const auto& name : files()) count += name.ends_with(".out") ? 1 : 0;
        return count;
    };
    eventually([&] { return plain() <= 1; }, "the packing");
    EXPECT_EQ(copied(), all);
    LogOptions tail;
    tail.tail = 1500;
    auto last = texts(tail);
    ASSERT_EQ(last.size(), 1500u);
    EXPECT_EQ(last[0], "line 500");
    EXPECT_EQ(end_position(folder_), all.size());
    // A writer that was killed before it had packed everything leaves that to the next one.
    settings.compress = false;
    open(settings);
    for (int i = 0; i < 500; i++) put("more\n");
    const size_t left = plain();
    EXPECT_GT(left, 1u);
    settings.compress = true;
    open(settings);
    eventually([&] { return plain() <= 1; }, "the packing of what was left");
    for (int i = 0; i < 500; i++) all += "more\n";
    EXPECT_EQ(copied(), all);
}

TEST_F(Packed, rotation_takes_packed_segments_away) {
    LogSettings settings;
    settings.max_size = 1024;
    settings.max_files = 3;
    settings.compress = true;
    open(settings);
    for (int i = 0; i < 3000; i++) put("a line of some length\n");
    eventually([&] { return files().size() <= 3 * 3; }, "the packing");  // an index and at most two streams each
    auto kept = texts();
    EXPECT_GT(kept.size(), 50u);
    EXPECT_EQ(kept.back(), "a line of some length");
}

class Receiver {
public:
    Receiver(const std::string& path, int type) : listen_(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::bind(listen_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << strerror(errno);
        if (type == SOCK_STREAM) EXPECT_EQ(::listen(listen_.get(), 8), 0);
        thread_ = std::thread([this, type] { receive(type); });
    }
    ~Receiver() {
        ::shutdown(listen_.get(), SHUT_RDWR);
        thread_.join();
    }
    std::vector<std::string> all() {
        std::lock_guard lock(mutex_);
        return all_;
    }
    size_t count() { return all().size(); }

private:
    void receive(int type) {
        base::UniqueFd stream;
        if (type == SOCK_STREAM) stream = base::UniqueFd(::accept(listen_.get(), nullptr, nullptr));
        const int fd = stream ? stream.get() : listen_.get();
        char buffer[64 * 1024];
        for (;;) {
            ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
            if (n <= 0) return;
            std::lock_guard lock(mutex_);
            all_.emplace_back(buffer, static_cast<size_t>(n));
        }
    }
    base::UniqueFd listen_;
    std::mutex mutex_;
    std::vector<std::string> all_;
    std::thread thread_;
};

using Shipped = LogFolder;

TEST_F(Shipped, to_syslog_all_lines_also_those_from_before_it_was_there) {
    LogSettings settings;
    settings.driver = LogSettings::Driver::syslog;
    settings.address = "unix://" + dir_->path() + "/syslog";
    settings.tag = "web";
    settings.format = "rfc5424";
    settings.facility = 16;
    open(settings);
    put("first\nsecond half ");
    auto shipper = std::make_unique<LogShipper>(folder_, settings);
    put("is here\n");
    put("an error\n", Stream::err);
    {
        Receiver syslog(dir_->path() + "/syslog", SOCK_DGRAM);
        eventually([&] { return syslog.count() >= 3; }, "three lines");
        auto all = syslog.all();
        EXPECT_EQ(all[0].find("<134>1 "), 0u) << all[0];
        EXPECT_NE(all[0].find(" web " + std::to_string(::getpid()) + " web - first\n"), std::string::npos) << all[0];
        EXPECT_NE(all[1].find(" - second half is here\n"), std::string::npos) << all[1];
        EXPECT_EQ(all[2].find("<131>1 "), 0u) << all[2];
        std::atomic<bool> done{false};
        put("the end");
        shipper->finish([&] { done = true; });
        eventually([&] { return done.load(); }, "the end");
        EXPECT_EQ(syslog.count(), 4u);
        shipper.reset();
    }
    // The next one goes on behind what was sent.
    ::unlink((dir_->path() + "/syslog").c_str());
    put("\nagain\n");
    shipper = std::make_unique<LogShipper>(folder_, settings);
    Receiver syslog(dir_->path() + "/syslog", SOCK_DGRAM);
    eventually([&] { return syslog.count() >= 2; }, "the later line");
    EXPECT_NE(syslog.all().back().find(" - again\n"), std::string::npos) << syslog.all().back();
    std::atomic<bool> done{false};
    shipper->finish([&] { done = true; });
    eventually([&] { return done.load(); }, "the end");
}

TEST_F(Shipped, a_receiver_that_is_away_is_not_waited_for_with_mode_non_blocking) {
    LogSettings settings;
    settings.driver = LogSettings::Driver::syslog;
    settings.address = "unix://" + dir_->path() + "/nobody";
    settings.non_blocking = true;
    open(settings);
    for (int i = 0; i < 100; i++) put("lost\n");
    LogShipper shipper(folder_, settings);
    std::atomic<bool> done{false};
    shipper.finish([&] { done = true; });
    eventually([&] { return done.load(); }, "the end");
    EXPECT_EQ(texts().size(), 100u);  // `logs` has them all the same
}

TEST_F(Shipped, to_journald_with_its_fields) {
    LogSettings settings;
    settings.driver = LogSettings::Driver::journald;
    settings.address = dir_->path() + "/journal";
    settings.fields = {{"CONTAINER_NAME", "p-web-1"}, {"NOTE", "two\nlines"}};
    Receiver journal(settings.address, SOCK_DGRAM);
    open(settings);
    LogShipper shipper(folder_, settings);
    put("hello\n");
    eventually([&] { return journal.count() >= 1; }, "the entry");
    const std::string entry = journal.all()[0];
    EXPECT_EQ(entry.find("MESSAGE=hello\nCONTAINER_NAME=p-web-1\nNOTE\n"), 0u) << entry;
    EXPECT_NE(entry.find(std::string("NOTE\n\x09\0\0\0\0\0\0\0two\nlines\n", 23)), std::string::npos);
    EXPECT_NE(entry.find("PRIORITY=6\n"), std::string::npos);
    std::atomic<bool> done{false};
    shipper.finish([&] { done = true; });
    eventually([&] { return done.load(); }, "the end");
}

TEST(Targets, lines_of_syslog) {
    const Time noon = 1'700'000'000'123'456'789;
    const std::string pid = std::to_string(::getpid());
    EXPECT_EQ(syslog_line("rfc3164", 30, noon, "host", "tag", "text"), "<30>2023-11-14T22:13:20Z host tag[" + pid + "]: text\n");
    EXPECT_EQ(syslog_line("rfc5424", 30, noon, "host", "tag", "text"), "<30>1 2023-11-14T22:13:20Z host tag " + pid + " tag - text\n");
    EXPECT_EQ(syslog_line("rfc5424micro", 30, noon, "host", "tag", "text"), "<30>1 2023-11-14T22:13:20.123456Z host tag " + pid + " tag - text\n");
    EXPECT_NE(syslog_line("", 30, noon, "host", "tag", "text").find(" tag[" + pid + "]: text\n"), std::string::npos);
    EXPECT_FALSE(check_target([] {
        LogSettings settings;
        settings.driver = LogSettings::Driver::journald;
        settings.address = "/nowhere/socket";
        return settings;
    }()));
}

}  // namespace
}  // namespace engine::log
