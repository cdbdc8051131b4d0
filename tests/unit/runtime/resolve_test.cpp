#include "runtime/resolve.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/signals.h"

using namespace engine;
using runtime::Identity;

namespace {

using Words = std::vector<std::string>;
const std::string kId(64, 'a');
const std::string kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

TEST(Resolve, CommandFollowsDockersRules) {
    struct Row {
        const char* name;
        std::optional<Words> entrypoint, command;
        Words image_entrypoint, image_cmd, expected;
    };
    const Row kRows[] = {
        {"the image's both", {}, {}, {"e"}, {"c"}, {"e", "c"}},
        {"own command keeps the entrypoint", {}, Words{"x"}, {"e"}, {"c"}, {"e", "x"}},
        {"own entrypoint drops the image's command", Words{"n"}, {}, {"e"}, {"c"}, {"n"}},
        {"own entrypoint and command", Words{"n"}, Words{"x"}, {"e"}, {"c"}, {"n", "x"}},
        {"an empty entrypoint clears", Words{}, Words{"x"}, {"e"}, {"c"}, {"x"}},
        {"an entrypoint of nothing clears", Words{""}, Words{"x"}, {"e"}, {"c"}, {"x"}},
        {"an empty command clears", {}, Words{}, {"e"}, {"c"}, {"e"}},
    };
    for (const Row& row : kRows) {
        ContainerSpec spec;
        spec.entrypoint = row.entrypoint;
        spec.command = row.command;
        ImageConfig image;
        image.entrypoint = row.image_entrypoint;
        image.cmd = row.image_cmd;
        auto argv = runtime::resolve_argv(spec, image);
        ASSERT_TRUE(argv) << row.name;
        EXPECT_EQ(*argv, row.expected) << row.name;
    }
    EXPECT_EQ(runtime::resolve_argv({}, {}).error().message(), "no command specified");
}

TEST(Resolve, EnvironmentInDockersOrder) {
    ContainerSpec spec;
    spec.command = Words{"x"};
    spec.env = {"B=2", "C", "D=", "A=9"};
    ImageConfig image;
    image.env = {"A=1", "C=image", "PATH=/p"};
    EXPECT_EQ(runtime::resolve(spec, image, kId)->env, (Words{"PATH=/p", "HOSTNAME=aaaaaaaaaaaa", "A=9", "B=2", "D="}));
    spec.tty = true;
    spec.hostname = "h";
    spec.env = {"PATH"};
    EXPECT_EQ(runtime::resolve(spec, {}, kId)->env, (Words{"HOSTNAME=h", "TERM=xterm"}));
    EXPECT_EQ(runtime::env_value({"A=1", "A=2"}, "A"), "2");
    EXPECT_FALSE(runtime::env_value({"AB=1"}, "A"));
}

TEST(Resolve, FoldersSignalsAndVolumes) {
    ContainerSpec spec;
    spec.command = Words{"x"};
    ImageConfig image;
    image.working_dir = "/a//b/../c/";
    image.stop_signal = "SIGRTMIN+3";
    image.user = "app";
    image.volumes = {"/data", "/covered/", "/"};
    spec.mounts.push_back({});
    spec.mounts.back().target = "/covered";
    auto resolved = runtime::resolve(spec, image, kId);
    ASSERT_TRUE(resolved);
    EXPECT_EQ(resolved->working_dir, "/a/c");
    EXPECT_EQ(resolved->stop_signal, 37);
    EXPECT_EQ(resolved->user, "app");
    EXPECT_EQ(resolved->volumes, Words{"/data"});
    spec.working_dir = "relative";
    EXPECT_NE(runtime::resolve(spec, image, kId).error().message().find("absolute path"), std::string::npos);
    spec.working_dir.clear();
    spec.stop_signal = "SIGNOTHING";
    EXPECT_EQ(runtime::resolve(spec, image, kId).error().message(), "invalid signal: SIGNOTHING");
}

TEST(Resolve, HealthChecksInheritAndHaveDefaults) {
    using std::chrono::seconds;
    HealthCheck image;
    image.test = {"CMD", "probe"};
    image.interval = seconds(7);
    HealthCheck spec;
    spec.retries = 9;
    auto check = runtime::resolve_health(spec, image);
    ASSERT_TRUE(check);
    EXPECT_EQ(check->test, image.test);
    EXPECT_EQ(check->interval, seconds(7));
    EXPECT_EQ(check->timeout, seconds(30));
    EXPECT_EQ(check->start_interval, seconds(5));
    EXPECT_EQ(check->retries, 9);
    spec.test = {"NONE"};
    EXPECT_FALSE(runtime::resolve_health(spec, image));
    EXPECT_FALSE(runtime::resolve_health({}, {}));
}

TEST(Signals, NamesAndNumbersBothWays) {
    struct Row {
        const char* text;
        int number;
    };
    for (Row row : {Row{"SIGTERM", 15}, {"term", 15}, {"15", 15}, {"sigkill", 9}, {"SIGRTMIN", 34}, {"RTMIN+3", 37}, {"SIGRTMAX-14", 50}, {"RTMAX", 64}, {"64", 64}, {"IOT", 6}})
        EXPECT_EQ(runtime::parse_signal(row.text), row.number) << row.text;
    for (const char* text : {"", "0", "65", "-1", "+9", "SIG", "SIGSIGTERM", "RTMIN+31", "RTMIN+-1", "RTMIN+", "TERM ", "99999999999999999999"})
        EXPECT_FALSE(runtime::parse_signal(text)) << text;
    for (int number = 1; number <= 64; ++number)
        if (number < 32 || number > 33) EXPECT_EQ(runtime::parse_signal(runtime::signal_name(number)), number) << runtime::signal_name(number);
}

constexpr const char* kPasswd = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n4242:x:7:7::/numeric:/bin/sh\nnohome:x:8:8\n";
constexpr const char* kGroup = "root:x:0:\nalice:x:1000:\nextra:x:50:alice,bob\nstaff:x:51:bob\n99:x:60:alice\n";

TEST(Users, FormsOfUserAndGroups) {
    struct Row {
        const char* user;
        Words add;
        Identity expected;
    };
    const Row kRows[] = {
        {"", {}, {0, 0, {0}, "/root"}},
        {"alice", {}, {1000, 1000, {1000, 50, 60}, "/home/alice"}},
        {"1000", {}, {1000, 1000, {1000, 50, 60}, "/home/alice"}},
        {"alice:extra", {}, {1000, 50, {50}, "/home/alice"}},
        {"1000:51", {}, {1000, 51, {51}, "/home/alice"}},
        {":extra", {}, {0, 50, {50}, "/root"}},
        {"5000", {}, {5000, 0, {0}, "/"}},
        {"5000:6000", {"staff", "777"}, {5000, 6000, {6000, 51, 777}, "/"}},
        {"nohome", {}, {8, 8, {8}, "/"}},
    };
    for (const Row& row : kRows) {
        auto found = runtime::find_user(row.user, row.add, kPasswd, kGroup);
        ASSERT_TRUE(found) << row.user << ": " << found.error().message();
        EXPECT_EQ(found->uid, row.expected.uid) << row.user;
        EXPECT_EQ(found->gid, row.expected.gid) << row.user;
        EXPECT_EQ(found->groups, row.expected.groups) << row.user;
        EXPECT_EQ(found->home, row.expected.home) << row.user;
    }
    EXPECT_EQ(runtime::find_user("nosuch", {}, kPasswd, kGroup).error().message(), "unable to find user nosuch: no matching entries in passwd file");
    EXPECT_EQ(runtime::find_user("alice:nosuch", {}, kPasswd, kGroup).error().message(), "unable to find group nosuch: no matching entries in group file");
}

// containerd 2024-40635, 2026-46680; crun 2026-30892
TEST(Users, cve_2024_40635_numbers_are_strict_and_never_names) {
    for (const char* user : {"4294967296", "4294967295", "2147483648", "1000:4294967296", "99999999999999999999"}) EXPECT_FALSE(runtime::find_user(user, {}, kPasswd, kGroup)) << user;
    // A user named "4242" with another uid in the image's file is not who 4242 is; group 99 is not the group named so.
    EXPECT_EQ(runtime::find_user("4242", {}, kPasswd, kGroup)->uid, 4242U);
    EXPECT_EQ(runtime::find_user("0:99", {}, kPasswd, kGroup)->gid, 99U);
    // "1000:x" is a user with a group named x, which is not there; never root.
    EXPECT_FALSE(runtime::find_user("1000:x", {}, kPasswd, kGroup));
    EXPECT_FALSE(runtime::find_user("-1", {}, kPasswd, kGroup));
    EXPECT_FALSE(runtime::find_user("+0", {}, kPasswd, kGroup));
    EXPECT_FALSE(runtime::find_user("0x0", {}, kPasswd, kGroup));
    EXPECT_FALSE(runtime::find_user("alice", {"4294967296"}, kPasswd, kGroup));
}

TEST(Users, user_names_with_newlines_and_colons_are_refused) {
    for (const char* user : {"evil\nroot", "alice:x:0", "a\rb", "alice:extra\n"}) EXPECT_FALSE(runtime::find_user(user, {}, kPasswd, kGroup)) << user;
    EXPECT_FALSE(runtime::find_user(std::string_view("a\0b", 3), {}, kPasswd, kGroup));
    // Lines that are torn, negative or too large are no entries.
    EXPECT_FALSE(runtime::find_user("bad", {}, "bad:x:-1:0::/:\nbad:x:4294967295:0::/:\nbad:x\nbad\n:x:0:0::/:\n", ""));
}

struct ImageRoot {
    base::TempDir folder = std::move(*base::TempDir::make("/tmp", "compose-users-"));
    base::UniqueFd fd = std::move(*base::open_at(AT_FDCWD, folder.path(), O_PATH | O_DIRECTORY));
    ImageRoot() { (void)base::make_dirs(folder.path() + "/etc"); }
};

// podman 2024-9676
TEST(Users, cve_2024_9676_passwd_that_is_a_fifo_or_a_link_out) {
    ImageRoot root;
    std::string passwd = root.folder.path() + "/etc/passwd";
    EXPECT_EQ(runtime::find_user_in_root(root.fd.get(), "5", {})->uid, 5U) << "no file at all is fine";
    ASSERT_EQ(::mkfifo(passwd.c_str(), 0644), 0);
    EXPECT_FALSE(runtime::find_user_in_root(root.fd.get(), "alice", {}));
    ASSERT_EQ(::unlink(passwd.c_str()), 0);
    ASSERT_EQ(::symlink("/etc/passwd", passwd.c_str()), 0);  // itself, seen from inside: a loop
    EXPECT_FALSE(runtime::find_user_in_root(root.fd.get(), "daemon", {})) << "the host's file was read";
    ASSERT_EQ(::unlink(passwd.c_str()), 0);
    ASSERT_EQ(::symlink("../../../../../../../../etc/group", passwd.c_str()), 0);
    EXPECT_FALSE(runtime::find_user_in_root(root.fd.get(), "daemon", {}));
}

// containerd 2026-47262, 2023-25173; moby 2022-36109
TEST(Users, cve_2026_47262_huge_files_are_refused_and_groups_are_exact) {
    ImageRoot root;
    ASSERT_TRUE(base::write_file(root.folder.path() + "/etc/passwd", kPasswd));
    ASSERT_TRUE(base::write_file(root.folder.path() + "/etc/group", kGroup));
    EXPECT_EQ(runtime::find_user_in_root(root.fd.get(), "alice", {})->groups, (std::vector<uint32_t>{1000, 50, 60}));
    ASSERT_EQ(::truncate((root.folder.path() + "/etc/group").c_str(), 1LL << 40), 0);
    EXPECT_FALSE(runtime::find_user_in_root(root.fd.get(), "alice", {}));
}

}  // namespace
