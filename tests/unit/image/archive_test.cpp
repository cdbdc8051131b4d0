// Layers and archives into folders and back: what Docker's layers mean, and what hostile ones must not do.
#include "image/archive.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "unit/image/tar_builder.h"

namespace engine::image {
namespace {

using image_test::Tar;

Source source_of(std::string bytes, size_t step = 700) {
    return [bytes = std::move(bytes), step, at = size_t{0}]() mutable -> base::Result<std::string_view> {
        std::string_view part = std::string_view(bytes).substr(at, step);
        at += part.size();
        return part;
    };
}

class Archive : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "owners and devices need root";
        temp_.emplace(std::move(*base::TempDir::make("/tmp", "compose-archive-")));
        ASSERT_EQ(::mkdir(path("root").c_str(), 0755), 0);
        ASSERT_EQ(::mkdir(path("outside").c_str(), 0755), 0);
        ASSERT_TRUE(base::write_file(path("outside/secret"), "secret"));
        root_ = std::move(*base::open_at(AT_FDCWD, path("root"), O_RDONLY | O_DIRECTORY));
    }
    std::string path(const std::string& name) const { return temp_->path() + "/" + name; }
    std::string in(const std::string& name) const { return path("root/" + name); }
    base::Result<Extracted> layer(const Tar& tar) {
        ExtractOptions options;
        options.layer = true;
        options.subject = "layer sha256:test";
        return extract_tar(root_.get(), source_of(tar.bytes()), options);
    }
    struct stat status(const std::string& name) const {
        struct stat result {};
        if (::lstat(in(name).c_str(), &result) != 0) result.st_mode = 0;
        return result;
    }
    std::string content(const std::string& name) const { return base::read_file(in(name)).value_or("(absent)"); }
    bool whiteout(const std::string& name) const {
        auto s = status(name);
        return S_ISCHR(s.st_mode) && s.st_rdev == makedev(0, 0);
    }
    bool opaque(const std::string& name) const {
        char value = 0;
        return ::lgetxattr(in(name).c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
    }
    void refused(const Tar& tar, const std::string& entry, const std::string& reason) {
        auto result = layer(tar);
        ASSERT_FALSE(result) << "accepted: " << entry;
        std::string message = result.error().message();
        EXPECT_EQ(result.error().code, base::Code::corrupt) << message;
        EXPECT_NE(message.find("layer sha256:test"), std::string::npos) << message;
        EXPECT_NE(message.find(entry), std::string::npos) << message;
        EXPECT_NE(message.find(reason), std::string::npos) << message;
        EXPECT_EQ(base::list_dir(path("outside"))->size(), 1u) << "something was made outside";
        EXPECT_EQ(base::read_file(path("outside/secret")).value_or(""), "secret");
    }
    std::optional<base::TempDir> temp_;
    base::UniqueFd root_;
};

TEST_F(Archive, attributes_survive) {
    Tar tar;
    tar.folder("d", 01777);
    tar.file("d/setuid", "x", 04755);
    tar.file("d/owned", "abc", {.mode = 0640, .uid = 1000, .gid = 50, .mtime = 1600000000});
    tar.file("d/fine", "t", {.pax = {{"mtime", "1500000000.123456789"}, {"SCHILY.xattr.user.note", "hello"}}});
    tar.symlink("d/link", "/etc/passwd").hardlink("d/hard", "d/owned");
    tar.device("d/null", '3', 1, 3).device("d/fifo", '6', 0, 0);
    tar.file("implied/parent/file", "f");
    auto done = layer(tar);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->bytes, 6u);
    EXPECT_EQ(status("d").st_mode & 07777, 01777u);
    EXPECT_EQ(status("d").st_mtim.tv_sec, 1700000000);
    EXPECT_EQ(status("d/setuid").st_mode & 07777, 04755u);
    EXPECT_EQ(status("d/owned").st_uid, 1000u);
    EXPECT_EQ(status("d/owned").st_gid, 50u);
    EXPECT_EQ(status("d/owned").st_mtim.tv_sec, 1600000000);
    EXPECT_EQ(status("d/owned").st_ino, status("d/hard").st_ino);
    EXPECT_EQ(status("d/fine").st_mtim.tv_nsec, 123456789);
    EXPECT_TRUE(S_ISLNK(status("d/link").st_mode));
    EXPECT_EQ(status("d/null").st_rdev, makedev(1, 3));
    EXPECT_TRUE(S_ISFIFO(status("d/fifo").st_mode));
    EXPECT_EQ(status("implied/parent").st_mode & 07777, 0755u);
    char note[16] = {};
    if (::getxattr(in("d/fine").c_str(), "user.note", note, sizeof note) > 0) EXPECT_STREQ(note, "hello");
}

