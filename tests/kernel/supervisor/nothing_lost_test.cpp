// kill -9 at any time: no container, no byte of a log and no exit code is lost.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "group.h"

namespace engine::supervisor::testing {
namespace {

using NothingLost = Group;

size_t count_fds(pid_t pid) {
    return base::list_dir("/proc/" + std::to_string(pid) + "/fd").value_or(std::vector<std::string>{}).size();
}

/// Numbers its lines until the file /signal/stop appears, then says how many there were.
std::string counting(int exit_code) {
    return "n=0; while ! test -e /signal/stop; do n=$((n+1)); echo line $n; echo error $n >&2; done; echo total $n; exit " + std::to_string(exit_code);
}

class Loaded : public Group {
protected:
    void SetUp() override {
        Group::SetUp();
        if (!client_) return;
        signal_ = paths_.root + "/signal";
        ASSERT_TRUE(base::make_dirs(signal_));
    }
    std::function<void(ContainerSpec&)> with_signal() {
        return [this](ContainerSpec& spec) {
            Mount mount;
            mount.source = signal_;
            mount.target = "/signal";
            spec.mounts.push_back(mount);
        };
    }
    /// Every line from 1 to the total, in order, in both streams, once.
    void expect_whole(const std::string& id) {
        int64_t out = 0, err = 0, total = -1;
        for (const auto& line : base::split(log_text(id), '\n')) {
            if (line.starts_with("line ")) {
                ASSERT_EQ(line, "line " + std::to_string(++out));
            } else if (line.starts_with("error ")) {
                ASSERT_EQ(line, "error " + std::to_string(++err));
            } else if (line.starts_with("total ")) {
                total = base::parse_int(line.substr(6)).value_or(-2);
            } else {
                ASSERT_EQ(line, "");
            }
        }
        EXPECT_EQ(out, total);
        EXPECT_EQ(err, total);
        EXPECT_GT(total, 0);
    }
    std::string signal_;
};

TEST_F(Loaded, supervisor_killed_50_times_under_log_load) {
    std::vector<std::string> writers, shorts;
    for (int i = 0; i < 2; i++) writers.push_back(run("writer" + std::to_string(i), counting(20 + i), with_signal()));
    for (int i = 0; i < 50; i++) {
        shorts.push_back(create("short" + std::to_string(i), "echo only; exit " + std::to_string(i % 7)));
        pid_t victim = 0;
        wait_for([&] { return (victim = supervisor()) != 0; }, "a supervisor");
        // Sometimes before, sometimes after, sometimes in the middle of a start.
        if (i % 3 == 0) kill_hard(victim);
        start(shorts.back());
        if (i % 3 == 1) kill_hard(victim);
        if (i % 3 == 2) {
            wait_exited(shorts.back());
            kill_hard(victim);
        }
    }
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(wait_exited(writers[static_cast<size_t>(i)]).exit_code, 20 + i);
        expect_whole(writers[static_cast<size_t>(i)]);
    }
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(wait_exited(shorts[static_cast<size_t>(i)]).exit_code, i % 7) << i;
        EXPECT_EQ(log_text(shorts[static_cast<size_t>(i)]), "only\n") << i;
    }
}

TEST_F(Loaded, a_start_is_made_once_whenever_the_supervisor_dies) {
    std::minstd_rand random(7);
    auto keeper = run("keeper", "while ! test -e /signal/stop; do sleep 0.1; done", with_signal());
    for (int i = 0; i < 50; i++) {
        const std::string mark = "/signal/runs-" + std::to_string(i);
        auto id = create("once" + std::to_string(i), "echo run >>" + mark + "; exit " + std::to_string(i % 7), [&](ContainerSpec& spec) {
            with_signal()(spec);
            spec.auto_remove = i % 5 == 0;
        });
        pid_t victim = 0;
        wait_for([&] { return (victim = supervisor()) != 0; }, "a supervisor");
        std::thread killer([victim, pause = random() % 12'000] {
            ::usleep(static_cast<useconds_t>(pause));
            kill_hard(victim);
        });
        if (i % 5 == 0) {
            // As `run --rm`: the exit code comes although the container removes itself and its supervisor has died.
            base::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
            AttachOptions options;
            options.streams = {null.get(), null.get(), null.get()};
            auto attached = client_->attach(id, options, true);
            ASSERT_TRUE(attached) << attached.error().message();
            EXPECT_EQ(attached->exit_code, i % 7) << i;
        } else {
            start(id);
            EXPECT_EQ(wait_exited(id).exit_code, i % 7) << i;
        }
        killer.join();
        EXPECT_EQ(base::read_file(signal_ + mark.substr(7)).value_or("none"), "run\n") << i;
        if (i % 5 == 0) wait_for([&] { return !store_->container(id); }, "the removal");
    }
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    EXPECT_EQ(wait_exited(keeper).exit_code, 0);
}

