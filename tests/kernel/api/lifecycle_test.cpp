#include <fcntl.h>

#include <set>

#include "engine_test_base.h"

namespace engine::api::testing {
namespace {

using base::Code;

TEST_F(EngineTest, CreateStartLogsStopRemove) {
    auto id = run(spec("one", "echo out; echo err >&2; trap 'echo bye; exit 3' TERM; while :; do sleep 1; done"));
    auto info = engine_->container("one");
    ASSERT_TRUE(info);
    EXPECT_EQ(info->id, id);
    EXPECT_EQ(info->state.status, ContainerStatus::running);
    EXPECT_GT(info->state.pid, 0);
    EXPECT_GT(info->state.started, 0);
    EXPECT_EQ(info->argv.front(), "sh");
    log_with(id, "err");
    ASSERT_TRUE(engine_->stop(id, std::nullopt));
    info = engine_->container(id.substr(0, 12));
    ASSERT_TRUE(info);
    EXPECT_EQ(info->state.status, ContainerStatus::exited);
    EXPECT_EQ(info->state.exit_code, 3);
    EXPECT_TRUE(info->state.stopped_by_user);
    EXPECT_EQ(info->state.pid, 0);
    EXPECT_NE(log_text(id).find("bye"), std::string::npos);
    EXPECT_TRUE(engine_->stop(id, std::nullopt)) << "stopping what is stopped is fine";
    ASSERT_TRUE(engine_->remove(id, false, false));
    EXPECT_EQ(engine_->container(id).error().code, Code::not_found);
    EXPECT_EQ(engine_->start(id).error().code, Code::not_found);
}

TEST_F(EngineTest, ExitCodesAndErrorsOfStarts) {
    EXPECT_EQ(wait_exit(run(spec("seven", "exit 7"))), 7);
    auto absent = spec("absent", "");
    absent.command = std::vector<std::string>{"nosuchprogram"};
    auto id = engine_->create(absent);
    ASSERT_TRUE(id) << id.error().message();
    auto started = engine_->start(*id);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::no_such_command) << started.error().message();
    EXPECT_NE(started.error().message().find("nosuchprogram"), std::string::npos);
    EXPECT_EQ(engine_->container(*id)->state.status, ContainerStatus::created);
    auto folder = spec("folder", "");
    folder.command = std::vector<std::string>{"/etc"};
    id = engine_->create(folder);
    ASSERT_TRUE(id);
    started = engine_->start(*id);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::cannot_execute) << started.error().message();
}

TEST_F(EngineTest, AStartedAgainContainerKeepsItsFilesAndItsLog) {
    auto id = run(spec("again", "echo run; cat /state 2>/dev/null; echo kept > /state"));
    EXPECT_EQ(wait_exit(id), 0);
    ASSERT_TRUE(engine_->start(id));
    wait_exit(id);
    EXPECT_EQ(log_with(id, "kept"), "run\nrun\nkept\n");
}

TEST_F(EngineTest, CreationChecksBeforeItStores) {
    auto unknown = spec("x1", "true");
    unknown.image = "nosuch:1";
    EXPECT_EQ(engine_->create(unknown).error().code, Code::not_found);
    EXPECT_EQ(engine_->create(spec("-bad", "true")).error().code, Code::invalid);
    auto runtime = spec("x2", "true");
    runtime.runtime = "sandbox9";
    EXPECT_EQ(engine_->create(runtime).error().code, Code::unsupported);
    auto bind = spec("x3", "true");
    bind.mounts = {Mount{.source = root_ + "/nowhere", .target = "/x", .create_host_path = false}};
    auto failed = engine_->create(bind);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message(), "invalid mount config for type \"bind\": bind source path does not exist: " + root_ + "/nowhere");
    ASSERT_TRUE(engine_->create(spec("taken", "true")));
    auto results = engine_->create_many({spec("fresh", "true"), spec("taken", "true"), spec("fresh2", "true")});
    EXPECT_TRUE(results[0]);
    ASSERT_FALSE(results[1]);
    EXPECT_EQ(results[1].error().code, Code::conflict);
    EXPECT_TRUE(results[1].error().message().starts_with("Conflict. The container name \"/taken\" is already in use by container \""));
    EXPECT_TRUE(results[2]);
    EXPECT_EQ(engine_->containers({})->size(), 3u);
}

