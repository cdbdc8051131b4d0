// The plan as data: what the child would do, a line a step, without starting anything.
#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/launch.h"
#include "runtime/plan_data.h"
#include "runtime/seccomp.h"

using namespace engine;
using namespace engine::runtime;

namespace {

struct Fixture {
    base::TempDir folder = std::move(*base::TempDir::make("/tmp", "compose-plan-"));
    ContainerInfo container;
    ImageConfig image;
    std::vector<ResolvedMount> mounts;
    std::vector<FileBind> files;
    JoinFds join;

    Fixture() {
        container.id = std::string(64, 'b');
        container.spec.command = std::vector<std::string>{"prog", "arg"};
        (void)base::make_dirs(folder.path() + "/root/etc");
        (void)base::write_file(folder.path() + "/root/etc/passwd", "root:x:0:0::/root:\napp:x:1000:1000::/home/app:\n");
    }
    base::Result<LaunchPlan> plan() {
        LaunchInput input;
        input.container = &container;
        input.image = &image;
        input.root = std::move(*base::open_at(AT_FDCWD, folder.path() + "/root", O_PATH | O_DIRECTORY));
        input.mounts = std::move(mounts);
        input.files = files;
        input.join = join;
        return prepare(std::move(input));
    }
    std::string text() {
        auto made = plan();
        return made ? made->text() : "error: " + made.error().message();
    }
};

/// Where a line is; fails the test when it is not there.
size_t at(const std::string& text, const std::string& line) {
    size_t found = ("\n" + text).find("\n" + line + "\n");
    EXPECT_NE(found, std::string::npos) << "no line: " << line << "\nin:\n" << text;
    return found;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Plan, StepsOfAPlainContainerInTheirOrder) {
    Fixture fixture;
    std::string text = fixture.text();
    EXPECT_TRUE(text.starts_with("clone with new namespaces: pid network ipc uts\n")) << text;
    const char* kOrder[] = {
        "make a new mount namespace",
        "make all mounts private, recursively",
        "mount the root",
        "mount proc on \"proc\" nosuid,nodev,noexec",
        "mount tmpfs on \"dev\" nosuid mode=755 size=65536k",
        "make device \"null\" c 1:3 0666",
        "link \"ptmx\" to \"pts/ptmx\"",
        "mount devpts on \"pts\" nosuid,noexec mode=0620 gid=5 ptmxmode=0666",
        "mount sysfs on \"sys\" ro,nosuid,nodev,noexec",
        "mount mqueue on \"mqueue\" nosuid,nodev,noexec",
        "mount tmpfs on \"shm\" nosuid,nodev,noexec source=shm mode=1777 size=65536k",
        "make \"sys\" read-only",
        "mask \"kcore\"",
        "make file \".dockerenv\"",
        "set the host name \"bbbbbbbbbbbb\"",
        "change the root",
        "start a session",
        "set up stdin, stdout and stderr",
        "close other files",
        "set umask 0022",
        "change to the working directory \"/\"",
        "bound capabilities to 00000000a80425fb",
        "set groups 0",
        "become user 0:0",
        "set capabilities to 00000000a80425fb",
        "unblock signals",
        "execute \"/usr/local/sbin/prog\" \"/usr/local/bin/prog\" \"/usr/sbin/prog\" \"/usr/bin/prog\" \"/sbin/prog\" \"/bin/prog\"",
    };
    size_t last = 0;
    for (const char* line : kOrder) {
        if (std::string(line) == "mask \"kcore\"" && !base::exists("/proc/kcore")) continue;
        if (std::string(line).starts_with("bound") && has(text, "bound capabilities to") && !has(text, "a80425fb")) continue;  // an engine with less than the default
        size_t here = at(text, line);
        EXPECT_GE(here, last) << line;
        last = here;
    }
    // The filter is the last thing but the capabilities that installing it needed.
    EXPECT_LT(text.find("install the seccomp filter"), text.find("set capabilities to"));
    EXPECT_GT(text.find("install the seccomp filter"), text.find("become user"));
    EXPECT_FALSE(has(text, "no-new-privileges"));
}

TEST(Plan, OptionsChangeTheirStepsOnly) {
    struct Row {
        const char* name;
        std::function<void(ContainerSpec&)> set;
        std::vector<std::string> there, absent;
    };
    const Row kRows[] = {
        {"unconfined", [](ContainerSpec& s) { s.security_opt = {"seccomp=unconfined"}; }, {}, {"seccomp"}},
        {"no new privileges", [](ContainerSpec& s) { s.security_opt = {"no-new-privileges:true"}; }, {"set no-new-privileges", "seccomp"}, {}},
        {"no new privileges, as Go reads booleans", [](ContainerSpec& s) { s.security_opt = {"no-new-privileges:1"}; }, {"set no-new-privileges"}, {}},
        {"a profile of a privileged one", [](ContainerSpec& s) { s.privileged = true, s.security_opt = {R"(seccomp={"defaultAction":"SCMP_ACT_ALLOW"})"}; }, {"install the seccomp filter"}, {}},
        {"a mount at /dev/shm", [](ContainerSpec& s) { s.tmpfs = {{"/dev/shm", ""}}; }, {"on \"/dev/shm\""}, {"on \"shm\""}},
        {"words of tmpfs", [](ContainerSpec& s) { s.tmpfs = {{"/t", "sync,dirsync,mode=700"}}; }, {"mode=700"}, {"sync"}},
        {"paths", [](ContainerSpec& s) { s.security_opt = {"systempaths=unconfined"}; }, {}, {"\nmask ", "make \"sys\" read-only"}},
        {"privileged", [](ContainerSpec& s) { s.privileged = true; }, {"mount sysfs on \"sys\" nosuid,nodev,noexec"}, {"\nmask ", "seccomp", "make \"sys\" read-only"}},
        {"read-only", [](ContainerSpec& s) { s.read_only = true; }, {"make the root read-only"}, {}},
        {"host pid and uts", [](ContainerSpec& s) { s.pid_mode = s.uts_mode = "host"; }, {"clone with new namespaces: network ipc\n"}, {"host name"}},
        {"host ipc", [](ContainerSpec& s) { s.ipc_mode = "host"; }, {"mount \"/dev/shm\" on \"shm\""}, {"mount tmpfs on \"shm\""}},
        {"no shm", [](ContainerSpec& s) { s.ipc_mode = "none"; }, {}, {"\"shm\""}},
        {"host network", [](ContainerSpec& s) { s.network_mode = "host"; }, {"clone with new namespaces: pid ipc uts\n"}, {"ping_group_range"}},
        {"own cgroup namespace", [](ContainerSpec& s) { s.cgroup_mode = "private"; }, {"make a new cgroup namespace"}, {}},
        {"user", [](ContainerSpec& s) { s.user = "app"; }, {"become user 1000:1000", "set groups 1000", "set capabilities to 0000000000000000"}, {}},
        {"shm size", [](ContainerSpec& s) { s.shm_size = 8 << 20; }, {"mode=1777 size=8192k"}, {}},
        {"sysctl", [](ContainerSpec& s) { s.sysctls = {{"net.ipv4.conf.eth0/1.forwarding", "1"}}; }, {"write \"1\" to \"sys/net/ipv4/conf/eth0.1/forwarding\"\n"}, {}},
        {"limits", [](ContainerSpec& s) { s.ulimits = {{"nofile", 1, -1}}; }, {"set limit nofile to 1:unlimited"}, {}},
        {"terminal", [](ContainerSpec& s) { s.tty = true; }, {"take the terminal", "mount the terminal on \"console\""}, {"mount devpts"}},
    };
    for (const Row& row : kRows) {
        Fixture fixture;
        row.set(fixture.container.spec);
        if (row.name == std::string("terminal") && ::geteuid() != 0) continue;
        std::string text = fixture.text();
        for (const std::string& part : row.there) EXPECT_TRUE(has(text, part)) << row.name << ": no " << part << "\n" << text;
        for (const std::string& part : row.absent) EXPECT_FALSE(has(text, part)) << row.name << ": " << part << "\n" << text;
    }
}

TEST(Plan, MistakesAreErrorsBeforeAnythingStarts) {
    struct Row {
        const char* expected;
        std::function<void(ContainerSpec&)> set;
    };
    const Row kRows[] = {
        {"no command specified", [](ContainerSpec& s) { s.command.reset(); }},
        {"unknown capability to add: \"NOSUCH\" (names are those of capabilities(7), with or without CAP_)", [](ContainerSpec& s) { s.cap_add = {"NOSUCH"}; }},
        {"unknown capability to add: \"CAP_ALL\" (names are those of capabilities(7), with or without CAP_)", [](ContainerSpec& s) { s.cap_add = {"CAP_ALL"}; }},
        {"invalid --security-opt: \"apparmor\"", [](ContainerSpec& s) { s.security_opt = {"apparmor"}; }},
        {"invalid --security-opt: \"no-new-privileges:\"", [](ContainerSpec& s) { s.security_opt = {"no-new-privileges:"}; }},
        {"invalid --security-opt: \"writable-cgroups=x\"", [](ContainerSpec& s) { s.security_opt = {"writable-cgroups=x"}; }},
        {"invalid --security-opt: \"seccomp=\"", [](ContainerSpec& s) { s.security_opt = {"seccomp="}; }},
        {"sysctl \"kernel.hostname\" is not allowed as it conflicts with the hostname: use `hostname`", [](ContainerSpec& s) { s.sysctls = {{"kernel.hostname", "x"}}; }},
        {"invalid --security-opt: \"what=ever\"", [](ContainerSpec& s) { s.security_opt = {"what=ever"}; }},
        {"unable to find user nosuch: no matching entries in passwd file", [](ContainerSpec& s) { s.user = "nosuch"; }},
        {"invalid ulimit type: bread", [](ContainerSpec& s) { s.ulimits = {{"bread", 1, 1}}; }},
        {"ulimit nofile: soft limit must be less than or equal to hard limit: 2 > 1", [](ContainerSpec& s) { s.ulimits = {{"nofile", 2, 1}}; }},
        {"sysctl \"net.core.somaxconn\" not allowed in host network namespace",
         [](ContainerSpec& s) { s.network_mode = "host", s.sysctls = {{"net.core.somaxconn", "1"}}; }},
        {"sysctl \"vm.swappiness\" is not in a separate kernel namespace", [](ContainerSpec& s) { s.sysctls = {{"vm.swappiness", "1"}}; }},
        {"sysctl \"net/../../vm/swappiness\" is not a name", [](ContainerSpec& s) { s.sysctls = {{"net/../../vm/swappiness", "1"}}; }},
        {"invalid value 1001, range for oom score adj is [-1000, 1000]", [](ContainerSpec& s) { s.oom_score_adj = 1001; }},
        {"invalid tmpfs option [\"nosuch\"] for \"/t\"", [](ContainerSpec& s) { s.tmpfs = {{"/t", "nosuch"}}; }},
        {"unknown or invalid runtime name: runsc (this engine starts containers with its own runtime only)", [](ContainerSpec& s) { s.runtime = "runsc"; }},
        {"invalid mount: destination can't be '/'", [](ContainerSpec& s) { s.tmpfs = {{"/a/..", ""}}; }},
    };
    for (const Row& row : kRows) {
        Fixture fixture;
        row.set(fixture.container.spec);
        auto made = fixture.plan();
        ASSERT_FALSE(made) << row.expected;
        EXPECT_EQ(made.error().message(), row.expected);
    }
    Fixture fixture;
    fixture.container.spec.env = {std::string("A=\0B", 4)};
    EXPECT_FALSE(fixture.plan());
}

TEST(Plan, MountsAreSortedByDepthAndFilesGiveWay) {
    Fixture fixture;
    fixture.container.spec.tmpfs = {{"/a/b/c", ""}, {"/z", ""}, {"/a", ""}, {"/etc/hosts", ""}};
    fixture.files = {{"/etc/hosts", "/x", false}, {"/etc/hostname", "/y", true}};
    std::string text = fixture.text();
    EXPECT_LT(text.find("on \"/z\""), text.find("on \"/etc/hosts\""));
    EXPECT_LT(text.find("on \"/a\""), text.find("on \"/a/b/c\""));
    EXPECT_FALSE(has(text, "mount \"/x\"")) << text;
    EXPECT_TRUE(has(text, "mount \"/y\" on \"/etc/hostname\" ro")) << text;
    Fixture sealed;
    sealed.container.spec.read_only = true;
    sealed.files = {{"/etc/hosts", "/x", false}};
    EXPECT_TRUE(has(sealed.text(), "mount \"/x\" on \"/etc/hosts\" ro"));
}

TEST(Plan, NamesFromImagesAreShownHarmlessly) {
    Fixture fixture;
    fixture.container.spec.tmpfs = {{"/\x1b[31mred", ""}};
    std::string text = fixture.text();
    EXPECT_FALSE(has(text, "\x1b")) << text;
}

TEST(Plan, EncoderHoldsAnySizeOfInput) {
    // runc 2021-43784: lengths that wrapped in the bootstrap message. Here offsets are 32 bits into one pool that is checked.
    PlanData plan;
    plan.argv = {"x"};
    for (int i = 0; i < 3000; ++i) {
        plan.env.push_back("V" + std::to_string(i) + "=" + std::string(static_cast<size_t>(i), 'v'));
        plan.add(Op::host_name, std::string(static_cast<size_t>(i % 300), 'h'));
    }
    ASSERT_TRUE(plan.seal());
    const ArenaHead* head = plan.head();
    ASSERT_EQ(head->step_count, 3000U);
    for (int i = 0; i < 3000; ++i) {
        EXPECT_EQ(std::string(head->envp[i]), plan.env[static_cast<size_t>(i)]);
        EXPECT_EQ(std::string(head->text + head->steps[i].text).size(), static_cast<size_t>(i % 300));
    }
    EXPECT_EQ(head->envp[3000], nullptr);
    EXPECT_EQ(std::string(head->argv[2]), "x") << "after the report's number and the end of the paths";
    EXPECT_EQ(head->argv[3], nullptr);
}

TEST(Seccomp, TheDefaultFilterCompilesAndIsCached) {
    auto folder = base::TempDir::make("/tmp", "compose-seccomp-");
    ASSERT_TRUE(folder);
    auto first = default_seccomp(0x1234, folder->path());
    ASSERT_TRUE(first) << first.error().message();
    EXPECT_GT((*first)->size(), 100U);
    EXPECT_EQ(*default_seccomp(0x1234, folder->path()), *first) << "compiled twice in one process";
    auto files = base::list_dir(folder->path());
    ASSERT_TRUE(files);
    ASSERT_EQ(files->size(), 1U);
}

TEST(Seccomp, RowsFollowCapabilities) {
    auto calls = [](CapabilitySet set) {
        std::string out = "\n";
        auto rules = default_seccomp_rules(set);
        for (const SeccompRule& rule : *rules) out += rule.call + (rule.allow ? "" : " errno " + std::to_string(rule.action_errno)) + "\n";
        return out;
    };
    std::string plain = calls(kDefaultCapabilities), admin = calls(kDefaultCapabilities | 1ULL << 21);
    EXPECT_TRUE(has(plain, "\nclone3 errno 38\n"));
    EXPECT_FALSE(has(plain, "\nmount\n"));
    EXPECT_TRUE(has(plain, "\nchroot\n"));
    EXPECT_TRUE(has(admin, "\nclone3\n"));
    EXPECT_TRUE(has(admin, "\nmount\n"));
    EXPECT_FALSE(has(calls(0), "\nchroot\n"));
    EXPECT_FALSE(has(plain, "\nkeyctl\n"));
}

TEST(Seccomp, ProfilesInDockersForm) {
    auto good = seccomp_from_profile(
        R"({"defaultAction":"SCMP_ACT_ALLOW","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["mkdir","mkdirat","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
                        {"names":["personality"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
                        {"names":["mount"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}}]})",
        kDefaultCapabilities);
    EXPECT_TRUE(good) << good.error().message();
    for (const char* bad : {"", "[]", "{}", R"({"defaultAction":"WHAT"})", R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}]})",
                            R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":7,"op":"SCMP_CMP_EQ"}]}]})"})
        EXPECT_FALSE(seccomp_from_profile(bad, 0)) << bad;
}

