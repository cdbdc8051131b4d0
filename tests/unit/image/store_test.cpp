// Images from a registry that behaves, and from one that does not.
#include "unit/image/images_fixture.h"

namespace engine::image {
namespace {

TEST_F(Images, pull_find_and_list) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->references, std::vector<std::string>{name("app:1")});
    EXPECT_EQ(image->repo_digests.size(), 1u);
    EXPECT_EQ(image->config.cmd, std::vector<std::string>{"sh"});
    EXPECT_EQ(image->size, 6u);
    for (const std::string& text : {name("app:1"), image->id, image->id.substr(7), image->id.substr(7, 12), image->repo_digests[0]}) {
        auto found = store_->find(text);
        ASSERT_TRUE(found) << text << ": " << found.error().message();
        EXPECT_EQ(found->id, image->id);
    }
    auto layers = store_->layer_dirs(image->id);
    ASSERT_TRUE(layers);
    ASSERT_EQ(layers->size(), 2u);
    EXPECT_EQ(*base::read_file((*layers)[0] + "/etc/name"), "one") << "lowest first";
    EXPECT_EQ(*base::read_file((*layers)[1] + "/etc/name"), "two");
    auto absent = store_->find("nosuch");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().what, "No such image: nosuch");
    EXPECT_EQ(open()->list()->size(), 1u) << "another process sees it";
    EXPECT_TRUE(store_->verify({})->problems.empty());
    EXPECT_TRUE(base::list_dir(root() + "/images/tmp")->empty());
}

TEST_F(Images, layers_are_fetched_once_for_all_images_of_a_call) {
    std::string shared = gzipped(first_);
    registry_.image("a", "1", {shared, gzipped(second_)}, {first_, second_});
    registry_.image("b", "1", {shared}, {first_}, "", R"("Cmd":["b"])");
    registry_.image("c", "1", {shared}, {first_}, "", R"("Cmd":["c"])");
    auto results = store_->pull({{name("a:1"), ""}, {name("b:1"), ""}, {name("c:1"), ""}, {name("a:1"), ""}, {"Bad Name", ""}}, {});
    ASSERT_EQ(results.size(), 5u);
    for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(results[i]) << results[i].error().message();
    EXPECT_EQ(results[0]->id, results[3]->id);
    EXPECT_FALSE(results[4]);
    EXPECT_EQ(registry_.count("GET", digest_of(shared)), 1);
    int before = static_cast<int>(registry_.requests().size());
    ASSERT_TRUE(pull(name("a:1")));
    EXPECT_LE(static_cast<int>(registry_.requests().size()) - before, 2) << "an image that is there costs its manifest";
}

TEST_F(Images, many_processes_pull_into_an_empty_root_at_once) {
    std::string shared = gzipped(first_);
    for (int i = 0; i < 4; ++i) registry_.image("p" + std::to_string(i), "1", {shared, gzipped(second_)}, {first_, second_}, "", "\"Cmd\":[\"" + std::to_string(i) + "\"]");
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            auto own = ImageStore::open(root());  // its own connection and locks, as a process has
            auto result = own ? std::move((*own)->pull({{name("p" + std::to_string(i) + ":1"), ""}}, {})[0]) : Result<ImageInfo>(base::Error(own.error()));
            if (result)
                ++good;
            else
                ADD_FAILURE() << result.error().message();
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 4);
    EXPECT_EQ(registry_.count("GET", digest_of(shared)), 1) << "one fetches, the others wait";
    EXPECT_EQ(store_->list()->size(), 4u);
}

