#include "base/process_age.h"

#include <gtest/gtest.h>


using namespace std::chrono_literals;

TEST(ProcessAge, counts_from_the_boot_and_is_never_negative) {
    struct Row {
        uint64_t start;
        std::chrono::nanoseconds since_boot, age;
    };
    const Row rows[] = {{0, 5s, 5s}, {100, 5s, 4s}, {499, 5s, 10ms}, {500, 5s, 0ns}, {501, 5s, 0ns}, {UINT64_MAX, 5s, 0ns}, {UINT64_MAX / 2, 5s, 0ns}, {7, 0ns, 0ns}};
    for (const auto& row : rows) EXPECT_EQ(base::process_age(row.start, row.since_boot, 100), row.age) << row.start;
    EXPECT_EQ(base::process_age(1, 5s, 0), 0ns);
    EXPECT_EQ(base::process_age(1, 5s, -1), 0ns);
}
