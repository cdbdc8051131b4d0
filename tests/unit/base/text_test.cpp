#include "base/text.h"

#include <gtest/gtest.h>

using namespace std::chrono_literals;

TEST(Text, byte_sizes) {
    struct Row { const char* text; std::optional<int64_t> bytes; };
    for (const auto& row : {Row{"64m", 64 << 20}, Row{"1024", 1024}, Row{"1.5GiB", 1610612736}, Row{"2kb", 2048}, Row{"10B", 10},
                            Row{"", {}}, Row{"m", {}}, Row{"1x", {}}, Row{"1.2.3k", {}}, Row{"99999999999p", {}}})
        EXPECT_EQ(base::parse_bytes(row.text), row.bytes) << row.text;
}

TEST(Text, durations) {
    struct Row { const char* text; std::optional<std::chrono::nanoseconds> value; const char* printed; };
    for (const auto& row : {Row{"90s", 90s, "1m30s"}, Row{"1h", 1h, "1h0m0s"}, Row{"1.5s", 1500ms, "1.5s"}, Row{"100ms", 100ms, "100ms"},
                            Row{"10us", 10us, "10µs"}, Row{"0", 0s, "0s"}, Row{"1m0.000000001s", 60s + 1ns, "1m0.000000001s"},
                            Row{"5", {}, ""}, Row{"1h5", {}, ""}, Row{"", {}, ""}, Row{"9999999999h", {}, ""}}) {
        auto parsed = base::parse_duration(row.text);
        EXPECT_EQ(parsed, row.value) << row.text;
        if (parsed) EXPECT_EQ(base::format_duration(*parsed), row.printed);
    }
}

TEST(Text, times_survive_printing) {
    base::Time time = 1764000000123456789;
    EXPECT_EQ(base::parse_time(base::format_time(time)), time);
    EXPECT_EQ(base::parse_time("2026-11-24T05:00:00+01:00"), base::parse_time("2026-11-24T04:00:00Z"));
    EXPECT_FALSE(base::parse_time("9999-01-01T00:00:00Z"));
    EXPECT_FALSE(base::parse_time("2026-11-24"));
}

TEST(Text, closest_word) {
    EXPECT_EQ(base::closest("imagee", {"image", "ports"}), "image");
    EXPECT_EQ(base::closest("enviroment", {"environment", "env_file"}), "environment");
    EXPECT_FALSE(base::closest("zzzz", {"image", "ports"}));
}

TEST(Text, quoting_shows_control_characters) { EXPECT_EQ(base::quote("a\x1b[31m\"\n"), "\"a\\x1b[31m\\\"\\n\""); }

TEST(Text, sha256) { EXPECT_EQ(base::sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); }
