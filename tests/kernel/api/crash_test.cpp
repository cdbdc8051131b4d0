// kill -9 of a command at any moment, then the same again: it converges and nothing is left behind.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/engine_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/maintenance.h"
#include "engine_test_base.h"
#include "store/store.h"

namespace engine::api::testing {
namespace {

class CrashTest : public EngineTest {
protected:
    /// What a command does: a network, a volume, two containers, started. Safe to be done again after any cut.
    static int bring_up(Engine& engine) {
        auto lock = engine.lock_group({});
        if (!lock) return 10;
        if (!engine.network("crash"))
            if (auto made = engine.create_network({.name = "crash"}); !made && made.error().code != base::Code::conflict) return 11;
        std::vector<std::string> ids;
        for (const char* name : {"crash-1", "crash-2"}) {
            auto found = engine.container(name);
            if (found) {
                ids.push_back(found->id);
                continue;
            }
            ContainerSpec wanted = spec(name, "trap 'exit 0' TERM; echo up; while :; do sleep 1; done");
            wanted.network_mode.clear();
            wanted.endpoints = {{.network = "crash"}};
            wanted.mounts = {Mount{.type = Mount::Type::volume, .source = "crash-data", .target = "/data"}};
            auto created = engine.create(wanted);
            if (!created) return 12;
            ids.push_back(*created);
        }
        for (const auto& started : engine.start_many(ids))
            if (!started.status) {
                fprintf(stderr, "start: %s\n", started.status.error().message().c_str());
                return 13;
            }
        return 0;
    }

    static int take_down(Engine& engine) {
        auto lock = engine.lock_group({});
        if (!lock) return 20;
        auto all = engine.containers({});
        if (!all) return 21;
        std::vector<RemoveRequest> requests;
        for (const auto& container : *all) requests.push_back({container.id, true, true});
        for (const auto& removed : engine.remove_many(requests))
            if (!removed && removed.error().code != base::Code::not_found) {
                fprintf(stderr, "remove: %s\n", removed.error().message().c_str());
                return 22;
            }
        if (auto removed = engine.remove_network("crash"); !removed && removed.error().code != base::Code::not_found) return 23;
        if (auto removed = engine.remove_volume("crash-data"); !removed && removed.error().code != base::Code::not_found) return 24;
        return 0;
    }

    /// Runs `work` in a process of its own that is killed after `microseconds` (0: not). The program is executed anew, as a
    /// command is: a fork would carry locks of other threads and of SQLite.
    int in_process(const char* work, unsigned microseconds) {
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "kernel_api", "--crash-worker", work, root_.c_str(), static_cast<char*>(nullptr));
            _exit(99);
        }
        if (microseconds != 0) {
            usleep(microseconds);
            kill(child, SIGKILL);
        }
        int status = 0;
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

public:
    static int worker(const std::string& work, const std::string& root) {
        EngineOptions options;
        options.root = root;
        options.group = "kt";
        auto engine = Engine::open(options);
        if (!engine) return 30;
        return work == "up" ? bring_up(**engine) : take_down(**engine);
    }
};

TEST_F(CrashTest, KilledAtAnyMomentTheNextCommandConverges) {
    engine_.reset();
    unsigned step = 400;
    for (unsigned round = 0; round < 14; ++round, step = step * 3 / 2) {
        in_process("up", step);
        ASSERT_EQ(in_process("up", 0), 0) << "after " << step << " microseconds";
        engine_ = open();
        auto containers = engine_->containers({});
        ASSERT_TRUE(containers);
        ASSERT_EQ(containers->size(), 2u) << "after " << step << " microseconds";
        for (const auto& container : *containers) EXPECT_EQ(container.state.status, ContainerStatus::running) << container.state.error;
        for (const auto& container : *containers) log_with(container.id, "up");
        engine_.reset();
        in_process("down", step);
        ASSERT_EQ(in_process("down", 0), 0) << "after " << step << " microseconds";
        engine_ = open();
        EXPECT_TRUE(engine_->containers({})->empty());
        EXPECT_TRUE(engine_->networks({})->empty());
        EXPECT_TRUE(engine_->volumes({})->empty());
        engine_.reset();
    }
    engine_ = open();
}

TEST_F(EngineTest, AfterARebootRunningContainersAreExitedAndStartAgain) {
    auto wanted = spec("boot", "echo up; while :; do sleep 1; done");
    wanted.network_mode.clear();
    ASSERT_TRUE(engine_->create_network({.name = "lan"}));
    wanted.endpoints = {{.network = "lan"}};
    auto id = engine_->create(wanted);
    ASSERT_TRUE(id);
    // As a machine leaves it that was switched off: the store says running, and nothing is there.
    {
        auto store = store::Store::open({root_, engine_->options().run_dir});
        ASSERT_TRUE(store);
        auto info = (*store)->container(*id);
        info->state.status = ContainerStatus::running;
        info->state.pid = 4'000'000;
        info->state.pid_start = 1;
        ASSERT_TRUE((*store)->update_state(*id, info->state));
    }
    auto other = open();
    auto info = other->container(*id);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->state.status, ContainerStatus::exited);
    EXPECT_EQ(info->state.exit_code, 137);
    EXPECT_FALSE(info->state.error.empty());
    ASSERT_TRUE(engine_->start(*id));
    log_with(*id, "up");
}

