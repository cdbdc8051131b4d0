#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "store/store.h"
#include "volume/copy_tree.h"
#include "volume/file_mounts.h"
#include "volume/volume_store.h"

namespace engine::volume {
namespace {

using base::Code;

class VolumeTest : public testing::Test {
protected:
    void SetUp() override {
        auto dir = base::TempDir::make("/tmp", "volume-");
        ASSERT_TRUE(dir);
        dir_ = std::make_unique<base::TempDir>(std::move(*dir));
        paths_ = {dir_->path() + "/root", dir_->path() + "/run"};
        auto store = store::Store::open(paths_);
        ASSERT_TRUE(store) << store.error().message();
        store_ = std::move(*store);
        volumes_ = std::make_unique<VolumeStore>(*store_);
        image_ = dir_->path() + "/image";
        ASSERT_TRUE(base::make_dirs(image_ + "/data/sub"));
        ASSERT_TRUE(base::write_file(image_ + "/data/file", "content"));
        ASSERT_EQ(link((image_ + "/data/file").c_str(), (image_ + "/data/sub/hard").c_str()), 0);
        ASSERT_EQ(symlink("../file", (image_ + "/data/sub/soft").c_str()), 0);
        ASSERT_EQ(mkfifo((image_ + "/data/fifo").c_str(), 0620), 0);
        ASSERT_EQ(chmod((image_ + "/data/fifo").c_str(), 0620), 0);
        ASSERT_EQ(chmod((image_ + "/data").c_str(), 01750), 0);
        ASSERT_EQ(chmod((image_ + "/data/file").c_str(), 04711), 0);
        timespec times[2] = {{1, 2}, {3, 4}};
        ASSERT_EQ(utimensat(AT_FDCWD, (image_ + "/data/file").c_str(), times, 0), 0);
        has_xattrs_ = setxattr((image_ + "/data/file").c_str(), "user.note", "kept", 4, 0) == 0;
        auto fd = base::open_at(AT_FDCWD, image_, O_PATH | O_DIRECTORY);
        ASSERT_TRUE(fd);
        image_fd_ = std::move(*fd);
    }
    std::string text(const std::string& path) { return base::read_file(path).value_or("<absent>"); }
    struct stat look(const std::string& path) {
        struct stat status {};
        EXPECT_EQ(lstat(path.c_str(), &status), 0) << path;
        return status;
    }