TEST_F(Images, every_packing_is_told_by_its_bytes) {
    registry_.image("plain", "1", {first_}, {first_});  // the type says gzip, the bytes do not
    auto image = pull(name("plain:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(*base::read_file((*store_->layer_dirs(image->id))[0] + "/etc/name"), "one");
}

TEST_F(Images, a_cut_connection_goes_on_by_range) {
    std::string big = Tar().file("big", noise(3 << 20)).bytes(), packed = gzipped(big);
    registry_.image("big", "1", {packed}, {big});
    std::atomic<int> cuts{0};
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(packed)) == std::string::npos || cuts++ >= 2) return;
        response.cut = response.body.size() / 3;
    };
    auto image = pull(name("big:1"));
    ASSERT_TRUE(image) << image.error().message();
    std::vector<std::string> ranges;
    for (const Request& request : registry_.requests())
        if (request.path.find(digest_of(packed)) != std::string::npos) ranges.push_back(request.header("range"));
    ASSERT_EQ(ranges.size(), 3u);
    EXPECT_EQ(ranges[0], "");
    EXPECT_TRUE(ranges[1].starts_with("bytes=")) << ranges[1];
    EXPECT_TRUE(store_->verify({})->problems.empty());
}

TEST_F(Images, a_registry_without_ranges_is_read_again_from_the_start) {
    std::string big = Tar().file("big", noise(2 << 20)).bytes(), packed = gzipped(big);
    registry_.image("big", "1", {packed}, {big});
    std::atomic<int> number{0};
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(packed)) == std::string::npos) return;
        response.status = 200;
        response.headers.erase("Content-Range");
        response.body = packed;
        if (number++ == 0) response.cut = packed.size() / 2;
    };
    auto image = pull(name("big:1"));
    ASSERT_TRUE(image) << image.error().message();
}

TEST_F(Images, too_many_requests_and_server_errors_are_tried_again) {
    serve_usual();
    std::atomic<int> number{0};
    registry_.first = [&](const Request& request) -> Response {
        Response response;
        response.status = 0;
        int n = request.path.find("/manifests/") != std::string::npos ? number++ : 99;
        if (n == 0) {
            response.status = 429;
            response.headers["Retry-After"] = "0";
        }
        if (n == 1) response.status = 503;
        return response;
    };
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(number, 3);
}

TEST_F(Images, what_a_registry_lacks_is_said_in_dockers_words) {
    serve_usual();
    fails(name("absent:1"), "manifest for " + name("absent:1") + " not found: manifest unknown: manifest unknown");
    fails(name("app:2"), "not found: manifest unknown: manifest unknown");
    fails("127.0.0.1:1/x:1", "127.0.0.1");
    nothing_left();
}

TEST_F(Images, wrong_digests_and_sizes_leave_nothing) {
    std::string packed = gzipped(first_), other = gzipped(Tar().file("etc/name", "evil").bytes());
    registry_.image("app", "1", {packed}, {first_});
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(packed)) != std::string::npos) response.body = packed.substr(0, packed.size() - 1) + "X";
    };
    fails(name("app:1"), digest_of(packed));
    nothing_left();
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(packed)) != std::string::npos) response.body = packed + "more than promised";
    };
    fails(name("app:1"), "more than the");
    nothing_left();
    registry_.spoil = nullptr;
    registry_.image("liar", "1", {other}, {first_});  // packed digest right, diff id wrong
    fails(name("liar:1"), "the configuration promises");
    nothing_left();
    registry_.image("short", "1", {gzipped(first_)}, {first_, second_});
    fails(name("short:1"), "the configuration has 2 layers, the manifest 1");
    nothing_left();
}

TEST_F(Images, a_manifest_by_digest_is_verified) {
    serve_usual();
    std::string digest = digest_of(registry_.stored_manifest("app", "1"));
    ASSERT_TRUE(pull(name("app@" + digest)));
    EXPECT_TRUE(store_->find(name("app@" + digest)));
    registry_.spoil = [](const Request& request, Response& response) {
        if (request.path.find("/manifests/") != std::string::npos) response.body += " ";
    };
    fails(name("app@" + digest), "hashes to");
}

TEST_F(Images, hostile_layers_name_image_layer_and_entry_and_leave_nothing) {
    std::string slip = Tar().file("../../../tmp/escaped", "x").bytes(), packed = gzipped(slip);
    registry_.image("slip", "1", {gzipped(first_), packed}, {first_, slip});
    auto image = pull(name("slip:1"));
    ASSERT_FALSE(image);
    std::string message = image.error().message();
    for (const std::string& part : {name("slip:1"), "layer " + digest_of(packed), std::string("\"../../../tmp/escaped\""), std::string("leaves the root")})
        EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_TRUE(store_->list()->empty());
    ASSERT_TRUE(store_->prune(true, {}));
    nothing_left();
}

