#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine_test_base.h"
#include "tiny_image.h"

namespace engine::api::testing {
namespace {

using base::Code;

class FilesTest : public EngineTest {
protected:
    /// A tar stream as an fd at its beginning.
    static base::UniqueFd as_fd(const std::string& bytes) {
        base::UniqueFd fd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        EXPECT_TRUE(base::write_all(fd.get(), bytes));
        lseek(fd.get(), 0, SEEK_SET);
        return fd;
    }
    std::map<std::string, std::string> fetch(const std::string& id, const std::string& path, bool follow = false) {
        Reader tar;
        auto copied = engine_->copy_from(id, path, follow, tar.fd());
        EXPECT_TRUE(copied) << copied.error().message();
        return read_tar(tar.finish());
    }
    Status put(const std::string& id, const std::string& path, const std::vector<TarEntry>& entries) {
        auto fd = as_fd(tar_of(entries));
        return engine_->copy_to(id, path, fd.get());
    }
};

TEST_F(FilesTest, CopyInAndOutOfARunningAndAStoppedContainer) {
    auto wanted = spec("cp", "echo made > /tmp/inside; echo up; while :; do sleep 1; done");
    wanted.mounts = {Mount{.type = Mount::Type::volume, .source = "vol", .target = "/vol"}};
    auto id = engine_->create(wanted);
    ASSERT_TRUE(id) << id.error().message();
    // Before its first start.
    EXPECT_EQ(fetch(*id, "/greeting"), (std::map<std::string, std::string>{{"greeting", "hello\n"}}));
    ASSERT_TRUE(put(*id, "/tmp", {{"early", "1\n", '0', 0600, 7, 8}}));
    ASSERT_TRUE(engine_->start(*id));
    log_with(*id, "up");
    EXPECT_EQ(exec(*id, "cat /tmp/early; stat -c '%a %u %g' /tmp/early").first, "1\n600 7 8\n");
    EXPECT_EQ(fetch(*id, "/tmp/inside"), (std::map<std::string, std::string>{{"inside", "made\n"}}));
    ASSERT_TRUE(put(*id, "/vol", {{"d/", "", '5', 0755}, {"d/late", "2\n"}}));
    EXPECT_EQ(exec(*id, "cat /vol/d/late").first, "2\n");
    ASSERT_TRUE(engine_->stop(*id, Nanoseconds(0)));
    EXPECT_EQ(fetch(*id, "/vol/d/late"), (std::map<std::string, std::string>{{"late", "2\n"}})) << "the volume is there when it is stopped";
    ASSERT_TRUE(put(*id, "/vol", {{"after", "3\n"}}));
    ASSERT_TRUE(engine_->start(*id));
    EXPECT_EQ(exec(*id, "cat /vol/after").first, "3\n");
    auto absent = engine_->copy_from(*id, "/no/such", false, as_fd("").get());
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, Code::not_found);
    EXPECT_FALSE(put(*id, "/nosuchfolder", {{"x", "x"}}));
}

TEST_F(FilesTest, StatAndLinks) {
    auto id = run(spec("stat", "ln -s /greeting /link; ln -s /../../../etc/passwd /escape; echo up; while :; do sleep 1; done"));
    log_with(id, "up");
    auto file = engine_->stat_path(id, "/greeting");
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->name, "greeting");
    EXPECT_EQ(file->size, 6u);
    auto link = engine_->stat_path(id, "/link");
    ASSERT_TRUE(link);
    EXPECT_EQ(link->link_target, "/greeting");
    EXPECT_EQ(engine_->stat_path(id, "/absent").error().code, Code::not_found);
    EXPECT_EQ(fetch(id, "/link", true).begin()->second, "hello\n");
    EXPECT_EQ(fetch(id, "/link").begin()->second, "") << "a link is copied as a link";
    EXPECT_TRUE(fetch(id, "/escape", true).begin()->second.starts_with("root:x:0:0:root:/root:/bin/sh\nalice")) << "the container's own passwd (moby 2018-15664)";
}

