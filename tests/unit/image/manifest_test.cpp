#include "image/manifest.h"

#include <gtest/gtest.h>

#include "image/digest.h"
#include "image/image_store.h"

namespace engine::image {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');
std::string descriptor(const std::string& more = "") { return R"({"mediaType":"t","digest":")" + kDigest + R"(","size":5)" + more + "}"; }

TEST(Manifest, oci_and_docker_documents_are_read) {
    auto manifest = parse_document(R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":)" + descriptor() +
                                   R"(,"layers":[)" + descriptor() + "," + descriptor() + "]}");
    ASSERT_TRUE(manifest) << manifest.error().message();
    ASSERT_TRUE(manifest->manifest);
    EXPECT_EQ(manifest->manifest->layers.size(), 2u);
    EXPECT_EQ(manifest->manifest->config.size, 5u);
    auto index = parse_document(R"({"schemaVersion":2,"manifests":[)" + descriptor(R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})") + "]}");
    ASSERT_TRUE(index) << index.error().message();
    ASSERT_EQ(index->manifests.size(), 1u);
    EXPECT_EQ(index->manifests[0].platform.text(), "linux/arm64");
}

TEST(Manifest, hostile_documents_are_refused_by_field) {
    struct Row {
        std::string text;
        const char* reason;
    };
    const Row rows[] = {
        {"", "not JSON"},
        {"[]", "not a JSON object"},
        {"{}", "neither"},
        {R"({"schemaVersion":1,"layers":[]})", "schema 1"},
        {R"({"schemaVersion":3,"layers":[]})", "schemaVersion"},
        {R"({"schemaVersion":"2","layers":[]})", "schemaVersion"},
        {R"({"config":)" + descriptor() + R"(,"layers":7})", "manifest.layers is not a list"},
        {R"({"config":7,"layers":[]})", "manifest.config is not an object"},
        {R"({"config":)" + descriptor() + R"(,"layers":[{"digest":"sha256:../../x","size":1}]})", "layers[0].digest"},
        {R"({"config":)" + descriptor() + R"(,"layers":[{"digest":")" + kDigest + R"(","size":-1}]})", "layers[0].size"},
        {R"({"config":)" + descriptor() + R"(,"layers":[{"digest":")" + kDigest + R"(","size":"9"}]})", "layers[0].size"},
        {R"({"config":)" + descriptor() + R"(,"layers":[{"digest":["x"],"size":9}]})", "layers[0].digest"},
        {R"({"mediaType":"application/vnd.oci.image.index.v1+json","config":)" + descriptor() + R"(,"layers":[]})", "does not agree"},
        {std::string(100, '['), "not JSON"},
    };
    for (const Row& row : rows) {
        auto document = parse_document(row.text);
        ASSERT_FALSE(document) << row.text;
        EXPECT_NE(document.error().what.find(row.reason), std::string::npos) << row.text << ": " << document.error().what;
    }
}

TEST(Manifest, cve_2021_41190_a_manifest_that_is_an_index_too_is_refused) {
    auto document = parse_document(R"({"schemaVersion":2,"config":)" + descriptor() + R"(,"layers":[],"manifests":[]})");
    ASSERT_FALSE(document);
    EXPECT_NE(document.error().what.find("CVE-2021-41190"), std::string::npos);
}

TEST(Manifest, cve_2023_25153_documents_are_bounded) {
    auto document = parse_document(R"({"x":")" + std::string(kManifestLimit, 'x') + "\"}");
    ASSERT_FALSE(document);
    EXPECT_NE(document.error().what.find("limit"), std::string::npos);
    EXPECT_FALSE(parse_config(R"({"x":")" + std::string(kConfigLimit, 'x') + "\"}"));
    std::string layers;
    for (size_t i = 0; i <= kMostLayers; ++i) layers += (i ? "," : "") + descriptor();
    EXPECT_FALSE(parse_document(R"({"config":)" + descriptor() + R"(,"layers":[)" + layers + "]}"));
}