/// A number that another process has now: nothing of that one's may be touched.
TEST_F(EngineTest, AContainersOldPidThatIsAnothersIsLeftAlone) {
    auto id = engine_->create(spec("reused", "sleep 1000"));
    ASSERT_TRUE(id);
    pid_t stranger = fork();
    if (stranger == 0) {
        for (;;) pause();
    }
    {
        auto store = store::Store::open({root_, engine_->options().run_dir});
        ASSERT_TRUE(store);
        auto info = (*store)->container(*id);
        info->state.status = ContainerStatus::running;
        info->state.pid = stranger;
        info->state.pid_start = process_start_time(stranger) + 1;
        ASSERT_TRUE((*store)->update_state(*id, info->state));
    }
    auto other = open();
    EXPECT_EQ(other->container(*id)->state.status, ContainerStatus::exited);
    EXPECT_TRUE(other->stop(*id, Nanoseconds(0)));
    EXPECT_FALSE(other->kill(*id, "KILL"));
    EXPECT_EQ(waitpid(stranger, nullptr, WNOHANG), 0) << "it lives";
    kill(stranger, SIGKILL);
    waitpid(stranger, nullptr, 0);
}

/// Kills guardian and supervisor, the processes that have this root in their command line.
std::vector<pid_t> kill_keepers(const std::string& root) {
    std::vector<pid_t> killed;
    for (const auto& name : base::list_dir("/proc").value_or(std::vector<std::string>{})) {
        auto pid = base::parse_int(name);
        if (!pid || *pid == getpid()) continue;
        auto line = base::read_file("/proc/" + name + "/cmdline", 1u << 20);
        if (line && line->find(root) != std::string::npos) killed.push_back(static_cast<pid_t>(*pid));
    }
    // Stopped first: neither may see the other's end and start another.
    for (int signal : {SIGSTOP, SIGKILL})
        for (pid_t pid : killed) kill(pid, signal);
    for (pid_t pid : killed)
        while (process_start_time(pid) != 0) std::this_thread::yield();
    return killed;
}