TEST_F(Images, cve_2023_25153_a_huge_manifest_is_not_read) {
    registry_.manifest("huge", "1", R"({"schemaVersion":2,"x":")" + std::string(5 << 20, 'x') + "\"}");
    fails(name("huge:1"), "larger than");
    nothing_left();
}

TEST_F(Images, hostile_documents_are_refused) {
    registry_.manifest("both", "1", R"({"schemaVersion":2,"layers":[],"config":{},"manifests":[]})");
    fails(name("both:1"), "CVE-2021-41190");
    registry_.manifest("text", "1", "<html>a captive portal</html>");
    fails(name("text:1"), "not JSON");
    std::string loop = R"({"schemaVersion":2,"manifests":[]})";
    for (int i = 0; i < 8; ++i)  // indexes of indexes
        loop = R"({"schemaVersion":2,"manifests":[)" +
               FakeRegistry::describe("application/vnd.oci.image.index.v1+json", registry_.manifest("nest", "", loop), loop.size(), R"(,"platform":{"os":"linux","architecture":")" + FakeRegistry::this_machine() + "\"}") + "]}";
    registry_.manifest("nest", "1", loop);
    fails(name("nest:1"), "nest more than");
    registry_.manifest("artifact", "1", R"({"schemaVersion":2,"layers":[],"config":)" + FakeRegistry::describe("application/vnd.oci.empty.v1+json", registry_.blob("{}"), 2) + "}");
    fails(name("artifact:1"), "artifact");
    nothing_left();
}

TEST_F(Images, the_platform_of_an_index_is_chosen) {
    std::string entries;
    for (const std::string machine : {"s390x", "arm64", "amd64"}) {
        std::string digest = registry_.image("multi", "only-" + machine, {gzipped(first_)}, {first_}, machine);
        size_t size = registry_.stored_manifest("multi", "only-" + machine).size();
        entries += (entries.empty() ? "" : ",") + FakeRegistry::describe("application/vnd.oci.image.manifest.v1+json", digest, size,
                                                                         R"(,"platform":{"os":"linux","architecture":")" + machine + "\"}");
    }
    registry_.manifest("multi", "1", R"({"schemaVersion":2,"manifests":[)" + entries + "]}", "application/vnd.oci.image.index.v1+json");
    auto own = pull(name("multi:1"));
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(own->platform.architecture, host_platform().architecture);
    auto other = pull(name("multi:1"), "linux/s390x");
    ASSERT_TRUE(other) << other.error().message();
    EXPECT_EQ(other->platform.architecture, "s390x");
    auto none = pull(name("multi:1"), "linux/mips64le");
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message().find("no matching manifest for linux/mips64le"), std::string::npos);
    auto wrong = pull(name("multi:only-s390x"), "linux/arm64");
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message().find("does not match the specified platform"), std::string::npos);
}

TEST_F(Images, tokens_are_asked_for_and_kept) {
    serve_usual();
    std::atomic<int> given{0};
    image_test::HttpServer auth([&](const Request& request) {
        Response response;
        EXPECT_NE(request.query.find("scope=repository%3Aapp%3Apull"), std::string::npos) << request.query;
        EXPECT_NE(request.query.find("service=reg"), std::string::npos);
        if (request.header("authorization") != "Basic dXNlcjpwYXNzd29yZA==") response.status = 401;
        response.body = R"({"token":"t)" + std::to_string(++given) + R"(","expires_in":300})";
        return response;
    });
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = 0;
        if (request.path != "/v2/" && request.header("authorization") != "Bearer t1") {
            response.status = 401;
            response.headers["WWW-Authenticate"] = "Bearer realm=\"http://" + auth.host() + "/token\",service=\"reg\",scope=\"repository:app:pull\"";
        }
        return response;
    };
    config(R"({"auths":{")" + registry_.host() + R"(":{"auth":"dXNlcjpwYXNzd29yZA=="}}})");
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_GE(given, 1);
    config("{}");
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = request.path == "/v2/" ? 0 : 401;
        response.headers["WWW-Authenticate"] = "Bearer realm=\"http://" + auth.host() + "/token\",service=\"reg\",scope=\"x\"";
        return response;
    };
    auto refused = pull(name("app:1"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::Code::permission) << refused.error().message();
}

