#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "kernel/runtime/box.h"
#include "runtime/terminal.h"

using box::Box;
using box::Outcome;
namespace runtime = engine::runtime;

namespace {

runtime::ExecInput command(std::vector<std::string> argv) {
    runtime::ExecInput input;
    input.argv = std::move(argv);
    return input;
}

TEST(Exec, HasTheContainersNamespacesRightsAndEnvironment) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.env = {"A=spec"};
    box.info.spec.ulimits = {{"nofile", 100, 200}};
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    Outcome outcome = box.exec("ls /proc | grep -cx 1; grep -E '^(CapInh|CapPrm|CapEff|CapBnd|Seccomp):' /proc/self/status | cut -f2; echo $A $HOME; ulimit -n; hostname; exit 3");
    EXPECT_EQ(outcome.out, "1\n0000000000000000\n00000000a80425fb\n00000000a80425fb\n00000000a80425fb\n2\nspec /root\n100\n" + box.info.id.substr(0, 12) + "\n") << outcome.err;
    EXPECT_EQ(outcome.code, 3);
}

TEST(Exec, UserEnvironmentFolderAndPrivileges) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    runtime::ExecInput input = command({"sh", "-c", "id -u; id -G; echo $HOME $X; pwd; cat </dev/stdin; echo e >/dev/stderr"});
    input.user = "app";
    input.env = {"X=1"};
    input.working_dir = "/tmp";
    Outcome outcome = box.exec_input(std::move(input));
    EXPECT_EQ(outcome.out, "1000\n1000 50\n/home/app 1\n/tmp\n") << outcome.err;
    EXPECT_EQ(outcome.err, "e\n");
    runtime::ExecInput privileged = command({"sh", "-c", "mount -t tmpfs none /tmp && echo mounted"});
    privileged.privileged = true;
    EXPECT_EQ(box.exec_input(std::move(privileged)).out, "mounted\n");
    EXPECT_EQ(box.exec("mount -t tmpfs none /tmp 2>&1").out, "mount: permission denied (are you root?)\n");
}

TEST(Exec, ErrorsAreDockers) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    Outcome absent = box.exec_input(command({"nosuch"}));
    EXPECT_EQ(absent.code, 127);
    EXPECT_EQ(absent.err, "exec: \"nosuch\": executable file not found in $PATH");
    EXPECT_EQ(box.exec_input(command({"/etc/passwd"})).code, 126);
    runtime::ExecInput folder = command({"true"});
    folder.working_dir = "/nowhere";
    Outcome nowhere = box.exec_input(std::move(folder));
    EXPECT_EQ(nowhere.code, 127);
    EXPECT_NE(nowhere.err.find("chdir to cwd (\"/nowhere\")"), std::string::npos) << nowhere.err;
    runtime::ExecInput user = command({"true"});
    user.user = "nosuch";
    EXPECT_EQ(box.exec_input(std::move(user)).err, "unable to find user nosuch: no matching entries in passwd file");
    box.stop();
    auto gone = runtime::exec_start([&] {
        runtime::ExecInput input = command({"true"});
        input.container = &box.info;
        input.image = &box.image;
        return input;
    }());
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, base::Code::not_running);
}

TEST(Exec, AReusedPidIsNotEntered) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    box.info.state.pid_start = 1;  // not when this process began
    runtime::ExecInput input = command({"true"});
    input.container = &box.info;
    input.image = &box.image;
    auto started = runtime::exec_start(input);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, base::Code::not_running);
}

TEST(Exec, ATerminalInTheContainersOwnInstance) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    auto pty = runtime::open_pty();
    ASSERT_TRUE(pty);
    winsize size{33, 101, 0, 0};
    ::ioctl(pty->master.get(), TIOCSWINSZ, &size);
    runtime::ExecInput input = command({"sh", "-c", "tty; stty size; echo $TERM; echo to >/dev/tty"});
    input.tty = true;
    input.user = "app";
    input.window_of = pty->slave.get();
    EXPECT_EQ(box.exec_input(std::move(input)).out, "/dev/pts/0\r\n33 101\r\nxterm\r\nto\r\n");
}

TEST(Exec, JoinsTheControlGroup) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    runtime::ExecInput input = command({"sleep", "1000"});
    input.container = &box.info;
    input.image = &box.image;
    auto started = runtime::exec_start(input);
    ASSERT_TRUE(started) << started.error().message();
    auto pids = box.cgroup->pids();
    ASSERT_TRUE(pids);
    EXPECT_NE(std::find(pids->begin(), pids->end(), started->process.pid()), pids->end());
    runtime::kill_group(started->process);
    EXPECT_EQ(runtime::wait_exit(started->process).value_or(-1), 137);
}

