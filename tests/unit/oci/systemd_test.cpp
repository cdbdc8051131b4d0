#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "oci/resources.h"
#include "oci/systemd_unit.h"

namespace engine::oci {
namespace {
namespace json = boost::json;
using runtime::CgroupVersion;

TEST(SystemdUnit, NamesAndPlaces) {
    struct Row {
        const char *given, *name, *path;
    };
    for (const Row& row : {Row{"system.slice:docker:abc", "docker-abc.scope", "/system.slice/docker-abc.scope"},
                           Row{"", "runc-id.scope", "/system.slice/runc-id.scope"},
                           Row{":cri-containerd:abc", "cri-containerd-abc.scope", "/system.slice/cri-containerd-abc.scope"},
                           Row{"a-b-c.slice::abc", "abc.scope", "/a.slice/a-b.slice/a-b-c.slice/abc.scope"},
                           Row{"-.slice:x:abc", "x-abc.scope", "/x-abc.scope"},
                           Row{"machine.slice:x:machine-own.slice", "machine-own.slice", "/machine.slice/machine-own.slice"}}) {
        auto unit = systemd_unit(row.given, "id");
        ASSERT_TRUE(unit) << row.given << ": " << unit.error().message();
        EXPECT_EQ(unit->name, row.name);
        EXPECT_EQ(unit->path(), row.path);
    }
    for (const char* wrong : {"/docker/abc", "a:b", "system.slice:a:", "system:docker:abc", "a/b.slice:docker:abc", "a--b.slice:docker:abc", "-a.slice:docker:abc",
                              ".slice:docker:abc", "system.slice:docker:../../up", "system.slice:docker:a b", "system.slice:docker:a\nb"})
        EXPECT_FALSE(systemd_unit(wrong, "id")) << wrong;
    EXPECT_FALSE(systemd_unit("system.slice:docker:" + std::string(300, 'a'), "id"));
}

std::vector<UnitProperty> properties_of(const char* resources, CgroupVersion version) {
    auto writes = resource_writes(json::parse(resources).as_object(), version);
    EXPECT_TRUE(writes) << writes.error().message();
    return unit_properties(*writes, version);
}

TEST(SystemdUnit, LimitsAreProperties) {
    using List = std::vector<UnitProperty>;
    EXPECT_EQ(properties_of(R"({"memory": {"limit": 1048576, "swap": 3145728, "reservation": 4096}, "pids": {"limit": 10}, "cpu": {"quota": 50000, "period": 100000, "cpus": "0-2,9"}})",
                            CgroupVersion::v2),
              (List{{"MemoryMax", uint64_t{1048576}}, {"MemorySwapMax", uint64_t{2097152}}, {"MemoryLow", uint64_t{4096}}, {"AllowedCPUs", std::vector<uint8_t>{7, 2}},
                    {"TasksMax", uint64_t{10}}, {"CPUQuotaPeriodUSec", uint64_t{100000}}, {"CPUQuotaPerSecUSec", uint64_t{500000}}}));
    EXPECT_EQ(properties_of(R"({"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1, "period": 100000}})", CgroupVersion::v2),
              (List{{"MemoryMax", UINT64_MAX}, {"TasksMax", UINT64_MAX}, {"CPUQuotaPeriodUSec", uint64_t{100000}}, {"CPUQuotaPerSecUSec", UINT64_MAX}}));
    EXPECT_EQ(properties_of(R"({"cpu": {"quota": 33333, "shares": 2048}, "memory": {"limit": 4096}})", CgroupVersion::v1),
              (List{{"MemoryLimit", uint64_t{4096}}, {"CPUShares", uint64_t{2048}}, {"CPUQuotaPerSecUSec", uint64_t{340000}}}));
    EXPECT_EQ(properties_of("{}", CgroupVersion::v2), List{});
}

TEST(SystemdUnit, AnAnchorEndsWithItsOwner) {
    pid_t pid;
    {
        auto anchor = Anchor::make();
        ASSERT_TRUE(anchor) << anchor.error().message();
        pid = anchor->pid();
        EXPECT_EQ(::kill(pid, 0), 0);
    }
    EXPECT_EQ(::kill(pid, 0), -1);
}
}  // namespace
}  // namespace engine::oci
