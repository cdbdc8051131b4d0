// Every reader of foreign bytes against sound inputs that were spoiled, the same ones at every run: none may crash, hang or
// write outside. With the sanitizers of the debug preset this is a small fuzzer; crashes found elsewhere become rows here.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "base/file.h"
#include "image/archive.h"
#include "image/auth.h"
#include "image/decompress.h"
#include "image/image_store.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry_config.h"
#include "unit/image/tar_builder.h"

namespace engine::image {
namespace {

class Mutator {
public:
    explicit Mutator(unsigned seed) : random_(seed) {}
    std::string operator()(std::string bytes) {
        static const std::string kInteresting[] = {std::string(1, '\0'), "\xff", "..", "/", "{", "[", "\"", "99999999999999999999", "-1", ".wh.", "\\", "=", std::string(300, 'A')};
        for (unsigned n = 1 + random_() % 4; n > 0; --n) {
            size_t at = bytes.empty() ? 0 : random_() % bytes.size();
            switch (random_() % 6) {
                case 0:
                    if (!bytes.empty()) bytes[at] = static_cast<char>(random_());
                    break;
                case 1:
                    if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random_() % 8));
                    break;
                case 2: bytes.insert(at, kInteresting[random_() % std::size(kInteresting)]); break;
                case 3: bytes.erase(at, random_() % 20); break;
                case 4: bytes.insert(at, bytes.substr(bytes.empty() ? 0 : random_() % bytes.size(), random_() % 600)); break;
                case 5:
                    if (random_() % 8 == 0) bytes.resize(at);
                    break;
            }
        }
        return bytes;
    }

private:
    std::minstd_rand random_;
};

constexpr int kRounds = 600;

TEST(Mutation, references) {
    Mutator mutate(1);
    for (int i = 0; i < kRounds; ++i) {
        auto reference = Reference::parse(mutate("registry.example:5000/team/app_x.y:1.2@sha256:" + std::string(64, 'a')));
        if (!reference) continue;
        auto again = Reference::parse(reference->canonical());
        ASSERT_TRUE(again) << reference->canonical();
        EXPECT_EQ(again->canonical(), reference->canonical());
        EXPECT_EQ(reference->path.find(".."), std::string::npos);
    }
}

TEST(Mutation, documents) {
    std::string digest = "sha256:" + std::string(64, 'a');
    std::string descriptor = R"({"mediaType":"m","digest":")" + digest + R"(","size":3,"platform":{"os":"linux","architecture":"amd64"},"annotations":{"a":"b"},"urls":["u"]})";
    std::string manifest = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":)" + descriptor + R"(,"layers":[)" + descriptor + "]}";
    std::string index = R"({"schemaVersion":2,"manifests":[)" + descriptor + "," + descriptor + "]}";
    std::string config = R"({"architecture":"amd64","os":"linux","created":"2023-11-14T22:13:20.5Z","config":{"Env":["A=b"],"Cmd":["x"],"Labels":{"k":"v"},"Volumes":{"/d":{}},
        "Healthcheck":{"Test":["CMD","x"],"Interval":1}},"rootfs":{"type":"layers","diff_ids":[")" + digest + R"("]},"history":[{"created_by":"one","empty_layer":true}]})";
    Mutator mutate(2);
    for (int i = 0; i < kRounds; ++i) {
        if (auto document = parse_document(mutate(manifest)); document && document->manifest)
            for (const Descriptor& layer : document->manifest->layers) EXPECT_TRUE(valid_digest(layer.digest));
        if (auto document = parse_document(mutate(index)); document && !document->manifest) (void)choose_platform(document->manifests, host_platform());
        if (auto image = parse_config(mutate(config))) EXPECT_TRUE(parse_config(config_to_json(*image)));
    }
}

TEST(Mutation, headers_and_configuration_files) {
    Mutator mutate(3);
    for (int i = 0; i < kRounds; ++i) {
        (void)parse_challenges(mutate(R"(Bearer realm="https://a/token",service="s",scope="repository:a:pull", Basic realm="x")"));
        (void)parse_registries_conf(mutate("[[registry]]\nprefix = \"a.b\"\nmirror = [{location = \"x\", insecure = true}]\n[[registry.mirror]]\nlocation='y'\n"), "f");
        (void)base64_decode(mutate("dXNlcjpwYXNzd29yZA=="));
        (void)parse_platform(mutate("linux/arm64/v8"));
        ImageConfig config;
        (void)apply_changes(config, {mutate("ENV A=\"b c\" D=e"), mutate("HEALTHCHECK --interval=5s CMD x"), mutate("CMD [\"a\"]")});
    }
}

TEST(Mutation, archives) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    auto temp = std::move(*base::TempDir::make("/tmp", "compose-mutation-"));
    ASSERT_TRUE(base::make_dirs(temp.path() + "/outside"));
    image_test::Tar tar;
    tar.folder("d").file("d/a", "aaa").symlink("d/l", "../../outside").hardlink("d/h", "d/a").file("d/l/x", "x").file(".wh.gone").file("d/.wh..wh..opq");
    tar.file("p", "pax", {.pax = {{"path", "d/long/" + std::string(120, 'n')}, {"mtime", "1500000000.5"}, {"SCHILY.xattr.user.x", "y"}}});
    std::string bytes = tar.bytes();
    Mutator mutate(4);
    for (int i = 0; i < 120; ++i) {
        std::string root = temp.path() + "/root";
        ASSERT_TRUE(base::make_dirs(root));
        auto folder = std::move(*base::open_at(AT_FDCWD, root, O_RDONLY | O_DIRECTORY));
        std::string spoiled = mutate(bytes);
        size_t at = 0;
        Source source = [&]() -> base::Result<std::string_view> {
            std::string_view part = std::string_view(spoiled).substr(at, 1000);
            at += part.size();
            return part;
        };
        ExtractOptions options;
        options.layer = i % 2 == 0;
        options.limits.bytes = 1u << 20;
        (void)extract_tar(folder.get(), source, options);
        EXPECT_TRUE(base::list_dir(temp.path() + "/outside")->empty()) << "round " << i;
        EXPECT_LE(base::list_dir(temp.path())->size(), 2u) << "round " << i;
        ASSERT_TRUE(base::remove_tree(root));
    }
}

TEST(Mutation, packed_streams) {
    std::string text(200000, 't'), packed;
    GzipWriter writer([&](std::string_view part) -> base::Status {
        packed += part;
        return {};
    });
    ASSERT_TRUE(writer.write(text) && writer.finish());
    Mutator mutate(5);
    for (int i = 0; i < kRounds; ++i) {
        std::string spoiled = mutate(packed);
        size_t at = 0;
        Source source = unpacked([&]() -> base::Result<std::string_view> {
            std::string_view part = std::string_view(spoiled).substr(at, 64);
            at += part.size();
            return part;
        });
        for (int chunks = 0; chunks < 1000; ++chunks) {
            auto part = source();
            if (!part || part->empty()) break;
        }
    }
}

}  // namespace
}  // namespace engine::image
