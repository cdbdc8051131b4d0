#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

#include "base/text.h"
#include "kernel/runtime/box.h"

using box::Box;
using box::Outcome;

namespace {

TEST(Launch, RunsACommandAndGivesItsExitCode) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run("echo out; echo err >&2; exit 7");
    EXPECT_EQ(outcome.code, 7) << outcome.err;
    EXPECT_EQ(outcome.out, "out\n");
    EXPECT_EQ(outcome.err, "err\n");
}

TEST(Launch, IsPidOneInItsOwnNamespaces) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run("echo $$; ls /proc | grep -c '^[0-9]'; hostname");
    EXPECT_EQ(outcome.out.substr(0, 2), "1\n") << outcome.err;
    EXPECT_NE(outcome.out.find(box.info.id.substr(0, 12)), std::string::npos) << outcome.out;
}

TEST(Launch, CapabilitiesFilterAndPrivilegesAreDockersDefaults) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run("grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status | tr '\\t' ' '");
    EXPECT_EQ(outcome.out,
              "CapInh: 0000000000000000\nCapPrm: 00000000a80425fb\nCapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\n"
              "NoNewPrivs: 0\nSeccomp: 2\n")
        << outcome.err;
}

TEST(Launch, AnotherUserHasNoCapabilities) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.user = "app";
    Outcome outcome = box.run("id -u; id -g; id -G; echo $HOME; grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f2; echo to >/dev/stdout");
    EXPECT_EQ(outcome.out, "1000\n1000\n1000 50\n/home/app\n0000000000000000\n0000000000000000\n00000000a80425fb\nto\n") << outcome.err;
}

TEST(Launch, DevicesAreTheStandardOnes) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run("ls /dev | tr '\\n' ' '; echo x >/dev/null; head -c 3 /dev/zero | wc -c");
    EXPECT_EQ(outcome.out, "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero 3\n") << outcome.err;
}

TEST(Launch, MountsAreDockers) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run("cut -d' ' -f2,3,4 /proc/mounts");
    EXPECT_NE(outcome.out.find("/proc proc rw,nosuid,nodev,noexec,relatime\n"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/dev tmpfs rw,nosuid,relatime,size=65536k,mode=755"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666\n"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/sys sysfs ro,nosuid,nodev,noexec,relatime\n"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/dev/mqueue mqueue rw,nosuid,nodev,noexec,relatime\n"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("/proc/sys proc ro,nosuid,nodev,noexec,relatime\n"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find("/ overlay "), 0U) << "the root is not the first mount: " << outcome.out;
    EXPECT_EQ(outcome.out.find("ext4"), std::string::npos) << "a mount of the host is visible: " << outcome.out;
}


struct Failure {
    const char* name;
    std::vector<std::string> argv;
    int code;
    const char* text;
};

TEST(Launch, ACommandThatCannotRunIsSaidInDockersWords) {
    NEEDS_CONTAINERS();
    const Failure kRows[] = {
        {"not in PATH", {"nosuch"}, 127, "exec: \"nosuch\": executable file not found in $PATH"},
        {"no such path", {"/nosuch"}, 127, "exec: \"/nosuch\": stat /nosuch: no such file or directory"},
        {"not executable", {"/etc/passwd"}, 126, "exec: \"/etc/passwd\": permission denied"},
        {"a folder", {"/etc"}, 126, "exec: \"/etc\": permission denied"},
        {"no interpreter", {"/bad-script"}, 127, "exec /bad-script: no such file or directory"},
        {"another format", {"/garbage"}, 126, "exec /garbage: exec format error"},
    };
    for (const Failure& row : kRows) {
        Box box;
        box.write("bad-script", "#!/no/such/interpreter\n", 0755);
        box.write("garbage", "\x01\x02\x03", 0755);
        Outcome outcome = box.run_argv(row.argv);
        EXPECT_EQ(outcome.code, row.code) << row.name;
        EXPECT_EQ(base::to_lower(outcome.err).find(base::to_lower(row.text)), 0U) << row.name << ": " << outcome.err;
    }
}

TEST(Launch, EnvironmentHostNameAndWorkingFolder) {
    NEEDS_CONTAINERS();
    Box box;
    box.image.env = {"A=image", "B=image"};
    box.info.spec.env = {"B=spec", "C=spec"};
    box.info.spec.hostname = "hh";
    box.info.spec.domainname = "example.org";
    box.info.spec.working_dir = "/made/for/it";
    box.info.spec.user = "app";
    Outcome outcome = box.run("env | grep -vE '^(SHLVL|PWD|OLDPWD|_)=' | sort; pwd; stat -c '%u:%g %a' /made/for/it; hostname; cat /proc/sys/kernel/domainname; umask");
    EXPECT_EQ(outcome.out,
              "A=image\nB=spec\nC=spec\nHOME=/home/app\nHOSTNAME=hh\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/made/for/it\n0:0 755\n"
              "hh\nexample.org\n0022\n")
        << outcome.err;
}

TEST(Launch, TheEnginesEnvironmentDoesNotLeak) {
    NEEDS_CONTAINERS();
    ::setenv("CANARY_OF_THE_HOST", "1", 1);
    Box box;
    Outcome outcome = box.run("env; cat /proc/1/environ | tr '\\0' '\\n'");
    EXPECT_NE(outcome.out.find("HOSTNAME="), std::string::npos);
    EXPECT_EQ(outcome.out.find("CANARY"), std::string::npos);
    ::unsetenv("CANARY_OF_THE_HOST");
}

TEST(Launch, VolumesBindsAndTmpfs) {
    NEEDS_CONTAINERS();
    Box box;
    std::string host = box.folder() + "/host";
    ASSERT_TRUE(base::make_dirs(host + "/sub"));
    ASSERT_TRUE(base::write_file(host + "/file", "content"));
    auto add = [&](const std::string& path, const std::string& target, bool read_only) {
        engine::runtime::ResolvedMount mount;
        mount.mount.target = target;
        mount.mount.read_only = read_only;
        mount.host_path = path;
        box.mounts.push_back(std::move(mount));
    };
    add(host + "/sub", "/data/sub", false);  // below /data: mounted after it though named first
    add(host, "/data", false);
    add(host, "/ro", true);
    add(host + "/file", "/etc/one-file", false);
    add(host + "/made", "/made", false);
    box.info.spec.tmpfs["/small"] = "size=64k,uid=1000,mode=700";
    box.files.push_back({"/etc/hosts", host + "/file", false});
    Outcome outcome = box.run(
        "touch /data/new /data/sub/below /made/x; touch /ro/x 2>&1; touch /ro/sub/x 2>&1; cat /etc/one-file /etc/hosts; echo; stat -c '%u %a' /small; "
        "grep ' /small ' /proc/mounts | cut -d' ' -f3,4 | sed 's/,inode64//'");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out,
              "touch: /ro/x: Read-only file system\ntouch: /ro/sub/x: Read-only file system\ncontentcontent\n1000 700\n"
              "tmpfs rw,nosuid,nodev,noexec,relatime,size=64k,mode=700,uid=1000\n");
    EXPECT_TRUE(base::exists(host + "/new") && base::exists(host + "/sub/below") && base::exists(host + "/made/x"));
    EXPECT_FALSE(base::exists(host + "/x"));
}

