#pragma once
// A log in a temporary folder, written by hand or through a pipe.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "log/log_reader.h"
#include "log/log_writer.h"

namespace engine::log {

class LogFolder : public ::testing::Test {
protected:
    void SetUp() override {
        auto dir = base::TempDir::make("/tmp", "log-test-");
        ASSERT_TRUE(dir);
        dir_ = std::make_unique<base::TempDir>(std::move(*dir));
        folder_ = dir_->path() + "/log";
    }
    void open(LogSettings settings = {}) {
        writer_.reset();
        auto opened = LogWriter::open(folder_, settings);
        ASSERT_TRUE(opened) << opened.error().message();
        writer_ = std::move(*opened);
    }
    void put(std::string_view text, Stream stream = Stream::out) { ASSERT_TRUE(writer_->append(stream, text)); }

    struct Line {
        std::string text;
        bool is_stderr, ends_line;
        Time time;
        bool operator==(const std::string& other) const { return text == other; }
    };
    std::vector<Line> lines(const LogOptions& options = {}) {
        std::vector<Line> all;
        auto read = read_log(folder_, options, {}, [&](const LogLine& line) {
            all.push_back({std::string(line.text), line.is_stderr, line.ends_line, line.time});
            return true;
        });
        EXPECT_TRUE(read) << read.error().message();
        return all;
    }
    std::vector<std::string> texts(const LogOptions& options = {}) {
        std::vector<std::string> all;
        for (auto& line : lines(options)) all.push_back(line.text);
        return all;
    }
    std::string copied(const LogOptions& options = {}) {
        base::UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        auto done = copy_log(folder_, options, {}, file.get());
        EXPECT_TRUE(done) << done.error().message();
        ::lseek(file.get(), 0, SEEK_SET);
        return base::read_all(file.get()).value_or("");
    }
    std::vector<std::string> files() { return base::list_dir(folder_).value_or(std::vector<std::string>{}); }

    std::unique_ptr<base::TempDir> dir_;
    std::string folder_;
    std::unique_ptr<LogWriter> writer_;
};

}  // namespace engine::log
