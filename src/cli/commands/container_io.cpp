// `container exec`, `attach`, `logs`: what goes in and out of a container.
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/container_common.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"
#include "cli/when.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerExecFlags[] = {
    {"detach", 'd', Type::boolean, "Detached mode: run command in the background"},
    {"detach-keys", 0, Type::text, "Override the key sequence for detaching a container"},
    {"env", 'e', Type::list, "Set environment variables"},
    {"env-file", 0, Type::list, "Read in a file of environment variables"},
    {"interactive", 'i', Type::boolean, "Keep STDIN open even if not attached"},
    {"privileged", 0, Type::boolean, "Give extended privileges to the command"},
    {"tty", 't', Type::boolean, "Allocate a pseudo-TTY"},
    {"user", 'u', Type::text, "Username or UID (format: \"<name|uid>[:<group|gid>]\")"},
    {"workdir", 'w', Type::text, "Working directory inside the container"},
};
constexpr Flag kContainerAttachFlags[] = {
    {"detach-keys", 0, Type::text, "Override the key sequence for detaching a container"},
    {"no-stdin", 0, Type::boolean, "Do not attach STDIN"},
    {"sig-proxy", 0, Type::boolean, "Proxy all received signals to the process", "true"},
};
constexpr Flag kContainerLogsFlags[] = {
    {"details", 0, Type::boolean, "Show extra details provided to logs", "", true},
    {"follow", 'f', Type::boolean, "Follow log output"},
    {"since", 0, Type::text, "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"},
    {"tail", 'n', Type::text, "Number of lines to show from the end of the logs", "all"},
    {"timestamps", 't', Type::boolean, "Show timestamps"},
    {"until", 0, Type::text, "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)"},
};

Result<int> container_exec(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    if (!plan::is_running(container)) return fail(Code::not_running, "container " + container.id + " is not running");
    engine::ExecOptions options;
    options.argv.assign(arguments.operands.begin() + 1, arguments.operands.end());
    options.env = TRY(environment_of(context, arguments.list("env-file"), arguments.list("env")));
    options.user = arguments.text("user");
    options.working_dir = arguments.text("workdir");
    options.privileged = arguments.on("privileged");
    options.detach = arguments.on("detach");
    options.interactive = arguments.on("interactive") && !options.detach;
    options.tty = arguments.on("tty");
    options.detach_keys = arguments.text("detach-keys");
    if (!options.interactive) options.streams.in = -1;
    TRY_VOID(check_terminal(options.interactive, options.tty));
    if (context.globals.dry_run) return 0;
    auto code = engine->exec(container.id, options);
    if (code) return *code;
    print_error(code.error());
    return options.detach ? 1 : exec_status(code.error().code);
}

Result<int> container_attach(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    Attaching attaching;
    attaching.input = !arguments.on("no-stdin") && container.spec.stdin_open;
    attaching.signals = arguments.on("sig-proxy");
    attaching.detach_keys = arguments.text("detach-keys");
    TRY_VOID(check_terminal(attaching.input, container.spec.tty));
    auto ended = TRY(attach_to(*engine, container, attaching));
    return ended.exit_code;
}

bool same_file(int a, int b) {
    struct stat first, second;
    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// Standard output and standard error of a container to our own, in the order written; whole buffers unless lines are waited for.
class SplitOutput {
public:
    SplitOutput(bool timestamps, bool at_once) : timestamps_(timestamps), at_once_(at_once) {}
    /// False once nobody reads.
    bool line(const engine::LogLine& line) {
        int fd = line.is_stderr ? STDERR_FILENO : STDOUT_FILENO;
        if (fd != fd_ && !flush()) return false;
        fd_ = fd;
        if (timestamps_ && !inside_) buffer_ += base::format_time(line.time) + " ";
        buffer_ += line.text;
        if (line.ends_line) buffer_ += '\n';
        inside_ = !line.ends_line;
        return (!at_once_ && buffer_.size() < (64u << 10)) || flush();
    }
    bool flush() {
        bool good = buffer_.empty() || base::write_all(fd_, buffer_);
        buffer_.clear();
        return good;
    }

private:
    bool timestamps_, at_once_, inside_ = false;
    int fd_ = STDOUT_FILENO;
    std::string buffer_;
};

Result<int> container_logs(Context& context, const Arguments& arguments) {
    if (arguments.on("details")) return fail(Code::unsupported, "--details: logs of this engine keep no extra attributes");
    engine::LogOptions options;
    options.follow = arguments.on("follow");
    options.timestamps = arguments.on("timestamps");
    options.since = TRY(parse_when(arguments.text("since")));
    options.until = TRY(parse_when(arguments.text("until")));
    if (std::string tail = arguments.text("tail"); tail != "all" && !tail.empty()) {
        auto lines = base::parse_int(tail);
        if (!lines) return fail(Code::invalid, "invalid value for --tail: " + base::quote(tail) + ": use a number of lines or all");
        options.tail = std::max<int64_t>(-1, *lines);
    }
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    std::atomic<bool> cancel{false};
    std::optional<interrupts::Watch> watch;
    if (options.follow) watch.emplace([&](int) { cancel = true; });
    Status status;
    if (!options.timestamps && (container.spec.tty || same_file(STDOUT_FILENO, STDERR_FILENO))) {
        status = engine->copy_log(container.id, options, STDOUT_FILENO, &cancel);
    } else {
        SplitOutput output(options.timestamps, options.follow);
        status = engine->logs(container.id, options, [&](const engine::LogLine& line) { return output.line(line); }, &cancel);
        (void)output.flush();
    }
    if (interrupts::count()) return kInterrupted;
    if (!status && status.error().sys_errno != EPIPE) return Error(status.error());
    return 0;
}

}  // namespace

const Command kContainerExec{"container exec", "[OPTIONS] CONTAINER COMMAND [ARG...]", "Execute a command in a running container", kContainerExecFlags, container_exec, 2, -1, true};
const Command kContainerAttach{"container attach", "[OPTIONS] CONTAINER", "Attach local standard input, output, and error streams to a running container", kContainerAttachFlags, container_attach, 1, 1};
const Command kContainerLogs{"container logs", "[OPTIONS] CONTAINER", "Fetch the logs of a container", kContainerLogsFlags, container_logs, 1, 1};

}  // namespace compose::cli
