// The client alone against a registry that is told how to behave: waiting, credentials, uploads in pieces, limits.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "image/digest.h"
#include "image/limits.h"
#include "image/registry.h"
#include "unit/image/fake_registry.h"

namespace engine::image {
namespace {

using image_test::FakeRegistry;
using image_test::HttpServer;
using image_test::Request;
using image_test::Response;

class Client : public testing::Test {
protected:
    void SetUp() override {
        temp_.emplace(std::move(*base::TempDir::make("/tmp", "compose-client-")));
        ::setenv("DOCKER_CONFIG", temp_->path().c_str(), 1);
        ::unsetenv("REGISTRY_AUTH_FILE");
        ::unsetenv("XDG_RUNTIME_DIR");
        reference_.domain = registry_.host();
        reference_.path = "team/app";
        reference_.tag = "1";
        registry_.manifest("team/app", "1", R"({"schemaVersion":2,"layers":[],"config":{}})");
    }
    void TearDown() override { ::unsetenv("DOCKER_CONFIG"); }
    static RegistryOptions quick() {
        RegistryOptions options;
        options.first_wait = std::chrono::milliseconds(1);
        return options;
    }
    static Response status(int code) {
        Response response;
        response.status = code;
        return response;
    }
    std::optional<base::TempDir> temp_;
    FakeRegistry registry_;
    Reference reference_;
};

TEST_F(Client, retry_after_is_honoured_in_seconds_and_as_a_date_and_told_when_it_is_too_long) {
    std::string after = "0";
    int refused = 0;
    registry_.first = [&](const Request& request) {
        if (request.path == "/v2/" || refused++ > 0) return status(0);
        Response response = status(429);
        response.headers["Retry-After"] = after;
        response.headers["ratelimit-limit"] = "100;w=21600";
        response.headers["ratelimit-remaining"] = "0;w=21600";
        return response;
    };
    for (const char* value : {"0", "Wed, 21 Oct 2015 07:28:00 GMT"}) {
        after = value;
        refused = 0;
        auto fetched = RegistryClient(quick()).manifest(reference_, "1");
        EXPECT_TRUE(fetched) << value << ": " << fetched.error().message();
        EXPECT_EQ(refused, 2) << value;
    }
    after = "3600";
    refused = 0;
    auto late = RegistryClient(quick()).manifest(reference_, "1");
    ASSERT_FALSE(late);
    EXPECT_NE(late.error().message().find("asks to wait 3600 s"), std::string::npos) << late.error().message();
    RegistryOptions once = quick();
    once.attempts = 1;
    refused = 0;
    auto quota = RegistryClient(once).manifest(reference_, "1");
    ASSERT_FALSE(quota);
    EXPECT_NE(quota.error().message().find("100;w=21600"), std::string::npos) << quota.error().message();
}

TEST_F(Client, the_credential_of_a_repository_wins_over_its_hosts) {
    std::string given;
    registry_.first = [&](const Request& request) {
        if (request.path == "/v2/") return status(0);
        given = request.header("authorization");
        if (!given.empty()) return status(0);
        Response response = status(401);
        response.headers["WWW-Authenticate"] = "Basic realm=\"x\"";
        return response;
    };
    ASSERT_TRUE(base::write_file(temp_->path() + "/config.json", R"({"auths":{")" + registry_.host() + R"(":{"auth":"YTpob3N0"},")" + registry_.host() +
                                                                      R"(/team":{"auth":"YTp0ZWFt"},")" + registry_.host() + R"(/team/ap":{"auth":"YTphcA=="}}})"));
    ASSERT_TRUE(RegistryClient(quick()).manifest(reference_, "1"));
    EXPECT_EQ(given, "Basic YTp0ZWFt");
}

