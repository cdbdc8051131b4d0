#include "supervisor/keepers.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace engine::supervisor {
namespace {

TEST(Keepers, a_process_is_read_behind_its_name) {
    const std::string stat = "77 (a) T 1 (x) S 5 ) t 42 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
    auto look = parse_process(stat, "Name:\ta\nState:\tt (tracing stop)\nTracerPid:\t99\nUid:\t0\n");
    EXPECT_EQ(look.state, 't');
    EXPECT_EQ(look.parent, 42);
    EXPECT_EQ(look.tracer, 99);
    EXPECT_EQ(look.start, 987654u);
    EXPECT_EQ(parse_process(stat, "").tracer, 0);
    for (const char* broken : {"", ")", "1 (x)", "1 (x) ", "1 (x) R 1", "1 x R 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2"}) {
        EXPECT_EQ(parse_process(broken, "").state, 0) << broken;
        EXPECT_EQ(parse_process(broken, "").start, 0u) << broken;
    }
    EXPECT_NE(look_at_process(::getpid()).start, 0u);
}

TEST(Keepers, without_any_nothing_is_done) {
    store::Paths paths;
    paths.root = "/nonexistent/root";
    paths.run = "/nonexistent/run";
    EXPECT_TRUE(wake_keepers(paths, "nobody"));
    EXPECT_TRUE(wake_keepers(paths, std::nullopt));
}

}  // namespace
}  // namespace engine::supervisor
