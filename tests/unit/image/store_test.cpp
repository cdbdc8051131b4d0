// Images from a registry that behaves, and from one that does not.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "image/decompress.h"
#include "image/digest.h"
#include "image/image_store.h"
#include "image/layer_files.h"
#include "unit/image/fake_registry.h"
#include "unit/image/tar_builder.h"

namespace engine::image {
namespace {

using image_test::FakeRegistry;
using image_test::Request;
using image_test::Response;
using image_test::Tar;

std::string gzip(const std::string& bytes) {
    std::string packed;
    GzipWriter writer([&](std::string_view part) -> base::Status {
        packed += part;
        return {};
    });
    EXPECT_TRUE(writer.write(bytes));
    EXPECT_TRUE(writer.finish());
    return packed;
}
/// Bytes that do not pack.
std::string noise(size_t length) {
    std::string bytes(length, '\0');
    uint64_t state = 88172645463325252ull;
    for (char& c : bytes) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        c = static_cast<char>(state);
    }
    return bytes;
}

class Images : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "layers hold owners: needs root";
        temp_.emplace(std::move(*base::TempDir::make("/tmp", "compose-images-")));
        ::setenv("DOCKER_CONFIG", (temp_->path() + "/docker").c_str(), 1);
        ASSERT_TRUE(base::make_dirs(temp_->path() + "/docker"));
        store_ = open();
        first_ = Tar().folder("etc").file("etc/name", "one").bytes();
        second_ = Tar().file("etc/name", "two").file("etc/.wh.gone").bytes();
    }
    std::string root() const { return temp_->path() + "/root"; }
    std::unique_ptr<ImageStore> open() {
        auto store = ImageStore::open(root());
        EXPECT_TRUE(store) << store.error().message();
        return std::move(*store);
    }
    std::string name(const std::string& rest) const { return registry_.host() + "/" + rest; }
    void serve_usual() { registry_.image("app", "1", {gzip(first_), gzip(second_)}, {first_, second_}); }
    Result<ImageInfo> pull(const std::string& reference, const std::string& platform = "") {
        return std::move(store_->pull({{reference, platform}}, {})[0]);
    }
    void nothing_left() {
        EXPECT_TRUE(base::list_dir(root() + "/images/tmp")->empty());
        EXPECT_TRUE(base::list_dir(root() + "/layers")->empty());
        EXPECT_TRUE(base::list_dir(root() + "/images/blobs/sha256")->empty());
        EXPECT_TRUE(store_->list()->empty());
    }
    void fails(const std::string& reference, const std::string& reason) {
        auto result = pull(reference);
        ASSERT_FALSE(result) << "pulled " << reference;
        EXPECT_NE(result.error().message().find(reason), std::string::npos) << result.error().message();
    }
    std::string config(const std::string& text) {
        EXPECT_TRUE(base::write_file(temp_->path() + "/docker/config.json", text));
        return text;
    }
    std::optional<base::TempDir> temp_;
    FakeRegistry registry_;
    std::unique_ptr<ImageStore> store_;
    std::string first_, second_;
};

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
    std::string shared = gzip(first_);
    registry_.image("a", "1", {shared, gzip(second_)}, {first_, second_});
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
    std::string shared = gzip(first_);
    for (int i = 0; i < 4; ++i) registry_.image("p" + std::to_string(i), "1", {shared, gzip(second_)}, {first_, second_}, "", "\"Cmd\":[\"" + std::to_string(i) + "\"]");
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
    std::string big = Tar().file("big", noise(3 << 20)).bytes(), packed = gzip(big);
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
    std::string big = Tar().file("big", noise(2 << 20)).bytes(), packed = gzip(big);
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
    std::string packed = gzip(first_), other = gzip(Tar().file("etc/name", "evil").bytes());
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
    registry_.image("short", "1", {gzip(first_)}, {first_, second_});
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
    std::string slip = Tar().file("../../../tmp/escaped", "x").bytes(), packed = gzip(slip);
    registry_.image("slip", "1", {gzip(first_), packed}, {first_, slip});
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
        std::string digest = registry_.image("multi", "only-" + machine, {gzip(first_)}, {first_}, machine);
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

TEST_F(Images, tags_removal_and_prune) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    ASSERT_TRUE(store_->tag(name("app:1"), "other:2"));
    EXPECT_EQ(store_->find("other:2")->id, image->id);
    EXPECT_FALSE(store_->tag("nosuch", "x"));
    auto ambiguous = store_->remove(image->id, false, {});
    ASSERT_FALSE(ambiguous);
    EXPECT_NE(ambiguous.error().what.find("must be forced"), std::string::npos);
    auto untagged = store_->remove("other:2", false, {});
    ASSERT_TRUE(untagged) << untagged.error().message();
    EXPECT_EQ(untagged->untagged, std::vector<std::string>{"other:2"});
    EXPECT_TRUE(untagged->deleted.empty());
    auto used = store_->remove(name("app:1"), false, [](const std::string&) { return true; });
    ASSERT_FALSE(used);
    EXPECT_EQ(used.error().code, base::Code::conflict);
    auto gone = store_->remove(name("app:1"), false, {});
    ASSERT_TRUE(gone) << gone.error().message();
    EXPECT_EQ(gone->deleted, std::vector<std::string>{image->id});
    nothing_left();
    ASSERT_TRUE(pull(name("app:1")));
    EXPECT_TRUE(store_->prune(false, {})->first.empty()) << "it has a name";
    EXPECT_TRUE(store_->prune(true, [](const std::string&) { return true; })->first.empty()) << "it is used";
    EXPECT_FALSE(store_->prune(true, {})->first.empty());
    nothing_left();
}

