#include "oci/foreign.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "oci/json_reader.h"
#include "oci/spec.h"
#include "runtime/exec.h"
#include "runtime/mount_source.h"
#include "runtime/terminal.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;

constexpr const char* kRegistry = "/etc/compose/runtimes.json";

struct Attach {
    int tree;
    std::string place;
};

/// The command line of a verb; `log` gets its messages as JSON.
std::vector<std::string> runtime_argv(const ForeignRuntime& runtime, const std::string& folder, const std::string& log, const std::vector<std::string>& words) {
    std::vector<std::string> argv{runtime.path};
    argv.insert(argv.end(), runtime.arguments.begin(), runtime.arguments.end());
    argv.insert(argv.end(), {"--root", folder + "/state", "--log", log, "--log-format", "json"});
    argv.insert(argv.end(), words.begin(), words.end());
    return argv;
}

struct Spawn {
    std::vector<std::string> argv;
    StreamSet stdio;              ///< -1: /dev/null
    std::vector<Attach> trees{};  ///< mounted in a mount namespace of its own before
    int extra = -1;               ///< becomes fd 3
    bool session = false;         ///< leads one, with its standard input as the terminal if that is one
};

/// A child that executes the runtime. Exit status 124, 125: a tree was not mounted; 126: not executed.
Result<pid_t> spawn_runtime(const ForeignRuntime& runtime, Spawn& job) {
    std::vector<char*> pointers;
    for (std::string& word : job.argv) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char* environment[] = {path.data(), nullptr};
    base::UniqueFd null = TRY(base::open_at(AT_FDCWD, "/dev/null", O_RDWR));
    int streams[4] = {job.stdio.in, job.stdio.out, job.stdio.err, job.extra};
    for (int i = 0; i < 3; ++i)
        if (streams[i] < 0) streams[i] = null.get();
    const int count = job.extra >= 0 ? 4 : 3;

    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = ::fork();
    if (pid == 0) {
        // Beside threads: system calls only from here on.
        if (!job.trees.empty()) {
            if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) ::_exit(124);
            for (const Attach& tree : job.trees)
                if (::move_mount(tree.tree, "", AT_FDCWD, tree.place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) ::_exit(125);
        }
        for (int i = 0; i < count; ++i)
            if (streams[i] < count) streams[i] = ::fcntl(streams[i], F_DUPFD_CLOEXEC, count);
        for (int i = 0; i < count; ++i) ::dup2(streams[i], i);
        ::close_range(static_cast<unsigned>(count), ~0U, 0);
        if (job.session) {
            ::setsid();
            (void)::ioctl(0, TIOCSCTTY, 0);
        }
        sigset_t none;
        sigemptyset(&none);
        for (int number = 1; number < 65; ++number) ::signal(number, SIG_DFL);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::execve(pointers[0], pointers.data(), environment);
        ::_exit(126);
    }
    int error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return base::fail_errno("start " + runtime.name, error);
    return pid;
}

/// Runs the runtime; a failure is what it wrote to its log last.
base::Status call_runtime(const ForeignRuntime& runtime, const std::string& folder, const std::vector<std::string>& words, const std::vector<Attach>& trees, const StreamSet& stdio) {
    const std::string log = folder + "/log.json";
    ::unlink(log.c_str());
    const std::string& verb = words[0];
    Spawn job{.argv = runtime_argv(runtime, folder, log, words), .stdio = stdio, .trees = trees};
    const pid_t pid = TRY(spawn_runtime(runtime, job));
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    int code = runtime::exit_code(status);
    if (code == 0) return {};
    std::string said;
    for (const std::string& line : base::split(base::read_file(log, 1u << 20).value_or(""), '\n')) {
        auto entry = parse_object(line, "log");
        if (!entry) continue;
        JsonReader reader("log");
        if (std::string text = reader.text(*entry, "msg", ""); !text.empty() && reader.text(*entry, "level", "") != "warning") said = text;
    }
    if (said.empty())
        said = code == 124 || code == 125 ? "the root could not be mounted for it" : code == 126 ? "it cannot be executed" : "exit status " + std::to_string(code);
    // crun 1.8 on a machine with both versions.
    if (said.find("hybrid mode") != std::string::npos)
        said += ": this machine has control groups v1 and v2 at once; boot it with systemd.unified_cgroup_hierarchy=1, or leave `runtime` out (the engine's own and runc take both)";
    base::Error out = base::fail(Code::internal, runtime.name + " " + verb + ": " + base::printable(said));
    if (said.find("executable file not found") != std::string::npos || said.find("no such file or directory") != std::string::npos) out.code = Code::no_such_command;
    if (said.find("permission denied") != std::string::npos) out.code = Code::cannot_execute;
    return out;
}

