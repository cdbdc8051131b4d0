// The runtime rows of known incidents, each by its number: an attempt from inside a container, or by an image, that must fail.
// docs/security.md lists them all.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/text.h"
#include "kernel/runtime/box.h"

using box::Box;
using box::Outcome;
namespace runtime = engine::runtime;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

engine::runtime::ResolvedMount bind_mount(const std::string& path, const std::string& target) {
    engine::runtime::ResolvedMount mount;
    mount.mount.target = target;
    mount.host_path = path;
    return mount;
}

TEST(Security, cve_2019_5736_the_engines_binary_cannot_be_run_or_written_from_inside) {
    NEEDS_CONTAINERS();
    struct stat before{};
    ASSERT_EQ(::stat("/proc/self/exe", &before), 0);
    // An entry point that is a link to, or a script run by, whatever executes it: it gets a sealed page, never this program.
    for (std::vector<std::string> argv : {std::vector<std::string>{"/proc/self/exe"}, {"/link"}, {"/script"}}) {
        Box box;
        ASSERT_EQ(::symlink("/proc/self/exe", (box.root() + "/link").c_str()), 0);
        box.write("script", "#!/proc/self/exe\n", 0755);
        Outcome outcome = box.run_argv(argv);
        EXPECT_EQ(outcome.code, 126) << argv[0] << outcome.out << outcome.err;
        EXPECT_EQ(outcome.out, "") << argv[0];
    }
    // From inside, during many execs: whatever /proc/PID/exe can be opened for writing is the container's own.
    Box box;
    ASSERT_TRUE(box.start({"sh", "-c",
                           "while :; do for p in /proc/[0-9]*; do l=$(readlink $p/exe 2>/dev/null); case \"$l\" in ''|/bin/busybox) ;; *) echo \"$l\" >>/seen; "
                           "(: >>$p/exe) 2>/dev/null && echo \"$l\" >>/written;; esac; done; done"}));
    for (int i = 0; i < 50; ++i) ASSERT_EQ(box.exec_input([] {
                                              runtime::ExecInput input;
                                              input.argv = {"true"};
                                              return input;
                                          }()).code, 0);
    EXPECT_FALSE(base::exists(box.layer() + "/written")) << base::read_file(box.layer() + "/written").value_or("");
    for (const std::string& seen : base::split(base::read_file(box.layer() + "/seen").value_or(""), '\n'))
        if (!seen.empty()) EXPECT_TRUE(has(seen, "memfd:container-start")) << seen;
    struct stat after{};
    ASSERT_EQ(::stat("/proc/self/exe", &after), 0);
    EXPECT_EQ(before.st_size, after.st_size);
    EXPECT_EQ(before.st_mtime, after.st_mtime);
}

TEST(Security, cve_2024_21626_no_descriptor_leaks_and_no_working_folder_outside) {
    NEEDS_CONTAINERS();
    base::UniqueFd host(::open("/", O_RDONLY | O_DIRECTORY));  // without CLOEXEC, as a careless library would
    ASSERT_TRUE(host);
    {
        Box box;
        EXPECT_EQ(box.run("for f in /proc/1/fd/*; do readlink $f; done | grep -v ^pipe: | sort -u; pwd").out, "/dev/null\n/\n");
    }
    for (int fd = 3; fd < 24; ++fd) {
        Box box;
        box.info.spec.working_dir = "/proc/self/fd/" + std::to_string(fd);
        Outcome outcome = box.run("ls; pwd");
        EXPECT_NE(outcome.code, 0) << fd << outcome.out;
        EXPECT_EQ(outcome.out, "") << fd;
    }
    Box box;
    ASSERT_TRUE(box.start({"sleep", "1000"}));
    for (int fd = 3; fd < 24; ++fd) {
        runtime::ExecInput input;
        input.argv = {"ls"};
        input.working_dir = "/proc/self/fd/" + std::to_string(fd);
        EXPECT_NE(box.exec_input(std::move(input)).code, 0) << fd;
    }
    EXPECT_EQ(box.exec("ls /proc/$$/fd | tr '\\n' ' '").out.find("0 1 2 "), 0U);
    for (const char* folder : {"/proc/self/cwd", "/proc/1/root", "/proc/self/root"}) {
        runtime::ExecInput input;
        input.argv = {"ls"};
        input.working_dir = folder;
        EXPECT_NE(box.exec_input(std::move(input)).code, 0) << folder;
    }
}