TEST_F(Archive, names_of_many_scripts_and_lengths_survive_whatever_the_locale) {
    Tar tar;
    std::string longest(200, 'n');
    tar.file("pax", "", {.pax = {{"path", "grüße/日本/" + longest}}});
    tar.file("\xff\xfe raw", "raw");
    ASSERT_TRUE(layer(tar));
    EXPECT_NE(status("grüße/日本/" + longest).st_mode, 0u);
    EXPECT_EQ(content("\xff\xfe raw"), "raw");
}

TEST_F(Archive, whiteouts_become_the_overlays_marks) {
    Tar tar;
    tar.file(".wh.gone").folder("o").file("o/new", "new").file("o/.wh..wh..opq");
    tar.file("a/b/.wh.deep").file(".wh..wh.plnk").file(".wh..wh.aufs");
    ASSERT_TRUE(layer(tar));
    EXPECT_TRUE(whiteout("gone"));
    EXPECT_TRUE(opaque("o"));
    EXPECT_EQ(content("o/new"), "new") << "files of the same layer stay, before and after the mark";
    EXPECT_TRUE(whiteout("a/b/deep"));
    EXPECT_EQ(status(".wh..wh.plnk").st_mode, 0u) << "leftovers of aufs are skipped";
}

TEST_F(Archive, a_whiteout_hides_only_lower_layers) {
    Tar tar;
    tar.file("kept", "k").file(".wh.kept");                         // the file first
    tar.file(".wh.made").file("made", "m");                         // the mark first
    tar.folder("dir").file("dir/x", "x").file(".wh.dir");           // a folder first
    tar.file(".wh.again").folder("again").file("again/y", "y");     // the mark first
    tar.file(".wh.implied").file("implied/z", "z");                 // and a folder that is never named
    ASSERT_TRUE(layer(tar));
    EXPECT_EQ(content("kept"), "k");
    EXPECT_EQ(content("made"), "m");
    EXPECT_EQ(content("dir/x"), "x");
    EXPECT_TRUE(opaque("dir"));
    EXPECT_EQ(content("again/y"), "y");
    EXPECT_TRUE(opaque("again"));
    EXPECT_EQ(content("implied/z"), "z");
    EXPECT_TRUE(opaque("implied"));
}

TEST_F(Archive, duplicate_entries_the_last_wins) {
    Tar tar;
    tar.file("x", "one").file("x", "two");
    tar.file("f", "file").folder("f").file("f/in", "in");
    tar.folder("g").file("g/in", "in").file("g", "now a file");
    tar.folder("h").file("h/a", "a").symlink("h", "elsewhere");
    ASSERT_TRUE(layer(tar));
    EXPECT_EQ(content("x"), "two");
    EXPECT_EQ(content("f/in"), "in");
    EXPECT_EQ(content("g"), "now a file");
    EXPECT_TRUE(S_ISLNK(status("h").st_mode));
}

TEST_F(Archive, hostile_dotdot_is_refused) {
    refused(Tar().file("../outside/x", "x"), "../outside/x", "leaves the root");
    refused(Tar().file("a/../../outside/x", "x"), "a/../../outside/x", "leaves the root");
    refused(Tar().folder("../outside"), "../outside", "leaves the root");
    ASSERT_TRUE(layer(Tar().file("a/../b", "b")));
    EXPECT_EQ(content("b"), "b");
}

TEST_F(Archive, hostile_absolute_names_stay_inside) {
    ASSERT_TRUE(layer(Tar().file(path("outside/x"), "x").file("/plain", "p")));
    EXPECT_EQ(base::list_dir(path("outside"))->size(), 1u);
    EXPECT_EQ(content("plain"), "p");
    EXPECT_EQ(content(path("outside/x")), "x");
}

TEST_F(Archive, cve_2025_47290_links_in_the_path_stay_inside) {
    Tar tar;
    tar.symlink("out", path("outside")).file("out/x", "x");
    auto result = layer(tar);
    EXPECT_EQ(base::list_dir(path("outside"))->size(), 1u) << "written through a link";
    Tar climbs;
    climbs.symlink("up", "../../../../../../../../" + path("outside")).file("up/secret", "changed");
    (void)layer(climbs);
    EXPECT_EQ(base::read_file(path("outside/secret")).value_or(""), "secret");
    Tar replaced;  // a folder that was in use is exchanged for a link
    replaced.folder("d").file("d/a", "a").symlink("d", path("outside")).file("d/b", "b");
    (void)layer(replaced);
    EXPECT_EQ(base::list_dir(path("outside"))->size(), 1u);
}

