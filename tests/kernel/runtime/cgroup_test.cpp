#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "kernel/runtime/box.h"
#include "runtime/cgroup_folders.h"
#include "runtime/cgroup_layout.h"

using box::Box;
using box::Outcome;
namespace runtime = engine::runtime;

namespace {

bool v1() { return runtime::cgroup_version() == runtime::CgroupVersion::v1; }

TEST(ControlGroup, LimitsAreSeenInside) {
    NEEDS_CONTAINERS();
    if (!v1()) GTEST_SKIP() << "looks at v1 files";
    Box box;
    box.info.spec.resources.memory = 64 << 20;
    box.info.spec.resources.cpus = 0.25;
    box.info.spec.resources.cpuset_cpus = "0";
    box.info.spec.resources.pids = 25;
    Outcome outcome = box.run(
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us pids/pids.max; grep Cpus_allowed_list /proc/self/status | cut -f2; "
        "mkdir memory/x 2>&1; ls -d memory/compose* 2>/dev/null");
    EXPECT_EQ(outcome.out, "67108864\n25000\n100000\n25\n0\nmkdir: can't create directory 'memory/x': Read-only file system\n") << outcome.err;
}

TEST(ControlGroup, PidsLimitStopsAForkBomb) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.resources.pids = 20;
    Outcome outcome = box.run("i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done 2>&1; echo done");
    EXPECT_NE((outcome.out + outcome.err).find("fork"), std::string::npos) << outcome.out << outcome.err;
}

TEST(ControlGroup, MoreThanTheMemoryLimitIsKilledAndCounted) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.resources.memory = 16 << 20;
    box.info.spec.resources.memory_swap = 16 << 20;
    box.info.spec.tmpfs["/fill"] = "";
    ASSERT_TRUE(box.start({"sh", "-c", "sleep 0.2; dd if=/dev/zero of=/fill/x bs=1M count=64"}));
    auto events = box.cgroup->oom_events();
    ASSERT_TRUE(events) << events.error().message();
    pollfd wait{events->get(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 20000), 1);
    // The shell may live on when dd was the one; either way the kernel counted it.
    EXPECT_TRUE(box::eventually([&] { return box.cgroup->oom_kills().value_or(0) > 0; }));
    runtime::Cgroup::drain_oom_events(events->get());
}

TEST(ControlGroup, PauseStopsEverythingAndKillReachesAFrozenOne) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.01; done"}));
    auto count = [&] { return base::read_file(box.layer() + "/count").value_or(""); };
    ASSERT_TRUE(box::eventually([&] { return !count().empty(); }));
    auto frozen = box.cgroup->freeze();
    ASSERT_TRUE(frozen) << frozen.error().message();
    EXPECT_TRUE(box.cgroup->frozen());
    std::string before = count();
    ::usleep(100000);
    EXPECT_EQ(count(), before);
    ASSERT_TRUE(box.cgroup->thaw());
    EXPECT_TRUE(box::eventually([&] { return !count().empty() && count() != before; }));
    ASSERT_TRUE(box.cgroup->freeze());
    ASSERT_TRUE(box.cgroup->kill_all());
    EXPECT_EQ(box.wait(), 137);
}

TEST(ControlGroup, StatsUpdateAndRemoval) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sh", "-c", "sleep 1000 & wait"}));
    ASSERT_TRUE(box::eventually([&] { return box.cgroup->pids().value_or(std::vector<pid_t>{}).size() == 2; }));
    auto stats = box.cgroup->stats();
    ASSERT_TRUE(stats) << stats.error().message();
    EXPECT_EQ(stats->pids, 2U);
    EXPECT_GT(stats->cpu_ns, 0U);
    EXPECT_GT(stats->memory_limit, 1U << 20);
    EXPECT_GT(stats->system_ns, 0U);

    // A controller that the container had none of is made for it, with all its processes.
    engine::Resources more;
    more.cpus = 0.5;
    more.memory = 128 << 20;
    auto updated = box.cgroup->update(more);
    ASSERT_TRUE(updated) << updated.error().message();
    EXPECT_EQ(box.cgroup->stats()->memory_limit, 128U << 20);
    if (v1()) EXPECT_EQ(base::trim(base::read_file("/sys/fs/cgroup/cpu" + box.cgroup->path() + "/cpu.cfs_quota_us").value_or("")), "50000");
    engine::Resources less;
    less.memory = 64 << 20;
    updated = box.cgroup->update(less);
    ASSERT_TRUE(updated) << updated.error().message();
    EXPECT_EQ(box.cgroup->stats()->memory_limit, 64U << 20);

    std::string path = box.cgroup->path();
    box.stop();
    auto removed = box.cgroup->remove();
    EXPECT_TRUE(removed) << removed.error().message();
    EXPECT_FALSE(runtime::Cgroup::open(path));
    EXPECT_TRUE(box.cgroup->remove()) << "removing what is gone is fine";
}