/// The child's object in the engine's library: every symbol that it takes from elsewhere. By reading the ELF file, so that
/// the test needs no tool.
std::vector<std::string> undefined_symbols(std::string_view object) {
    std::vector<std::string> out;
    if (object.size() < sizeof(Elf64_Ehdr) || memcmp(object.data(), ELFMAG, SELFMAG) != 0) return {"not an object"};
    Elf64_Ehdr header;
    memcpy(&header, object.data(), sizeof header);
    std::vector<Elf64_Shdr> sections(header.e_shnum);
    memcpy(sections.data(), object.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
    for (const Elf64_Shdr& section : sections) {
        if (section.sh_type != SHT_SYMTAB) continue;
        const Elf64_Shdr& strings = sections[section.sh_link];
        for (size_t i = 1; i < section.sh_size / sizeof(Elf64_Sym); ++i) {
            Elf64_Sym symbol;
            memcpy(&symbol, object.data() + section.sh_offset + i * sizeof symbol, sizeof symbol);
            if (symbol.st_shndx == SHN_UNDEF) out.emplace_back(object.data() + strings.sh_offset + symbol.st_name);
        }
    }
    return out;
}

/// What the sealed page's code refers to outside of its own section (rodata, a jump table): it is copied without them.
size_t relocations_of_sealed(std::string_view object) {
    Elf64_Ehdr header;
    memcpy(&header, object.data(), sizeof header);
    std::vector<Elf64_Shdr> sections(header.e_shnum);
    memcpy(sections.data(), object.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
    auto name = [&](const Elf64_Shdr& section) { return std::string(object.data() + sections[header.e_shstrndx].sh_offset + section.sh_name); };
    size_t outside = 0;
    for (const Elf64_Shdr& section : sections) {
        if (section.sh_type != SHT_RELA || name(section) != ".relacompose_sealed") continue;
        const Elf64_Shdr& symbols = sections[section.sh_link];
        for (size_t i = 0; i < section.sh_size / sizeof(Elf64_Rela); ++i) {
            Elf64_Rela relocation;
            memcpy(&relocation, object.data() + section.sh_offset + i * sizeof relocation, sizeof relocation);
            Elf64_Sym symbol;
            memcpy(&symbol, object.data() + symbols.sh_offset + ELF64_R_SYM(relocation.r_info) * sizeof symbol, sizeof symbol);
            if (symbol.st_shndx >= sections.size() || name(sections[symbol.st_shndx]) != "compose_sealed") ++outside;
        }
    }
    return outside;
}

TEST(Child, RefersToNoSymbolOutside) {
    // This program is BUILD/tests/unit_runtime.
    char self[4096] = "";
    ASSERT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    std::string build(self);
    build.erase(build.rfind("/tests/"));
    for (const char* name : {"child", "sealed_exec_code"}) {
        auto object = base::read_file(build + "/engine/CMakeFiles/engine_runtime.dir/runtime/" + name + ".cpp.o");
        ASSERT_TRUE(object) << object.error().message();
        EXPECT_EQ(relocations_of_sealed(*object), 0U) << name;
        for (const std::string& symbol : undefined_symbols(*object)) EXPECT_EQ(symbol, "_GLOBAL_OFFSET_TABLE_") << name << " would call into a library";
    }
}

}  // namespace
