#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"
#include "cli/log_printer.h"
#include "cli/progress.h"
#include "cli/tar.h"

namespace compose::cli {
namespace {

/// A file that is read back.
struct Captured {
    base::UniqueFd fd{memfd_create("captured", MFD_CLOEXEC)};
    std::string text() {
        lseek(fd.get(), 0, SEEK_SET);
        return *base::read_all(fd.get());
    }
};

engine::LogLine line(std::string_view text, bool ends = true) { return {1700000000'123456789, false, ends, text}; }

TEST(LogPrinter, names_are_padded_to_the_longest_one_known) {
    Captured out;
    {
        LogPrinter printer(out.fd.get(), {true, false, false});
        printer.expect("longer-1");
        auto& a = printer.add("a-1");
        a.line(line("one"));
        a.finish();
        auto& longer = printer.add("longer-1");
        longer.line(line("two"));
        longer.finish();
        printer.note("a-1 exited with code 3");
    }
    EXPECT_EQ(out.text(), "a-1       | one\nlonger-1  | two\na-1 exited with code 3\n");
}

TEST(LogPrinter, parts_of_a_line_are_one_line_and_a_last_one_is_ended) {
    Captured out;
    {
        LogPrinter printer(out.fd.get(), {true, false, true});
        auto& a = printer.add("a-1");
        a.line(line("half", false));
        a.line(line(" and half"));
        a.line(line("rest", false));
        a.finish();
    }
    std::string stamp = "2023-11-14T22:13:20.123456789Z ";
    EXPECT_EQ(out.text(), "a-1  | " + stamp + "half and half\na-1  | " + stamp + "rest\n");
}

TEST(LogPrinter, lines_of_several_threads_stay_whole) {
    Captured out;
    constexpr int kSources = 4, kLines = 20000;
    {
        LogPrinter printer(out.fd.get(), {true, false, false});
        std::vector<std::thread> threads;
        for (int s = 0; s < kSources; ++s) {
            auto& source = printer.add("s" + std::to_string(s));
            threads.emplace_back([&source] {
                for (int i = 0; i < kLines; ++i) source.line(line("line " + std::to_string(i)));
                source.finish();
            });
        }
        for (auto& thread : threads) thread.join();
    }
    std::map<std::string, int> next;
    for (const std::string& text : base::split(out.text(), '\n')) {
        if (text.empty()) continue;
        std::string name = text.substr(0, 2);
        ASSERT_EQ(text, name + "  | line " + std::to_string(next[name]++));
    }
    ASSERT_EQ(next.size(), size_t{kSources});
    for (auto& [name, count] : next) EXPECT_EQ(count, kLines) << name;
}

TEST(LogPrinter, a_reader_that_is_gone_ends_it) {
    int fds[2];
    ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
    signal(SIGPIPE, SIG_IGN);
    close(fds[0]);
    base::UniqueFd writer(fds[1]);
    LogPrinter printer(writer.get(), {false, false, false});
    auto& a = printer.add("a-1");
    a.line(line("x"));
    a.finish();
    EXPECT_FALSE(a.line(line("y")));
}

run::StepEvent event(const char* id, const char* status, run::Phase phase, const char* text = "") {
    run::StepEvent result;
    result.id = id;
    result.status = status;
    result.phase = phase;
    result.text = text;
    return result;
}

TEST(Progress, plain_lines) {
    Captured out;
    {
        Progress progress(ProgressMode::plain, out.fd.get(), false, false);
        progress.event(event("Container p-a-1", "Creating", run::Phase::working));
        progress.event(event("Container p-a-1", "Created", run::Phase::done));
        progress.event(event("a", "Pulling", run::Phase::working));
        progress.event(event("n", "Error", run::Phase::error, "no such image"));
    }
    EXPECT_EQ(out.text(), " Container p-a-1  Creating\n Container p-a-1  Created\n a Pulling \n n Error no such image\n");
}

TEST(Progress, json_lines_and_dry_run_and_silence) {
    Captured out, dry, quiet;
    Progress(ProgressMode::json, out.fd.get(), false, false).event(event("Container p-a-1", "Created", run::Phase::done));
    EXPECT_EQ(out.text(), "{\"id\":\"Container p-a-1\",\"status\":\"Created\"}\n");
    Progress(ProgressMode::plain, dry.fd.get(), false, true).event(event("Container p-a-1", "Created", run::Phase::done));
    EXPECT_EQ(dry.text(), " DRY-RUN MODE -  Container p-a-1  Created\n");
    Progress(ProgressMode::quiet, quiet.fd.get(), false, false).event(event("Container p-a-1", "Created", run::Phase::done));
    EXPECT_EQ(quiet.text(), "");
}

TEST(Progress, a_terminal_shows_the_last_state_of_each_and_its_cursor_again) {
    Captured out;
    {
        Progress progress(ProgressMode::tty, out.fd.get(), false, false);
        progress.event(event("Container p-a-1", "Creating", run::Phase::working));
        progress.event(event("Container p-a-1", "Created", run::Phase::done));
    }
    EXPECT_THAT(out.text(), testing::HasSubstr("[+] Running 1/1"));
    EXPECT_THAT(out.text(), testing::HasSubstr("✔ Container p-a-1  Created"));
    EXPECT_THAT(out.text(), testing::EndsWith("\033[?25h"));
}

TEST(Tar, a_tree_comes_back_the_same_under_another_name) {
    auto folder = base::TempDir::make("/tmp", "cli-tar");
    ASSERT_TRUE(folder);
    std::string from = folder->path() + "/from", to = folder->path() + "/to";
    ASSERT_TRUE(base::make_dirs(from + "/sub"));
    ASSERT_TRUE(base::make_dirs(to));
    ASSERT_TRUE(base::write_file(from + "/sub/f", "deep\n", 0750));
    ASSERT_EQ(chmod((from + "/sub/f").c_str(), 0750), 0);
    ASSERT_EQ(symlink("sub/f", (from + "/link").c_str()), 0);
    ASSERT_EQ(link((from + "/sub/f").c_str(), (from + "/hard").c_str()), 0);
    Captured tar;
    ASSERT_TRUE(pack(from, {"from", false}, tar.fd.get()));
    lseek(tar.fd.get(), 0, SEEK_SET);
    ASSERT_TRUE(unpack(tar.fd.get(), to, {"from", "renamed"}));
    EXPECT_EQ(*base::read_file(to + "/renamed/sub/f"), "deep\n");
    EXPECT_EQ(*base::read_file(to + "/renamed/hard"), "deep\n");
    struct stat info {};
    ASSERT_EQ(lstat((to + "/renamed/link").c_str(), &info), 0);
    EXPECT_TRUE(S_ISLNK(info.st_mode));
    ASSERT_EQ(stat((to + "/renamed/sub/f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0750u);
    lseek(tar.fd.get(), 0, SEEK_SET);
    ASSERT_TRUE(unpack(tar.fd.get(), to, {"from", ""}));  // the content alone
    EXPECT_EQ(*base::read_file(to + "/sub/f"), "deep\n");
}

TEST(Tar, what_is_not_there_is_named) {
    Captured tar;
    auto status = pack("/nowhere/at-all", {"x", false}, tar.fd.get());
    ASSERT_FALSE(status);
    EXPECT_THAT(status.error().message(), testing::HasSubstr("lstat /nowhere/at-all"));
}

}  // namespace
}  // namespace compose::cli