TEST_F(EngineTest, ManyAtOnce) {
    std::vector<ContainerSpec> specs;
    for (int i = 0; i < 12; ++i) specs.push_back(spec("many-" + std::to_string(i), "trap 'exit 0' TERM; echo up; while :; do sleep 1; done"));
    std::vector<std::string> ids;
    for (auto& created : engine_->create_many(specs)) {
        ASSERT_TRUE(created) << created.error().message();
        ids.push_back(*created);
    }
    for (const auto& started : engine_->start_many(ids)) EXPECT_TRUE(started.status) << started.status.error().message();
    for (const auto& id : ids) EXPECT_EQ(log_with(id, "up"), "up\n");
    std::vector<StopRequest> stops;
    for (const auto& id : ids) stops.push_back({id, std::nullopt});
    std::atomic<int> ended = 0;
    for (const auto& stopped : engine_->stop_many(stops, [&](size_t, const Status&) { ++ended; })) EXPECT_TRUE(stopped);
    EXPECT_EQ(ended, 12);
    auto all = engine_->containers({});
    ASSERT_TRUE(all);
    for (const auto& info : *all) EXPECT_EQ(info.state.exit_code, 0) << info.spec.name;
}

TEST_F(EngineTest, KillPauseRestartRename) {
    auto id = run(spec("life", "trap 'echo usr1' USR1; echo up; while :; do sleep 0.1; done"));
    log_with(id, "up");
    ASSERT_TRUE(engine_->kill(id, "USR1"));
    log_with(id, "usr1");
    EXPECT_EQ(engine_->kill(id, "NOSUCH").error().code, Code::invalid);
    ASSERT_TRUE(engine_->pause(id));
    EXPECT_EQ(engine_->container(id)->state.status, ContainerStatus::paused);
    EXPECT_EQ(exec(id, "true").second, -1);
    EXPECT_EQ(engine_->start(id).error().code, Code::conflict);
    EXPECT_EQ(engine_->pause(id).error().code, Code::conflict);
    ASSERT_TRUE(engine_->unpause(id));
    EXPECT_EQ(engine_->container(id)->state.status, ContainerStatus::running);
    ASSERT_TRUE(engine_->rename("life", "lives"));
    EXPECT_EQ(engine_->container("lives")->id, id);
    EXPECT_FALSE(engine_->container("life"));
    auto before = engine_->container(id)->state.pid;
    ASSERT_TRUE(engine_->restart(id, Nanoseconds(0)));
    auto after = engine_->container(id);
    EXPECT_EQ(after->state.status, ContainerStatus::running);
    EXPECT_NE(after->state.pid, before);
    EXPECT_EQ(engine_->remove(id, false, false).error().code, Code::conflict) << "it runs";
    ASSERT_TRUE(engine_->kill(id, ""));
    EXPECT_EQ(engine_->container(id)->state.exit_code, 137);
    EXPECT_EQ(engine_->kill(id, "").error().code, Code::not_running);
    EXPECT_EQ(exec(id, "true").second, -1);
}

TEST_F(EngineTest, ExecSeesTheContainer) {
    auto wanted = spec("box", "while :; do sleep 1; done");
    wanted.env = {"A=1"};
    wanted.hostname = "box-host";
    auto id = run(wanted);
    EXPECT_EQ(exec(id, "echo $A $FROM_IMAGE; hostname"), (std::pair<std::string, int>{"1 yes\nbox-host\n", 0}));
    EXPECT_EQ(exec(id, "exit 9").second, 9);
    EXPECT_EQ(exec(id, "id -u; id -g; id -G", "alice").first, "1000\n1000\n1000 2000\n");
    ExecOptions options;
    options.argv = {"nosuchprogram"};
    base::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    options.streams = {null.get(), null.get(), null.get()};
    auto failed = engine_->exec(id, options);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::no_such_command);
}

TEST_F(EngineTest, TopAndStats) {
    auto id = run(spec("seen", "sleep 1000 & sleep 1001"));
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    // Whole command lines: the shell's own holds both words.
    std::set<std::string> commands;
    while (std::chrono::steady_clock::now() < deadline && !(commands.contains("sleep 1000") && commands.contains("sleep 1001"))) {
        auto rows = engine_->top(id);
        ASSERT_TRUE(rows) << rows.error().message();
        commands.clear();
        for (const auto& row : *rows) commands.insert(row.command);
    }
    EXPECT_TRUE(commands.contains("sleep 1000") && commands.contains("sleep 1001"));
    auto stats = engine_->stats(id);
    ASSERT_TRUE(stats) << stats.error().message();
    EXPECT_EQ(stats->name, "seen");
    EXPECT_GE(stats->pids, 2u);
    EXPECT_GT(stats->memory, 0u);
    EXPECT_GT(stats->memory_limit, stats->memory);
    EXPECT_GT(stats->system_ns, 0u);
}

