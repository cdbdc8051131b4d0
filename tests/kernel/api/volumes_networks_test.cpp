#include <net/if.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine_test_base.h"

namespace engine::api::testing {
namespace {

using base::Code;

Mount volume_mount(const std::string& name, const std::string& target) { return Mount{.type = Mount::Type::volume, .source = name, .target = target}; }

TEST_F(EngineTest, AnEmptyVolumeIsFilledFromTheImageOnce) {
    auto wanted = spec("fill", "stat -c '%a %u %g' /data /data/seed; readlink /data/sub/link; cat /data/sub/link; rm /data/seed");
    wanted.mounts = {volume_mount("vol", "/data")};
    auto id = run(wanted);
    EXPECT_EQ(wait_exit(id), 0);
    EXPECT_EQ(log_text(id), "750 1000 2000\n640 1000 2000\n../seed\nfrom the image\n");
    EXPECT_TRUE(engine_->volume("vol")) << "made by the container's creation";
    auto second = spec("second", "ls /data");
    second.mounts = {volume_mount("vol", "/data")};
    auto other = run(second);
    wait_exit(other);
    EXPECT_EQ(log_text(other), "sub\n") << "not filled again: it is not empty";
    auto nocopy = spec("nocopy", "ls /data; stat -c '%a %u' /data");
    nocopy.mounts = {volume_mount("plain", "/data")};
    nocopy.mounts[0].no_copy = true;
    auto third = run(nocopy);
    wait_exit(third);
    EXPECT_EQ(log_text(third), "755 0\n");
}

TEST_F(EngineTest, VolumesAreInUseUntilTheirContainersGo) {
    ASSERT_TRUE(engine_->create_volume({.name = "mine", .labels = {{"a", "b"}}}));
    EXPECT_TRUE(engine_->create_volume({.name = "mine"})) << "creating what is there is fine";
    EXPECT_EQ(engine_->create_volume({.name = "mine", .driver_options = {{"type", "tmpfs"}, {"device", "tmpfs"}}}).error().code, Code::conflict);
    EXPECT_EQ(engine_->create_volume({.name = "bad/name"}).error().code, Code::invalid);
    EXPECT_EQ(engine_->create_volume({.name = "x", .driver = "nosuch"}).error().code, Code::unsupported);
    auto wanted = spec("user", "true");
    wanted.mounts = {volume_mount("mine", "/m"), Mount{.type = Mount::Type::volume, .target = "/anon"}};
    auto id = engine_->create(wanted);
    ASSERT_TRUE(id);
    EXPECT_EQ(engine_->remove_volume("mine").error().code, Code::conflict);
    EXPECT_EQ(engine_->volumes({})->size(), 2u);
    ASSERT_TRUE(engine_->remove(*id, false, true));
    auto left = engine_->volumes({});
    ASSERT_EQ(left->size(), 1u) << "the anonymous one went with its container";
    EXPECT_EQ(left->front().spec.name, "mine");
    std::string folder = left->front().path;
    EXPECT_TRUE(base::exists(folder));
    ASSERT_TRUE(engine_->remove_volume("mine"));
    EXPECT_FALSE(base::exists(folder));
    EXPECT_EQ(engine_->remove_volume("mine").error().code, Code::not_found);
}

TEST_F(EngineTest, AMemoryVolumeIsSharedAndUnmounted) {
    ASSERT_TRUE(engine_->create_volume({.name = "mem", .driver_options = {{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "size=1m,uid=1000"}}}));
    auto writer = spec("writer", "stat -c %u /mem; echo shared > /mem/x; echo up; while :; do sleep 1; done");
    writer.mounts = {volume_mount("mem", "/mem")};
    auto first = run(writer);
    EXPECT_EQ(log_with(first, "up"), "1000\nup\n");
    auto reader = spec("reader", "cat /mem/x; grep ' /mem ' /proc/mounts | cut -d' ' -f3");
    reader.command = std::vector<std::string>{"sh", "-c", "cat /mem/x"};
    reader.mounts = {volume_mount("mem", "/mem")};
    auto second = run(reader);
    EXPECT_EQ(wait_exit(second), 0);
    EXPECT_EQ(log_text(second), "shared\n");
    auto bad = engine_->create_volume({.name = "broken", .driver_options = {{"type", "nosuchfs"}, {"device", "x"}}});
    ASSERT_TRUE(bad);
    auto user = spec("broken-user", "true");
    user.mounts = {volume_mount("broken", "/b")};
    auto id = engine_->create(user);
    ASSERT_TRUE(id);
    auto started = engine_->start(*id);
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().message().find("nosuchfs"), std::string::npos) << started.error().message();
}

TEST_F(EngineTest, BindSourcesAreMade) {
    auto wanted = spec("bind", "echo x > /b/file");
    wanted.mounts = {Mount{.source = root_ + "-host/new", .target = "/b"}};
    auto id = run(wanted);
    EXPECT_EQ(wait_exit(id), 0);
    EXPECT_EQ(*base::read_file(root_ + "-host/new/file"), "x\n");
}

TEST_F(EngineTest, NetworksComeAndGo) {
    auto made = engine_->create_network({.name = "front", .labels = {{"k", "v"}}});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_NE(if_nametoindex(made->bridge.c_str()), 0u);
    EXPECT_EQ(engine_->create_network({.name = "front"}).error().code, Code::conflict);
    EXPECT_EQ(engine_->networks({{"k", "v"}})->size(), 1u);
    auto second = engine_->create_network({.name = "back"});
    ASSERT_TRUE(second) << second.error().message();
    EXPECT_NE(second->subnet4, made->subnet4);
    auto wanted = spec("web", "echo up; while :; do sleep 1; done");
    wanted.network_mode = "";
    wanted.endpoints = {{.network = "front", .aliases = {"web"}}};
    auto id = run(wanted);
    auto info = engine_->container(id);
    ASSERT_EQ(info->endpoints.size(), 1u);
    EXPECT_FALSE(info->endpoints[0].ipv4.empty());
    EXPECT_EQ(engine_->remove_network("front").error().code, Code::conflict);
    EXPECT_NE(exec(id, "ip addr show eth0").first.find(info->endpoints[0].ipv4), std::string::npos);
    ASSERT_TRUE(engine_->stop(id, Nanoseconds(0)));
    EXPECT_TRUE(engine_->container(id)->endpoints.empty());
    // Removed and made again under a stopped container, as `up` does for changed options.
    ASSERT_TRUE(engine_->remove_network("front"));
    EXPECT_EQ(if_nametoindex(made->bridge.c_str()), 0u);
    EXPECT_EQ(engine_->start(id).error().code, Code::not_found);
    ASSERT_TRUE(engine_->create_network({.name = "front"}));
    ASSERT_TRUE(engine_->start(id));
    EXPECT_EQ(engine_->network("nosuch").error().code, Code::not_found);
}

TEST_F(EngineTest, TheDefaultNetworkComesWithItsFirstUserAndGoesWithItsLast) {
    auto wanted = spec("plain", "true");
    wanted.network_mode = "";
    auto id = run(wanted);
    auto network = engine_->network("bridge");
    ASSERT_TRUE(network);
    EXPECT_EQ(engine_->container(id)->spec.network_mode, "bridge");
    wait_exit(id);
    ASSERT_TRUE(engine_->remove(id, false, false));
    EXPECT_FALSE(engine_->network("bridge"));
    EXPECT_EQ(if_nametoindex(network->bridge.c_str()), 0u);
}

}  // namespace
}  // namespace engine::api::testing