TEST_F(Archive, cve_2021_32760_modes_change_on_no_file_behind_a_link) {
    ASSERT_EQ(::chmod(path("outside/secret").c_str(), 0600), 0);
    Tar tar;
    tar.symlink("l", path("outside/secret"));
    tar.file("l", "", 0777);
    ASSERT_TRUE(layer(tar));
    struct stat s {};
    ASSERT_EQ(::stat(path("outside/secret").c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777, 0600u);
    EXPECT_EQ(base::read_file(path("outside/secret")).value_or(""), "secret");
}

TEST_F(Archive, hostile_hard_links_are_refused) {
    refused(Tar().hardlink("h", "../outside/secret"), "h", "leaves the root");
    refused(Tar().hardlink("h", ""), "h", "");
    refused(Tar().hardlink("h", "h"), "h", "itself");
    refused(Tar().folder("d").hardlink("h", "d"), "h", "folder");
    Tar through;  // a hard link whose target's path goes through a link
    through.symlink("out", path("outside")).hardlink("h", "out/secret").file("h", "overwritten");
    (void)layer(through);
    EXPECT_EQ(base::read_file(path("outside/secret")).value_or(""), "secret");
    Tar to_link;  // a hard link to a symbolic link links the link
    to_link.symlink("l", path("outside/secret")).hardlink("h2", "l").file("h2", "new");
    (void)layer(to_link);
    EXPECT_EQ(base::read_file(path("outside/secret")).value_or(""), "secret");
    auto below = layer(Tar().hardlink("link", "lower/file"));
    ASSERT_TRUE(below);
    ASSERT_EQ(below->links_below.size(), 1u);
    EXPECT_EQ(below->links_below[0].first, "lower/file");
}

TEST_F(Archive, hostile_whiteouts_that_climb_are_refused) {
    refused(Tar().file(".wh."), ".wh.", "climbs");
    refused(Tar().file(".wh..."), ".wh...", "climbs");
    refused(Tar().file("a/.wh.."), ".wh..", "climbs");
    refused(Tar().file("../.wh.outside"), "../.wh.outside", "leaves the root");
}

TEST_F(Archive, hostile_overlay_attributes_are_dropped) {
    Tar tar;
    tar.file("d", "", {.type = '5', .mode = 0755, .pax = {{"SCHILY.xattr.trusted.overlay.redirect", "/etc"}, {"SCHILY.xattr.trusted.overlay.opaque", "y"}}});
    ASSERT_TRUE(layer(tar));
    EXPECT_FALSE(opaque("d"));
    char value[16];
    EXPECT_LT(::lgetxattr(in("d").c_str(), "trusted.overlay.redirect", value, sizeof value), 0);
}

TEST_F(Archive, hostile_sparse_files_and_huge_headers_are_bounded) {
    auto sparse = [](const std::string& size, const std::string& map, const std::string& data) {
        std::string body = map;
        body.resize(512);
        return Tar().file("GNUSparseFile.0/s", body + data, {.pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "s"}, {"GNU.sparse.realsize", size}}});
    };
    refused(sparse("9007199254740992", "1\n0\n0\n", ""), "s", "unpacks to more than");
    auto fine = extract_tar(root_.get(), source_of(sparse("1048576", "1\n1048570\n6\n", "at end").bytes()), {});
    ASSERT_TRUE(fine) << fine.error().message();
    struct stat status {};
    ASSERT_EQ(::fstatat(root_.get(), "s", &status, 0), 0);
    EXPECT_EQ(status.st_size, 1048576);
    EXPECT_LT(status.st_blocks * 512, 100000) << "holes stay holes";
    for (char kind : {'x', 'g', 'L', 'K'}) {  // headers that would be held in memory
        ExtractOptions options;
        auto huge = extract_tar(root_.get(), source_of(Tar().file("h", std::string(3 << 20, ' '), {.type = kind}).file("after").bytes()), options);
        ASSERT_FALSE(huge) << kind;
        EXPECT_EQ(huge.error().code, base::Code::corrupt) << huge.error().message();
    }
}

TEST_F(Archive, hostile_names_sizes_and_owners_are_bounded) {
    refused(Tar().file("x", "", {.pax = {{"path", std::string(5000, 'p')}}}), "ppp", "longer than 4096");
    std::string deep;
    for (int i = 0; i < 1200; ++i) deep += "d/";
    refused(Tar().file("x", "", {.pax = {{"path", deep}}}), "d/d", "components");
    refused(Tar().file("x", "", {.pax = {{"uid", "99999999999"}}}), "x", "owner");
    ExtractOptions options;
    options.limits.entries = 3;
    EXPECT_FALSE(extract_tar(root_.get(), source_of(Tar().file("1").file("2").file("3").file("4").bytes()), options));
    options.limits.entries = 100;
    options.limits.bytes = 10;
    auto bomb = extract_tar(root_.get(), source_of(Tar().file("b", std::string(11, 'b')).bytes()), options);
    ASSERT_FALSE(bomb);
    EXPECT_NE(bomb.error().what.find("more than 10 bytes"), std::string::npos);
}