TEST_F(Loaded, policy_health_and_stop_go_on_under_the_next_supervisor) {
    auto id = run("worker", "trap 'exit 4' TERM; echo up; while ! test -e /signal/stop; do sleep 0.05; done; rm /signal/stop; exit 1", [this](ContainerSpec& spec) {
        with_signal()(spec);
        spec.restart.name = "always";
        spec.health_check = HealthCheck{{"CMD", "true"}, std::chrono::milliseconds(200), std::chrono::seconds(20), {}, {}, 2};
    });
    wait_log(id, "up");
    pid_t first = supervisor();
    kill_hard(first);
    wait_for([&] { pid_t next = supervisor(); return next != 0 && next != first; }, "the next supervisor");
    wait(id, [](const ContainerState& now) { return now.health == HealthStatus::healthy; }, "health");
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    wait(id, [](const ContainerState& now) { return now.status == ContainerStatus::running && now.restart_count == 1; }, "the restart");
    kill_hard(supervisor());
    ASSERT_TRUE(client_->stop(id, std::chrono::seconds(60)));
    EXPECT_EQ(state(id).status, ContainerStatus::exited);
    EXPECT_EQ(state(id).exit_code, 4);
}

TEST_F(Loaded, guardian_killed_under_log_load) {
    auto writer = run("writer", counting(33), with_signal());
    wait_log(writer, "line 10");
    for (int i = 0; i < 3; i++) {
        pid_t before = guardian();
        ASSERT_NE(before, 0);
        kill_hard(before);
        wait_for([&] { pid_t next = guardian(); return next != 0 && next != before && supervisor() != 0; }, "the next guardian");
    }
    auto other = run("other", "exit 6");  // new ones are children of the new guardian
    EXPECT_EQ(wait_exited(other).exit_code, 6);
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    auto ended = wait_exited(writer);
    // By PIDFD_GET_INFO where the kernel has it (6.15); else said to be unknown.
    EXPECT_TRUE(ended.exit_code == 33 || ended.exit_code == 255) << ended.exit_code;
    expect_whole(writer);
}

std::string program_of(pid_t pid) {
    char path[4096] = {};
    return ::readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), path, sizeof path - 1) > 0 ? path : "";
}

TEST_F(Loaded, a_new_program_takes_over_under_log_load) {
    auto writer = run("writer", counting(34), with_signal());
    auto restarts = run("restarts", "while ! test -e /signal/again; do sleep 0.05; done; rm /signal/again; exit 3", [this](ContainerSpec& spec) {
        with_signal()(spec);
        spec.restart.name = "on-failure";
    });
    wait_log(writer, "line 10");
    const pid_t keeper = guardian();
    ASSERT_TRUE(client_->hand_over(program_of(::getpid()))) << "it is this program already: fine";
    const std::string next = paths_.root + "/next";
    ASSERT_TRUE(base::write_file(next, base::read_file("/proc/self/exe", 1u << 30).value_or("")));
    ASSERT_EQ(::chmod(next.c_str(), 0755), 0);
    auto handed = client_->hand_over(next);
    ASSERT_TRUE(handed) << handed.error().message();
    EXPECT_EQ(guardian(), keeper) << "the containers' parent stays";
    EXPECT_EQ(program_of(keeper), next);
    EXPECT_EQ(program_of(supervisor()), next);
    // The policy goes on, new ones start, exit codes and logs are exact.
    ASSERT_TRUE(base::write_file(signal_ + "/again", ""));
    wait(restarts, [](const ContainerState& now) { return now.status == ContainerStatus::running && now.restart_count == 1; }, "the restart");
    auto other = run("other", "exit 6");
    EXPECT_EQ(wait_exited(other).exit_code, 6);
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    EXPECT_EQ(wait_exited(writer).exit_code, 34);
    expect_whole(writer);
    ASSERT_TRUE(client_->stop(restarts, Nanoseconds(0)));
}