TEST_F(FilesTest, ExportDiffCommit) {
    auto wanted = spec("change", "echo new > /added; rm /greeting; echo x >> /etc/passwd; echo v > /data/volume-only; echo up; while :; do sleep 1; done");
    wanted.labels["baked"] = "in";
    wanted.mounts = {Mount{.type = Mount::Type::volume, .source = "data", .target = "/data"}};
    auto id = run(wanted);
    log_with(id, "up");
    auto diff = engine_->diff(id);
    ASSERT_TRUE(diff) << diff.error().message();
    auto has = [&](const std::string& line) { return std::find(diff->begin(), diff->end(), line) != diff->end(); };
    EXPECT_TRUE(has("A /added"));
    EXPECT_TRUE(has("D /greeting"));
    EXPECT_TRUE(has("C /etc/passwd"));
    for (bool running : {true, false}) {
        if (!running) ASSERT_TRUE(engine_->stop(id, Nanoseconds(0)));
        Reader tar;
        auto exported = engine_->export_container(id, tar.fd());
        ASSERT_TRUE(exported) << exported.error().message();
        auto files = read_tar(tar.finish());
        auto find = [&](std::string name) { return files.contains(name) || files.contains("./" + name); };
        EXPECT_TRUE(find("added")) << running;
        EXPECT_TRUE(find(".dockerenv")) << running;
        EXPECT_FALSE(find("greeting")) << running;
        EXPECT_FALSE(find("data/volume-only")) << "content of a volume is no part of it";
        EXPECT_TRUE(find("data/seed")) << "but the image's below it is, as in Docker's";
    }
    auto image = engine_->commit(id, {.reference = "changed:1", .author = "me", .message = "m", .changes = {"CMD [\"cat\", \"/added\"]", "ENV B=2"}});
    ASSERT_TRUE(image) << image.error().message();
    auto info = engine_->image("changed:1");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->config.labels.at("baked"), "in");
    EXPECT_EQ(info->config.labels.at("image.label"), "tiny");
    EXPECT_EQ(info->layers.size(), 2u);
    ContainerSpec child;
    child.name = "child";
    child.image = "changed:1";
    child.network_mode = "none";
    auto second = run(child);
    EXPECT_EQ(wait_exit(second), 0);
    EXPECT_EQ(log_text(second), "new\n");
    EXPECT_EQ(engine_->remove_image("changed:1", false).error().code, Code::conflict) << "a container uses it";
    ASSERT_TRUE(engine_->remove(second, true, true));
    EXPECT_TRUE(engine_->remove_image("changed:1", false));
}

TEST_F(FilesTest, SecretsAreNeverInTheStore) {
    auto wanted = spec("secret", "cat /run/secrets/token; stat -c ' %a %u %g' /run/secrets/token; cat /plain");
    FileMount secret;
    secret.target = "/run/secrets/token";
    secret.content = "s3cr3t-0123456789";
    secret.mode = 0440;
    secret.uid = "1000";
    secret.gid = "2000";
    secret.secret = true;
    FileMount plain;
    plain.target = "/plain";
    plain.content = "config\n";
    wanted.files = {secret, plain};
    auto id = run(wanted);
    wait_exit(id);
    EXPECT_EQ(log_text(id), "s3cr3t-0123456789 440 1000 2000\nconfig\n");
    ASSERT_TRUE(engine_->start(id)) << "and again";
    wait_exit(id);
    EXPECT_FALSE(engine_->container(id)->spec.files[0].content);
    for (const char* name : {"/state.db", "/state.db-wal"}) {
        auto bytes = base::read_file(root_ + name);
        ASSERT_TRUE(bytes);
        EXPECT_EQ(bytes->find("s3cr3t"), std::string::npos) << name;
    }
    std::string kept = engine_->options().run_dir + "/files/" + id;
    EXPECT_TRUE(base::exists(kept));
    ASSERT_TRUE(engine_->remove(id, false, false));
    EXPECT_FALSE(base::exists(kept));
}

}  // namespace
}  // namespace engine::api::testing