/// A socket on which the runtime hands over the terminal's master.
Result<base::UniqueFd> listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return base::fail(Code::invalid, "the socket's name " + base::quote(path) + " is too long");
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    base::UniqueFd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!out || ::bind(out.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(out.get(), 1) != 0)
        return base::fail_errno("listen at " + base::quote(path));
    return out;
}

Result<base::UniqueFd> receive_terminal(int listener) {
    // The runtime has ended, so what it sent is there.
    base::UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return base::fail_errno("get the terminal from the runtime");
    char text[256];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{text, sizeof text};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC) < 0) return base::fail_errno("get the terminal from the runtime");
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return base::fail(Code::internal, "the runtime sent no terminal");
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return base::UniqueFd(fd);
}

Result<std::string> init_program(const runtime::LaunchInput& input) {
    if (!input.container->spec.init) return std::string();
    return runtime::find_init(input.init_path);
}

/// gVisor and Kata run the program in a kernel of their own.
bool is_sandbox(const std::string& path) {
    std::string file = path.substr(path.rfind('/') + 1);
    return file.starts_with("runsc") || file.starts_with("kata");
}
}  // namespace

Result<std::optional<ForeignRuntime>> find_runtime(const std::string& name) {
    if (name.empty() || name == "compose" || name == "io.containerd.runc.v2") return std::optional<ForeignRuntime>();
    auto unknown = [&](const std::string& why) { return base::fail(Code::unsupported, "unknown or invalid runtime name: " + base::printable(name) + why); };
    if (auto text = base::read_file(kRegistry, 1u << 20)) {
        json::object registry = TRY(parse_object(*text, kRegistry));
        JsonReader reader(kRegistry);
        if (registry.contains(name)) {
            const json::object& entry = reader.object(registry, name, "");
            for (const auto& member : entry)
                if (member.key() != "path" && member.key() != "runtimeArgs" && member.key() != "sandbox")
                    reader.complain(name + "." + std::string(member.key()), "is not known; path, runtimeArgs and sandbox are");
            ForeignRuntime out{name, reader.text(entry, "path", name), reader.texts(entry, "runtimeArgs", name), reader.flag(entry, "sandbox", name)};
            out.sandbox = out.sandbox || is_sandbox(out.path);
            if (reader.failed()) return reader.take_error();
            if (out.path.empty() || out.path[0] != '/') return unknown(std::string(": its path in ") + kRegistry + " is not absolute");
            return std::optional(std::move(out));
        }
    }
    bool known = false;
    for (const char* word : {"runc", "crun", "runsc", "youki"}) known = known || name == word;
    if (!known) return unknown(std::string(" (runc, crun, runsc and youki are known where they are installed, others by ") + kRegistry + ")");
    for (const char* folder : {"/usr/local/sbin/", "/usr/local/bin/", "/usr/sbin/", "/usr/bin/"})
        if (std::string path = folder + name; ::access(path.c_str(), X_OK) == 0) return std::optional(ForeignRuntime{name, path, {}, is_sandbox(path)});
    if (name == "runc") return std::optional<ForeignRuntime>();  // Docker's name of its default
    return unknown(": it is not installed in /usr/local/sbin, /usr/local/bin, /usr/sbin or /usr/bin");
}

Result<ForeignContainer> foreign_create(const ForeignRuntime& runtime, runtime::LaunchInput& input, const runtime::Resolved& resolved, const std::string& folder) {
    TRY_VOID(base::remove_tree(folder));
    TRY_VOID(base::make_dirs(folder + "/bundle/rootfs", 0700));
    TRY_VOID(base::make_dirs(folder + "/bundle/mounts", 0700));
    runtime::Identity identity = TRY(runtime::find_user_in_root(input.root.get(), resolved.user, input.container->spec.group_add));
    BundleInput bundle{&input, &resolved, &identity, {}, TRY(init_program(input))};
    std::vector<base::UniqueFd> held;
    std::vector<Attach> trees;
    trees.push_back({input.root.get(), folder + "/bundle/rootfs"});
    for (runtime::ResolvedMount& mount : input.mounts) {
        bundle.places.emplace_back();
        if (mount.mount.type == Mount::Type::tmpfs) continue;
        runtime::MountSource source = TRY(runtime::open_mount_source(mount));
        std::string place = folder + "/bundle/mounts/" + std::to_string(bundle.places.size());
        if (source.is_folder)
            TRY_VOID(base::make_dirs(place, 0700));
        else
            TRY_VOID(base::write_file(place, "", 0600));
        bundle.places.back() = place;
        held.push_back(std::move(source.tree));
        trees.push_back({held.back().get(), place});
    }
    TRY_VOID(base::write_file(folder + "/runtime", runtime.name, 0600));
    json::object config = TRY(bundle_config(bundle));
    TRY_VOID(base::write_file(folder + "/bundle/config.json", json::serialize(config), 0600));

    const std::string& id = input.container->id;
    std::vector<std::string> words{"create", "--bundle", folder + "/bundle", "--pid-file", folder + "/pid"};
    ForeignContainer out;
    base::UniqueFd listener, terminal_folder;
    if (input.container->spec.tty) {
        // The folder by our fd: its path may be longer than a socket's address holds.
        terminal_folder = TRY(base::open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY));
        std::string socket = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(terminal_folder.get()) + "/tty";
        listener = TRY(listen_at(socket));
        words.emplace_back("--console-socket");
        words.push_back(socket);
    }
    words.push_back(id);
    TRY_VOID(call_runtime(runtime, folder, words, trees, input.container->spec.tty ? StreamSet{} : input.stdio));
    auto pid = base::parse_int(base::trim(TRY(base::read_file(folder + "/pid"))));
    if (!pid || *pid <= 0) return base::fail(Code::internal, runtime.name + " wrote no process id");
    out.process = TRY(base::PidFd::open(static_cast<pid_t>(*pid)));
    if (listener) out.terminal = TRY(receive_terminal(listener.get()));
    return out;
}