TEST(Config, is_read_whole_and_written_back) {
    std::string text = R"({"architecture":"amd64","os":"linux","created":"2023-11-14T22:13:20Z","author":"me","config":{"User":"app","ExposedPorts":{"80/tcp":{}},
        "Env":["A=b"],"Entrypoint":["/e"],"Cmd":["x"],"Volumes":{"/data":{}},"WorkingDir":"/w","Labels":{"k":"v"},"StopSignal":"SIGINT","Shell":["sh"],"OnBuild":["RUN x"],
        "Healthcheck":{"Test":["CMD-SHELL","true"],"Interval":200000000,"Retries":3}},
        "rootfs":{"type":"layers","diff_ids":[")" + kDigest + R"("]},"history":[{"created_by":"one","created":"2023-11-14T22:13:20Z"},{"empty_layer":true}]})";
    auto image = parse_config(text);
    ASSERT_TRUE(image) << image.error().message();
    EXPECT_EQ(image->id, digest_of(text));
    EXPECT_EQ(image->config.user, "app");
    EXPECT_EQ(image->config.volumes, std::vector<std::string>{"/data"});
    EXPECT_EQ(image->config.exposed_ports, std::vector<std::string>{"80/tcp"});
    ASSERT_TRUE(image->config.health_check);
    EXPECT_EQ(image->config.health_check->interval.count(), 200000000);
    EXPECT_EQ(image->created, 1700000000LL * 1000000000);
    EXPECT_EQ(image->history.size(), 2u);
    auto again = parse_config(config_to_json(*image));
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(config_to_json(*again), config_to_json(*image));
    EXPECT_EQ(again->config.labels, image->config.labels);
    EXPECT_EQ(again->history.size(), 2u);
}

TEST(Config, wrong_types_are_named_and_null_is_absent) {
    struct Row {
        const char *text, *reason;
    };
    const Row rows[] = {
        {R"({"config":{"Env":"A=b"}})", "config.Env is not a list of strings"},
        {R"({"config":{"Env":[1]}})", "Env"},
        {R"({"config":{"Labels":["a"]}})", "Labels"},
        {R"({"config":{"Volumes":["/a"]}})", "Volumes is not an object"},
        {R"({"config":[]})", "configuration.config is not an object"},
        {R"({"rootfs":{"diff_ids":["x"]}})", "diff_ids"},
        {R"({"history":{}})", "history"},
        {R"({"config":{"Healthcheck":{"Interval":"1s"}}})", "Interval"},
    };
    for (const Row& row : rows) {
        auto image = parse_config(row.text);
        ASSERT_FALSE(image) << row.text;
        EXPECT_NE(image.error().what.find(row.reason), std::string::npos) << image.error().what;
    }
    EXPECT_TRUE(parse_config(R"({"config":{"Env":null,"Labels":null,"Healthcheck":null},"history":null,"rootfs":{"diff_ids":null}})"));
    EXPECT_TRUE(parse_config(R"({"config":null})"));
}

Descriptor entry(const std::string& os, const std::string& machine, const std::string& variant, char mark) {
    Descriptor descriptor_value;
    descriptor_value.digest = std::string(1, mark);
    if (!os.empty()) descriptor_value.platform = normalise({os, machine, variant});
    return descriptor_value;
}

TEST(Platforms, the_best_match_of_an_index_is_chosen) {
    std::vector<Descriptor> index{entry("unknown", "unknown", "", 'u'), entry("linux", "arm", "v6", '6'), entry("linux", "arm", "v7", '7'), entry("linux", "arm64", "v8", '8'),
                                  entry("linux", "amd64", "", 'a'),     entry("linux", "amd64", "v3", '3'), entry("windows", "amd64", "", 'w')};
    struct Row {
        const char *platform, *mark;
    };
    for (const Row& row : {Row{"linux/amd64", "a"}, Row{"linux/amd64/v3", "3"}, Row{"linux/amd64/v4", "3"}, Row{"linux/amd64/v2", "a"}, Row{"arm64", "8"}, Row{"aarch64", "8"},
                           Row{"linux/arm/v7", "7"}, Row{"linux/arm/v6", "6"}, Row{"linux/armhf", "7"}, Row{"windows/x86_64", "w"}}) {
        auto wanted = parse_platform(row.platform);
        ASSERT_TRUE(wanted) << row.platform;
        auto chosen = choose_platform(index, *wanted);
        ASSERT_TRUE(chosen) << row.platform << ": " << chosen.error().message();
        EXPECT_EQ(chosen->digest, row.mark) << row.platform;
    }
    auto none = choose_platform(index, Platform{"linux", "s390x", ""});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, base::Code::not_found);
    EXPECT_NE(none.error().what.find("no matching manifest for linux/s390x in the manifest list entries"), std::string::npos);
    EXPECT_NE(none.error().what.find("linux/arm/v7"), std::string::npos) << "what exists is listed";
    EXPECT_FALSE(parse_platform("a/b/c/d"));
    EXPECT_FALSE(parse_platform("linux/"));
    EXPECT_FALSE(parse_platform(""));
}

}  // namespace
}  // namespace engine::image
