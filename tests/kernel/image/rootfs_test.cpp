// Layers as the kernel's overlayfs merges them.
#include "image/rootfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "image/archive.h"
#include "image/image_store.h"
#include "unit/image/fake_registry.h"
#include "unit/image/tar_builder.h"

namespace engine::image {
namespace {

using image_test::FakeRegistry;
using image_test::Tar;

class RootFs : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "mounts need root";
        temp_.emplace(std::move(*base::TempDir::make("/tmp", "compose-rootfs-")));
        ASSERT_TRUE(base::make_dirs(path("upper")) && base::make_dirs(path("work")) && base::make_dirs(path("probe1")) && base::make_dirs(path("probe2")));
        auto probe = mount_overlay({path("probe1"), path("probe2")}, path("upper"), path("work"));
        if (!probe) GTEST_SKIP() << "no overlayfs here: " << probe.error().message();
        ::setenv("DOCKER_CONFIG", path("docker").c_str(), 1);
        store_ = std::move(*ImageStore::open(path("root")));
    }
    std::string path(const std::string& name) const { return temp_->path() + "/" + name; }
    ImageInfo pull(const std::vector<std::string>& layers) {
        registry_.image("app", "1", layers, layers);
        auto image = std::move(store_->pull({{registry_.host() + "/app:1", ""}}, {})[0]);
        EXPECT_TRUE(image) << image.error().message();
        return image ? *image : ImageInfo{};
    }
    base::MountFd mount(const ImageInfo& image, bool writable) {
        auto layers = store_->layer_dirs(image.id);
        EXPECT_TRUE(layers);
        auto mounted = writable ? mount_overlay(*layers, path("upper"), path("work")) : mount_overlay(*layers, "", "", true);
        EXPECT_TRUE(mounted) << mounted.error().message();
        return mounted ? std::move(*mounted) : base::MountFd();
    }
    static std::string read(const base::MountFd& root, const std::string& name) {
        auto file = base::open_in_root(root.get(), name, O_RDONLY);
        return file ? base::read_all(file->get()).value_or("(unreadable)") : "(absent)";
    }
    static void write(const base::MountFd& root, const std::string& name, const std::string& text) {
        auto file = base::open_in_root(root.get(), name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ASSERT_TRUE(file) << file.error().message();
        ASSERT_TRUE(base::write_all(file->get(), text));
    }
    std::optional<base::TempDir> temp_;
    FakeRegistry registry_;
    std::unique_ptr<ImageStore> store_;
};

TEST_F(RootFs, whiteouts_and_opaque_folders_hide_what_is_below) {
    ImageInfo image = pull({Tar().file("gone", "g").folder("o").file("o/old", "o").folder("dir").file("dir/in", "i").file("kept", "k").bytes(),
                            Tar().file(".wh.gone").folder("o").file("o/.wh..wh..opq").file("o/new", "n").file(".wh.dir").file("dir", "now a file").bytes()});
    base::MountFd root = mount(image, false);
    EXPECT_EQ(read(root, "gone"), "(absent)");
    EXPECT_EQ(read(root, "o/old"), "(absent)");
    EXPECT_EQ(read(root, "o/new"), "n");
    EXPECT_EQ(read(root, "dir"), "now a file");
    EXPECT_EQ(read(root, "kept"), "k");
    EXPECT_EQ(::openat(root.get(), "x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), -1);
    EXPECT_EQ(errno, EROFS);
}

TEST_F(RootFs, nothing_of_it_shows_on_the_host) {
    base::MountFd root = mount(pull({Tar().file("a", "a").bytes(), Tar().file("b", "b").bytes()}), true);
    EXPECT_EQ(base::read_file("/proc/self/mountinfo")->find(temp_->path()), std::string::npos);
    write(root, "c", "c");
    root.reset();
    EXPECT_EQ(*base::read_file(path("upper/c")), "c");
}

TEST_F(RootFs, one_layer_alone_and_many_layers) {
    base::MountFd one = mount(pull({Tar().file("a", "a").bytes()}), false);
    EXPECT_EQ(read(one, "a"), "a");
    std::vector<std::string> layers;
    for (int i = 0; i < 130; ++i) layers.push_back(Tar().file("f" + std::to_string(i), std::to_string(i)).file("top", std::to_string(i)).bytes());
    base::MountFd many = mount(pull(layers), true);
    EXPECT_EQ(read(many, "f0"), "0");
    EXPECT_EQ(read(many, "f129"), "129");
    EXPECT_EQ(read(many, "top"), "129");
}

TEST_F(RootFs, kernels_before_6_7_take_the_layers_as_one_string) {
    std::vector<std::string> layers;
    for (int i = 0; i < 70; ++i) layers.push_back(Tar().file("f" + std::to_string(i), std::to_string(i)).bytes());
    OverlayOptions options;
    options.lower = *store_->layer_dirs(pull(layers).id);
    options.upper = path("upper");
    options.work = path("work");
    options.by_string = true;
    auto root = mount_overlay(options);
    ASSERT_TRUE(root) << root.error().message();
    EXPECT_EQ(read(*root, "f0"), "0");
    EXPECT_EQ(read(*root, "f69"), "69");
    write(*root, "new", "new");
    EXPECT_EQ(*base::read_file(path("upper/new")), "new");
    EXPECT_EQ(base::read_file("/proc/self/mountinfo")->find(temp_->path()), std::string::npos);
}

TEST_F(RootFs, a_layer_that_appears_twice) {
    std::string same = Tar().file("a", "same").bytes();
    base::MountFd root = mount(pull({same, Tar().file("a", "between").bytes(), same}), true);
    EXPECT_EQ(read(root, "a"), "same");
}

TEST_F(RootFs, hard_links_into_layers_below_are_one_inode) {
    ImageInfo image = pull({Tar().folder("etc", 0750).file("etc/name", "deep", 04755).bytes(), Tar().hardlink("alias", "etc/name").bytes()});
    base::MountFd root = mount(image, false);
    struct stat alias {}, name {};
    ASSERT_EQ(::fstatat(root.get(), "alias", &alias, AT_SYMLINK_NOFOLLOW), 0);
    ASSERT_EQ(::fstatat(root.get(), "etc/name", &name, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_EQ(alias.st_ino, name.st_ino);
    EXPECT_EQ(alias.st_mode & 07777, 04755u);
    ASSERT_EQ(::fstatat(root.get(), "etc", &name, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_EQ(name.st_mode & 07777, 0750u) << "the folder above is as it was";
    registry_.image("bad", "1", {Tar().file("a", "a").bytes(), Tar().hardlink("alias", "nowhere").bytes()},
                    {Tar().file("a", "a").bytes(), Tar().hardlink("alias", "nowhere").bytes()});
    auto bad = std::move(store_->pull({{registry_.host() + "/bad:1", ""}}, {})[0]);
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().message().find("\"nowhere\""), std::string::npos) << bad.error().message();
}

TEST_F(RootFs, commit_makes_an_image_that_is_the_container) {
    ImageInfo image = pull({Tar().folder("d").file("d/old", "old").file("gone", "g").file("changed", "before").bytes(), Tar().file("b", "b").bytes()});
    {
        base::MountFd root = mount(image, true);
        write(root, "changed", "after");
        write(root, "new", "new");
        ASSERT_EQ(::linkat(root.get(), "new", root.get(), "link", 0), 0);
        ASSERT_EQ(::unlinkat(root.get(), "gone", 0), 0);
        ASSERT_EQ(::unlinkat(root.get(), "d/old", 0), 0);
        ASSERT_EQ(::unlinkat(root.get(), "d", AT_REMOVEDIR), 0);
        ASSERT_EQ(::mkdirat(root.get(), "d", 0700), 0);
        write(root, "d/fresh", "fresh");
    }
    auto changes = overlay_changes(*store_->layer_dirs(image.id), path("upper"));
    ASSERT_TRUE(changes) << changes.error().message();
    EXPECT_EQ(*changes, (std::vector<std::string>{"C /changed", "C /d", "A /d/fresh", "D /d/old", "D /gone", "A /link", "A /new"}));
    CommitOptions options;
    options.reference = "committed:1";
    options.author = "me";
    options.changes = {"ENV X=y"};
    auto id = store_->commit(image.id, path("upper"), image.config, options);
    ASSERT_TRUE(id) << id.error().message();
    auto committed = store_->find("committed:1");
    ASSERT_TRUE(committed);
    EXPECT_EQ(committed->layers.size(), 3u);
    EXPECT_EQ(committed->config.env, std::vector<std::string>{"X=y"});
    EXPECT_TRUE(store_->verify({})->problems.empty());
    base::MountFd root = mount(*committed, false);
    EXPECT_EQ(read(root, "changed"), "after");
    EXPECT_EQ(read(root, "gone"), "(absent)");
    EXPECT_EQ(read(root, "d/old"), "(absent)");
    EXPECT_EQ(read(root, "d/fresh"), "fresh");
    EXPECT_EQ(read(root, "b"), "b");
    struct stat one {}, two {};
    ASSERT_EQ(::fstatat(root.get(), "new", &one, 0), 0);
    ASSERT_EQ(::fstatat(root.get(), "link", &two, 0), 0);
    EXPECT_EQ(one.st_ino, two.st_ino);
    // A configuration alone adds no layer, and equal commits give equal ids.
    CommitRequest request;
    request.parent = image.id;
    request.config = image.config;
    request.created = 1;
    auto first = store_->commit(request), second = store_->commit(request);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(*first, *second);
    EXPECT_EQ(store_->find(*first)->layers.size(), 2u);
}

TEST_F(RootFs, the_upper_folder_has_the_images_owner_and_mode) {
    ImageInfo image = pull({Tar().file("./", "", {.type = '5', .mode = 0711, .uid = 5, .gid = 6}).file("a", "a").bytes()});
    ASSERT_TRUE(make_upper(*store_->layer_dirs(image.id), path("c/upper"), path("c/work")));
    struct stat status {};
    ASSERT_EQ(::stat(path("c/upper").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0711u);
    EXPECT_EQ(status.st_uid, 5u);
    EXPECT_EQ(status.st_gid, 6u);
}

}  // namespace
}  // namespace engine::image