base::Status foreign_start(const ForeignRuntime& runtime, const std::string& id, const std::string& folder) {
    return call_runtime(runtime, folder, {"start", id}, {}, {});
}

namespace {
/// `process` of the specification for an exec: the container's own with what is asked for in its place.
Result<json::object> exec_process_of(const runtime::ExecInput& input, const std::string& folder) {
    json::object config = TRY(parse_object(TRY(base::read_file(folder + "/bundle/config.json", 16u << 20)), "config.json"));
    JsonReader reader("config.json");
    json::object process = reader.object(config, "process", "");
    process["args"] = json::value_from(input.argv);
    std::vector<std::string> env = runtime::merge_env(reader.texts(process, "env", "process"), input.env);
    if (input.tty && !runtime::env_value(env, "TERM")) env.emplace_back("TERM=xterm");
    process["env"] = json::value_from(env);
    process["terminal"] = input.tty;
    if (!input.working_dir.empty()) process["cwd"] = input.working_dir;
    if (!input.user.empty()) {
        // The passwd file is in the sandbox.
        if (input.user.find_first_not_of("0123456789:") != std::string::npos)
            return base::fail(Code::unsupported, "exec in a sandbox as " + base::quote(input.user) + ": names are not looked up there, give numbers (UID or UID:GID)");
        runtime::Identity identity = TRY(runtime::find_user(input.user, {}, "", ""));
        process["user"] = json::object{{"uid", identity.uid}, {"gid", identity.gid}};
    }
    if (reader.failed()) return reader.take_error();
    return process;
}

Result<runtime::ExecProcess> sandbox_exec(const ForeignRuntime& runtime, const runtime::ExecInput& input, const std::string& folder) {
    if (input.privileged) return base::fail(Code::unsupported, "exec --privileged in a sandbox (runtime " + base::quote(runtime.name) + ") is not supported");
    const std::string text = json::serialize(TRY(exec_process_of(input, folder)));
    base::UniqueFd file(::memfd_create("process", MFD_CLOEXEC));
    if (!file) return base::fail_errno("memfd_create");
    TRY_VOID(base::write_all(file.get(), text));
    Spawn job{.argv = runtime_argv(runtime, folder, "/dev/null", {"exec", "--process", "/proc/self/fd/3", input.container->id}),
              .stdio = input.stdio,
              .extra = file.get(),
              .session = true};
    runtime::ExecProcess out;
    runtime::Pty pty;
    if (input.tty) {
        // The runtime's own copying is between this terminal and the one inside.
        pty = TRY(runtime::open_pty());
        runtime::copy_window_size(input.window_of, pty.master.get());
        job.stdio = {pty.slave.get(), pty.slave.get(), pty.slave.get()};
        out.terminal = std::move(pty.master);
    }
    out.process = TRY(base::PidFd::open(TRY(spawn_runtime(runtime, job))));
    return out;
}
}  // namespace

Result<runtime::ExecProcess> exec_start(const runtime::ExecInput& input, const std::string& folder) {
    auto runtime = TRY(find_runtime(input.container->spec.runtime));
    return runtime && runtime->sandbox ? sandbox_exec(*runtime, input, folder) : runtime::exec_start(input);
}

void foreign_delete(const std::string& id, const std::string& folder) {
    auto name = base::read_file(folder + "/runtime", 4096);
    if (!name) return;
    ::unlink((folder + "/runtime").c_str());  // once
    auto deleted = [&]() -> base::Status {
        auto runtime = TRY(find_runtime(*name));
        return runtime ? call_runtime(*runtime, folder, {"delete", "--force", id}, {}, {}) : base::Status{};
    }();
    if (!deleted) base::log::debug("ignored: " + deleted.error().message());
}

}  // namespace engine::oci