TEST(Security, cve_2019_16884_cve_2019_19921_cve_2023_27561_cve_2023_28642_nothing_is_mounted_over_proc) {
    NEEDS_CONTAINERS();
    for (const char* target : {"/proc", "/proc/self", "/proc/self/attr", "/proc/sys", "/link-to-proc", "/link-to-proc/sys", "/x/../proc"}) {
        Box box;
        ASSERT_EQ(::symlink("/proc", (box.root() + "/link-to-proc").c_str()), 0);
        ASSERT_TRUE(base::make_dirs(box.folder() + "/fake/sys"));
        box.mounts.push_back(bind_mount(box.folder() + "/fake", target));
        auto started = box.start({"true"});
        EXPECT_FALSE(started) << target;
    }
    // An image whose /proc or /sys leads elsewhere.
    for (const char* name : {"proc", "sys", "dev"}) {
        Box box;
        box.write("elsewhere/sys/x", "");
        ASSERT_EQ(::symlink("elsewhere", (box.root() + "/" + name).c_str()), 0);
        auto started = box.start({"true"});
        ASSERT_FALSE(started) << name;
        EXPECT_TRUE(has(started.error().message(), "symbolic link")) << started.error().message();
    }
    // What lxcfs does stays possible.
    Box box;
    box.write("../cpuinfo", "fake\n");
    box.mounts.push_back(bind_mount(box.folder() + "/cpuinfo", "/proc/cpuinfo"));
    EXPECT_EQ(box.run("cat /proc/cpuinfo").out, "fake\n");
}

TEST(Security, cve_2021_30465_cve_2024_45310_exchanged_links_put_no_mount_or_file_outside) {
    NEEDS_CONTAINERS();
    auto shared = base::TempDir::make("/tmp", "compose-race-"), outside = base::TempDir::make("/tmp", "compose-outside-");
    ASSERT_TRUE(shared && outside);
    ASSERT_TRUE(base::make_dirs(shared->path() + "/a"));
    // From a volume that a hostile container shares: "a" is a folder, then a link to the host, then a folder …
    std::string up = "../../../../../../../../../..";
    ASSERT_EQ(::symlink((up + outside->path()).c_str(), (shared->path() + "/b").c_str()), 0);
    std::atomic<bool> stop{false};
    std::thread racer([&] {
        std::string a = shared->path() + "/a", b = shared->path() + "/b";
        while (!stop) (void)::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), 2U /* RENAME_EXCHANGE */);
    });
    const int starts = ::getenv("COMPOSE_LONG_TESTS") ? 10000 : 60;
    int ran = 0;
    for (int i = 0; i < starts; ++i) {
        Box box;
        box.use_cgroup = false;
        box.mounts.push_back(bind_mount(shared->path(), "/vol"));
        box.write("../source/mark", "inside");
        box.mounts.push_back(bind_mount(box.folder() + "/source", "/vol/a/deep" + std::to_string(i)));
        Outcome outcome = box.run("cat /vol/a/deep*/mark /vol/b/deep*/mark /tmp/compose-outside-*/deep*/mark 2>/dev/null");
        ran += outcome.code != 125 ? 1 : 0;
    }
    stop = true;
    racer.join();
    EXPECT_TRUE(base::list_dir(outside->path())->empty()) << "a mount point was made on the host";
    EXPECT_GT(ran, 0);
    std::string mounts = base::read_file("/proc/self/mountinfo").value_or("");
    EXPECT_FALSE(has(mounts, "compose-outside-")) << mounts;
}

