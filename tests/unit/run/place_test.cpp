// A failed step and the attribute that it comes from.
#include "run/place.h"

#include <gtest/gtest.h>

#include "projects.h"

namespace compose::run::test {
namespace {

std::string placed(plan::Kind kind, const base::Error& error, const std::string& service = "a") {
    model::Project project = project_of(
        "services:\n"
        "  a:\n"
        "    image: busybox\n"
        "    command: [nope]\n"
        "    ports: [80:80]\n"
        "    volumes: [./x:/x]\n"
        "    cap_add: [NOPE]\n"
        "    sysctls: {kernel.hostname: x}\n"
        "  b: {image: busybox}\n");
    plan::Step step;
    step.kind = kind;
    step.service = service;
    auto at = place_of(project, step, error);
    return at ? std::to_string(at->line) + ":" + std::to_string(at->column) : "nowhere";
}

TEST(Place, of_a_failed_step) {
    using base::Code;
    using base::fail;
    using plan::Kind;
    EXPECT_EQ(placed(Kind::pull, fail(Code::not_found, "manifest unknown")), "3:5");
    EXPECT_EQ(placed(Kind::start, fail(Code::no_such_command, "exec: \"nope\": executable file not found in $PATH")), "4:5");
    EXPECT_EQ(placed(Kind::start, fail(Code::conflict, "publish 0.0.0.0:80: port is already allocated")), "5:5");
    EXPECT_EQ(placed(Kind::start, fail(Code::not_found, "source /x").with("mount \"/x\"").with("start container p-a-1")), "6:5");
    EXPECT_EQ(placed(Kind::start, fail(Code::conflict, "publish 0.0.0.0:80: port is already allocated"), "b"), "9:3");
    EXPECT_EQ(placed(Kind::start, fail(Code::invalid, "unknown capability to add: \"NOPE\"").with("start container p-a-1")), "7:5");
    EXPECT_EQ(placed(Kind::start, fail(Code::invalid, "sysctl \"kernel.hostname\" is not allowed").with("start container p-a-1")), "8:5");
    EXPECT_EQ(placed(Kind::wait, fail(Code::unhealthy, "container p-a-1 is unhealthy")), "2:3");
    EXPECT_EQ(placed(Kind::start, fail(Code::internal, "no reason"), "orphan"), "nowhere");
    EXPECT_EQ(placed(Kind::create_network, fail(Code::internal, "no reason"), ""), "nowhere");
}

}  // namespace
}  // namespace compose::run::test
