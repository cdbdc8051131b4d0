#include <thread>

#include "log/log_files.h"
#include "log_fixture.h"

namespace engine::log {
namespace {

using Texts = std::vector<std::string>;

TEST_F(LogFolder, an_absent_log_is_empty) {
    EXPECT_TRUE(lines().empty());
    EXPECT_EQ(copied(), "");
    EXPECT_EQ(end_position(folder_), 0u);
    EXPECT_EQ(last_lines(folder_, 5), "");
}

TEST_F(LogFolder, tail_counts_lines_of_both_streams_and_an_unfinished_last_one) {
    open();
    put("a1\na2\n");
    put("b1\n", Stream::err);
    put("a3\na4");
    struct Row {
        int64_t tail;
        Texts texts;
    };
    const Row rows[] = {{-1, {"a1", "a2", "b1", "a3", "a4"}}, {0, {}}, {1, {"a4"}}, {2, {"a3", "a4"}}, {3, {"b1", "a3", "a4"}},
                        {4, {"a2", "b1", "a3", "a4"}}, {5, {"a1", "a2", "b1", "a3", "a4"}}, {50, {"a1", "a2", "b1", "a3", "a4"}}};
    for (const auto& row : rows) {
        LogOptions options;
        options.tail = row.tail;
        EXPECT_EQ(texts(options), row.texts) << row.tail;
    }
    LogOptions two;
    two.tail = 2;
    EXPECT_EQ(copied(two), "a3\na4");
    EXPECT_EQ(last_lines(folder_, 2), "a3\na4\n");
}

TEST_F(LogFolder, tail_over_a_line_that_came_in_parts) {
    open();
    put("old\nfirst half");
    put(", second half\n");
    put("last\n");
    LogOptions options;
    options.tail = 2;
    EXPECT_EQ(texts(options), (Texts{"first half, second half", "last"}));
    EXPECT_EQ(copied(options), "first half, second half\nlast\n");
}

TEST_F(LogFolder, tail_is_the_end_of_the_whole_whatever_the_pieces) {
    LogSettings settings;
    settings.max_size = 60;
    settings.max_files = 100'000;
    uint32_t random = 12345;
    auto next = [&](uint32_t below) { return (random = random * 1664525 + 1013904223) / 65536 % below; };
    for (int round = 0; round < 60; round++) {
        writer_.reset();
        ASSERT_TRUE(base::remove_tree(folder_));
        open(settings);
        for (uint32_t i = 0, parts = 1 + next(14); i < parts; i++) {
            std::string text;
            for (uint32_t each = 0, pieces = 1 + next(4); each < pieces; each++)
                text += std::string(next(7), static_cast<char>('a' + next(26))) + (next(2) == 0 ? "\n" : std::to_string(i));
            put(text, next(2) == 0 ? Stream::out : Stream::err);
        }
        const auto whole = lines();
        for (size_t tail = 0; tail <= whole.size() + 1; tail++) {
            LogOptions options;
            options.tail = static_cast<int64_t>(tail);
            Texts wanted, got;
            std::string bytes;
            for (size_t i = whole.size() - std::min(tail, whole.size()); i < whole.size(); i++) {
                wanted.push_back(whole[i].text);
                bytes += whole[i].text + (whole[i].ends_line ? "\n" : "");
            }
            for (const auto& line : lines(options)) {
                got.push_back(line.text);
                EXPECT_GT(line.time, 0);
            }
            EXPECT_EQ(got, wanted) << "round " << round << " tail " << tail;
            EXPECT_EQ(copied(options), bytes) << "round " << round << " tail " << tail;
        }
    }
}

TEST_F(LogFolder, since_shows_no_begun_line_that_nothing_came_to) {
    open();
    put("done\nbegun");
    LogOptions options;
    options.since = base::now();
    EXPECT_EQ(texts(options), Texts{});
    EXPECT_EQ(copied(options), "");
    put(" ended\n");
    EXPECT_EQ(texts(options), (Texts{"begun ended"}));
}

TEST_F(LogFolder, tail_without_following_leaves_out_what_comes_while_it_reads) {
    open();
    put("one\ntwo\nthree\n");
    Texts all;
    LogOptions options;
    options.tail = 2;
    ASSERT_TRUE(read_log(folder_, options, {}, [&](const LogLine& line) {
        all.emplace_back(line.text);
        put("later\n");
        return true;
    }));
    EXPECT_EQ(all, (Texts{"two", "three"}));
}

TEST_F(LogFolder, tail_over_segments) {
    LogSettings settings;
    settings.max_size = 50;
    settings.max_files = 100;
    open(settings);
    for (int i = 0; i < 100; i++) put("line " + std::to_string(i) + "\n");
    for (int64_t tail : {1, 7, 33, 100, 1000}) {
        LogOptions options;
        options.tail = tail;
        auto all = texts(options);
        EXPECT_EQ(all.size(), static_cast<size_t>(std::min<int64_t>(tail, 100)));
        EXPECT_EQ(all.back(), "line 99");
        std::string text = copied(options);
        EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), std::min<int64_t>(tail, 100));
    }
}