TEST(Security, cve_2025_31133_masks_are_the_real_null_device) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(base::make_dirs(box.root() + "/dev"));
    ASSERT_EQ(::symlink("/proc/sys/kernel/core_pattern", (box.root() + "/dev/null").c_str()), 0);
    Outcome outcome = box.run("stat -c '%F %t:%T' /dev/null; for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do test -e $f && stat -c '%t:%T' $f; done | sort -u; echo x >/proc/sys/kernel/core_pattern");
    EXPECT_EQ(outcome.out, "character special file 1:3\n1:3\n") << outcome.err;
    EXPECT_TRUE(has(outcome.err, "Read-only file system")) << outcome.err;
}

TEST(Security, cve_2025_52565_the_console_is_mounted_from_its_descriptor) {
    NEEDS_CONTAINERS();
    Box box;
    ASSERT_TRUE(base::make_dirs(box.root() + "/dev/pts"));
    ASSERT_EQ(::symlink("/proc/sys/kernel/core_pattern", (box.root() + "/dev/console").c_str()), 0);
    ASSERT_EQ(::symlink("/etc/passwd", (box.root() + "/dev/pts/0").c_str()), 0);
    box.info.spec.tty = true;
    box.info.spec.command = std::vector<std::string>{"sh", "-c", "stat -c '%F %t:%T' /dev/console"};
    auto started = box.start_with({});
    ASSERT_TRUE(started) << started.error().message();
    EXPECT_EQ(box::read_rest(box.terminal.get()), "character special file 88:0\r\n");
    EXPECT_EQ(box.wait(), 0);
}

TEST(Security, cve_2025_52881_writes_to_proc_go_to_the_containers_own_procfs) {
    NEEDS_CONTAINERS();
    // A volume in the way of the file that a sysctl is written to cannot be mounted; an image's own /proc is covered.
    Box box;
    box.write("proc/sys/net/core/somaxconn", "fake");
    box.info.spec.sysctls = {{"net.core.somaxconn", "321"}};
    EXPECT_EQ(box.run("cat /proc/sys/net/core/somaxconn").out, "321\n");
    EXPECT_EQ(base::read_file(box.root() + "/proc/sys/net/core/somaxconn").value_or(""), "fake");
    Box other;
    other.write("../fake", "");
    other.info.spec.sysctls = box.info.spec.sysctls;
    other.mounts.push_back(bind_mount(other.folder() + "/fake", "/proc/sys/net/core/somaxconn"));
    EXPECT_FALSE(other.start({"true"}));
}

TEST(Security, cve_2026_41579_cve_2026_47766_cve_2019_18837_mount_targets_are_not_followed_out) {
    NEEDS_CONTAINERS();
    auto outside = base::TempDir::make("/tmp", "compose-outside-");
    ASSERT_TRUE(outside);
    Box box;
    // Absolute and climbing links on the way of a target stay inside the root.
    ASSERT_EQ(::symlink(outside->path().c_str(), (box.root() + "/absolute").c_str()), 0);
    ASSERT_EQ(::symlink(("../../../../../.." + outside->path()).c_str(), (box.root() + "/climbing").c_str()), 0);
    ASSERT_TRUE(base::make_dirs(box.folder() + "/source"));
    ASSERT_TRUE(base::make_dirs(box.root() + outside->path()));
    box.mounts.push_back(bind_mount(box.folder() + "/source", "/absolute/a"));
    box.mounts.push_back(bind_mount(box.folder() + "/source", "/climbing/b"));
    Outcome outcome = box.run("touch /absolute/a/x; ls " + outside->path());
    EXPECT_EQ(outcome.out, "a\nb\n") << outcome.err;
    EXPECT_TRUE(base::exists(box.folder() + "/source/x"));
    EXPECT_TRUE(base::list_dir(outside->path())->empty());
    // A device whose target folder is a link to the host.
    Box device;
    ASSERT_EQ(::symlink(outside->path().c_str(), (device.root() + "/nodes").c_str()), 0);
    device.info.spec.devices = {{"/dev/null", "/nodes/null", "rwm"}};
    (void)device.run("true");
    EXPECT_TRUE(base::list_dir(outside->path())->empty());
}

