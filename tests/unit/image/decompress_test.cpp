#include "image/decompress.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <random>

namespace engine::image {
namespace {

Source source_in_pieces(std::string bytes, size_t step) {
    return [bytes = std::move(bytes), step, at = size_t{0}]() mutable -> base::Result<std::string_view> {
        std::string_view part = std::string_view(bytes).substr(at, step);
        at += part.size();
        return part;
    };
}
base::Result<std::string> all(Source source) {
    std::string bytes;
    for (;;) {
        std::string_view part = TRY(source());
        if (part.empty()) return bytes;
        bytes += part;
    }
}
std::string gzip(const std::string& bytes) {
    std::string packed;
    GzipWriter writer([&](std::string_view part) -> base::Status {
        packed += part;
        return {};
    });
    for (size_t at = 0; at < bytes.size(); at += 50000) EXPECT_TRUE(writer.write(std::string_view(bytes).substr(at, 50000)));
    EXPECT_TRUE(writer.finish());
    return packed;
}
std::string zstd(const std::string& bytes) {
    std::string packed(ZSTD_compressBound(bytes.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), 3));
    return packed;
}
/// Text that packs, of any length.
std::string text(size_t length) {
    std::minstd_rand random(7);
    std::string bytes;
    while (bytes.size() < length) bytes += "word" + std::to_string(random() % 5000) + (random() % 9 ? " " : "\n");
    bytes.resize(length);
    return bytes;
}

TEST(Decompress, every_packing_of_every_size_in_every_cut) {
    for (size_t length : {size_t{0}, size_t{1}, size_t{1000}, size_t{262144}, size_t{262145}, size_t{3000001}}) {
        std::string bytes = text(length);
        for (size_t step : {size_t{1}, size_t{7}, size_t{4096}, size_t{1} << 20}) {
            if (step < 100 && length > 10000) continue;
            for (const std::string& packed : {gzip(bytes), zstd(bytes), bytes}) {
                auto unpacked_bytes = all(unpacked(source_in_pieces(packed, step)));
                ASSERT_TRUE(unpacked_bytes) << length << " in " << step << ": " << unpacked_bytes.error().message();
                EXPECT_TRUE(*unpacked_bytes == bytes) << length << " in " << step;
            }
        }
    }
}

TEST(Decompress, members_frames_padding_and_skippable_frames) {
    std::string a = text(300000), b = text(1234);
    std::string skippable = std::string("\x50\x2a\x4d\x18\x04\x00\x00\x00", 8) + "skip";
    struct Row {
        const char* name;
        std::string packed;
    };
    for (const Row& row : {Row{"gzip members", gzip(a) + gzip(b)}, Row{"gzip and padding", gzip(a + b) + std::string(512, '\0')}, Row{"zstd frames", zstd(a) + zstd(b)},
                           Row{"zstd with skippable frames", skippable + zstd(a) + skippable + zstd(b) + skippable}})
        for (size_t step : {size_t{13}, size_t{1} << 20}) {
            auto bytes = all(unpacked(source_in_pieces(row.packed, step)));
            ASSERT_TRUE(bytes) << row.name << ": " << bytes.error().message();
            EXPECT_TRUE(*bytes == a + b) << row.name;
        }
}

TEST(Decompress, truncated_and_damaged_streams_are_errors) {
    std::string bytes = text(500000);
    for (const std::string& packed : {gzip(bytes), zstd(bytes)}) {
        for (size_t cut : {packed.size() - 1, packed.size() - 5, packed.size() / 2, size_t{12}}) EXPECT_FALSE(all(unpacked(source_in_pieces(packed.substr(0, cut), 4096)))) << cut;
        std::string damaged = packed;
        damaged[packed.size() / 2] = static_cast<char>(damaged[packed.size() / 2] ^ 0x55);
        auto result = all(unpacked(source_in_pieces(damaged, 4096)));
        if (result) EXPECT_FALSE(*result == bytes);  // zstd without a checksum: the diff id tells
    }
    std::string packed = gzip(bytes);
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);
    EXPECT_FALSE(all(unpacked(source_in_pieces(packed, 4096)))) << "a wrong checksum";
}

TEST(Decompress, bombs_are_refused) {
    std::string zeros(80u << 20, '\0');
    auto result = all(unpacked(source_in_pieces(zstd(zeros), 4096), UnpackLimits{.ratio_from = 64u << 20}));
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().what.find("bomb"), std::string::npos);
    auto capped = all(unpacked(source_in_pieces(gzip(text(100000)), 4096), UnpackLimits{.bytes = 50000, .ratio = 0}));
    ASSERT_FALSE(capped);
    EXPECT_NE(capped.error().what.find("50000"), std::string::npos);
}

}  // namespace
}  // namespace engine::image