TEST_F(Images, a_moved_tag_takes_the_name_with_it) {
    serve_usual();
    auto old_image = pull(name("app:1"));
    registry_.image("app", "1", {gzip(first_)}, {first_}, "", R"("Cmd":["new"])");
    auto new_image = pull(name("app:1"));
    ASSERT_TRUE(old_image && new_image);
    EXPECT_NE(old_image->id, new_image->id);
    EXPECT_EQ(store_->find(name("app:1"))->id, new_image->id);
    EXPECT_TRUE(store_->find(old_image->id)->references.empty());
    EXPECT_EQ(*store_->resolve_digest(name("app:1")), digest_of(registry_.stored_manifest("app", "1")));
    auto pruned = store_->prune(false, {});
    ASSERT_TRUE(pruned);
    EXPECT_FALSE(store_->find(old_image->id));
    EXPECT_TRUE(store_->verify({})->problems.empty()) << "shared layers stay";
}

TEST_F(Images, push_sends_what_is_missing_and_keeps_the_digest) {
    serve_usual();
    ASSERT_TRUE(pull(name("app:1")));
    FakeRegistry other;
    ASSERT_TRUE(store_->tag(name("app:1"), other.host() + "/copy/app:1"));
    auto pushed = store_->push(other.host() + "/copy/app:1", {});
    ASSERT_TRUE(pushed) << pushed.error().message();
    EXPECT_EQ(other.stored_manifest("copy/app", "1"), registry_.stored_manifest("app", "1"));
    EXPECT_EQ(other.stored_blob(digest_of(gzip(first_))), gzip(first_));
    int uploads = other.count("PUT", "/blobs/uploads/");
    EXPECT_EQ(uploads, 3);
    ASSERT_TRUE(store_->push(other.host() + "/copy/app:1", {}));
    EXPECT_EQ(other.count("PUT", "/blobs/uploads/"), uploads) << "what is there is not sent again";
    EXPECT_FALSE(store_->push("nosuch:1", {}));
}

TEST_F(Images, save_and_load_give_the_same_image) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    std::string archive = temp_->path() + "/saved.tar";
    auto out = std::move(*base::open_at(AT_FDCWD, archive, O_RDWR | O_CREAT, 0600));
    auto saved = store_->save({name("app:1")}, out.get());
    ASSERT_TRUE(saved) << saved.error().message();
    std::string bytes = *base::read_file(archive);
    ASSERT_TRUE(base::write_file(temp_->path() + "/saved.tar.gz", gzip(bytes)));
    int number = 0;
    for (const std::string& file : {archive, temp_->path() + "/saved.tar.gz"}) {
        auto fresh = ImageStore::open(temp_->path() + "/fresh" + std::to_string(number++));
        ASSERT_TRUE(fresh);
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        auto loaded = (*fresh)->load(in.get());
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(*loaded, std::vector<std::string>{name("app:1")});
        auto found = (*fresh)->find(name("app:1"));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->id, image->id);
        EXPECT_EQ(found->size, image->size);
    }
}

TEST_F(Images, docker_archives_of_old_are_loaded_and_hostile_ones_refused) {
    std::string config = R"({"architecture":")" + FakeRegistry::this_machine() + R"(","os":"linux","rootfs":{"type":"layers","diff_ids":[")" + digest_of(first_) + R"("]}})";
    std::string list = R"([{"Config":"c.json","RepoTags":["old/name:3"],"Layers":["bb/layer.tar"]}])";
    auto load = [&](const Tar& tar) {
        std::string file = temp_->path() + "/archive.tar";
        EXPECT_TRUE(base::write_file(file, tar.bytes()));
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        return store_->load(in.get());
    };
    auto loaded = load(Tar().file("manifest.json", list).file("c.json", config).file("aa/layer.tar", first_).symlink("bb/layer.tar", "../aa/layer.tar"));
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(*loaded, std::vector<std::string>{"old/name:3"});
    struct Row {
        const char* name;
        Tar tar;
        const char* reason;
    };
    const Row rows[] = {
        {"no manifest", Tar().file("x", "y"), "neither"},
        {"layer outside", Tar().file("manifest.json", list).file("c.json", R"({"rootfs":{"diff_ids":[")" + digest_of("other") + R"("]}})").symlink("bb/layer.tar", "/etc/hostname"), "lacks"},
        {"config outside", Tar().file("manifest.json", R"([{"Config":"../../../../etc/hostname","Layers":[]}])"), "lacks"},
        {"wrong layer", Tar().file("manifest.json", list).file("c.json", R"({"rootfs":{"diff_ids":[")" + digest_of("other") + R"("]}})").file("bb/layer.tar", second_), "promises"},
        {"dotdot", Tar().file("../x", "y"), "leaves the root"},
        {"device", Tar().device("manifest.json", '3', 1, 5), "device"},
        {"fifo", Tar().device("manifest.json", '6', 0, 0), "not a file"},
        {"wrong json", Tar().file("manifest.json", "{}"), "not a list"},
        {"wrong type", Tar().file("manifest.json", R"([{"Config":1}])"), "Config is not a string"},
    };
    for (const Row& row : rows) {
        auto refused = load(row.tar);
        ASSERT_FALSE(refused) << row.name;
        EXPECT_NE(refused.error().message().find(row.reason), std::string::npos) << row.name << ": " << refused.error().message();
    }
    EXPECT_TRUE(base::list_dir(root() + "/images/tmp")->empty());
}

