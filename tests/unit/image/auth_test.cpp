#include "image/auth.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/file.h"
#include "image/credential_file.h"
#include "image/image_store.h"
#include "image/registry_config.h"

namespace engine::image {
namespace {

TEST(Challenges, are_read_in_every_form) {
    auto bearer = parse_challenges(R"(Bearer realm="https://auth.example/token",service="reg \"x\"",scope="repository:a/b:pull,push")");
    ASSERT_EQ(bearer.size(), 1u);
    EXPECT_EQ(bearer[0].scheme, "bearer");
    EXPECT_EQ(bearer[0].parameters["realm"], "https://auth.example/token");
    EXPECT_EQ(bearer[0].parameters["service"], "reg \"x\"");
    EXPECT_EQ(bearer[0].parameters["scope"], "repository:a/b:pull,push");
    auto both = parse_challenges(R"(Negotiate, Basic realm="a b", Bearer realm = "r" , service=s)");
    ASSERT_EQ(both.size(), 3u);
    EXPECT_EQ(both[1].scheme, "basic");
    EXPECT_EQ(both[1].parameters["realm"], "a b");
    EXPECT_EQ(both[2].parameters["service"], "s");
}

TEST(Challenges, hostile_headers_end) {
    for (const std::string& header : {std::string(), std::string("\""), std::string("Bearer realm=\"unclosed"), std::string("=,=,="), std::string("Bearer realm=\"a\\"),
                                      std::string(100000, 'x'), std::string(100000, ','), std::string("\xff\xfe\x00 a=b", 8)})
        EXPECT_LE(parse_challenges(header).size(), 16u);
}

TEST(Base64, goes_both_ways) {
    for (const std::string& text : {std::string(), std::string("a"), std::string("ab"), std::string("abc"), std::string("user:päss\0word", 15)}) {
        EXPECT_EQ(base64_decode(base64_encode(text)).value_or("(none)"), text == std::string("user:päss\0word", 15) ? text : text);
    }
    EXPECT_EQ(base64_encode("user:password"), "dXNlcjpwYXNzd29yZA==");
    EXPECT_FALSE(base64_decode("!!!"));
}

class Credentials : public testing::Test {
protected:
    void SetUp() override {
        temp_.emplace(std::move(*base::TempDir::make("/tmp", "compose-cred-")));
        ::setenv("DOCKER_CONFIG", temp_->path().c_str(), 1);
        ::unsetenv("REGISTRY_AUTH_FILE");
        ::unsetenv("XDG_RUNTIME_DIR");
        path_ = ::getenv("PATH") ? ::getenv("PATH") : "";
    }
    void TearDown() override {
        ::unsetenv("DOCKER_CONFIG");
        ::setenv("PATH", path_.c_str(), 1);
    }
    void config(const std::string& text) { ASSERT_TRUE(base::write_file(temp_->path() + "/config.json", text)); }
    std::optional<base::TempDir> temp_;
    std::string path_;
};

TEST_F(Credentials, of_the_file) {
    config(R"({"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNzd29yZA=="},"reg:5000":{"identitytoken":"tok","auth":"PHRva2VuPjo="},"bad":{"auth":"!"}},"other":1})");
    auto hub = find_credential("docker.io");
    ASSERT_TRUE(hub && *hub) << "docker.io";
    EXPECT_EQ((*hub)->user, "user");
    EXPECT_EQ((*hub)->password, "password");
    auto token = find_credential("reg:5000");
    ASSERT_TRUE(token && *token);
    EXPECT_EQ((*token)->identity_token, "tok");
    auto none = find_credential("unknown.example");
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
    EXPECT_FALSE(find_credential("bad")) << "a broken entry is told";
}

TEST_F(Credentials, absent_and_broken_files) {
    auto none = find_credential("docker.io");
    ASSERT_TRUE(none);
    EXPECT_FALSE(*none);
    config("{");
    auto broken = find_credential("docker.io");
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().what.find("config.json"), std::string::npos);
}

TEST_F(Credentials, are_stored_with_mode_0600_and_leave_other_fields_alone) {
    config(R"({"HttpHeaders":{"X":"y"},"auths":{"old":{"auth":"YTpi"}}})");
    ASSERT_TRUE(store_credential("reg.example", {"me", "p:w", "", ""}));
    struct stat status {};
    ASSERT_EQ(::stat((temp_->path() + "/config.json").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    auto found = find_credential("reg.example");
    ASSERT_TRUE(found && *found);
    EXPECT_EQ((*found)->user, "me");
    EXPECT_EQ((*found)->password, "p:w");
    EXPECT_TRUE(*find_credential("old"));
    EXPECT_NE(base::read_file(temp_->path() + "/config.json")->find("HttpHeaders"), std::string::npos);
    ASSERT_TRUE(logout("reg.example"));
    EXPECT_FALSE(*find_credential("reg.example"));
    auto again = logout("reg.example");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, base::Code::not_found);
}

TEST_F(Credentials, of_a_helper) {
    std::string helper = temp_->path() + "/docker-credential-test";
    ASSERT_TRUE(base::write_file(helper, "#!/bin/sh\nread name\ncase \"$1 $name\" in\n'get reg.example') echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"s\"}';;\n"
                                         "'get token.example') echo '{\"Username\":\"<token>\",\"Secret\":\"t\"}';;\n'get broken.example') echo 'no luck'; exit 1;;\n"
                                         "*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n",
                                 0755));
    ::setenv("PATH", (temp_->path() + ":" + path_).c_str(), 1);
    config(R"({"credsStore":"test","credHelpers":{"other.example":"no-such-helper"}})");
    auto found = find_credential("reg.example");
    ASSERT_TRUE(found && *found) << found.error().message();
    EXPECT_EQ((*found)->password, "s");
    auto token = find_credential("token.example");
    ASSERT_TRUE(token && *token);
    EXPECT_EQ((*token)->identity_token, "t");
    auto none = find_credential("unknown.example");
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_FALSE(*none);
    EXPECT_FALSE(find_credential("broken.example"));
    auto missing = find_credential("other.example");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message().find("docker-credential-no-such-helper"), std::string::npos);
}

TEST(RegistriesConf, is_read) {
    auto rules = parse_registries_conf(R"(
unqualified-search-registries = ["docker.io", # the usual
  "quay.io"]
[[registry]]
prefix = "docker.io" # comment
location = 'mirror.example/hub'
insecure = true
[[registry.mirror]]
location = "m1.example"
[[registry.mirror]]
location = "m2.example:5000/x"
insecure = true
[[registry]]
location = "evil.example"
blocked = true
mirror = [{location = "a", insecure = true}, {location = "b"}]
[other]
x = 1
)",
                                       "f");
    ASSERT_TRUE(rules) << rules.error().message();
    ASSERT_EQ(rules->size(), 2u);
    EXPECT_EQ((*rules)[0].location, "mirror.example/hub");
    EXPECT_TRUE((*rules)[0].insecure);
    ASSERT_EQ((*rules)[0].mirrors.size(), 2u);
    EXPECT_EQ((*rules)[0].mirrors[1].location, "m2.example:5000/x");
    EXPECT_TRUE((*rules)[0].mirrors[1].insecure);
    EXPECT_TRUE((*rules)[1].blocked);
    EXPECT_EQ((*rules)[1].prefix, "evil.example");
    EXPECT_EQ((*rules)[1].mirrors.size(), 2u);
    auto broken = parse_registries_conf("[[registry]]\nnonsense\n", "f.conf");
    ASSERT_FALSE(broken);
    EXPECT_NE(broken.error().what.find("f.conf:2"), std::string::npos);
    EXPECT_FALSE(parse_registries_conf("[[registry.mirror]]", "f"));
}

TEST(Changes, dockerfile_instructions_change_a_configuration) {
    ImageConfig config;
    config.env = {"A=1", "B=2"};
    auto done = apply_changes(config, {"ENV A=x C=\"two words\"", "ENV OLD form here", "CMD [\"a\", \"b\"]", "ENTRYPOINT run it", "EXPOSE 80 53/udp", "LABEL k=v", "VOLUME /data",
                                       "WORKDIR /w", "WORKDIR sub", "USER app", "STOPSIGNAL SIGINT", "HEALTHCHECK --interval=5s --retries=2 CMD test -e /x"});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(config.env, (std::vector<std::string>{"A=x", "B=2", "C=two words", "OLD=form here"}));
    EXPECT_EQ(config.cmd, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(config.entrypoint, (std::vector<std::string>{"/bin/sh", "-c", "run it"}));
    EXPECT_EQ(config.exposed_ports, (std::vector<std::string>{"80/tcp", "53/udp"}));
    EXPECT_EQ(config.working_dir, "/w/sub");
    EXPECT_EQ(config.health_check->retries, 2);
    EXPECT_EQ(config.health_check->test, (std::vector<std::string>{"CMD-SHELL", "test -e /x"}));
    auto bad = apply_changes(config, {"RUN x"});
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().what.find("RUN"), std::string::npos);
    EXPECT_FALSE(apply_changes(config, {"ENV onlyname"}));
}

}  // namespace
}  // namespace engine::image
