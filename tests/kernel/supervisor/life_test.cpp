#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "group.h"
#include "supervisor/protocol.h"
#include "supervisor/spawn.h"
#include "supervisor/removal.h"

namespace engine::supervisor::testing {
namespace {

using Life = Group;

TEST_F(Life, output_and_exit_code_of_a_short_one) {
    auto id = run("short", "echo to stdout; echo to stderr >&2; exit 42");
    auto ended = wait_exited(id);
    EXPECT_EQ(ended.exit_code, 42);
    EXPECT_EQ(ended.pid, 0);
    EXPECT_GE(ended.finished, ended.started);
    auto text = log_text(id);
    EXPECT_NE(text.find("to stdout\n"), std::string::npos);
    EXPECT_NE(text.find("to stderr\n"), std::string::npos);
    EXPECT_EQ(actions(id), (std::vector<std::string>{"start", "die"}));
}

TEST_F(Life, many_at_once_each_with_its_own_result) {
    std::vector<std::string> ids;
    for (int i = 0; i < 20; i++) ids.push_back(create("many" + std::to_string(i), "exit " + std::to_string(i)));
    ids.push_back(create("bad", "", [](ContainerSpec& spec) { spec.command = {"/no/such/program"}; }));
    ids.push_back(std::string(64, 'f'));
    size_t reports = 0;
    auto results = client_->start_many(ids, [&](const StartResult&) { reports++; });
    ASSERT_EQ(results.size(), 22u);
    EXPECT_EQ(reports, 22u);
    for (size_t i = 0; i < 20; i++) {
        EXPECT_TRUE(results[i].status) << results[i].status.error().message();
        EXPECT_EQ(results[i].id, ids[i]);
        EXPECT_EQ(wait_exited(ids[i]).exit_code, static_cast<int>(i));
    }
    ASSERT_FALSE(results[20].status);
    EXPECT_EQ(results[20].status.error().code, base::Code::no_such_command);
    EXPECT_EQ(state(ids[20]).status, ContainerStatus::created);
    EXPECT_EQ(state(ids[20]).exit_code, 127);
    ASSERT_FALSE(results[21].status);
    EXPECT_EQ(results[21].status.error().code, base::Code::not_found);
}

TEST_F(Life, stop_gives_its_grace_to_who_hears_and_says_at_once_who_does_not) {
    auto gentle = run("gentle", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    auto deaf = run("deaf", "echo ready; exec sleep 1000");
    auto stubborn = run("stubborn", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    for (const auto& id : {gentle, deaf, stubborn}) wait_log(id, "ready");
    auto outcome = client_->stop(gentle, std::nullopt);
    ASSERT_TRUE(outcome);
    EXPECT_FALSE(outcome->killed);
    EXPECT_EQ(state(gentle).exit_code, 3);
    EXPECT_EQ(log_text(gentle), "ready\nbye\n");
    outcome = client_->stop(deaf, std::chrono::hours(1));  // not waited for
    ASSERT_TRUE(outcome);
    EXPECT_TRUE(outcome->killed);
    EXPECT_NE(outcome->note.find("init: true"), std::string::npos) << outcome->note;
    EXPECT_EQ(state(deaf).exit_code, 137);
    outcome = client_->stop(stubborn, std::chrono::milliseconds(300));
    ASSERT_TRUE(outcome);
    EXPECT_TRUE(outcome->killed);
    EXPECT_EQ(outcome->note, "");
    EXPECT_EQ(state(stubborn).exit_code, 137);
    EXPECT_EQ(actions(gentle), (std::vector<std::string>{"start", "kill", "stop", "die"}));
    EXPECT_TRUE(client_->stop(gentle, std::nullopt));  // not running: fine
}

TEST_F(Life, a_program_that_sets_its_handler_a_moment_after_the_start_is_stopped_gently) {
    auto id = run("late", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; trap 'exit 7' TERM; while :; do sleep 0.05; done");
    auto outcome = client_->stop(id, std::chrono::seconds(60));
    ASSERT_TRUE(outcome);
    if (outcome->note.empty()) EXPECT_EQ(state(id).exit_code, 7);
}

TEST_F(Life, kill_restart_pause) {
    auto id = run("loop", "trap 'echo hup' HUP; trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
                  [](ContainerSpec& spec) { spec.restart.name = "always"; });
    wait_log(id, "ready");
    ASSERT_TRUE(client_->kill(id, "HUP"));
    wait_log(id, "hup");
    EXPECT_FALSE(client_->kill(id, "NOSUCH"));
    auto before = state(id).pid;
    ASSERT_TRUE(client_->restart(id, std::chrono::seconds(60)));
    EXPECT_EQ(state(id).status, ContainerStatus::running);
    EXPECT_NE(state(id).pid, before);
    wait_for([&] { return log_text(id) == "ready\nhup\nready\n"; }, "the second start");  // one log over both runs
    ASSERT_TRUE(client_->pause(id));
    EXPECT_EQ(state(id).status, ContainerStatus::paused);
    EXPECT_FALSE(client_->pause(id));
    ASSERT_TRUE(client_->unpause(id));
    EXPECT_EQ(state(id).status, ContainerStatus::running);
    ASSERT_TRUE(client_->pause(id));
    ASSERT_TRUE(client_->kill(id, "KILL"));  // also a paused one; and `always` respects it
    EXPECT_EQ(state(id).status, ContainerStatus::exited);
    EXPECT_EQ(state(id).exit_code, 137);
    auto dead = client_->kill(id, "KILL");
    ASSERT_FALSE(dead);
    EXPECT_EQ(dead.error().code, base::Code::not_running);
}

TEST_F(Life, restart_policies) {
    auto failing = run("failing", "echo run; exit 44", [](ContainerSpec& spec) { spec.restart = {"on-failure", 2}; });
    auto fine = run("fine", "echo run", [](ContainerSpec& spec) { spec.restart = {"on-failure", 0}; });
    auto always = run("always", "echo run; exit 6", [](ContainerSpec& spec) { spec.restart = {"always", 0}; });
    auto ended = wait_exited(failing);
    EXPECT_EQ(ended.exit_code, 44);
    EXPECT_EQ(ended.restart_count, 2);
    EXPECT_EQ(log_text(failing), "run\nrun\nrun\n");
    EXPECT_EQ(wait_exited(fine).restart_count, 0);
    auto waiting = wait(always, [](const ContainerState& now) { return now.status == ContainerStatus::restarting && now.restart_count >= 3; }, "a pause");
    EXPECT_EQ(waiting.exit_code, 6);
    ASSERT_TRUE(client_->stop(always, std::nullopt));
    EXPECT_EQ(state(always).status, ContainerStatus::exited);
    start(always);
    EXPECT_EQ(state(always).stopped_by_user, false);
}

TEST_F(Life, health_from_starting_to_healthy_to_unhealthy) {
    auto id = run("sick", "touch /tmp/ok; while :; do sleep 0.05; done", [](ContainerSpec& spec) {
        spec.health_check = HealthCheck{{"CMD-SHELL", "echo looked; test -e /tmp/ok"}, std::chrono::milliseconds(200), std::chrono::seconds(20), {}, {}, 2};
    });
    auto now = wait(id, [](const ContainerState& each) { return each.health == HealthStatus::healthy; }, "health");
    ASSERT_FALSE(now.probes.empty());
    EXPECT_EQ(now.probes.back().output, "looked\n");
    EXPECT_EQ(now.probes.back().exit_code, 0);
    auto slow = run("slow", "while :; do sleep 0.05; done", [](ContainerSpec& spec) {
        spec.health_check = HealthCheck{{"CMD", "sleep", "300"}, std::chrono::milliseconds(200), std::chrono::milliseconds(300), {}, {}, 1};
    });
    now = wait(slow, [](const ContainerState& each) { return each.health == HealthStatus::unhealthy; }, "the timeout");
    EXPECT_EQ(now.probes.back().exit_code, -1);
    EXPECT_EQ(now.probes.back().output, "Health check exceeded timeout (300ms)");
    auto missing = run("missing", "while :; do sleep 0.05; done", [](ContainerSpec& spec) {
        spec.health_check = HealthCheck{{"CMD", "exit 0"}, std::chrono::milliseconds(200), std::chrono::seconds(20), {}, {}, 1};
    });
    now = wait(missing, [](const ContainerState& each) { return each.health == HealthStatus::unhealthy; }, "the missing program");
    EXPECT_LE(now.probes.size(), 5u);
    auto all = actions(id);
    EXPECT_NE(std::find(all.begin(), all.end(), "health_status: healthy"), all.end());
}

TEST_F(Life, attach_gets_every_byte_of_a_start_and_gives_its_input) {
    auto id = create("cat", "cat; echo over >&2; exit 5", [](ContainerSpec& spec) { spec.stdin_open = spec.stdin_once = true; });
    int in[2], out[2], err[2];
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(err, O_CLOEXEC), 0);
    base::UniqueFd in_read(in[0]), in_write(in[1]), out_read(out[0]), out_write(out[1]), err_read(err[0]), err_write(err[1]);
    std::string input;
    for (int i = 0; i < 20'000; i++) input += "line " + std::to_string(i) + "\n";
    std::thread feed([&] {
        EXPECT_TRUE(base::write_all(in_write.get(), input));
        in_write.reset();
    });
    std::string got, got_err;
    std::thread eat([&] { got = base::read_all(out_read.get()).value_or(""); });
    std::thread eat_err([&] { got_err = base::read_all(err_read.get()).value_or(""); });
    AttachOptions options;
    options.streams = {in_read.get(), out_write.get(), err_write.get()};
    auto result = client_->attach(id, options, true);
    out_write.reset();
    err_write.reset();
    feed.join();
    eat.join();
    eat_err.join();
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->exit_code, 5);
    EXPECT_FALSE(result->detached);
    EXPECT_EQ(got, input);
    EXPECT_EQ(got_err, "over\n");
    EXPECT_EQ(wait_exited(id).exit_code, 5);
}

TEST_F(Life, a_terminal_is_attached_with_its_echo_and_its_log) {
    auto id = create("tty", "test -t 0 && test -t 1 && echo a terminal; read line; echo got $line; exit 9",
                     [](ContainerSpec& spec) { spec.tty = spec.stdin_open = true; });
    int in[2], out[2];
    ASSERT_EQ(::pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    base::UniqueFd in_read(in[0]), in_write(in[1]), out_read(out[0]), out_write(out[1]);
    ASSERT_TRUE(base::write_all(in_write.get(), "hello\n"));
    std::string got;
    std::thread eat([&] { got = base::read_all(out_read.get()).value_or(""); });
    AttachOptions options;
    options.tty = true;
    options.streams = {in_read.get(), out_write.get(), -1};
    auto result = client_->attach(id, options, true);
    out_write.reset();
    eat.join();
    ASSERT_TRUE(result) << result.error().message();
    EXPECT_EQ(result->exit_code, 9);
    EXPECT_NE(got.find("a terminal\r\n"), std::string::npos) << got;
    EXPECT_NE(got.find("got hello\r\n"), std::string::npos) << got;
    EXPECT_NE(log_text(id).find("got hello"), std::string::npos);
}

TEST_F(Life, auto_remove_leaves_nothing) {
    auto id = run("gone", "echo x", [](ContainerSpec& spec) { spec.auto_remove = true; });
    wait_for([&] { return !store_->container(id); }, "the removal");
    wait_for([&] { return !base::exists(paths_.container(id)); }, "the removal of its folder");
    auto all = actions(id);
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all.back(), "destroy");
}

TEST_F(Life, the_kernels_out_of_memory_killer_is_noticed) {
    if (!base::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes") &&
        base::read_file("/sys/fs/cgroup/cgroup.controllers").value_or("").find("memory") == std::string::npos)
        GTEST_SKIP() << "needs the memory controller";
    auto id = run("greedy", "x=0123456789abcdef; while :; do x=$x$x; done", [](ContainerSpec& spec) { spec.resources.memory = spec.resources.memory_swap = 16 << 20; });
    auto ended = wait_exited(id);
    EXPECT_EQ(ended.exit_code, 137);
    EXPECT_TRUE(ended.oom_killed);
    auto all = actions(id);
    EXPECT_NE(std::find(all.begin(), all.end(), "oom"), all.end());
}

TEST_F(Life, rubbish_on_the_control_socket_harms_nobody) {
    auto id = run("bystander", "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
    pid_t before = supervisor();
    std::mt19937 random(11);
    for (int round = 0; round < 300; round++) {
        auto fd = connect_socket(paths_, "kt");
        ASSERT_TRUE(fd && *fd);
        std::string bytes(random() % 600, '\0');
        for (char& c : bytes) c = static_cast<char>(random());
        FrameHead head;
        head.length = static_cast<uint32_t>(round % 3 == 0 ? random() : bytes.size());
        if (round % 2 == 0) bytes.insert(0, reinterpret_cast<const char*>(&head), sizeof head);
        (void)::send(fd->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        const char* requests[] = {R"({"verb":"attach","ids":[]})", R"({"verb":"nosuch","ids":[")", R"({"ids":7})", R"({"verb":"stop","ids":["../x"],"timeouts":"y"})"};
        if (round % 5 == 0) (void)send_frame(fd->get(), requests[(static_cast<unsigned>(round) / 5) % 4]);
    }
    // Many that never say a word.
    std::vector<base::UniqueFd> silent;
    for (int i = 0; i < 100; i++) silent.push_back(connect_socket(paths_, "kt").value());
    EXPECT_EQ(supervisor(), before);
    EXPECT_EQ(state(id).status, ContainerStatus::running);
    auto outcome = client_->stop(id, std::chrono::seconds(60));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(state(id).exit_code, 0);
}

TEST_F(Life, simultaneous_commands_get_one_supervisor) {
    std::vector<std::thread> commands;
    std::atomic<int> good{0};
    std::vector<std::string> ids;
    for (int i = 0; i < 8; i++) ids.push_back(create("c" + std::to_string(i), "exit 0"));
    for (int i = 0; i < 8; i++)
        commands.emplace_back([&, i] {
            for (int round = 0; round < 5; round++) {
                auto client = SupervisorClient::connect_or_start(options_, "kt");
                if (!client) continue;
                auto results = (*client)->start_many({ids[static_cast<size_t>(i)]}, {});
                if (results[0].status) good++;
            }
        });
    for (auto& command : commands) command.join();
    EXPECT_EQ(good, 40);
    for (const auto& id : ids) EXPECT_EQ(wait_exited(id).exit_code, 0);
}

}  // namespace
}  // namespace engine::supervisor::testing