TEST_F(Loaded, stopped_continued_and_killed_at_random_under_log_load) {
    std::minstd_rand random(11);
    auto writer = run("writer", counting(35), with_signal());
    for (int i = 0; i < 20; i++) {
        pid_t victim = 0;
        wait_for([&] { return (victim = supervisor()) != 0; }, "a supervisor");
        const pid_t keeper = guardian();
        const auto what = random() % 4;
        for (pid_t each : {victim, keeper})
            if (what != (each == victim ? 1u : 0u)) ::kill(each, SIGSTOP);
        auto id = create("short" + std::to_string(i), "exit " + std::to_string(i % 5));
        std::thread starter([&] { start(id); });
        ::usleep(static_cast<useconds_t>(random() % 20'000));
        if (what == 3) kill_hard(victim);
        for (pid_t each : {keeper, victim}) ::kill(each, SIGCONT);
        starter.join();
        EXPECT_EQ(wait_exited(id).exit_code, i % 5) << i;
    }
    ASSERT_TRUE(base::write_file(signal_ + "/stop", ""));
    EXPECT_EQ(wait_exited(writer).exit_code, 35);
    expect_whole(writer);
}

TEST_F(Loaded, both_killed_and_the_next_command_finds_what_lives_and_what_has_died) {
    auto quiet = run("quiet", "trap 'exit 8' TERM; while ! test -e /signal/stop; do sleep 0.05; done; exit 5", with_signal());
    auto dies = run("dies", "while ! test -e /signal/die; do sleep 0.05; done; exit 5", with_signal());
    pid_t keeper = guardian(), child = supervisor();
    ASSERT_EQ(::kill(child, SIGSTOP), 0);
    kill_hard(keeper);
    kill_hard(child);
    ASSERT_TRUE(base::write_file(signal_ + "/die", ""));
    const pid_t dead = state(dies).pid;
    wait_for([&] {
        // A zombie of another parent has ended too.
        auto text = base::read_file("/proc/" + std::to_string(dead) + "/stat", 4096).value_or(") Z");
        return text.find(") Z") != std::string::npos;
    }, "the death");
    auto client = SupervisorClient::connect_or_start(options_, "kt");
    ASSERT_TRUE(client) << client.error().message();
    // Known where its new parent has not reaped it yet, or the kernel remembers.
    const int code = wait_exited(dies).exit_code;
    EXPECT_TRUE(code == 5 || code == 255) << code;
    EXPECT_EQ(state(dies).error.empty(), code == 5);
    EXPECT_EQ(state(quiet).status, ContainerStatus::running);
    ASSERT_TRUE((*client)->stop(quiet, std::chrono::seconds(60)));
    auto ended = wait_exited(quiet);
    EXPECT_TRUE(ended.exit_code == 8 || ended.exit_code == 255) << ended.exit_code;
}

/// Nobody could find it any more: it ends with its last container.
TEST_F(NothingLost, a_removed_root_leaves_no_process) {
    auto id = run("last", "sleep 0.5");
    ASSERT_NE(guardian(), 0);
    ASSERT_TRUE(base::remove_tree(paths_.root));
    wait_for([&] { return guardian() == 0; }, "the end of the guardian");
    client_.reset();
}

/// Proportional share of memory, KiB.
int64_t pss_of(pid_t pid) {
    auto text = base::read_file("/proc/" + std::to_string(pid) + "/smaps_rollup", 64 * 1024).value_or("");
    const size_t at = text.find("\nPss:");
    return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + 5, nullptr, 10);
}

/// What of this root is mounted in the process's namespace.
size_t mounts_of(pid_t pid, const store::Paths& paths) {
    size_t count = 0;
    for (const auto& line : base::split(base::read_file("/proc/" + std::to_string(pid) + "/mountinfo").value_or(""), '\n'))
        count += line.find(paths.root) != std::string::npos || line.find(paths.run) != std::string::npos;
    return count;
}

/// Control groups of these containers, in all hierarchies.
size_t cgroups_of(const std::vector<std::string>& ids) {
    std::set<std::string> wanted(ids.begin(), ids.end());
    size_t count = 0;
    std::error_code gone;  // a folder of somebody else's may go while it is looked at
    for (auto it = std::filesystem::recursive_directory_iterator("/sys/fs/cgroup", std::filesystem::directory_options::skip_permission_denied, gone);
         !gone && it != std::filesystem::recursive_directory_iterator(); it.increment(gone)) {
        std::error_code none;
        if (!it->is_directory(none)) continue;
        const std::string name = it->path().filename();
        count += std::any_of(wanted.begin(), wanted.end(), [&](const std::string& id) { return name.find(id) != std::string::npos; });
        if (it.depth() > 4) it.disable_recursion_pending();
    }
    return count;
}

TEST_F(NothingLost, a_hundred_short_ones_leak_nothing) {
    // COMPOSE_LONG_TESTS=1: a thousand.
    const int rounds = ::getenv("COMPOSE_LONG_TESTS") ? 20 : 2;
    auto keeper = run("keeper", "while :; do sleep 1; done");
    auto warm = create("warm", "exit 0");
    for (int i = 0; i < 20; i++) {
        start(warm);
        wait_exited(warm);
    }
    pid_t one = supervisor(), two = guardian();
    const size_t fds_before = count_fds(one), guard_before = count_fds(two), mounts_before = mounts_of(one, paths_), own_mounts = mounts_of(::getpid(), paths_);
    const size_t spaces_before = base::list_dir(paths_.netns_dir()).value().size();
    int64_t pss_before = 0, guard_pss_before = 0;
    std::vector<std::string> all;
    for (int round = 0; round < rounds; round++) {
        if (round == rounds / 2) {  // what a heap needs for such a wave it has by now
            pss_before = pss_of(one);
            guard_pss_before = pss_of(two);
        }
        std::vector<std::string> ids;
        for (int i = 0; i < 50; i++) ids.push_back(create("r" + std::to_string(round) + "-" + std::to_string(i), "exit 0", [](ContainerSpec& spec) { spec.auto_remove = true; }));
        all.insert(all.end(), ids.begin(), ids.end());
        for (const auto& result : client_->start_many(ids, {})) ASSERT_TRUE(result.status) << result.status.error().message();
        for (const auto& id : ids) wait_for([&] { return !store_->container(id); }, "the removal");
    }
    EXPECT_EQ(supervisor(), one);
#ifndef __SANITIZE_ADDRESS__
    EXPECT_LT(pss_of(one), pss_before + 2048) << "KiB of the supervisor";
    EXPECT_LT(pss_of(two), guard_pss_before + 512) << "KiB of the guardian";
#endif
    if (rounds > 2)
        std::cout << "supervisor " << pss_before << " -> " << pss_of(one) << " KiB, guardian " << guard_pss_before << " -> " << pss_of(two) << " KiB, " << fds_before
                  << " -> " << count_fds(one) << " fds\n";
    // At most as many: what the last of the warm ones had may have been on its way out when they were counted.
    wait_for([&] { return mounts_of(one, paths_) <= mounts_before && mounts_of(::getpid(), paths_) <= own_mounts; }, "as few mounts as before");
    wait_for([&] { return base::list_dir(paths_.netns_dir()).value().size() <= spaces_before; }, "as few network namespaces as before");
    wait_for([&] { return cgroups_of(all) == 0; }, "the end of the control groups");
    wait_for([&] { return count_fds(one) <= fds_before && count_fds(two) <= guard_before; }, "as few fds as before");
    EXPECT_EQ(base::list_dir(paths_.containers()).value().size(), 2u);
    EXPECT_EQ(base::list_dir(paths_.containers_run()).value().size(), 2u);
}

}  // namespace
}  // namespace engine::supervisor::testing
