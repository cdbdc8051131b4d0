#include "image/reference.h"

#include <gtest/gtest.h>

namespace engine::image {
namespace {

TEST(Reference, is_normalised_as_docker_does) {
    struct Row {
        const char *text, *canonical, *familiar;
    };
    const std::string digest = "sha256:" + std::string(64, 'a');
    const Row rows[] = {
        {"nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        {"nginx:1.27", "docker.io/library/nginx:1.27", "nginx:1.27"},
        {"bitnami/redis:7", "docker.io/bitnami/redis:7", "bitnami/redis:7"},
        {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        {"index.docker.io/library/nginx", "docker.io/library/nginx:latest", "nginx:latest"},
        {"localhost/x", "localhost/x:latest", "localhost/x:latest"},
        {"localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000/x:y"},
        {"127.0.0.1:5055/test/busybox:1", "127.0.0.1:5055/test/busybox:1", "127.0.0.1:5055/test/busybox:1"},
        {"[::1]:5000/a/b", "[::1]:5000/a/b:latest", "[::1]:5000/a/b:latest"},
        {"ghcr.io/a/b/c__d-e.f:T", "ghcr.io/a/b/c__d-e.f:T", "ghcr.io/a/b/c__d-e.f:T"},
        {"Example.com/x", "Example.com/x:latest", "Example.com/x:latest"},
        {"a--b/c", "docker.io/a--b/c:latest", "a--b/c:latest"},
    };
    for (const Row& row : rows) {
        auto reference = Reference::parse(row.text);
        ASSERT_TRUE(reference) << row.text << ": " << reference.error().message();
        EXPECT_EQ(reference->canonical(), row.canonical) << row.text;
        EXPECT_EQ(reference->familiar(), row.familiar) << row.text;
    }
    auto both = Reference::parse("nginx:1@" + digest);
    ASSERT_TRUE(both);
    EXPECT_EQ(both->tag, "1");
    EXPECT_EQ(both->digest, digest);
    auto only_digest = Reference::parse("nginx@" + digest);
    ASSERT_TRUE(only_digest);
    EXPECT_EQ(only_digest->tag, "");
    EXPECT_EQ(only_digest->canonical(), "docker.io/library/nginx@" + digest);
}

TEST(Reference, what_is_malformed_is_refused_with_its_reason) {
    struct Row {
        std::string text;
        const char* reason;
    };
    const Row rows[] = {
        {"", "empty"},
        {"Nginx", "must be lowercase"},
        {"docker.io/Library/nginx", "must be lowercase"},
        {std::string(64, 'a'), "cannot specify 64-byte hexadecimal strings"},
        {"nginx:", "tag"},
        {"nginx:-x", "tag"},
        {"nginx:" + std::string(129, 'x'), "tag"},
        {"nginx@sha256:abc", "digest"},
        {"nginx@md5:" + std::string(32, 'a'), "digest"},
        {"nginx@sha256:" + std::string(63, 'a'), "digest"},
        {"a/../b", "invalid reference format"},
        {"a//b", "invalid reference format"},
        {"/a", "invalid reference format"},
        {"a/", "invalid reference format"},
        {"a b", "invalid reference format"},
        {"-a", "invalid reference format"},
        {"a___b", "invalid reference format"},
        {"a..b/c", "host name"},
        {"http://x/y", "host name"},
        {"x.y:port/z", "host name"},
        {"\x1b[31mred", "invalid reference format"},
        {"docker.io/" + std::string(250, 'a'), "255"},
    };
    for (const Row& row : rows) {
        auto reference = Reference::parse(row.text);
        ASSERT_FALSE(reference) << row.text << " became " << reference->canonical();
        EXPECT_EQ(reference.error().code, base::Code::invalid);
        EXPECT_NE(reference.error().what.find(row.reason), std::string::npos) << row.text << ": " << reference.error().what;
        EXPECT_EQ(reference.error().what.find('\x1b'), std::string::npos) << "escapes reach the terminal";
    }
}

TEST(Reference, ids_are_told_from_names) {
    EXPECT_TRUE(looks_like_id(std::string(64, 'f')));
    EXPECT_TRUE(looks_like_id("sha256:" + std::string(64, 'f')));
    EXPECT_TRUE(looks_like_id("sha256:abc"));
    EXPECT_FALSE(looks_like_id("abc"));
    EXPECT_FALSE(looks_like_id("sha256:xyz"));
}

TEST(Reference, cve_2024_3727_a_digest_is_checked_before_it_becomes_a_path) {
    EXPECT_TRUE(valid_digest("sha256:" + std::string(64, '0')));
    EXPECT_TRUE(valid_digest("sha512:" + std::string(128, '0')));
    for (const std::string& bad : {std::string("sha256:../../../etc/passwd"), "sha256:" + std::string(64, 'A'), "sha256:" + std::string(65, '0'),
                                   std::string("../x:") + std::string(64, '0'), "sha1:" + std::string(40, '0'), std::string("sha256:"), std::string()})
        EXPECT_FALSE(valid_digest(bad)) << bad;
}

TEST(Reference, a_short_form_stands_for_the_same_image) {  // found by fuzzing
    std::string digits(64, 'a');
    for (const std::string& text : {std::string("docker.io/docker.io/xx"), std::string("docker.io/localhost/x:1"), "docker.io/library/" + digits, std::string("docker.io/a/b"), std::string("docker.io/library/a")}) {
        auto reference = Reference::parse(text);
        ASSERT_TRUE(reference) << text;
        auto again = Reference::parse(reference->familiar());
        ASSERT_TRUE(again) << reference->familiar();
        EXPECT_EQ(again->canonical(), reference->canonical()) << text;
    }
}

}  // namespace
}  // namespace engine::image
