#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {
base::TempDir temp() { return std::move(*base::TempDir::make("/tmp", "file-test-")); }
}  // namespace

TEST(File, path_stays_in_root) {
    auto dir = temp();
    ASSERT_TRUE(base::make_dirs(dir.path() + "/root/etc"));
    ASSERT_TRUE(base::write_file(dir.path() + "/secret", "outside"));
    ASSERT_TRUE(base::write_file(dir.path() + "/root/secret", "inside"));
    ASSERT_EQ(::symlink("/../../secret", (dir.path() + "/root/etc/link").c_str()), 0);
    auto root = base::open_at(AT_FDCWD, dir.path() + "/root", O_PATH | O_DIRECTORY);
    ASSERT_TRUE(root);
    auto fd = base::open_in_root(root->get(), "etc/link", O_RDONLY);
    ASSERT_TRUE(fd);
    EXPECT_EQ(*base::read_all(fd->get()), "inside");
}

TEST(File, folders_through_a_link_are_made_inside) {
    auto dir = temp();
    ASSERT_TRUE(base::make_dirs(dir.path() + "/root"));
    ASSERT_EQ(::symlink("/target", (dir.path() + "/root/link").c_str()), 0);
    ASSERT_TRUE(base::make_dirs(dir.path() + "/root/target"));
    auto root = base::open_at(AT_FDCWD, dir.path() + "/root", O_PATH | O_DIRECTORY);
    ASSERT_TRUE(base::make_dirs_in_root(root->get(), "/link/a/b"));
    EXPECT_TRUE(base::exists(dir.path() + "/root/target/a/b"));
}

TEST(File, remove_tree_does_not_follow_links) {
    auto dir = temp();
    ASSERT_TRUE(base::make_dirs(dir.path() + "/keep"));
    ASSERT_TRUE(base::make_dirs(dir.path() + "/gone/deep"));
    ASSERT_TRUE(base::write_file(dir.path() + "/keep/file", "x"));
    ASSERT_EQ(::symlink((dir.path() + "/keep").c_str(), (dir.path() + "/gone/deep/link").c_str()), 0);
    EXPECT_TRUE(base::remove_tree(dir.path() + "/gone"));
    EXPECT_TRUE(base::exists(dir.path() + "/keep/file"));
    EXPECT_FALSE(base::exists(dir.path() + "/gone"));
    EXPECT_TRUE(base::remove_tree(dir.path() + "/never"));
}

TEST(File, replace_is_whole_or_nothing) {
    auto dir = temp();
    ASSERT_TRUE(base::replace_file(dir.path() + "/f", "one"));
    ASSERT_TRUE(base::replace_file(dir.path() + "/f", "two"));
    EXPECT_EQ(*base::read_file(dir.path() + "/f"), "two");
    EXPECT_EQ(base::list_dir(dir.path())->size(), 1u);
}

TEST(File, error_says_operation_object_and_cause) {
    auto missing = base::read_file("/nonexistent/file");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, base::Code::not_found);
    EXPECT_EQ(missing.error().message(), "open \"/nonexistent/file\": no such file or directory");
}