TEST_F(LogFolder, since_and_until_go_by_the_time_of_each_record) {
    open();
    put("first\n");
    ::usleep(20'000);
    base::Time middle = base::now();
    ::usleep(20'000);
    put("second\n");
    LogOptions since;
    since.since = middle;
    EXPECT_EQ(texts(since), Texts{"second"});
    EXPECT_EQ(copied(since), "second\n");
    LogOptions until;
    until.until = middle;
    EXPECT_EQ(texts(until), Texts{"first"});
    EXPECT_EQ(copied(until), "first\n");
    LogOptions early;
    early.until = 1;
    EXPECT_TRUE(texts(early).empty());
    LogOptions both;
    both.since = middle;
    both.tail = 10;
    EXPECT_EQ(texts(both), Texts{"second"});
}

TEST_F(LogFolder, a_clock_that_was_set_back_hides_nothing_that_was_asked_for) {
    open();
    for (const char* text : {"before\n", "back\n", "later\n"}) put(text);
    // The clock stood at 100 hours, was set to 50 and went on.
    constexpr Time hour = 3'600'000'000'000;
    base::UniqueFd index(::open((folder_ + "/000001.idx").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_TRUE(index);
    const Time times[] = {100 * hour, 50 * hour, 51 * hour};
    for (size_t i = 0; i < 3; i++)
        ASSERT_EQ(::pwrite(index.get(), &times[i], sizeof(Time), static_cast<off_t>(sizeof(IndexHeader) + i * sizeof(IndexRecord) + offsetof(IndexRecord, time))),
                  static_cast<ssize_t>(sizeof(Time)));
    struct Row {
        Time since, until;
        Texts texts;
    };
    const Row rows[] = {{0, 0, {"before", "back", "later"}}, {99 * hour, 0, {"before"}}, {51 * hour, 0, {"before", "later"}}, {0, 52 * hour, {"back", "later"}},
                        {51 * hour, 60 * hour, {"later"}},    {101 * hour, 0, {}}};
    for (const auto& row : rows) {
        LogOptions options;
        options.since = row.since;
        options.until = row.until;
        EXPECT_EQ(texts(options), row.texts) << row.since / hour << " " << row.until / hour;
        std::string bytes;
        for (const auto& text : row.texts) bytes += text + "\n";
        EXPECT_EQ(copied(options), bytes) << row.since / hour << " " << row.until / hour;
    }
}

TEST_F(LogFolder, timestamps_are_of_the_time_of_writing) {
    open();
    base::Time before = base::now();
    put("x\ny\n");
    LogOptions options;
    options.timestamps = true;
    auto rows = base::split(copied(options), '\n');
    ASSERT_EQ(rows.size(), 3u);
    auto [stamp, rest] = base::cut(rows[0], ' ');
    EXPECT_EQ(rest, "x");
    auto time = base::parse_time(stamp);
    ASSERT_TRUE(time) << stamp;
    EXPECT_GE(*time, before);
    EXPECT_LE(*time, base::now());
}

TEST_F(LogFolder, a_copy_keeps_lines_of_two_streams_whole) {
    open();
    put("out begins, ");
    put("err line\n", Stream::err);
    put("out ends\n");
    put("tail without end", Stream::err);
    EXPECT_EQ(copied(), "err line\nout begins, out ends\ntail without end");
    EXPECT_EQ(texts(), (Texts{"err line", "out begins, out ends", "tail without end"}));
}

TEST_F(LogFolder, a_line_of_megabytes_comes_in_parts) {
    open();
    for (int i = 0; i < 30; i++) put(std::string(100'000, 'm'));
    put("\n");
    size_t total = 0, ends = 0;
    for (auto& line : lines()) total += line.text.size(), ends += line.ends_line ? 1 : 0;
    EXPECT_EQ(total, 3'000'000u);
    EXPECT_EQ(ends, 1u);
    EXPECT_EQ(copied().size(), 3'000'001u);
}

TEST_F(LogFolder, a_follower_gets_every_line_over_rotations_and_ends_when_nothing_more_can_come) {
    LogSettings settings;
    settings.max_size = 20'000;
    settings.max_files = 3;
    open(settings);
    std::atomic<bool> live{true};
    std::vector<std::string> got;
    std::atomic<size_t> count{0};
    std::atomic<bool> cancel{false};
    Follow follow;
    follow.live = [&] { return live.load(); };
    follow.cancel = &cancel;
    LogOptions options;
    options.follow = true;
    std::thread reader([&] {
        auto read = read_log(folder_, options, follow, [&](const LogLine& line) {
            got.emplace_back(line.text);
            count++;
            return true;
        });
        EXPECT_TRUE(read);
    });
    for (int i = 0; i < 20'000; i++) {
        put("line " + std::to_string(i) + "\n");
        // The reader holds what it has seen open; a writer that runs rings round it would rotate unseen segments away.
        while (static_cast<size_t>(i) > count.load() + 1000) ::sched_yield();
    }
    put("the last\n");
    live = false;
    reader.join();
    ASSERT_EQ(got.size(), 20'001u);
    for (int i = 0; i < 20'000; i++) ASSERT_EQ(got[static_cast<size_t>(i)], "line " + std::to_string(i));
    EXPECT_EQ(got.back(), "the last");
}

TEST_F(LogFolder, a_follower_waits_for_a_log_that_is_yet_to_begin_and_is_woken_by_its_fd) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    base::UniqueFd wake(ends[0]), waker(ends[1]);
    std::atomic<bool> live{true};
    Follow follow;
    follow.live = [&] { return live.load(); };
    follow.wake_fd = wake.get();
    follow.woken = [&] {
        char byte;
        (void)!::read(wake.get(), &byte, 1);
    };
    LogOptions options;
    options.follow = true;
    std::vector<std::string> got;
    std::thread reader([&] {
        EXPECT_TRUE(read_log(folder_, options, follow, [&](const LogLine& line) {
            got.emplace_back(line.text);
            return true;
        }));
    });
    open();
    put("begun\n");
    live = false;
    ASSERT_TRUE(base::write_all(waker.get(), "x"));
    reader.join();
    EXPECT_EQ(got, Texts{"begun"});
}

TEST_F(LogFolder, copy_streams_starts_in_the_middle_and_keeps_the_streams_apart) {
    open();
    put("before\n");
    put("error before\n", Stream::err);
    uint64_t from = writer_->position() - 3;
    put("after\n");
    put("error after\n", Stream::err);
    base::UniqueFd out(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)), err(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    Follow follow;
    follow.from = from;
    follow.live = [] { return false; };
    uint64_t position = 0;
    follow.progress = [&](uint64_t at) { position = at; };
    ASSERT_TRUE(copy_streams(folder_, follow, out.get(), err.get()));
    ::lseek(out.get(), 0, SEEK_SET);
    ::lseek(err.get(), 0, SEEK_SET);
    EXPECT_EQ(base::read_all(out.get()).value_or(""), "after\n");
    EXPECT_EQ(base::read_all(err.get()).value_or(""), "re\nerror after\n");
    EXPECT_EQ(position, writer_->position());
}

}  // namespace
}  // namespace engine::log