TEST_F(Archive, truncated_and_foreign_streams_are_errors) {
    std::string whole = Tar().file("a", std::string(3000, 'a')).bytes();
    ExtractOptions options;
    EXPECT_FALSE(extract_tar(root_.get(), source_of(whole.substr(0, 1500)), options));
    EXPECT_FALSE(extract_tar(root_.get(), source_of("this is no tar archive at all, whatever its name says" + std::string(2000, '!')), options));
    EXPECT_FALSE(extract_tar(root_.get(), source_of(Tar().file("liar", "x", {.size = 1 << 20}).bytes()), options));
    auto empty = extract_tar(root_.get(), source_of(std::string(1024, '\0')), options);
    ASSERT_TRUE(empty) << empty.error().message();
    EXPECT_EQ(empty->entries, 0u);
    EXPECT_TRUE(extract_tar(root_.get(), source_of(""), options));
}

TEST_F(Archive, the_stream_is_read_to_its_end) {
    std::string bytes = Tar().file("a", "a").bytes() + std::string(20480, '\0');
    size_t seen = 0;
    Source counted = [&, source = source_of(bytes)]() mutable -> base::Result<std::string_view> {
        auto part = source();
        if (part) seen += part->size();
        return part;
    };
    ASSERT_TRUE(extract_tar(root_.get(), counted, {}));
    EXPECT_EQ(seen, bytes.size());
}

TEST_F(Archive, packing_and_unpacking_give_the_same_bytes) {
    Tar tar;
    tar.folder("d", 0700).file("d/a", std::string(100000, 'a'), 04711).symlink("d/l", "a").hardlink("d/h", "d/a").device("n", '4', 7, 9);
    tar.file("ü", "u", {.uid = 7, .gid = 8, .pax = {{"mtime", "1500000000.5"}}});
    tar.file(".wh.gone").folder("o").file("o/.wh..wh..opq");
    ASSERT_TRUE(layer(tar));
    PackOptions options;
    options.whiteouts = true;
    auto pack = [&](int folder) {
        std::string bytes;
        EXPECT_TRUE(pack_tree(folder, options, [&](std::string_view part) -> base::Status {
            bytes += part;
            return {};
        }));
        return bytes;
    };
    std::string once = pack(root_.get());
    EXPECT_NE(once.find(".wh.gone"), std::string::npos);
    EXPECT_NE(once.find("o/.wh..wh..opq"), std::string::npos);
    ASSERT_EQ(::mkdir(path("again").c_str(), 0755), 0);
    auto again = std::move(*base::open_at(AT_FDCWD, path("again"), O_RDONLY | O_DIRECTORY));
    ExtractOptions extract;
    extract.layer = true;
    auto done = extract_tar(again.get(), source_of(once), extract);
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(pack(again.get()), once) << "a layer made here is made the same again";
}

TEST_F(Archive, cve_2018_15664_cp_follows_the_containers_links_inside_its_root_only) {
    ASSERT_EQ(::mkdir(in("real").c_str(), 0755), 0);
    ASSERT_EQ(::symlink("/real", in("alias").c_str()), 0);
    ASSERT_EQ(::symlink(path("outside").c_str(), in("evil").c_str()), 0);
    ExtractOptions options;
    options.replace_kind = false;
    ASSERT_TRUE(extract_into(root_.get(), "/alias", source_of(Tar().file("f", "f").bytes()), options));
    EXPECT_EQ(content("real/f"), "f");
    EXPECT_FALSE(extract_into(root_.get(), "/evil", source_of(Tar().file("f", "f").bytes()), options)) << "cve_2018_15664";
    EXPECT_EQ(base::list_dir(path("outside"))->size(), 1u);
    auto absent = extract_into(root_.get(), "/nowhere", source_of(Tar().file("f", "f").bytes()), options);
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().what, "Could not find the file /nowhere");
    auto over = extract_into(root_.get(), "/", source_of(Tar().file("real", "file over folder").bytes()), options);
    ASSERT_FALSE(over);
    EXPECT_NE(over.error().what.find("cannot overwrite directory with non-directory"), std::string::npos);
    std::string packed;
    Sink sink = [&](std::string_view part) -> base::Status {
        packed += part;
        return {};
    };
    EXPECT_FALSE(pack_path(root_.get(), "/evil/secret", true, {}, sink));
    EXPECT_EQ(packed.find("secret"), std::string::npos);
    ASSERT_TRUE(pack_path(root_.get(), "/real", false, {}, sink));
    EXPECT_NE(packed.find("real/f"), std::string::npos);
    auto stat = stat_path(root_.get(), "/evil");
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->link_target, path("outside"));
    EXPECT_FALSE(stat_path(root_.get(), "/evil/secret"));
}

}  // namespace
}  // namespace engine::image