    std::unique_ptr<base::TempDir> dir_;
    store::Paths paths_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<VolumeStore> volumes_;
    std::string image_;
    base::UniqueFd image_fd_;
    bool has_xattrs_ = false;
};

TEST_F(VolumeTest, CopyUpIsFaithful) {
    auto volume = volumes_->create({.name = "v"});
    ASSERT_TRUE(volume) << volume.error().message();
    ASSERT_TRUE(copy_up(volume->path, image_fd_.get(), "/data"));
    EXPECT_EQ(text(volume->path + "/file"), "content");
    auto file = look(volume->path + "/file");
    EXPECT_EQ(file.st_mode & 07777, 04711u);
    EXPECT_EQ(file.st_mtim.tv_sec, 3);
    EXPECT_EQ(file.st_mtim.tv_nsec, 4);
    EXPECT_EQ(file.st_nlink, 2u);
    EXPECT_EQ(look(volume->path + "/sub/hard").st_ino, file.st_ino);
    EXPECT_TRUE(S_ISLNK(look(volume->path + "/sub/soft").st_mode));
    EXPECT_TRUE(S_ISFIFO(look(volume->path + "/fifo").st_mode));
    EXPECT_EQ(look(volume->path + "/fifo").st_mode & 07777, 0620u);
    EXPECT_EQ(look(volume->path).st_mode & 07777, 01750u) << "the folder takes the target's mode";
    if (has_xattrs_) {
        char value[16];
        EXPECT_EQ(getxattr((volume->path + "/file").c_str(), "user.note", value, sizeof value), 4);
    }
}

TEST_F(VolumeTest, CopyUpLeavesWhatIsNotEmpty) {
    auto volume = volumes_->create({.name = "v"});
    ASSERT_TRUE(base::write_file(volume->path + "/mine", "x"));
    ASSERT_TRUE(copy_up(volume->path, image_fd_.get(), "/data"));
    EXPECT_FALSE(base::exists(volume->path + "/file"));
    auto empty = volumes_->create({.name = "w"});
    ASSERT_TRUE(copy_up(empty->path, image_fd_.get(), "/absent"));
    ASSERT_TRUE(copy_up(empty->path, image_fd_.get(), "/data/file")) << "a target that is no folder";
    EXPECT_TRUE(base::list_dir(empty->path)->empty());
}

TEST_F(VolumeTest, ACopyThatWasCutIsBegunAgain) {
    auto volume = volumes_->create({.name = "v"});
    ASSERT_TRUE(base::write_file(paths_.volume("v") + "/.filling", ""));
    ASSERT_TRUE(base::write_file(volume->path + "/half", "x"));
    ASSERT_TRUE(copy_up(volume->path, image_fd_.get(), "/data"));
    EXPECT_FALSE(base::exists(volume->path + "/half"));
    EXPECT_EQ(text(volume->path + "/file"), "content");
    EXPECT_FALSE(base::exists(paths_.volume("v") + "/.filling"));
}

TEST_F(VolumeTest, CopyUpStaysInsideTheImage) {
    // containerd CVE-2022-23648: a VOLUME path that leads to the host's files.
    ASSERT_TRUE(base::make_dirs(dir_->path() + "/host"));
    ASSERT_TRUE(base::write_file(dir_->path() + "/host/secret", "x"));
    ASSERT_EQ(symlink((dir_->path() + "/host").c_str(), (image_ + "/absolute").c_str()), 0);
    ASSERT_EQ(symlink("../host", (image_ + "/relative").c_str()), 0);
    auto volume = volumes_->create({.name = "v"});
    for (const char* target : {"/absolute", "/relative", "/../host", "/data/../../host"}) {
        auto copied = copy_up(volume->path, image_fd_.get(), target);
        EXPECT_TRUE(copied) << target;
        EXPECT_TRUE(base::list_dir(volume->path)->empty()) << target;
    }
}

TEST_F(VolumeTest, ReplicasThatStartTogetherFillItOnce) {
    auto volume = volumes_->create({.name = "v"});
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            if (!copy_up(volume->path, image_fd_.get(), "/data")) ++failures;
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(text(volume->path + "/file"), "content");
}

TEST_F(VolumeTest, CreationIsIdempotentAndChecked) {
    auto first = volumes_->create({.name = "v", .labels = {{"a", "b"}}});
    auto again = volumes_->create({.name = "v"});
    ASSERT_TRUE(first && again);
    EXPECT_EQ(again->spec.labels, first->spec.labels) << "the one that is there";
    EXPECT_EQ(volumes_->create({.name = "v", .driver_options = {{"type", "nfs"}, {"device", ":/x"}}}).error().code, Code::conflict);
    EXPECT_EQ(volumes_->create({.name = "../v"}).error().code, Code::invalid);
    EXPECT_EQ(volumes_->create({.name = "v2", .driver = "nfs-plugin"}).error().code, Code::unsupported);
    EXPECT_EQ(volumes_->create({.name = "v3", .driver_options = {{"nosuch", "x"}}}).error().code, Code::invalid);
    EXPECT_EQ(volumes_->create({.name = "v4", .driver_options = {{"device", "/x"}}}).error().message(), "create v4: missing required option: \"type\"");
    auto anonymous = volumes_->create({});
    ASSERT_TRUE(anonymous);
    EXPECT_EQ(anonymous->spec.name.size(), 64u);
    EXPECT_TRUE(anonymous->anonymous);
}

TEST_F(VolumeTest, RecoverSweepsFoldersWithoutARow) {
    ASSERT_TRUE(volumes_->create({.name = "keep"}));
    ASSERT_TRUE(base::make_dirs(paths_.volume_data("orphan")));
    ASSERT_TRUE(volumes_->recover());
    EXPECT_TRUE(base::exists(paths_.volume_data("keep")));
    EXPECT_FALSE(base::exists(paths_.volume("orphan")));
}

TEST_F(VolumeTest, FilesAreInTheRunFolderAndOutliveAReboot) {
    ContainerInfo container;
    container.id = std::string(64, 'a');
    FileMount inline_file{.target = "/c", .content = "inline", .mode = 0600};
    FileMount host_file{.target = "/h", .host_path = dir_->path() + "/host-file"};
    FileMount owned_file{.target = "/o", .host_path = dir_->path() + "/host-file", .mode = 0640};
    ASSERT_TRUE(base::write_file(host_file.host_path, "from the host"));
    container.spec.files = {inline_file, host_file, owned_file};
    ASSERT_TRUE(stage_files(paths_, container.id, container.spec));
    EXPECT_FALSE(container.spec.files[0].content);
    auto sources = resolve_files(paths_, container);
    ASSERT_TRUE(sources) << sources.error().message();
    ASSERT_EQ(sources->size(), 3u);
    EXPECT_EQ(text((*sources)[0].host_path), "inline");
    EXPECT_EQ(look((*sources)[0].host_path).st_mode & 07777, 0600u);
    EXPECT_EQ((*sources)[1].host_path, host_file.host_path) << "bound itself: later changes are seen";
    EXPECT_NE((*sources)[2].host_path, host_file.host_path);
    EXPECT_EQ(text((*sources)[2].host_path), "from the host");
    EXPECT_EQ(look((*sources)[2].host_path).st_mode & 07777, 0640u);
    // a reboot
    const std::string kept = paths_.container_kept_files(container.id) + "/0";
    EXPECT_EQ(look(paths_.container_kept_files(container.id)).st_mode & 07777, 0700u);
    EXPECT_EQ(look(kept).st_mode & 07777, 0600u);
    ASSERT_TRUE(base::remove_tree(paths_.container_files(container.id)));
    auto again = resolve_files(paths_, container);
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(text((*again)[0].host_path), "inline");
    EXPECT_EQ(look((*again)[0].host_path).st_mode & 07777, 0600u);
    // and one that cut the write short
    ASSERT_TRUE(base::remove_tree(paths_.container_files(container.id)));
    ASSERT_EQ(::truncate(kept.c_str(), 67), 0);
    auto cut = resolve_files(paths_, container);
    ASSERT_FALSE(cut);
    EXPECT_NE(cut.error().message().find("config /c is gone"), std::string::npos) << cut.error().message();
    ASSERT_TRUE(remove_files(paths_, container.id));
    EXPECT_FALSE(base::exists(kept));
    auto gone = resolve_files(paths_, container);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Code::not_found);
    // a secret's content is never on a disk
    container.spec.files = {FileMount{.target = "/s", .content = "hidden", .secret = true}};
    ASSERT_TRUE(stage_files(paths_, container.id, container.spec));
    ASSERT_TRUE(resolve_files(paths_, container));
    EXPECT_FALSE(base::exists(kept));
    ASSERT_TRUE(base::remove_tree(paths_.container_files(container.id)));
    auto forgotten = resolve_files(paths_, container);
    ASSERT_FALSE(forgotten);
    EXPECT_NE(forgotten.error().message().find("secret /s is gone"), std::string::npos) << forgotten.error().message();
    FileMount relative{.target = "c", .content = "x"};
    ContainerSpec bad;
    bad.files = {relative};
    EXPECT_EQ(stage_files(paths_, container.id, bad).error().code, Code::invalid);
}

}  // namespace
}  // namespace engine::volume
