// Hostile input: refused with a clear finding, in bounded time and memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

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

std::string many(size_t count, const std::function<std::string(size_t)>& entry) {
    std::string out;
    for (size_t at = 0; at < count; ++at) out += entry(at);
    return out;
}
std::string number(size_t value) { return std::to_string(value); }

TEST(Limits, anchors_inside_of_each_other) {
    std::string yaml = "x-a: " + many(190, [](size_t at) { return "&a" + number(at) + " ["; }) + many(50'000, [](size_t) { return "x,"; }) + std::string(190, ']');
    EXPECT_NE(findings_of(yaml + "\nservices: {a: {image: x}}\n").find("excessive aliasing"), std::string::npos);
}

TEST(Limits, a_long_way_of_long_names) {
    std::string yaml = "x-a:\n" + many(20, [](size_t at) { return std::string(at + 1, ' ') + std::string(1000, 'k') + ":\n"; });
    EXPECT_NE(findings_of(yaml).find("the names that lead here are longer"), std::string::npos);
}

TEST(Limits, services_that_extend_each_other_in_a_row) {
    std::string yaml = "services:\n" + many(5000, [](size_t at) { return "  s" + number(at) + ": {extends: s" + number(at + 1) + "}\n"; }) + "  s5000: {image: x}\n";
    EXPECT_NE(findings_of(yaml).find("more than 100 services extend each other"), std::string::npos);
}

TEST(Limits, copies_that_extends_makes) {
    std::string yaml = "services:\n  b:\n    image: x\n    labels:\n" + many(1000, [](size_t at) { return "      l" + number(at) + ": v\n"; }) +
                       many(3000, [](size_t at) { return "  s" + number(at) + ": {extends: b}\n"; });
    EXPECT_EQ(findings_of(yaml), "the project is too large: more than 1000000 values or 256 MiB of text after includes and extends\n");
}

TEST(Limits, services) {
    std::string yaml = "services:\n" + many(10'001, [](size_t at) { return "  s" + number(at) + ": {image: x}\n"; });
    EXPECT_EQ(findings_of(yaml), "compose.yaml:2:3: services: more than 10000 services\n");
}

TEST(Limits, ports_of_ranges) {
    std::string yaml = "services:\n" + many(3, [](size_t at) { return "  s" + number(at) + ": {image: x, ports: [\"1-30000:1-30000\"]}\n"; });
    EXPECT_EQ(findings_of(yaml), "compose.yaml:4:25: services.s2.ports: more than 70000 ports after ranges are written out\n");
}

TEST(Limits, findings_without_end) {
    std::string text = findings_of("services:\n  a:\n    image: x\n" + many(20'000, [](size_t at) { return "    key" + number(at) + ": v\n"; }));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 501);
    EXPECT_TRUE(text.ends_with("\n19500 more findings are not shown\n")) << text.substr(text.size() - 200);
}

TEST(Limits, mappings_with_many_members_merge_in_linear_time) {
    // 60,000 × 60,000 comparisons would take minutes.
    std::string labels = many(60'000, [](size_t at) { return "      label" + number(at) + ": v\n"; });
    std::string yaml = "services:\n  a:\n    image: x\n    labels:\n" + labels;
    ProjectFiles files({{"compose.yaml", yaml}, {"compose.override.yaml", yaml}});
    EXPECT_EQ(findings(load(files.options())), "");
}

TEST(Limits, variables_that_double) {
    // In .env each line doubles the one before; in the file one long variable stands a million times.
    ProjectFiles files({{"compose.yaml", "services: {a: {image: x}}\n"}, {".env", "A=xxxxxxxxxx\n" + many(60, [](size_t) { return std::string("A=$A$A\n"); })}});
    EXPECT_NE(findings(load(files.options())).find("the values are larger than 32 MiB"), std::string::npos);
    std::string once = "services: {a: {image: x, command: \"" + many(100'000, [](size_t) { return std::string("$BIG"); }) + "\"}}\n";
    EXPECT_NE(findings_of(once, {{"BIG", std::string(1000, 'x')}}).find("it becomes larger than 16 MiB"), std::string::npos);
    std::string often = "services:\n  a:\n    image: x\n    labels:\n" + many(1000, [](size_t at) { return "      l" + number(at) + ": $BIG\n"; });
    EXPECT_NE(findings_of(often, {{"BIG", std::string(100'000, 'x')}}).find("variables make the file larger than 64 MiB"), std::string::npos);
}

TEST(Limits, env_files_in_many_services) {
    ProjectFiles files({{"compose.yaml", "services:\n" + many(100, [](size_t at) { return "  s" + number(at) + ": {image: x, env_file: [big.env]}\n"; })},
                        {"big.env", "A=" + std::string(4 << 20, 'x') + "\n"}});
    EXPECT_NE(findings(load(files.options())).find("env files put more than 256 MiB into the services"), std::string::npos);
}

// Found by fuzz_compose_file: `external` adds a name beside itself, which moved what it was looking at.
TEST(Limits, external_adds_a_name) {
    EXPECT_EQ(findings_of("services: {s: {image: x, configs: [a]}}\nconfigs:\n  a: {file: ./a, external: true}\n"), "");
}

// Found by fuzz_compose_file: a number beyond 64 bits where an integer is wanted.
TEST(Limits, a_number_beyond_every_integer) {
    EXPECT_NE(findings_of("services: {a: {image: x, scale: 1e66, cpus: 1e66, mem_limit: 1e66}}\n").find("services.a.scale"), std::string::npos);
}

}  // namespace compose::model::testing
