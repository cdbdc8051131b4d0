// Hostile input: refused with a clear finding, in bounded time and memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "unit/model/project_files.h"

namespace compose::model::testing {

TEST(Limits, alias_bomb) {
    std::string yaml = "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int level = 1; level < 10; ++level) {
        std::string item = "*a" + std::to_string(level - 1);
        yaml += "x-" + std::to_string(level) + ": &a" + std::to_string(level) + " [";
        for (int at = 0; at < 10; ++at) yaml += (at ? ", " : "") + item;
        yaml += "]\n";
    }
    yaml += "services: {a: {image: x}}\n";
    EXPECT_NE(findings_of(yaml).find("excessive aliasing"), std::string::npos);
}

TEST(Limits, aliases_of_long_text) {
    std::string yaml = "x-0: &a \"" + std::string(1 << 20, 'x') + "\"\nx-1: [*a";
    for (int at = 0; at < 100; ++at) yaml += ", *a";
    yaml += "]\nservices: {a: {image: x}}\n";
    EXPECT_NE(findings_of(yaml).find("excessive aliasing"), std::string::npos);
}

TEST(Limits, alias_inside_of_itself) {
    EXPECT_NE(findings_of("services: {a: &a {image: x, x-self: *a}}\n").find("cycle detected"), std::string::npos);
}

TEST(Limits, deep_nesting) {
    for (const char* open : {"[", "{a: "}) {
        std::string yaml = "x-deep: ";
        for (int level = 0; level < 100000; ++level) yaml += open;
        EXPECT_NE(findings_of(yaml).find("compose.yaml"), std::string::npos);
    }
    EXPECT_NE(findings_of("x-deep: " + std::string(250, '[') + std::string(250, ']') + "\nservices: {}\n").find("nested deeper than 200 levels"),
              std::string::npos);
}

TEST(Limits, a_large_file) {
    ProjectFiles files({});
    std::string path = files.folder() + "/compose.yaml";
    ASSERT_TRUE(base::write_file(path, "services: {}\n"));
    ASSERT_EQ(::truncate(path.c_str(), 100 << 20), 0);
    EXPECT_NE(findings(load(files.options())).find("larger than 16 MiB"), std::string::npos);
}

TEST(Limits, include_cycle_through_a_link) {
    ProjectFiles files({{"compose.yaml", "include: [sub/link.yaml]\nservices: {a: {image: x}}\n"}, {"sub/keep", ""}});
    ASSERT_EQ(::symlink("../compose.yaml", (files.folder() + "/sub/link.yaml").c_str()), 0);
    EXPECT_NE(findings(load(files.options())).find("include cycle detected"), std::string::npos);
}

TEST(Limits, includes_that_double) {
    // Every file includes the next one twice under different names: without a limit 2^30 loads.
    ProjectFiles files({{"compose.yaml", "include: [f0.yaml]\nservices: {a: {image: x}}\n"}});
    for (int level = 0; level < 30; ++level) {
        std::string next = "f" + std::to_string(level + 1) + ".yaml";
        ASSERT_TRUE(base::write_file(files.folder() + "/f" + std::to_string(level) + ".yaml", "include: [" + next + ", ./" + next + "]\nservices: {}\n"));
    }
    ASSERT_TRUE(base::write_file(files.folder() + "/f30.yaml", "services: {}\n"));
    EXPECT_NE(findings(load(files.options())).find("files are included or extended"), std::string::npos);
}

TEST(Limits, nested_defaults) {
    std::string text;
    for (int level = 0; level < 5000; ++level) text += "${A:-";
    text += "x" + std::string(5000, '}');
    EXPECT_NE(findings_of("services: {a: {image: \"" + text + "\"}}\n").find("invalid interpolation format"), std::string::npos);
}

// Found by fuzz_compose_file: a number beyond 64 bits where an integer is wanted.
TEST(Limits, a_number_beyond_every_integer) {
    EXPECT_NE(findings_of("services: {a: {image: x, scale: 1e66, cpus: 1e66, mem_limit: 1e66}}\n").find("services.a.scale"), std::string::npos);
}

}  // namespace compose::model::testing