TEST(Launch, ReadOnlyRootLeavesVolumesAndDevWritable) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.read_only = true;
    box.info.spec.tmpfs["/run"] = "";
    Outcome outcome = box.run("touch /x 2>&1; touch /run/x /dev/shm/x && echo ok");
    EXPECT_EQ(outcome.out, "touch: /x: Read-only file system\nok\n") << outcome.err;
}

TEST(Launch, LimitsSysctlsAndOomScore) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.ulimits = {{"nofile", 1234, 2345}, {"core", 0, 0}};
    box.info.spec.sysctls = {{"net.core.somaxconn", "321"}, {"kernel.msgmax", "4096"}};
    box.info.spec.oom_score_adj = 345;
    box.info.spec.shm_size = 8 << 20;
    Outcome outcome = box.run(
        "ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /proc/1/oom_score_adj /proc/sys/net/ipv4/ip_unprivileged_port_start; df -k /dev/shm | tail -1");
    EXPECT_EQ(outcome.out.find("1234\n2345\n0\n321\n4096\n345\n0\n"), 0U) << outcome.out << outcome.err;
    EXPECT_NE(outcome.out.find(" 8192 "), std::string::npos) << outcome.out;
}

TEST(Launch, ASysctlOfTheWholeMachineIsRefused) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.sysctls = {{"kernel.panic", "1"}};
    auto started = box.start({"true"});
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().message(), "sysctl \"kernel.panic\" is not in a separate kernel namespace");
}

TEST(Launch, InitIsPidOneAndPassesSignalsOn) {
    NEEDS_CONTAINERS();
    if (::access("/usr/bin/catatonit", X_OK) != 0) GTEST_SKIP() << "needs catatonit";
    Box box;
    box.info.spec.init = true;
    ASSERT_TRUE(box.start({"sh", "-c", "trap 'exit 7' TERM; touch /ready; while :; do sleep 0.05; done"}));
    ASSERT_TRUE(box::eventually([&] { return base::exists(box.layer() + "/ready"); }));
    Outcome first = box.exec("readlink /proc/1/exe; tr '\\0' ' ' </proc/1/cmdline");
    EXPECT_EQ(first.out.find("/sbin/docker-init\n/sbin/docker-init -- sh -c"), 0U) << first.out << first.err;
    ASSERT_TRUE(box.process.signal(SIGTERM));
    EXPECT_EQ(box.wait(), 7);
}

