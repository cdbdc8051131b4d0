#include <gtest/gtest.h>

#include "runtime/capability.h"
#include "runtime/cgroup_layout.h"
#include "runtime/cgroup_limits.h"
#include "runtime/mount_options.h"
#include "runtime/terminal.h"

using namespace engine;
using namespace engine::runtime;

namespace {

std::string text(const std::vector<CgroupWrite>& writes) {
    std::string out;
    for (const CgroupWrite& write : writes) out += write.file + "=" + write.value + (write.optional ? "?" : "") + "\n";
    return out;
}

TEST(Limits, AreTheFilesOfBothVersions) {
    struct Row {
        const char* name;
        Resources resources;
        const char *v1, *v2;
    };
    auto make = [](auto set) {
        Resources out;
        set(out);
        return out;
    };
    const Row kRows[] = {
        {"nothing", {}, "", ""},
        {"memory", make([](Resources& r) { r.memory = 64 << 20; }), "memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=134217728?\n",
         "memory.max=67108864\nmemory.swap.max=67108864?\n"},
        {"no swap", make([](Resources& r) { r.memory = r.memory_swap = 64 << 20; }), "memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=67108864\n",
         "memory.max=67108864\nmemory.swap.max=0\n"},
        {"all swap", make([](Resources& r) { r.memory = 64 << 20, r.memory_swap = -1; }), "memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=-1\n",
         "memory.max=67108864\nmemory.swap.max=max\n"},
        {"cpus", make([](Resources& r) { r.cpus = 0.25; }), "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=25000\n", "cpu.max=25000 100000\n"},
        {"cpus are cut to whole nanoseconds", make([](Resources& r) { r.cpus = 0.123456; }), "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=12345\n", "cpu.max=12345 100000\n"},
        {"any negative number of pids", make([](Resources& r) { r.pids = -5; }), "pids.max=max\n", "pids.max=max\n"},
        {"quota without end", make([](Resources& r) { r.cpu_quota = -1; }), "cpu.cfs_quota_us=-1\n", "cpu.max=max 100000\n"},
        {"shares", make([](Resources& r) { r.cpu_shares = 1024; }), "cpu.shares=1024\n", "cpu.weight=39\n"},
        {"sets and pids", make([](Resources& r) { r.cpuset_cpus = "0-1", r.cpuset_mems = "0", r.pids = -1; }), "cpuset.cpus=0-1\ncpuset.mems=0\npids.max=max\n",
         "cpuset.cpus=0-1\ncpuset.mems=0\npids.max=max\n"},
        {"block weight", make([](Resources& r) { r.blkio_weight = 500; }), "blkio.weight=500?\nblkio.bfq.weight=500?\n", "io.bfq.weight=500?\nio.weight=default 4950\n"},
        {"reservation, swappiness, no killer", make([](Resources& r) { r.memory_reservation = 9 << 20, r.memory_swappiness = 10, r.oom_kill_disable = true; }),
         "memory.soft_limit_in_bytes=9437184\nmemory.swappiness=10\nmemory.oom_control=1\n", "memory.low=9437184\n"},
    };
    for (const Row& row : kRows) {
        auto v1 = cgroup_writes(row.resources, CgroupVersion::v1), v2 = cgroup_writes(row.resources, CgroupVersion::v2);
        ASSERT_TRUE(v1 && v2) << row.name;
        EXPECT_EQ(text(*v1), row.v1) << row.name;
        EXPECT_EQ(text(*v2), row.v2) << row.name;
    }
    EXPECT_EQ(cpu_weight(2), 1U);
    EXPECT_EQ(cpu_weight(262144), 10000U);
}

TEST(Limits, ThatContradictAreRefused) {
    auto refused = [](auto set) {
        Resources resources;
        set(resources);
        return !cgroup_writes(resources, CgroupVersion::v1).has_value();
    };
    EXPECT_TRUE(refused([](Resources& r) { r.memory = 1 << 20; }));
    EXPECT_TRUE(refused([](Resources& r) { r.memory_swap = 64 << 20; }));
    EXPECT_TRUE(refused([](Resources& r) { r.memory = 64 << 20, r.memory_swap = 32 << 20; }));
    EXPECT_TRUE(refused([](Resources& r) { r.memory = 64 << 20, r.memory_reservation = 65 << 20; }));
    EXPECT_TRUE(refused([](Resources& r) { r.cpus = 1, r.cpu_quota = 5000; }));
    EXPECT_TRUE(refused([](Resources& r) { r.cpu_period = 5; }));
    EXPECT_TRUE(refused([](Resources& r) { r.blkio_weight = 5; }));
    EXPECT_TRUE(refused([](Resources& r) { r.read_bps = {{"/no/such/device", 1}}; }));
}

TEST(Limits, FoldersInEveryHierarchyWhereTheyMatter) {
    ContainerSpec spec;
    EXPECT_FALSE(needs_every_group(spec));
    spec.security_opt = {"no-new-privileges"};
    EXPECT_FALSE(needs_every_group(spec));
    for (auto set : std::initializer_list<void (*)(ContainerSpec&)>{[](ContainerSpec& s) { s.resources.memory = 64 << 20; }, [](ContainerSpec& s) { s.privileged = true; },
                                                                   [](ContainerSpec& s) { s.cgroup_parent = "/p"; }, [](ContainerSpec& s) { s.security_opt = {"writable-cgroups=true"}; }}) {
        ContainerSpec other;
        set(other);
        EXPECT_TRUE(needs_every_group(other));
    }
}

TEST(Limits, HierarchiesAreReadFromMountinfo) {
    auto found = parse_cgroup_mounts(
        "25 24 0:21 / /sys rw shared:7 - sysfs sysfs rw\n"
        "30 25 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
        "31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 25 0:28 / /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n");
    ASSERT_EQ(found.size(), 3U);
    EXPECT_TRUE(found[0].unified);
    EXPECT_EQ(found[1].controllers, std::vector<std::string>{"name=systemd"});
    EXPECT_EQ(found[2].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
    EXPECT_EQ(found[2].name(), "cpu,cpuacct");
}

TEST(Devices, RulesAsText) {
    for (const char* text : {"c 1:3 mr", "a *:* rwm", "b 8:* r"}) {
        auto rule = parse_device_rule(text);
        ASSERT_TRUE(rule) << text;
        EXPECT_EQ(rule->text(), text);
    }
    for (const char* text : {"", "c 1:3", "d 1:3 r", "c 1 r", "c 1:3 x", "c -1:3 r", "c 1:3 rwmr", "c 1:99999999999 r", "c  1:3 r"})
        EXPECT_FALSE(parse_device_rule(text)) << text;
}

/// The few BPF instructions that the device filter uses, interpreted.
bool allowed(const std::vector<uint64_t>& program, char type, uint32_t access, uint32_t major, uint32_t minor) {
    uint64_t r[11] = {};
    uint32_t context[3] = {(type == 'b' ? 1U : 2U) | access << 16, major, minor};
    for (size_t pc = 0; pc < program.size(); ++pc) {
        uint64_t bits = program[pc];
        auto code = static_cast<uint8_t>(bits);
        unsigned to = bits >> 8 & 15, from = bits >> 12 & 15;
        auto offset = static_cast<int16_t>(bits >> 16);
        auto value = static_cast<int32_t>(bits >> 32);
        switch (code) {
            case 0x61: r[to] = context[offset / 4]; break;
            case 0xbf: r[to] = r[from]; break;
            case 0xb7: r[to] = static_cast<uint64_t>(value); break;
            case 0x54: r[to] = static_cast<uint32_t>(r[to]) & static_cast<uint32_t>(value); break;
            case 0x74: r[to] = static_cast<uint32_t>(r[to]) >> value; break;
            case 0x55: if (r[to] != static_cast<uint64_t>(value)) pc += static_cast<size_t>(offset); break;
            case 0x15: if (r[to] == static_cast<uint64_t>(value)) pc += static_cast<size_t>(offset); break;
            case 0x5d: if (r[to] != r[from]) pc += static_cast<size_t>(offset); break;
            case 0x95: return r[0] != 0;
            default: ADD_FAILURE() << "instruction " << int(code); return false;
        }
    }
    ADD_FAILURE() << "ran off its end";
    return false;
}

TEST(Devices, FilterOfVersionTwoDecidesAsTheRules) {
    constexpr uint32_t kMknod = 1, kRead = 2, kWrite = 4;
    ContainerSpec spec;
    spec.device_cgroup_rules = {"c 10:200 r"};
    auto program = device_program(*device_rules(spec));
    EXPECT_TRUE(allowed(program, 'c', kRead | kWrite, 1, 3));
    EXPECT_TRUE(allowed(program, 'c', kRead, 136, 77));
    EXPECT_TRUE(allowed(program, 'b', kMknod, 8, 0));
    EXPECT_FALSE(allowed(program, 'b', kRead, 8, 0));
    EXPECT_FALSE(allowed(program, 'c', kRead, 1, 1)) << "/dev/mem";
    EXPECT_TRUE(allowed(program, 'c', kRead, 10, 200));
    EXPECT_FALSE(allowed(program, 'c', kWrite, 10, 200));
    EXPECT_FALSE(allowed(program, 'c', kRead | kWrite, 10, 200));
    spec.privileged = true;
    EXPECT_TRUE(allowed(device_program(*device_rules(spec)), 'b', kWrite, 8, 0));
    auto denied = device_program({{true, 'a', -1, -1, "rwm"}, {false, 'b', 8, -1, "w"}});
    EXPECT_FALSE(allowed(denied, 'b', kRead | kWrite, 8, 1));
    EXPECT_TRUE(allowed(denied, 'b', kRead, 8, 1));
    EXPECT_FALSE(allowed(device_program({}), 'c', kRead, 1, 3));
}

TEST(Capabilities, AddAndDropAsDocker) {
    using Words = std::vector<std::string>;
    struct Row {
        Words add, drop;
        CapabilitySet expected;
    };
    const CapabilitySet own = own_capabilities();
    const Row kRows[] = {
        {{}, {}, kDefaultCapabilities & own},       {{}, {"ALL"}, 0},
        {{"NET_BIND_SERVICE"}, {"all"}, 0x400},     {{"CAP_SYS_TIME"}, {"chown"}, (kDefaultCapabilities | 1ULL << 25) & ~1ULL},
        {{"ALL"}, {}, own},                         {{"ALL"}, {"SYS_ADMIN"}, own & ~(1ULL << 21)},
    };
    for (const Row& row : kRows) {
        auto set = container_capabilities(row.add, row.drop, false);
        ASSERT_TRUE(set) << set.error().message();
        EXPECT_EQ(*set, row.expected);
    }
    EXPECT_EQ(*container_capabilities({}, {"ALL"}, true), own);
    EXPECT_EQ(container_capabilities({"NOSUCH"}, {}, false).error().message(), "unknown capability to add: \"NOSUCH\" (names are those of capabilities(7), with or without CAP_)");
    EXPECT_FALSE(container_capabilities({"5"}, {}, false));
}

TEST(MountOptions, OfTmpfs) {
    Mount mount;
    mount.target = "/t";
    auto plain = tmpfs_options(mount);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->attributes, 0xeU);  // nosuid, nodev, noexec
    EXPECT_EQ(plain->filesystem, (std::vector<std::string>{"mode", "1777"}));
    mount.tmpfs_options = "size=64k,uid=1000,mode=700,exec,ro";
    mount.tmpfs_size = 5;
    auto options = tmpfs_options(mount);
    ASSERT_TRUE(options);
    EXPECT_EQ(options->attributes, 0x7U);
    EXPECT_EQ(options->filesystem, (std::vector<std::string>{"mode", "700", "size", "64k", "uid", "1000"}));
    mount.tmpfs_options = "nosuch=1";
    EXPECT_FALSE(tmpfs_options(mount));
    EXPECT_FALSE(propagation_flags("rwhat"));
}

TEST(DetachKeys, SequencesAndWhatLooksLikeThem) {
    std::string out;
    auto keys = DetachKeys::parse("");
    ASSERT_TRUE(keys);
    EXPECT_FALSE(keys->feed("a\x10", out));
    EXPECT_EQ(out, "a") << "held back until it is clear";
    EXPECT_FALSE(keys->feed("b", out));
    EXPECT_EQ(out, "a\x10" "b");
    EXPECT_TRUE(keys->feed("\x10\x11rest", out));
    EXPECT_EQ(out, "a\x10" "b");
    out.clear();
    EXPECT_FALSE(keys->feed("\x10", out));
    EXPECT_TRUE(keys->feed("\x10\x11", out)) << "the second begins it anew";
    EXPECT_EQ(out, "\x10");
    auto own = DetachKeys::parse("a,ctrl-@,ctrl-_");
    ASSERT_TRUE(own);
    out.clear();
    EXPECT_TRUE(own->feed(std::string_view("a\0\x1f", 3), out));
    for (const char* text : {"ctrl-", "ctrl-1", "ab", "a,,b", "shift-a"}) EXPECT_FALSE(DetachKeys::parse(text)) << text;
}

TEST(Limits, SlicesAreWhereSystemdHasThem) {
    EXPECT_EQ(slice_path("mine.slice"), "/mine.slice");
    EXPECT_EQ(slice_path("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
    EXPECT_EQ(slice_path("-.slice"), "/-.slice");
}

}  // namespace
