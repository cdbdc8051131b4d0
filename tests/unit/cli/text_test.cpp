#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "cli/container_text.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/when.h"

namespace compose::cli {
namespace {

using ::testing::ElementsAre;

TEST(Width, escapes_take_no_room_and_characters_one) {
    EXPECT_EQ(width("abc"), 3u);
    EXPECT_EQ(width("\033[36mäöü\033[0m"), 3u);
    EXPECT_EQ(cut_to("\033[36mabcdef\033[0m", 3), "\033[36mabc\033[0m");
}

TEST(Table, pads_all_but_the_last_column) {
    Table table({"A", "LONG", "C"});
    table.add({"xyz", "é", "last"});
    EXPECT_EQ(table.text(), "A     LONG   C\nxyz   é      last\n");
}

TEST(Words, as_a_shell) {
    EXPECT_THAT(*split_words("echo 'a b' \"c \\\" d\" e\\ f ''"), ElementsAre("echo", "a b", "c \" d", "e f", ""));
    EXPECT_TRUE(split_words("")->empty());
    EXPECT_FALSE(split_words("'open"));
}

TEST(When, forms) {
    EXPECT_EQ(*parse_when(""), 0);
    EXPECT_EQ(*parse_when("1700000000"), 1700000000'000000000);
    EXPECT_EQ(*parse_when("1700000000.5"), 1700000000'500000000);
    EXPECT_EQ(*parse_when("2023-11-14T22:13:20Z"), 1700000000'000000000);
    EXPECT_EQ(*parse_when("2023-11-14T22:13:20"), 1700000000'000000000);
    EXPECT_EQ(*parse_when("2023-11-14"), 1699920000'000000000);
    base::Time before = base::now(), hour = 3600'000000000, when = *parse_when("1h");
    EXPECT_GE(when, before - hour);
    EXPECT_LE(when, base::now() - hour);
    EXPECT_FALSE(parse_when("yesterday"));
}

engine::ContainerInfo sample_container() {
    engine::ContainerInfo container;
    container.argv = {"sleep", "100"};
    container.state.status = engine::ContainerStatus::running;
    container.state.started = 1'000'000'000;
    return container;
}

TEST(Status, docker_words) {
    auto container = sample_container();
    engine::Time now = 4'000'000'000;
    EXPECT_EQ(status_text(container, now), "Up 3 seconds");
    container.state.health = engine::HealthStatus::starting;
    EXPECT_EQ(status_text(container, now), "Up 3 seconds (health: starting)");
    container.state.health = engine::HealthStatus::unhealthy;
    EXPECT_EQ(status_text(container, now), "Up 3 seconds (unhealthy)");
    container.state.status = engine::ContainerStatus::paused;
    EXPECT_EQ(status_text(container, now), "Up 3 seconds (Paused)");
    container.state.status = engine::ContainerStatus::exited;
    container.state.exit_code = 3;
    container.state.finished = 2'000'000'000;
    EXPECT_EQ(status_text(container, now), "Exited (3) 2 seconds ago");
    container.state.status = engine::ContainerStatus::restarting;
    EXPECT_EQ(status_text(container, now), "Restarting (3) 2 seconds ago");
}

TEST(Ports, published_exposed_and_ranges) {
    auto container = sample_container();
    EXPECT_EQ(ports_text(container), "");
    container.ports = {{"127.0.0.1", 18081, 0, 80, "tcp"}};
    container.spec.expose = {"80/tcp", "90"};
    EXPECT_EQ(ports_text(container), "127.0.0.1:18081->80/tcp, 90/tcp");
    container.spec.expose.clear();
    container.ports = {{"", 8000, 0, 80, "tcp"}};
    EXPECT_EQ(ports_text(container), "0.0.0.0:8000->80/tcp, [::]:8000->80/tcp");
    container.ports = {{"::1", 8000, 0, 80, "udp"}, {"::1", 8001, 0, 81, "udp"}, {"::1", 9000, 0, 82, "udp"}};
    EXPECT_EQ(ports_text(container), "[::1]:8000-8001->80-81/udp, [::1]:9000->82/udp");
}

TEST(Text, small_ones) {
    auto container = sample_container();
    EXPECT_EQ(command_text(container, false), "\"sleep 100\"");
    container.argv = {"sh", "-c", "a very long command"};
    EXPECT_EQ(width(command_text(container, false)), 20u);
    EXPECT_EQ(repository_and_tag("127.0.0.1:5055/test/busybox:1"), (std::pair<std::string, std::string>("127.0.0.1:5055/test/busybox", "1")));
    EXPECT_EQ(repository_and_tag("127.0.0.1:5055/test/busybox"), (std::pair<std::string, std::string>("127.0.0.1:5055/test/busybox", "")));
    EXPECT_EQ(short_id("sha256:0123456789abcdef"), "0123456789ab");
    EXPECT_EQ(created_text(1700000000'000000000), "2023-11-14 22:13:20 +0000 UTC");
}

}  // namespace
}  // namespace compose::cli
