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

}  // namespace
