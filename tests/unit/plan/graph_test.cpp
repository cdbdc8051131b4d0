#include "plan/graph.h"

#include <gtest/gtest.h>

namespace compose::plan {
namespace {

TEST(Graph, KeepsTheGivenOrderWhereEdgesAllow) {
    EXPECT_EQ(order(4, {}).order, (std::vector<size_t>{0, 1, 2, 3}));
    EXPECT_EQ(order(4, {{3, 0}, {2, 1}}).order, (std::vector<size_t>{2, 1, 3, 0}));
}

TEST(Graph, ShowsACycleAsThePathItMakes) {
    Ordering found = order(5, {{0, 1}, {1, 2}, {2, 3}, {3, 1}, {3, 4}});
    EXPECT_TRUE(found.order.empty());
    EXPECT_EQ(found.cycle, (std::vector<size_t>{1, 2, 3, 1}));
    EXPECT_EQ(order(1, {{0, 0}}).cycle, (std::vector<size_t>{0, 0}));
}

TEST(Graph, OfNothingIsNothing) {
    EXPECT_TRUE(order(0, {}).order.empty());
    EXPECT_TRUE(order(0, {}).cycle.empty());
}

}  // namespace
}  // namespace compose::plan