TEST(Launch, PrivilegedHasAllTheEngineHas) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.privileged = true;
    Outcome outcome = box.run("grep -E '^(CapBnd|CapEff|Seccomp):' /proc/self/status | cut -f2; mount -t tmpfs none /tmp && echo mounted; test -c /dev/kmsg && echo kmsg; touch /proc/sys/kernel/panic && echo writable");
    std::string own = base::read_file("/proc/self/status").value_or("");
    std::string bounding = own.substr(own.find("CapBnd:") + 8, 16);
    EXPECT_EQ(outcome.out, bounding + "\n" + bounding + "\n0\nmounted\n" + (base::exists("/dev/kmsg") ? "kmsg\n" : "") + "writable\n") << outcome.err;
}

TEST(Launch, ADeviceOfTheHostIsMadeAndAllowed) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.devices = {{"/dev/null", "/dev/sub/x", "r"}, {"/dev/zero", "/dev/null", "rwm"}};
    Outcome outcome = box.run("stat -c '%t:%T %a' /dev/sub/x; head -c 2 /dev/null | wc -c; mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk 2>&1");
    EXPECT_EQ(outcome.out, "1:3 666\n2\nhead: /tmp/disk: Operation not permitted\n") << outcome.err;
}

TEST(Launch, ATerminalOfTheContainersOwn) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.tty = true;
    box.info.spec.user = "app";
    box.info.spec.command = std::vector<std::string>{"sh", "-c", "tty; stat -c '%u %g %a' /dev/console; echo $TERM; ls /dev/pts | tr '\\n' ' '; echo hi >/dev/tty"};
    ASSERT_TRUE(box.start_with({}));
    EXPECT_EQ(box::read_rest(box.terminal.get()), "/dev/pts/0\r\n1000 5 620\r\nxterm\r\n0 ptmx hi\r\n");
    EXPECT_EQ(box.wait(), 0);
}

TEST(Launch, NamespacesOfAnotherContainerAndOfTheHost) {
    NEEDS_CONTAINERS();
    Box first;
    first.info.spec.ipc_mode = "shareable";
    ASSERT_TRUE(first.start({"sh", "-c", "touch /dev/shm/shared /ready; exec sleep 1000"}));
    ASSERT_TRUE(box::eventually([&] { return base::exists(first.layer() + "/ready"); }));
    std::string proc = "/proc/" + std::to_string(first.process.pid()) + "/ns/";
    auto open = [&](const char* name) { return base::open_at(AT_FDCWD, proc + name, O_RDONLY); };
    auto net = open("net"), pid = open("pid"), ipc = open("ipc");
    ASSERT_TRUE(net && pid && ipc);

    Box second;
    second.info.spec.pid_mode = second.info.spec.ipc_mode = second.info.spec.network_mode = "container:x";
    second.join = {net->get(), pid->get(), ipc->get(), -1, first.process.fd()};
    Outcome outcome = second.run("test -e /dev/shm/shared && echo shm; ps -o args | grep -c '[s]leep 1000'; test \"$(readlink /proc/1/ns/net)\" = \"$(readlink /proc/self/ns/net)\" && echo 1");
    EXPECT_EQ(outcome.out, "shm\n1\n1\n") << outcome.err;

    Box host;
    host.info.spec.pid_mode = host.info.spec.uts_mode = host.info.spec.network_mode = "host";
    char link[64] = "";
    ASSERT_GT(::readlink("/proc/self/ns/pid", link, sizeof link - 1), 0);
    EXPECT_EQ(host.run("readlink /proc/self/ns/pid").out, std::string(link) + "\n");
}

TEST(Launch, AStartThatIsDroppedLeavesNothing) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.command = std::vector<std::string>{"sleep", "1000"};
    auto plan = box.plan();
    ASSERT_TRUE(plan) << plan.error().message();
    pid_t pid = 0;
    {
        auto starting = engine::runtime::start(std::move(*plan));
        ASSERT_TRUE(starting);
        pid = starting->pid();
    }
    EXPECT_EQ(::kill(pid, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(Launch, ManyStartsLeakNoDescriptor) {
    NEEDS_CONTAINERS();
    auto open_files = [] { return base::list_dir("/proc/self/fd").value_or(std::vector<std::string>{}).size(); };
    Box box;
    box.use_cgroup = false;
    EXPECT_EQ(box.run_argv({"true"}).code, 0);
    size_t before = open_files();
    for (int i = 0; i < 50; ++i) ASSERT_EQ(box.run_argv({i % 2 == 0 ? "true" : "nosuch"}).code, i % 2 == 0 ? 0 : 127);
    EXPECT_EQ(open_files(), before);
}

TEST(Launch, FromSeveralThreadsAtOnce) {
    NEEDS_CONTAINERS();
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&good, i] {
            for (int j = 0; j < 5; ++j) {
                Box box;
                box.use_cgroup = j % 2 == 0;
                Outcome outcome = box.run("echo " + std::to_string(i) + "; exit " + std::to_string(i + 1));
                if (outcome.code == i + 1 && outcome.out == std::to_string(i) + "\n") ++good;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 20);
}

}  // namespace
