#include "runtime/cdi.h"

#include <gtest/gtest.h>

#include "base/file.h"

using namespace engine;
using namespace engine::runtime;

namespace {

constexpr const char* kSpec = R"({"cdiVersion":"0.6.0","kind":"vendor.com/thing","containerEdits":{"env":["ALL=1"]},
  "devices":[{"name":"one","containerEdits":{"env":["ONE=1"],"deviceNodes":[{"path":"/dev/thing0","hostPath":"/dev/null","permissions":"rw"}],
      "mounts":[{"hostPath":"/usr/lib/thing","containerPath":"/opt/thing","options":["ro","bind"]}]}},
    {"name":"hooked","containerEdits":{"hooks":[{"hookName":"createContainer","path":"/bin/x"}]}}]})";

TEST(Cdi, NamesOfDevicesAndRequests) {
    for (const char* good : {"vendor.com/class=name", "nvidia.com/gpu=0", "a/b=c:d"}) EXPECT_TRUE(is_cdi_name(good)) << good;
    for (const char* bad : {"", "/dev/null", "/dev/x=y", "vendor.com/class", "vendor.com/=x", "vendor.com/class=", "a/b/c=d"}) EXPECT_FALSE(is_cdi_name(bad)) << bad;
    DeviceRequest request;
    request.capabilities = {"gpu"};
    request.count = -1;
    EXPECT_EQ(*cdi_names(request), std::vector<std::string>{"nvidia.com/gpu=all"});
    request.count = 2;
    EXPECT_EQ(*cdi_names(request), (std::vector<std::string>{"nvidia.com/gpu=0", "nvidia.com/gpu=1"}));
    request.ids = {"GPU-x"};
    request.count = 0;
    EXPECT_EQ(*cdi_names(request), std::vector<std::string>{"nvidia.com/gpu=GPU-x"});
    request.driver = "cdi";
    EXPECT_FALSE(cdi_names(request));
    request.ids = {"vendor.com/thing=one"};
    EXPECT_EQ(*cdi_names(request), request.ids);
    request.driver = "other";
    EXPECT_FALSE(cdi_names(request));
}

TEST(Cdi, EditsOfADeviceAndOfItsKind) {
    auto low = base::TempDir::make("/tmp", "compose-cdi-"), high = base::TempDir::make("/tmp", "compose-cdi-");
    ASSERT_TRUE(low && high);
    ASSERT_TRUE(base::write_file(low->path() + "/v.json", kSpec));
    std::vector<std::string> folders{low->path(), high->path()};
    auto edits = cdi_edits({"vendor.com/thing=one", "vendor.com/thing=one"}, folders);
    ASSERT_TRUE(edits) << edits.error().message();
    EXPECT_EQ(edits->env, (std::vector<std::string>{"ONE=1", "ALL=1"}));
    ASSERT_EQ(edits->devices.size(), 1U);
    EXPECT_EQ(edits->devices[0], (Device{"/dev/null", "/dev/thing0", "rw"}));
    ASSERT_EQ(edits->mounts.size(), 1U);
    EXPECT_TRUE(edits->mounts[0].read_only);
    EXPECT_EQ(edits->mounts[0].target, "/opt/thing");

    auto hooked = cdi_edits({"vendor.com/thing=hooked"}, folders);
    ASSERT_FALSE(hooked);
    EXPECT_EQ(hooked.error().code, base::Code::unsupported);

    // The later folder wins.
    ASSERT_TRUE(base::write_file(high->path() + "/v.json", R"({"kind":"vendor.com/thing","devices":[{"name":"one","containerEdits":{"env":["HIGH=1"]}}]})"));
    EXPECT_EQ(cdi_edits({"vendor.com/thing=one"}, folders)->env, std::vector<std::string>{"HIGH=1"});

    ASSERT_TRUE(base::write_file(high->path() + "/w.yaml", "kind: other.com/x\n"));
    ASSERT_TRUE(base::write_file(high->path() + "/broken.json", "{"));
    auto absent = cdi_edits({"other.com/x=1"}, folders);
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, base::Code::not_found);
    EXPECT_NE(absent.error().message().find("w.yaml is YAML"), std::string::npos) << absent.error().message();
    EXPECT_NE(absent.error().message().find("broken.json cannot be read"), std::string::npos);
}

}  // namespace