TEST_F(Images, basic_authentication) {
    serve_usual();
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = request.path == "/v2/" || request.header("authorization") == "Basic dXNlcjpwYXNzd29yZA==" ? 0 : 401;
        response.headers["WWW-Authenticate"] = "Basic realm=\"x\"";
        return response;
    };
    fails(name("app:1"), "compose login");
    config(R"({"auths":{")" + registry_.host() + R"(":{"auth":"dXNlcjpwYXNzd29yZA=="}}})");
    ASSERT_TRUE(pull(name("app:1")));
}

TEST_F(Images, cve_2020_15157_a_redirect_to_another_host_gets_no_credential) {
    serve_usual();
    config(R"({"auths":{")" + registry_.host() + R"(":{"auth":"dXNlcjpwYXNzd29yZA=="}}})");
    std::atomic<int> leaked{0}, served{0};
    image_test::HttpServer elsewhere([&](const Request& request) {
        Response response;
        if (!request.header("authorization").empty()) ++leaked;
        ++served;
        response.body = registry_.stored_blob(request.path.substr(1));
        return response;
    });
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = 0;
        if (request.path == "/v2/") return response;
        if (request.header("authorization").empty()) {
            response.status = 401;
            response.headers["WWW-Authenticate"] = "Basic realm=\"x\"";
        } else if (size_t at = request.path.find("/blobs/"); at != std::string::npos) {
            response.status = 307;
            response.headers["Location"] = "http://" + elsewhere.host() + "/" + request.path.substr(at + 7);
        }
        return response;
    };
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_GE(served, 3);
    EXPECT_EQ(leaked, 0);
}

TEST_F(Images, endless_redirects_end) {
    serve_usual();
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = request.path.find("/blobs/") != std::string::npos ? 307 : 0;
        response.headers["Location"] = request.path;
        return response;
    };
    fails(name("app:1"), "redirects");
    nothing_left();
    registry_.first = [&](const Request& request) {
        Response response;
        response.status = request.path.find("/blobs/") != std::string::npos ? 307 : 0;
        response.headers["Location"] = "file:///etc/passwd";
        return response;
    };
    fails(name("app:1"), "not http");
    nothing_left();
}

TEST_F(Images, a_cancelled_pull_leaves_nothing) {
    serve_usual();
    std::atomic<bool> cancel{true};
    PullOptions options;
    options.cancel = &cancel;
    auto result = std::move(store_->pull({{name("app:1"), ""}}, options)[0]);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, base::Code::interrupted);
    nothing_left();
}

TEST_F(Images, progress_tells_each_layer) {
    serve_usual();
    std::mutex mutex;
    std::map<std::string, PullProgress> last;
    PullOptions options;
    options.progress = [&](const PullProgress& progress) {
        std::lock_guard lock(mutex);
        EXPECT_EQ(progress.reference, name("app:1"));
        last[progress.layer] = progress;
    };
    ASSERT_TRUE(store_->pull({{name("app:1"), ""}}, options)[0]);
    EXPECT_EQ(last.size(), 3u) << "the image and two layers";
    for (const auto& [layer, progress] : last) EXPECT_EQ(progress.phase, PullProgress::Phase::done) << layer;
}

TEST_F(Images, a_pull_that_was_killed_is_swept_and_done_again) {
    serve_usual();
    pid_t child = ::fork();
    if (child == 0) {
        // What a pull makes first, and then dies.
        LayerFiles files(root());
        auto staging = files.stage();
        if (staging) (void)base::write_file(staging->blob(), "half");
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_FALSE(base::list_dir(root() + "/images/tmp")->empty());
    ASSERT_TRUE(pull(name("app:1")));
    EXPECT_TRUE(base::list_dir(root() + "/images/tmp")->empty());
}

}  // namespace
}  // namespace engine::image
