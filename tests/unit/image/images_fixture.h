#pragma once
// An empty store, a registry that behaves as it is told, and an image of two layers.
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

using image_test::FakeRegistry;
using image_test::Request;
using image_test::Response;
using image_test::Tar;

inline std::string gzipped(const std::string& bytes) {
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
inline std::string noise(size_t length) {
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
    void serve_usual() { registry_.image("app", "1", {gzipped(first_), gzipped(second_)}, {first_, second_}); }
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

}  // namespace engine::image
