#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "log_fixture.h"

namespace engine::log {
namespace {

using testing_strings = std::vector<std::string>;

TEST_F(LogFolder, bytes_go_from_the_pipe_to_the_log_as_they_are) {
    open();
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    base::UniqueFd read_end(ends[0]), write_end(ends[1]);
    const std::string text("one\ntwo\0three\xff\r\nlast without end", 33);
    ASSERT_TRUE(base::write_all(write_end.get(), text));
    auto pumped = writer_->pump(read_end.get(), Stream::out);
    ASSERT_TRUE(pumped);
    EXPECT_EQ(pumped->bytes, text.size());
    EXPECT_FALSE(pumped->ended);
    write_end.reset();
    pumped = writer_->pump(read_end.get(), Stream::out);
    ASSERT_TRUE(pumped);
    EXPECT_TRUE(pumped->ended);
    EXPECT_EQ(copied(), text);
    auto all = lines();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[1].text, std::string("two\0three\xff\r", 11));
    EXPECT_FALSE(all[2].ends_line);
}

TEST_F(LogFolder, a_killed_writer_loses_nothing_and_doubles_nothing) {
    open();
    put("kept\n");
    // Killed between the bytes and their record: the file is longer than the index says.
    base::UniqueFd data(::open((folder_ + "/000001.out").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_TRUE(base::write_all(data.get(), "adopted\n"));
    // Killed in the middle of a record.
    base::UniqueFd index(::open((folder_ + "/000001.idx").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_TRUE(base::write_all(index.get(), "torn"));
    open();
    put("after\n");
    EXPECT_EQ(texts(), (testing_strings{"kept", "adopted", "after"}));
    EXPECT_EQ(copied(), "kept\nadopted\nafter\n");
    open();
    EXPECT_EQ(texts().size(), 3u);
}

TEST_F(LogFolder, a_writer_killed_before_the_head_of_a_segment_goes_on_in_it) {
    open();
    put("kept\n");
    ASSERT_TRUE(base::write_file(folder_ + "/000002.idx", ""));
    open();
    put("after\n");
    EXPECT_EQ(texts(), (testing_strings{"kept", "after"}));
    EXPECT_EQ(end_position(folder_), 11u);
}

TEST_F(LogFolder, rotation_by_size_and_number) {
    LogSettings settings;
    settings.max_size = 100;
    settings.max_files = 3;
    open(settings);
    for (int i = 0; i < 100; i++) put("line " + std::to_string(1000 + i) + "\n");
    auto all = texts();
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all.back(), "line 1099");
    EXPECT_GE(all.size(), 20u);
    EXPECT_LE(all.size(), 30u);
    for (size_t i = 1; i < all.size(); i++) EXPECT_EQ(std::stoi(all[i].substr(5)), std::stoi(all[i - 1].substr(5)) + 1);
    EXPECT_LE(files().size(), 6u);
    EXPECT_EQ(writer_->position(), 1000u);
    EXPECT_EQ(end_position(folder_), 1000u);
    open(settings);
    EXPECT_EQ(writer_->position(), 1000u);
}

TEST_F(LogFolder, what_an_attached_reader_has_not_had_is_not_rotated_away) {
    LogSettings settings;
    settings.max_size = 100;
    settings.max_files = 2;
    open(settings);
    writer_->keep_from(0);
    for (int i = 0; i < 100; i++) put("line " + std::to_string(1000 + i) + "\n");
    EXPECT_EQ(texts().size(), 100u);
    writer_->keep_from(std::numeric_limits<uint64_t>::max());
    for (int i = 0; i < 11; i++) put("line\n" + std::string(10, 'x') + "\n");
    EXPECT_LT(texts().size(), 60u);
}

TEST_F(LogFolder, a_long_line_over_a_rotation_stays_one_line) {
    LogSettings settings;
    settings.max_size = 1000;
    settings.max_files = 100;
    open(settings);
    for (int i = 0; i < 100; i++) put(std::string(100, 'x'));
    put("\nafter\n");
    auto all = texts();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].size(), 10000u);
    EXPECT_EQ(all[1], "after");
}

TEST_F(LogFolder, a_full_disk_drops_bytes_and_does_not_block) {
    open();
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    base::UniqueFd read_end(ends[0]), write_end(ends[1]);
    // A process of its own: the limit would hold for the test too.
    pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        std::string bytes(20000, 'y');
        if (!base::write_all(write_end.get(), bytes)) ::_exit(2);
        for (int i = 0; i < 10; i++)
            if (!writer_->pump(read_end.get(), Stream::out)) ::_exit(3);
        char rest;
        ::_exit(::read(read_end.get(), &rest, 1) < 0 && errno == EAGAIN ? 0 : 4);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(LogFolder, json_file_as_docker_writes_it) {
    LogSettings settings;
    settings.driver = LogSettings::Driver::json_file;
    settings.attributes = {{"tag", "x"}};
    open(settings);
    put("plain\n");
    put("quo\"te\\ <&> \x01\t\xff\n", Stream::err);
    put("part");
    put(" and rest\n");
    put(std::string(20000, 'z') + "\n");
    auto text = base::read_file(folder_ + "/json.log").value_or("");
    auto rows = base::split(text, '\n');
    ASSERT_EQ(rows.size(), 6u) << text;
    EXPECT_TRUE(rows[0].starts_with(R"({"log":"plain\n","stream":"stdout","attrs":{"tag":"x"},"time":"20)")) << rows[0];
    EXPECT_TRUE(rows[1].starts_with(R"({"log":"quo\"te\\ \u003c\u0026\u003e \u0001\t\ufffd\n","stream":"stderr")")) << rows[1];
    EXPECT_TRUE(rows[2].starts_with(R"({"log":"part and rest\n")")) << rows[2];
    EXPECT_TRUE(rows[3].starts_with("{\"log\":\"" + std::string(16384, 'z') + "\",")) << rows[3].substr(0, 40);
    EXPECT_TRUE(rows[4].starts_with("{\"log\":\"" + std::string(20000 - 16384, 'z') + "\\n\",")) << rows[4].substr(0, 40);
    // A writer killed in the middle of a line: it is cut off and made again.
    base::UniqueFd file(::open((folder_ + "/json.log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_TRUE(base::write_all(file.get(), "{\"log\":\"ha"));
    open(settings);
    put("next\n");
    auto again = base::read_file(folder_ + "/json.log").value_or("");
    EXPECT_TRUE(again.starts_with(text));
    EXPECT_TRUE(again.substr(text.size()).starts_with(R"({"log":"next\n")")) << again.substr(text.size());
    EXPECT_EQ(texts().size(), 5u);
}

TEST(LogSettings, what_a_logging_section_may_say) {
    ContainerInfo container;
    container.id = std::string(64, 'a');
    container.spec.name = "p-web-1";
    container.spec.labels = {{"team", "red"}};
    struct Row {
        LogConfig config;
        const char* error;
        uint64_t size;
        int files;
    };
    const Row rows[] = {
        {{"", {}}, nullptr, 50u << 20, 5},
        {{"local", {}}, nullptr, 20u << 20, 5},
        {{"json-file", {{"max-size", "10m"}}}, nullptr, 10u << 20, 1},
        {{"json-file", {{"max-size", "1k"}, {"max-file", "3"}}}, nullptr, 1024, 3},
        {{"none", {}}, nullptr, 1u << 20, 2},
        {{"local", {{"mode", "non-blocking"}, {"max-buffer-size", "4m"}}}, nullptr, 20u << 20, 5},
        {{"local", {{"mode", "fast"}}}, "logging mode not supported: fast", 0, 0},
        {{"local", {{"tag", "x"}}}, "unknown log opt 'tag' for local log driver", 0, 0},
        {{"json-file", {{"max-file", "0"}}}, "max-file cannot be less than 1", 0, 0},
        {{"json-file", {{"max-size", "lots"}}}, "max-size", 0, 0},
        {{"gelf", {}}, "logging driver \"gelf\" is not supported", 0, 0},
        {{"syslog", {{"syslog-address", "udp://127.0.0.1:514"}, {"tag", "{{.Name}}"}}}, nullptr, 20u << 20, 5},
        {{"syslog", {{"syslog-address", "tcp+tls://h:1"}}}, "TLS is not there", 0, 0},
        {{"syslog", {{"syslog-address", "127.0.0.1"}}}, "syslog-address should be in form proto://address", 0, 0},
        {{"syslog", {{"syslog-facility", "nobody"}}}, "invalid syslog facility", 0, 0},
        {{"syslog", {{"syslog-format", "x"}}}, "Invalid syslog format", 0, 0},
        {{"syslog", {{"max-size", "1m"}}}, "unknown log opt 'max-size' for syslog log driver", 0, 0},
        {{"journald", {{"labels", "team"}}}, nullptr, 20u << 20, 5},
    };
    for (const auto& row : rows) {
        auto settings = LogSettings::parse(row.config, container);
        if (row.error) {
            ASSERT_FALSE(settings) << row.error;
            EXPECT_NE(settings.error().message().find(row.error), std::string::npos) << settings.error().message();
            continue;
        }
        ASSERT_TRUE(settings) << settings.error().message();
        EXPECT_EQ(settings->max_size, row.size) << row.config.driver;
        EXPECT_EQ(settings->max_files, row.files) << row.config.driver;
    }
    auto tagged = LogSettings::parse({"json-file", {{"tag", "{{.Name}}/{{ .ID }}"}, {"labels", "team,none"}}}, container);
    ASSERT_TRUE(tagged);
    EXPECT_EQ(tagged->attributes, (Labels{{"tag", "p-web-1/aaaaaaaaaaaa"}, {"team", "red"}}));
}

}  // namespace
}  // namespace engine::log