TEST_F(Client, a_credential_is_asked_for_once) {
    registry_.first = [&](const Request& request) {
        if (request.path == "/v2/" || !request.header("authorization").empty()) return status(0);
        Response response = status(401);
        response.headers["WWW-Authenticate"] = "Basic realm=\"x\"";
        return response;
    };
    std::atomic<int> asked{0};
    RegistryOptions options = quick();
    options.credentials = [&](const std::string&, const std::string&) -> base::Result<std::optional<Credential>> {
        ++asked;
        Credential credential;
        credential.user = "u";
        return std::optional(credential);
    };
    RegistryClient client(options);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_TRUE(client.manifest(reference_, "1")); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(asked, 1);
}

TEST_F(Client, an_upload_in_pieces_goes_on_where_the_session_stands) {
    std::string bytes(300, 'b'), got;
    bool refused = false, whole_refused = false;
    registry_.first = [&](const Request& request) {
        if (request.method == "PUT" && !whole_refused) {
            whole_refused = true;
            return status(413);
        }
        if (request.method == "PATCH") {
            if (!refused) {
                refused = true;
                got = request.body.substr(0, 100);  // only this arrived
                return status(416);
            }
            EXPECT_EQ(request.header("content-range"), "100-299");
            got += request.body;
            Response response = status(202);
            response.headers["Location"] = request.path;
            return response;
        }
        if (request.method == "GET" && request.path.find("/uploads/") != std::string::npos) {
            Response response = status(204);
            response.headers["Range"] = "0-99";
            return response;
        }
        if (request.method == "PUT") return status(201);
        return status(0);
    };
    base::UniqueFd fd(::memfd_create("blob", MFD_CLOEXEC));
    ASSERT_TRUE(base::write_all(fd.get(), bytes));
    Descriptor blob;
    blob.digest = digest_of(bytes);
    blob.size = bytes.size();
    auto sent = RegistryClient(quick()).upload(reference_, blob, fd.get(), "", {});
    ASSERT_TRUE(sent) << sent.error().message();
    EXPECT_EQ(got, bytes);
}

TEST_F(Client, login_keeps_a_refresh_token_instead_of_the_password) {
    HttpServer auth([&](const Request& request) {
        Response response;
        EXPECT_NE(request.query.find("offline_token=true"), std::string::npos);
        response.body = R"({"access_token":"t","refresh_token":"fresh"})";
        return response;
    });
    registry_.first = [&](const Request& request) {
        if (request.header("authorization") == "Bearer t") return status(0);
        Response response = status(401);
        response.headers["WWW-Authenticate"] = "Bearer realm=\"http://" + auth.host() + "/token\",service=\"reg\"";
        return response;
    };
    Credential credential;
    credential.user = "me";
    credential.password = "secret";
    auto done = login(registry_.host(), credential);
    ASSERT_TRUE(done) << done.error().message();
    auto kept = find_credential(registry_.host());
    ASSERT_TRUE(kept && *kept);
    EXPECT_EQ((*kept)->identity_token, "fresh");
    EXPECT_EQ((*kept)->password, "");
}

TEST(Limits, come_from_the_environment) {
    ::setenv("COMPOSE_IMAGE_ENTRIES", "12", 1);
    ::setenv("COMPOSE_IMAGE_SIZE", "2g", 1);
    auto limits = image_limits();
    ASSERT_TRUE(limits);
    EXPECT_EQ(limits->entries, 12u);
    EXPECT_EQ(limits->bytes, uint64_t{2} << 30);
    EXPECT_EQ(limits->ratio, ImageLimits().ratio);
    for (const char* wrong : {"many", "-1", "1x"}) {
        ::setenv("COMPOSE_IMAGE_SIZE", wrong, 1);
        auto refused = image_limits();
        ASSERT_FALSE(refused) << wrong;
        EXPECT_NE(refused.error().message().find("COMPOSE_IMAGE_SIZE"), std::string::npos);
    }
    ::unsetenv("COMPOSE_IMAGE_ENTRIES");
    ::unsetenv("COMPOSE_IMAGE_SIZE");
}

}  // namespace
}  // namespace engine::image
