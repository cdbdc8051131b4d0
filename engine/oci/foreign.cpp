#include "oci/foreign.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
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

/// Runs the runtime; a failure is what it wrote to its log last. `trees` are mounted in a mount namespace of its own before.
base::Status call_runtime(const ForeignRuntime& runtime, const std::string& folder, std::vector<std::string> words, const std::vector<Attach>& trees, const StreamSet& stdio) {
    std::string log = folder + "/log.json";
    ::unlink(log.c_str());
    std::vector<std::string> argv{runtime.path};
    for (const std::string& word : runtime.arguments) argv.push_back(word);
    for (const char* word : {"--root", "", "--log", "", "--log-format", "json"}) argv.emplace_back(word);
    argv[argv.size() - 5] = folder + "/state";
    argv[argv.size() - 3] = log;
    std::string verb = words[0];
    argv.insert(argv.end(), words.begin(), words.end());
    std::vector<char*> pointers;
    for (std::string& word : argv) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char* environment[] = {path.data(), nullptr};
    base::UniqueFd null = TRY(base::open_at(AT_FDCWD, "/dev/null", O_RDWR));
    int streams[3] = {stdio.in >= 0 ? stdio.in : null.get(), stdio.out >= 0 ? stdio.out : null.get(), stdio.err >= 0 ? stdio.err : null.get()};

    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = ::fork();
    if (pid == 0) {
        // Beside threads: system calls only from here on.
        if (!trees.empty()) {
            if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) ::_exit(124);
            for (const Attach& tree : trees)
                if (::move_mount(tree.tree, "", AT_FDCWD, tree.place.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) ::_exit(125);
        }
        for (int i = 0; i < 3; ++i)
            if (streams[i] < 3) streams[i] = ::fcntl(streams[i], F_DUPFD_CLOEXEC, 3);
        for (int i = 0; i < 3; ++i) ::dup2(streams[i], i);
        ::close_range(3, ~0U, 0);
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

base::Status check_exec(const std::string& runtime) {
    auto found = TRY(find_runtime(runtime));
    if (!found || !found->sandbox) return {};
    return base::fail(Code::unsupported, "exec in a container of the runtime " + base::quote(runtime) +
                                             " is not supported: it runs in a sandbox of its own, which joining namespaces does not reach");
}

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