TEST(ControlGroup, TheFilterOfVersionTwoIsTakenByTheKernelAndDecides) {
    NEEDS_CONTAINERS();
    std::string unified;
    for (const runtime::CgroupHierarchy& hierarchy : runtime::cgroup_hierarchies())
        if (hierarchy.unified) unified = hierarchy.mount_point;
    if (unified.empty()) GTEST_SKIP() << "no cgroup v2 hierarchy is mounted";
    std::string folder = unified + "/compose-test-filter-" + std::to_string(::getpid());
    ASSERT_TRUE(base::make_dirs(folder));
    base::Defer remove([&] { EXPECT_TRUE(box::eventually([&] { return ::rmdir(folder.c_str()) == 0; })); });
    auto open = base::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(open);
    engine::ContainerSpec spec;
    auto rules = runtime::device_rules(spec);
    ASSERT_TRUE(rules);
    auto attached = runtime::attach_device_filter(open->get(), *rules);
    if (!attached && (attached.error().sys_errno == ENOSYS || attached.error().sys_errno == EPERM || attached.error().sys_errno == EINVAL))
        GTEST_SKIP() << "this kernel has no device filters: " << attached.error().message();
    ASSERT_TRUE(attached) << attached.error().message();
    pid_t child = ::fork();
    if (child == 0) {
        if (!base::write_file(folder + "/cgroup.procs", "0")) ::_exit(10);
        if (::open("/dev/null", O_RDWR | O_CLOEXEC) < 0) ::_exit(11);
        if (::access("/dev/kmsg", F_OK) == 0 && (::open("/dev/kmsg", O_RDONLY | O_CLOEXEC) >= 0 || errno != EPERM)) ::_exit(12);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(runtime::exit_code(status), 0);
}

TEST(ControlGroup, ManyMadeAtOnceBelowANewGroupAllTakeProcesses) {
    NEEDS_CONTAINERS();
    if (!v1()) GTEST_SKIP() << "v1's cpuset starts empty";
    for (int round = 0; round < 50; ++round) {
        std::string parent = "/compose-test-new-" + std::to_string(::getpid()) + "-" + std::to_string(round);
        std::vector<std::thread> makers;
        std::vector<std::string> problems(4);
        for (size_t i = 0; i < problems.size(); ++i)
            makers.emplace_back([&, i] {
                engine::Resources resources;
                resources.pids = 100;
                auto made = runtime::Cgroup::create(parent + "/inner/" + std::to_string(i), resources, {}, true);
                pid_t child = made ? ::fork() : -1;
                if (child == 0) ::pause(), ::_exit(0);
                auto entered = made ? made->add(child) : base::Status{};
                if (child > 0) ::kill(child, SIGKILL), ::waitpid(child, nullptr, 0);
                if (!made) problems[i] = made.error().message();
                if (!entered) problems[i] = entered.error().message();
                if (made) (void)made->remove();
            });
        for (std::thread& maker : makers) maker.join();
        for (const std::string& problem : problems) EXPECT_EQ(problem, "") << "round " << round;
        for (const runtime::CgroupHierarchy& hierarchy : runtime::cgroup_hierarchies()) {
            ::rmdir((hierarchy.mount_point + parent + "/inner").c_str());
            ::rmdir((hierarchy.mount_point + parent).c_str());
        }
    }
}

TEST(ControlGroup, APathThatLeavesTheHierarchyIsRefused) {
    for (const char* path : {"", "x", "/", "/../x", "/a/../../b", "/a//b", "/a/./b", "/a\nb"}) EXPECT_FALSE(runtime::Cgroup::create(path, {}, {})) << path;
}

}  // namespace