TEST(Security, cve_2022_29162_cve_2022_24769_inheritable_capabilities_are_empty) {
    NEEDS_CONTAINERS();
    for (const char* user : {"", "app"}) {
        Box box;
        box.info.spec.user = user;
        box.info.spec.cap_add = {"NET_ADMIN"};
        ASSERT_TRUE(box.start({"sleep", "1000"}));
        for (bool privileged : {false, true}) {
            runtime::ExecInput input;
            input.argv = {"sh", "-c", "grep -E '^Cap(Inh|Amb)' /proc/self/status /proc/1/status | cut -f2 | sort -u"};
            input.privileged = privileged;
            EXPECT_EQ(box.exec_input(std::move(input)).out, "0000000000000000\n");
        }
    }
}

TEST(Security, cve_2023_25809_control_groups_are_read_only_and_release_agent_is_out_of_reach) {
    NEEDS_CONTAINERS();
    for (const char* mode : {"", "host", "private"}) {
        Box box;
        box.info.spec.cgroup_mode = mode;
        Outcome outcome = box.run(
            "for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do test -e $f && (echo 1 >$f) 2>/dev/null && echo written $f; done; "
            "mkdir /sys/fs/cgroup/*/x 2>/dev/null && echo made; find /sys/fs/cgroup -name release_agent; mkdir /tmp/c; mount -t cgroup -o memory none /tmp/c 2>/dev/null && echo mounted; "
            "mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted; true");
        EXPECT_EQ(outcome.out, "") << mode;
        EXPECT_EQ(outcome.code, 0) << outcome.err;
    }
}

TEST(Security, cve_2020_14370_cve_2021_3602_no_environment_of_others) {
    NEEDS_CONTAINERS();
    ::setenv("COMPOSE_CANARY", "host", 1);
    Box first, second;
    first.info.spec.env = {"COMPOSE_CANARY_ONE=1"};
    ASSERT_TRUE(first.start({"sleep", "1000"}));
    ASSERT_TRUE(second.start({"sleep", "1000"}));
    EXPECT_FALSE(has(second.exec("env; cat /proc/1/environ").out, "CANARY"));
    EXPECT_FALSE(has(first.exec("env").out, "COMPOSE_CANARY=host"));
    ::unsetenv("COMPOSE_CANARY");
}

TEST(Security, cve_2026_31431_the_filter_refuses_the_kernels_doors) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run(
        "for c in 'unshare -m true' 'unshare -U true' 'mount -t tmpfs none /tmp' 'dmesg' 'hostname x' 'mount --bind /etc /tmp'; do $c >/dev/null 2>&1 && echo \"allowed: $c\"; done; "
        "mknod /tmp/null c 1 3 && echo mknod; chroot / true && echo chroot");
    EXPECT_EQ(outcome.out, "mknod\nchroot\n") << outcome.err;
}

TEST(Security, proc_and_sys_are_not_writable) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run(
        "for f in /proc/sysrq-trigger /proc/sys/kernel/panic /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/irq/default_smp_affinity /sys/kernel/uevent_helper "
        "/sys/power/state /sys/kernel/mm/transparent_hugepage/enabled /proc/sys/vm/drop_caches; do test -e $f && (echo 1 >$f) 2>/dev/null && echo \"written: $f\"; done; "
        "mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; umount /proc/kcore 2>/dev/null && echo unmasked; "
        "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | head -c 10 | wc -c; ls -A /sys/firmware /proc/acpi /proc/scsi 2>/dev/null | grep -v :");
    EXPECT_EQ(base::trim(outcome.out), "0") << outcome.err;
}