/// exec_process with its streams as pipes.
struct Session {
    base::UniqueFd in, out, err;
    std::thread thread;
    int code = -1;
    std::string error;

    Session(Box& box, engine::ExecOptions options) {
        int ends[3][2];
        base::UniqueFd theirs[3];
        for (int i = 0; i < 3; ++i) {
            if (::pipe2(ends[i], O_CLOEXEC) != 0) return;
            theirs[i].reset(ends[i][i == 0 ? 0 : 1]);
            (i == 0 ? in : i == 1 ? out : err).reset(ends[i][i == 0 ? 1 : 0]);
        }
        thread = std::thread([this, &box, options, a = std::move(theirs[0]), b = std::move(theirs[1]), c = std::move(theirs[2])]() mutable {
            options.streams = {a.get(), b.get(), c.get()};
            auto result = runtime::exec_process(box.info, box.image, options);
            if (result)
                code = *result;
            else
                error = result.error().message();
        });
    }
    ~Session() {
        if (thread.joinable()) thread.join();
    }
};

TEST(Exec, HalfCloseAndBigInputBothWays) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    engine::ExecOptions options;
    options.argv = {"sh", "-c", "cat; echo end; exit 5"};
    Session session(box, options);
    std::string big(3 << 20, 'x');
    std::thread writer([&] {
        (void)base::write_all(session.in.get(), big);
        session.in.reset();
    });
    std::string out = box::read_rest(session.out.get());
    writer.join();
    session.thread.join();
    EXPECT_EQ(session.code, 5) << session.error;
    EXPECT_EQ(out.size(), big.size() + 4);
    EXPECT_TRUE(out.ends_with("xend\n"));
}

TEST(Exec, AReaderThatGoesAwayEndsIt) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    engine::ExecOptions options;
    options.argv = {"yes"};
    Session session(box, options);
    char byte;
    ASSERT_EQ(::read(session.out.get(), &byte, 1), 1);
    session.out.reset();
    session.thread.join();
    EXPECT_EQ(session.code, 141) << session.error;
}

TEST(Exec, ABackgroundProcessDoesNotHoldIt) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    engine::ExecOptions options;
    options.argv = {"sh", "-c", "sleep 1000 & echo started"};
    Session session(box, options);
    EXPECT_EQ(box::read_rest(session.out.get()), "started\n");
    session.thread.join();
    EXPECT_EQ(session.code, 0) << session.error;
}

TEST(Exec, DetachedRunsOn) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    engine::ExecOptions options;
    options.argv = {"sh", "-c", "touch /there"};
    options.detach = true;
    auto code = runtime::exec_process(box.info, box.image, options);
    ASSERT_TRUE(code) << code.error().message();
    EXPECT_EQ(*code, 0);
    EXPECT_TRUE(box::eventually([&] { return base::exists(box.layer() + "/there"); }));
    // A command would end and leave it to init; here it is ours, and PID 1 cannot end before it is reaped.
    EXPECT_TRUE(box::eventually([&] { return ::waitpid(-1, nullptr, WNOHANG) > 0; }));
}

TEST(Exec, TerminalSessionWithDetachKeys) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    auto pty = runtime::open_pty();
    ASSERT_TRUE(pty);
    engine::ExecOptions options;
    options.argv = {"cat"};
    options.tty = true;
    options.streams = {pty->slave.get(), pty->slave.get(), pty->slave.get()};
    int code = -1;
    std::thread person([&] { code = runtime::exec_process(box.info, box.image, options).value_or(-2); });
    ASSERT_TRUE(base::write_all(pty->master.get(), "hello\r"));
    std::string seen;
    char buffer[256];
    while (seen.find("hello\r\nhello\r\n") == std::string::npos) {
        ssize_t n = ::read(pty->master.get(), buffer, sizeof buffer);
        if (n <= 0) break;
        seen.append(buffer, static_cast<size_t>(n));
    }
    ASSERT_TRUE(base::write_all(pty->master.get(), "\x10\x11"));
    person.join();
    EXPECT_EQ(code, 0);
    termios mode{};
    ASSERT_EQ(::tcgetattr(pty->slave.get(), &mode), 0);
    EXPECT_NE(mode.c_lflag & ICANON, 0U) << "the terminal was not restored";
    (void)box.cgroup->kill_all();
    EXPECT_TRUE(box::eventually([&] { return ::waitpid(-1, nullptr, WNOHANG) < 0; }));
    box.process = {};
}

}  // namespace