TEST_F(EngineTest, AfterARestartOfTheMachineRestoreStartsWhatItsPolicyWants) {
    struct Row {
        const char *name, *policy;
        bool stopped, back;
    };
    const Row rows[] = {{"always", "always", false, true},       {"always-stopped", "always", true, true}, {"unless", "unless-stopped", false, true},
                        {"unless-stopped", "unless-stopped", true, false}, {"failing", "on-failure", false, true},   {"none", "no", false, false}};
    std::map<std::string, std::string> ids;
    for (const auto& row : rows) {
        auto wanted = spec(row.name, "trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done");
        wanted.restart.name = row.policy;
        ids[row.name] = run(wanted);
    }
    auto joins = spec("joins", "trap 'exit 0' TERM; cat /etc/c; echo up; while :; do sleep 0.1; done");
    joins.restart.name = "always";
    joins.network_mode = "container:" + ids["always"];
    FileMount& file = joins.files.emplace_back();
    file.target = "/etc/c";
    file.content = "from the project\n";
    ids["joins"] = run(joins);
    for (const auto& [name, id] : ids) log_with(id, "up");
    for (const auto& row : rows)
        if (row.stopped) ASSERT_TRUE(engine_->stop(ids[row.name], std::nullopt));
    std::vector<pid_t> pids;
    for (const auto& [name, id] : ids)
        if (pid_t pid = engine_->container(id)->state.pid) pids.push_back(pid);
    // The machine goes down: every process and all that is only in memory.
    EXPECT_EQ(kill_keepers(root_).size(), 2u);
    for (pid_t pid : pids) kill(pid, SIGKILL);
    const std::string run_dir = engine_->options().run_dir;
    for (pid_t pid : pids)
        while (base::read_file("/proc/" + std::to_string(pid) + "/stat", 4096).value_or(") Z").find(") Z") == std::string::npos) std::this_thread::yield();
    engine_.reset();
    for (const auto& pin : base::list_dir(run_dir + "/netns").value_or(std::vector<std::string>{})) umount2((run_dir + "/netns/" + pin).c_str(), MNT_DETACH);
    ASSERT_TRUE(base::remove_tree(run_dir));

    std::vector<std::string> told;
    auto restored = engine::restore({.root = root_}, [&](const Restored& each) { told.push_back(each.name); });
    ASSERT_TRUE(restored) << restored.error().message();
    for (const auto& each : *restored) {
        EXPECT_TRUE(each.status) << each.name << ": " << each.status.error().message();
        EXPECT_EQ(each.project, "kt");
    }
    engine_ = open();
    for (const auto& row : rows)
        EXPECT_EQ(engine_->container(ids[row.name])->state.status, row.back ? ContainerStatus::running : ContainerStatus::exited) << row.name;
    EXPECT_EQ(engine_->container(ids["joins"])->state.status, ContainerStatus::running);
    log_with(ids["joins"], "from the project\nup\nfrom the project\nup\n");
    EXPECT_EQ(told.size(), 5u);
    auto again = engine::restore({.root = root_}, {});
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->empty()) << "what runs is left alone";
}

TEST_F(EngineTest, ContainersWhoseSupervisorAndGuardianWereKilledCanBeStopped) {
    auto id = run(spec("orphan", "trap 'exit 6' TERM; echo up; while :; do sleep 0.1; done"));
    log_with(id, "up");
    ASSERT_EQ(kill_keepers(root_).size(), 2u) << "guardian and supervisor";
    auto other = open();
    EXPECT_EQ(other->container(id)->state.status, ContainerStatus::running) << "its process lives";
    auto stopped = other->stop(id, std::nullopt);
    ASSERT_TRUE(stopped) << stopped.error().message();
    EXPECT_EQ(other->container(id)->state.status, ContainerStatus::exited);
    EXPECT_TRUE(other->start(id));
}

TEST_F(EngineTest, ARemovalThatWasCutIsFinishedByTheNextOpen) {
    auto id = run(spec("half", "true"));
    wait_exit(id);
    {
        auto store = store::Store::open({root_, engine_->options().run_dir});
        ASSERT_TRUE(store);
        ASSERT_TRUE((*store)->modify_state(id, [](ContainerState& state) { return state.status = ContainerStatus::removing, true; }));
    }
    auto other = open();
    EXPECT_EQ(other->container(id).error().code, base::Code::not_found);
    EXPECT_FALSE(base::exists(root_ + "/containers/" + id));
}

}  // namespace

int crash_worker(const std::string& work, const std::string& root) { return CrashTest::worker(work, root); }

}  // namespace engine::api::testing