TEST(Security, mounts_inside_do_not_travel_to_the_host) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.privileged = true;
    ASSERT_TRUE(base::make_dirs(box.folder() + "/shared"));
    box.mounts.push_back(bind_mount(box.folder() + "/shared", "/shared"));
    std::string before = base::read_file("/proc/self/mountinfo").value_or("");
    ASSERT_TRUE(box.start({"sh", "-c", "mkdir /shared/m; mount -t tmpfs none /shared/m; touch /shared/m/x /ready; exec sleep 1000"}));
    ASSERT_TRUE(box::eventually([&] { return base::exists(box.layer() + "/ready"); }));
    EXPECT_FALSE(base::exists(box.folder() + "/shared/m/x"));
    EXPECT_FALSE(has(base::read_file("/proc/self/mountinfo").value_or(""), box.folder())) << before;
}

TEST(Security, a_container_cannot_trace_or_signal_the_host) {
    NEEDS_CONTAINERS();
    Box box;
    // The numbers of the host's processes mean nothing inside; -1 reaches the container only.
    Outcome outcome = box.run("kill -0 " + std::to_string(::getpid()) + " 2>/dev/null && echo reached; kill -9 -1; true");
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(::kill(::getpid(), 0), 0);
}

TEST(Security, set_user_id_programs_gain_nothing_with_no_new_privileges) {
    NEEDS_CONTAINERS();
    Box box;
    box.write("bin/busybox2", base::read_file("/bin/busybox").value_or(""), 04755);
    box.write("script", "#!/bin/sh\nid -u\n", 0755);
    box.info.spec.user = "app";
    box.info.spec.security_opt = {"no-new-privileges:true"};
    EXPECT_EQ(box.run("grep NoNewPrivs /proc/self/status | cut -f2; /bin/busybox2 id -u").out, "1\n1000\n");
}

TEST(Security, cve_2024_9676_cve_2026_47262_a_hostile_passwd_stops_the_start_at_once) {
    NEEDS_CONTAINERS();
    Box fifo;
    ASSERT_EQ(::unlink((fifo.root() + "/etc/passwd").c_str()), 0);
    ASSERT_EQ(::mkfifo((fifo.root() + "/etc/passwd").c_str(), 0644), 0);
    EXPECT_FALSE(fifo.start({"true"}));
    Box huge;
    ASSERT_EQ(::truncate((huge.root() + "/etc/group").c_str(), 1LL << 40), 0);
    EXPECT_FALSE(huge.start({"true"}));
}

TEST(Security, the_terminal_multiplexer_of_exec_is_the_real_one) {
    NEEDS_CONTAINERS();
    Box box;
    box.info.spec.cap_add = {"SYS_ADMIN"};
    box.info.spec.security_opt = {"seccomp=unconfined"};
    ASSERT_TRUE(box.start({"sh", "-c", "mount -t tmpfs none /dev/pts && ln -s /etc/passwd /dev/pts/ptmx && touch /ready; exec sleep 1000"}));
    ASSERT_TRUE(box::eventually([&] { return base::exists(box.layer() + "/ready"); }));
    runtime::ExecInput input;
    input.argv = {"true"};
    input.tty = true;
    Outcome outcome = box.exec_input(std::move(input));
    EXPECT_EQ(outcome.code, 125) << outcome.out;
}

TEST(Security, errors_show_no_escape_sequences) {
    NEEDS_CONTAINERS();
    Box box;
    Outcome outcome = box.run_argv({"/\x1b[2Jnosuch"});
    EXPECT_EQ(outcome.code, 127);
    EXPECT_FALSE(has(outcome.err, "\x1b")) << outcome.err;
}

}  // namespace