TEST_F(EngineTest, UpdateChangesLimitsOfARunningContainer) {
    auto id = run(spec("limits", "while :; do sleep 1; done"));
    Resources change;
    change.pids = 33;
    ASSERT_TRUE(engine_->update(id, change, RestartPolicy{"on-failure", 2}));
    auto info = engine_->container(id);
    EXPECT_EQ(info->spec.resources.pids, 33);
    EXPECT_EQ(info->spec.restart.name, "on-failure");
    change.pids = 0;
    change.memory = 100;
    EXPECT_EQ(engine_->update(id, change, std::nullopt).error().code, Code::invalid) << "below the least";
}

TEST_F(EngineTest, AttachCopiesStreamsAndTheExitCode) {
    auto wanted = spec("talk", "read line; echo \"got $line\"; echo err >&2; exit 5");
    wanted.stdin_open = wanted.stdin_once = true;
    auto id = engine_->create(wanted);
    ASSERT_TRUE(id);
    int input[2];
    ASSERT_EQ(pipe2(input, O_CLOEXEC), 0);
    base::UniqueFd in(input[0]), typed(input[1]);
    ASSERT_EQ(write(typed.get(), "hi\n", 3), 3);
    typed.reset();
    Reader out, err;
    AttachOptions options;
    options.streams = {in.get(), out.fd(), err.fd()};
    auto result = engine_->start_attached(*id, options);
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->exit_code, 5);
    EXPECT_FALSE(result->detached);
    EXPECT_EQ(out.finish(), "got hi\n");
    EXPECT_EQ(err.finish(), "err\n");
}

TEST_F(EngineTest, LogsByLineTailAndFollow) {
    auto id = run(spec("lines", "for i in 1 2 3 4 5; do echo line $i; done; printf unfinished"));
    wait_exit(id);
    std::vector<std::string> lines;
    ASSERT_TRUE(engine_->logs(id, {}, [&](const LogLine& line) { return lines.emplace_back(line.text), true; }, nullptr));
    EXPECT_EQ(lines, (std::vector<std::string>{"line 1", "line 2", "line 3", "line 4", "line 5", "unfinished"}));
    lines.clear();
    ASSERT_TRUE(engine_->logs(id, {.tail = 2}, [&](const LogLine& line) { return lines.emplace_back(line.text), true; }, nullptr));
    EXPECT_EQ(lines, (std::vector<std::string>{"line 5", "unfinished"}));
    lines.clear();
    ASSERT_TRUE(engine_->logs(id, {.follow = true}, [&](const LogLine& line) { return lines.emplace_back(line.text), true; }, nullptr));
    EXPECT_EQ(lines.size(), 6u) << "following what has ended ends";
    auto running = run(spec("ticks", "i=0; while [ $i -lt 20 ]; do echo tick $i; i=$((i+1)); sleep 0.02; done"));
    lines.clear();
    ASSERT_TRUE(engine_->logs(running, {.follow = true}, [&](const LogLine& line) { return lines.emplace_back(line.text), true; }, nullptr));
    ASSERT_EQ(lines.size(), 20u);
    EXPECT_EQ(lines.back(), "tick 19");
    auto quiet = spec("quiet", "echo x");
    quiet.log.driver = "none";
    auto none = run(quiet);
    EXPECT_EQ(engine_->logs(none, {}, [](const LogLine&) { return true; }, nullptr).error().code, Code::unsupported);
}

TEST_F(EngineTest, EventsTellTheStory) {
    Time before = base::now();
    auto wanted = spec("story", "exit 4");
    wanted.labels["com.docker.compose.project"] = "kt";
    auto id = run(wanted);
    wait_exit(id);
    ASSERT_TRUE(engine_->remove(id, true, true));
    std::vector<std::string> actions;
    std::string code;
    auto read = engine_->events(before, base::now(), [&](const Event& event) {
        if (event.type != "container") return true;
        actions.push_back(event.action);
        if (event.action == "die") code = event.attributes.at("exitCode");
        return true;
    }, nullptr);
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(actions, (std::vector<std::string>{"create", "start", "die", "destroy"}));
    EXPECT_EQ(code, "4");
}

TEST_F(EngineTest, TheGroupsLockIsHeldByOne) {
    auto held = engine_->lock_group({});
    ASSERT_TRUE(held);
    auto other = open();
    std::atomic<bool> waited = false, got = false;
    std::string told;
    std::thread second([&] {
        auto lock = other->lock_group([&](const std::string& text) { told = text, waited = true; });
        EXPECT_TRUE(lock);
        got = true;
    });
    while (!waited) std::this_thread::yield();
    EXPECT_FALSE(got);
    held->reset();
    second.join();
    EXPECT_TRUE(got);
    EXPECT_NE(told.find("pid " + std::to_string(getpid())), std::string::npos) << told;
    auto stranger = open("another");
    EXPECT_TRUE(stranger->lock_group({}));
}

}  // namespace
}  // namespace engine::api::testing
