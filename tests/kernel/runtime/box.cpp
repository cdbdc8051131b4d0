#include "kernel/runtime/box.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace box {
using base::Result;
namespace runtime = engine::runtime;

std::string missing() {
    static const std::string why = [] {
        if (::geteuid() != 0) return std::string("needs root");
        if (::access("/bin/busybox", X_OK) != 0) return std::string("needs a static /bin/busybox (package busybox-static)");
        int fd = ::fsopen("overlay", FSOPEN_CLOEXEC);
        if (fd < 0) return std::string("needs overlay by fsopen");
        ::close(fd);
        return std::string();
    }();
    return why;
}

std::string read_rest(int fd) {
    std::string out;
    char buffer[4096];
    ssize_t n;
    while ((n = ::read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0) out.append(buffer, static_cast<size_t>(n));
    return out;
}

bool eventually(const std::function<bool()>& reached) {
    for (int i = 0; i < 2000; ++i) {
        if (reached()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
}

Box::Box() {
    static std::atomic<int> serial{0};
    char pattern[] = "/tmp/compose-runtime-test-XXXXXX";
    folder_ = ::mkdtemp(pattern);
    ::chmod(folder_.c_str(), 0755);
    for (const char* name : {"root", "upper", "work", "root/bin", "root/etc", "root/tmp", "root/root", "root/home"})
        (void)base::make_dirs(folder_ + "/" + name);
    ::chmod((root() + "/tmp").c_str(), 01777);
    // One copy a machine would do, but a hard link keeps the test quick and the image's own.
    if (::link("/bin/busybox", (root() + "/bin/busybox").c_str()) != 0)
        write("bin/busybox", base::read_file("/bin/busybox").value_or(""), 0755);
    for (const char* name : {"sh", "cat", "echo", "ls", "id", "sleep", "mount", "mkdir", "touch", "grep", "chown", "mknod", "head", "test", "hostname", "pwd", "env",
                             "umount", "ps", "kill", "stat", "readlink", "tty", "stty", "wc", "tr", "cut", "sort", "dd", "rm", "ln", "true", "false", "chroot", "unshare", "df", "find", "printf", "dmesg", "date", "mv", "yes", "seq", "sed", "chmod", "cp"})
        (void)::symlink("busybox", (root() + "/bin/" + name).c_str());
    write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\nwww:x:33:33::/var/www:/bin/false\n");
    write("etc/group", "root:x:0:\napp:x:1000:\nstaff:x:50:app\nwww:x:33:\n");
    char id[65];
    snprintf(id, sizeof id, "%032x%032x", static_cast<unsigned>(::getpid()), static_cast<unsigned>(++serial));
    info.id = id;
    info.spec.name = "box";
    image.cmd = {"sh"};
}

Box::~Box() {
    stop();
    if (cgroup) {
        (void)cgroup->kill_all();
        (void)cgroup->remove();
    }
    (void)base::remove_tree(folder_);
}

void Box::write(const std::string& path, const std::string& content, unsigned mode) const {
    std::string full = root() + "/" + path;
    (void)base::make_dirs(full.substr(0, full.rfind('/')));
    (void)base::write_file(full, content, mode);
    ::chmod(full.c_str(), mode);
}

base::Status Box::make_cgroup() {
    if (!use_cgroup || cgroup) return {};
    info.spec.cgroup_parent = "/compose-test-" + std::to_string(::getpid());
    std::vector<runtime::DeviceRule> rules = TRY(runtime::device_rules(info.spec));
    cgroup = TRY(runtime::Cgroup::create(runtime::cgroup_path(info), info.spec.resources, rules));
    return {};
}

Result<runtime::LaunchPlan> Box::plan(engine::StreamSet stdio) {
    TRY_VOID(make_cgroup());
    base::UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
    auto set = [&](const char* key, const std::string& value) { return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0; };
    if (!context || !set("lowerdir", root()) || !set("upperdir", layer()) || !set("workdir", folder_ + "/work") ||
        ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return base::fail_errno("overlay");
    runtime::LaunchInput input;
    input.container = &info;
    input.image = &image;
    input.root = base::MountFd(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    if (!input.root) return base::fail_errno("fsmount overlay");
    input.mounts = std::move(mounts);
    mounts.clear();
    input.files = files;
    input.join = join;
    input.cgroup = cgroup ? &*cgroup : nullptr;
    input.stdio = stdio;
    return runtime::prepare(std::move(input));
}

base::Status Box::start_with(engine::StreamSet stdio) {
    runtime::LaunchPlan made = TRY(plan(stdio));
    terminal = made.take_terminal();
    process = TRY(runtime::launch(std::move(made)));
    info.state.pid = process.pid();
    info.state.status = engine::ContainerStatus::running;
    return {};
}

base::Status Box::start(std::vector<std::string> argv) {
    info.spec.command = std::move(argv);
    return start_with({});
}

Outcome Box::run(const std::string& script) { return run_argv({"sh", "-c", script}); }

Outcome Box::run_argv(std::vector<std::string> argv) {
    Outcome out;
    int pipes[2][2];
    for (auto& ends : pipes)
        if (::pipe2(ends, O_CLOEXEC) != 0) return out;
    base::UniqueFd read_out(pipes[0][0]), write_out(pipes[0][1]), read_err(pipes[1][0]), write_err(pipes[1][1]);
    info.spec.command = std::move(argv);
    auto started = start_with({-1, write_out.get(), write_err.get()});
    write_out.reset();
    write_err.reset();
    if (!started) {
        out.err = started.error().message();
        out.code = started.error().code == base::Code::no_such_command ? 127 : started.error().code == base::Code::cannot_execute ? 126 : 125;
        return out;
    }
    std::thread errors([&] { out.err = read_rest(read_err.get()); });
    out.out = read_rest(read_out.get());
    errors.join();
    out.code = wait();
    return out;
}

Outcome Box::exec(const std::string& script) {
    runtime::ExecInput input;
    input.argv = {"sh", "-c", script};
    return exec_input(std::move(input));
}

Outcome Box::exec_input(runtime::ExecInput input) {
    Outcome out;
    int pipes[2][2];
    for (auto& ends : pipes)
        if (::pipe2(ends, O_CLOEXEC) != 0) return out;
    base::UniqueFd read_out(pipes[0][0]), write_out(pipes[0][1]), read_err(pipes[1][0]), write_err(pipes[1][1]);
    input.container = &info;
    input.image = &image;
    input.stdio = {-1, write_out.get(), write_err.get()};
    auto started = runtime::exec_start(input);
    write_out.reset();
    write_err.reset();
    if (!started) {
        out.err = started.error().message();
        out.code = started.error().code == base::Code::no_such_command ? 127 : started.error().code == base::Code::cannot_execute ? 126 : 125;
        return out;
    }
    if (started->terminal) {
        out.out = read_rest(started->terminal.get());
    } else {
        std::thread errors([&] { out.err = read_rest(read_err.get()); });
        out.out = read_rest(read_out.get());
        errors.join();
    }
    out.code = runtime::wait_exit(started->process).value_or(-1);
    return out;
}

int Box::wait() {
    if (!process) return -1;
    int code = runtime::wait_exit(process).value_or(-1);
    process = {};
    return code;
}

void Box::stop() {
    if (!process) return;
    if (cgroup) (void)cgroup->thaw();
    (void)process.signal(SIGKILL);
    (void)wait();
}

}  // namespace box