TEST_F(Images, import_makes_one_layer) {
    std::string file = temp_->path() + "/rootfs.tar";
    ASSERT_TRUE(base::write_file(file, first_));
    auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
    CommitOptions options;
    options.reference = "imported:1";
    options.changes = {"CMD [\"/x\"]", "ENV A=b"};
    auto id = store_->import(in.get(), options);
    ASSERT_TRUE(id) << id.error().message();
    auto image = store_->find("imported:1");
    ASSERT_TRUE(image);
    EXPECT_EQ(image->id, *id);
    EXPECT_EQ(image->config.cmd, std::vector<std::string>{"/x"});
    EXPECT_EQ(image->layers, std::vector<std::string>{digest_of(first_)});
    EXPECT_TRUE(store_->verify({})->problems.empty());
}

TEST_F(Images, cve_2026_53489_imports_follow_the_rules_of_layers) {
    for (const auto& [tar, reason] : {std::pair(Tar().file("../x", "y"), "leaves the root"), std::pair(Tar().hardlink("a", "../../etc/hostname"), "leaves the root"),
                                      std::pair(Tar().hardlink("a", "not/there"), "not there")}) {
        std::string file = temp_->path() + "/hostile.tar";
        ASSERT_TRUE(base::write_file(file, tar.bytes()));
        auto in = std::move(*base::open_at(AT_FDCWD, file, O_RDONLY));
        auto refused = store_->import(in.get(), {});
        ASSERT_FALSE(refused) << reason;
        EXPECT_NE(refused.error().message().find(reason), std::string::npos) << refused.error().message();
    }
    nothing_left();
}

TEST_F(Images, a_pull_that_changes_nothing_is_remembered_as_asked) {
    serve_usual();
    auto first = pull(name("app:1"));
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_GT(first->pulled, 0);
    auto again = pull(name("app:1"));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->tagged, first->tagged) << "the name stands for the same image";
    EXPECT_GT(again->pulled, first->pulled) << "pull_policy: daily counts from here";
    ASSERT_TRUE(store_->tag(name("app:1"), "mine:1"));
    EXPECT_EQ(store_->find("mine:1")->pulled, 0);
    EXPECT_EQ(store_->find(name("app:1"))->pulled, again->pulled);
}

TEST_F(Images, a_layer_that_arrives_damaged_is_fetched_once_more) {
    serve_usual();
    int spoiled = 0;
    registry_.spoil = [&](const Request& request, Response& response) {
        if (request.path.find(digest_of(gzip(second_))) != std::string::npos && spoiled++ == 0) response.body[response.body.size() / 2] ^= 1;
    };
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(spoiled, 2);
}

TEST_F(Images, verify_finds_and_mends_damage) {
    serve_usual();
    auto image = pull(name("app:1"));
    ASSERT_TRUE(image);
    std::string folder = (*store_->layer_dirs(image->id))[0];
    ASSERT_TRUE(base::write_file(folder + "/etc/name", "changed"));
    EXPECT_EQ(store_->verify({})->problems.size(), 1u);
    EXPECT_EQ(store_->verify({.references = {}, .repair = true})->problems.size(), 1u);
    EXPECT_EQ(*base::read_file(folder + "/etc/name"), "one");
    EXPECT_TRUE(store_->verify({})->problems.empty());
    std::string blob = root() + "/images/blobs/sha256/" + hex_of(digest_of(gzip(second_)));
    ASSERT_TRUE(base::write_file(blob, "rot"));
    EXPECT_EQ(store_->verify({})->problems.size(), 1u);
    auto mended = store_->verify({.references = {}, .repair = true});
    ASSERT_TRUE(mended);
    EXPECT_NE(mended->problems[0].find("fetched again"), std::string::npos) << mended->problems[0];
    EXPECT_TRUE(store_->verify({})->problems.empty());
}

TEST_F(Images, cve_2024_25621_the_layers_are_closed_to_other_users) {
    serve_usual();
    ASSERT_TRUE(pull(name("app:1")));
    for (const char* folder : {"/layers", "/images/tmp", "/images/blobs/sha256"}) {
        struct stat status {};
        ASSERT_EQ(::stat((root() + folder).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 077, 0u) << folder;
    }
}

}  // namespace
}  // namespace engine::image
