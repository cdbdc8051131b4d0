// The program: global options, the log, and what each verb's words mean.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "oci/command_line.h"
#include "oci/verbs.h"
#include "runtime/signals.h"

namespace engine::oci {
namespace {
using base::Code;
using base::Result;

constexpr Option kGlobal[] = {
    {"root", 0, true, "Where the state of containers is kept (default /run/compose-runtime; best on a tmpfs)"},
    {"log", 0, true, "Also write errors to this file"},
    {"log-format", 0, true, "Form of the log: text or json"},
    {"debug", 0, false, "Say more in the log"},
    {"systemd-cgroup", 0, false, "Have systemd make the control group; cgroupsPath is SLICE:PREFIX:NAME then"},
    {"rootless", 0, true, "Accepted: true, false or auto"},
    {"criu", 0, true, "Accepted; there is no checkpointing"},
    {"version", 'v', false, "Print the version"},
};
constexpr Option kCreateOptions[] = {
    {"bundle", 'b', true, "Folder with config.json and the root filesystem (default: the current one)"},
    {"console-socket", 0, true, "AF_UNIX socket that gets the master of the terminal"},
    {"pid-file", 0, true, "Write the process id to this file"},
    {"no-pivot", 0, false, "Not supported: the root is always pivoted to"},
    {"no-new-keyring", 0, false, "Keep the caller's session keyring"},
    {"preserve-fds", 0, true, "Pass N more file descriptors, from 3 on"},
};
constexpr Option kRunOptions[] = {
    {"bundle", 'b', true, "Folder with config.json and the root filesystem (default: the current one)"},
    {"console-socket", 0, true, "AF_UNIX socket that gets the master of the terminal"},
    {"detach", 'd', false, "Come back as soon as the program runs"},
    {"keep", 0, false, "Do not delete the container when it has ended"},
    {"pid-file", 0, true, "Write the process id to this file"},
    {"no-subreaper", 0, false, "Accepted: this runtime never adopts processes"},
    {"no-pivot", 0, false, "Not supported: the root is always pivoted to"},
    {"no-new-keyring", 0, false, "Keep the caller's session keyring"},
    {"preserve-fds", 0, true, "Pass N more file descriptors, from 3 on"},
};
constexpr Option kKillOptions[] = {{"all", 'a', false, "Send the signal to every process of the container"}};
constexpr Option kDeleteOptions[] = {{"force", 'f', false, "Kill it first if it runs; no error when there is none"}};
constexpr Option kExecOptions[] = {
    {"console-socket", 0, true, "AF_UNIX socket that gets the master of the terminal"},
    {"cwd", 0, true, "Working directory in the container"},
    {"env", 'e', true, "Set NAME=VALUE (may be given again)"},
    {"tty", 't', false, "Allocate a terminal"},
    {"user", 'u', true, "UID or UID:GID"},
    {"additional-gids", 'g', true, "One more group (may be given again)"},
    {"process", 'p', true, "File with the process to run, as config.json's"},
    {"detach", 'd', false, "Come back as soon as the program runs"},
    {"pid-file", 0, true, "Write the process id to this file"},
    {"process-label", 0, true, "SELinux label of the process"},
    {"apparmor", 0, true, "AppArmor profile of the process"},
    {"no-new-privs", 0, false, "The process cannot gain privileges"},
    {"cap", 'c', true, "Add a capability (may be given again)"},
    {"preserve-fds", 0, true, "Pass N more file descriptors, from 3 on"},
    {"cgroup", 0, true, "Run in this group below the container's"},
    {"ignore-paused", 0, false, "Also in a paused container"},
};
constexpr Option kFormatOption[] = {{"format", 'f', true, "table or json"}};
constexpr Option kListOptions[] = {{"format", 'f', true, "table or json"}, {"quiet", 'q', false, "Ids only"}};
constexpr Option kUpdateOptions[] = {
    {"resources", 'r', true, "File with the resources as config.json has them, or - for standard input"},
    {"blkio-weight", 0, true, "Weight from 10 to 1000"},
    {"cpu-period", 0, true, "CPU period in microseconds"},
    {"cpu-quota", 0, true, "CPU time of a period in microseconds"},
    {"cpu-burst", 0, true, "CPU time that may be saved up, in microseconds"},
    {"cpu-share", 0, true, "Weight against other containers"},
    {"cpu-rt-period", 0, true, "Real-time period in microseconds"},
    {"cpu-rt-runtime", 0, true, "Real-time share of it in microseconds"},
    {"cpu-idle", 0, true, "1: runs only when nobody else wants to"},
    {"cpuset-cpus", 0, true, "CPUs to use"},
    {"cpuset-mems", 0, true, "Memory nodes to use"},
    {"kernel-memory", 0, true, "Accepted; kernels no longer have it"},
    {"kernel-memory-tcp", 0, true, "Limit of TCP buffers in bytes (cgroup v1)"},
    {"memory", 0, true, "Limit in bytes, -1: none"},
    {"memory-reservation", 0, true, "Soft limit in bytes"},
    {"memory-swap", 0, true, "Limit of memory and swap together in bytes, -1: none"},
    {"pids-limit", 0, true, "Most processes, -1: no limit"},
    {"l3-cache-schema", 0, true, "Not supported (Intel RDT)"},
    {"mem-bw-schema", 0, true, "Not supported (Intel RDT)"},
};
constexpr Option kEventsOptions[] = {{"interval", 0, true, "Time between two reports (default 5s)"}, {"stats", 0, false, "Report once and end"}};
constexpr Option kSpecOptions[] = {{"bundle", 'b', true, "Folder to write config.json to"}, {"rootless", 0, false, "For a caller who is not root"}};

constexpr Verb kVerbs[] = {
    {"create", "[OPTIONS] ID", "Create a container from a bundle; its program waits for `start`", kCreateOptions},
    {"start", "ID", "Run the program of a created container", {}},
    {"run", "[OPTIONS] ID", "Create a container and run it", kRunOptions},
    {"state", "ID", "Print the state of a container as JSON", {}},
    {"kill", "[OPTIONS] ID [SIGNAL]", "Send a signal (default SIGTERM) to the container's first process", kKillOptions, 1, 2},
    {"delete", "[OPTIONS] ID", "Remove what is left of a container", kDeleteOptions},
    {"exec", "[OPTIONS] ID COMMAND [ARG...] | -p process.json ID", "Run another process in a container", kExecOptions, 1, SIZE_MAX},
    {"ps", "[OPTIONS] ID [ps OPTIONS]", "Show the processes of a container", kFormatOption, 1, SIZE_MAX},
    {"list", "[OPTIONS]", "List the containers of the root", kListOptions, 0, 0},
    {"pause", "ID", "Stop all processes of a container where they are", {}},
    {"resume", "ID", "Let them go on", {}},
    {"update", "[OPTIONS] ID", "Change the limits of a container", kUpdateOptions},
    {"events", "[OPTIONS] ID", "Report the use of resources and out-of-memory events as lines of JSON", kEventsOptions},
    {"spec", "[OPTIONS]", "Write a config.json to start from", kSpecOptions, 0, 0},
    {"features", "", "Print what this runtime can do as JSON", {}, 0, 0},
};

std::string usage() {
    std::string out = "Usage:  compose runtime [GLOBAL OPTIONS] VERB\n\nAn OCI runtime with runc's command line, for containerd and others; no Compose file and no daemon is involved.\n\nVerbs:\n";
    for (const Verb& verb : kVerbs) out += "  " + std::string(verb.name) + std::string(10 - verb.name.size(), ' ') + std::string(verb.summary) + "\n";
    out += "\nGlobal options:\n";
    for (const Option& option : kGlobal) {
        std::string left = "      --" + std::string(option.name) + (option.takes_value ? " value" : "");
        out += left + std::string(left.size() < 32 ? 32 - left.size() : 1, ' ') + std::string(option.help) + "\n";
    }
    return out + "\nRun 'compose runtime VERB --help' for the options of a verb.\n";
}

int printed(const std::string& text) { return base::write_all(STDOUT_FILENO, text) ? 0 : 1; }

Result<int> nothing(base::Status status) {
    if (!status) return std::move(status.error());
    return 0;
}
Result<int> text_result(Result<std::string> text) {
    if (!text) return std::move(text.error());
    return printed(*text);
}

Result<CreateOptions> create_options(const Parsed& words, bool systemd) {
    CreateOptions out;
    out.systemd = systemd;
    out.id = words.rest[0];
    out.bundle = words.text("bundle", ".");
    out.console_socket = words.text("console-socket");
    out.pid_file = words.text("pid-file");
    int64_t preserved = TRY(words.number("preserve-fds", 0));
    if (preserved < 0 || preserved > 1000) return base::fail(Code::invalid, "--preserve-fds: " + std::to_string(preserved) + " is not a number of files");
    out.preserve_fds = static_cast<unsigned>(preserved);
    out.no_pivot = words.on("no-pivot");
    out.no_new_keyring = words.on("no-new-keyring");
    return out;
}

Result<int> create_verb(const Store& store, const Parsed& words, bool systemd) {
    CreateOptions options = TRY(create_options(words, systemd));
    auto made = create(store, options);
    if (!made) return std::move(made.error()).with("runtime create failed");
    if (made->terminal) {
        // Nobody would hold the terminal once we are gone.
        TRY_VOID(remove(store, options.id, true));
        return base::fail(Code::invalid, "cannot allocate tty if runc will detach without setting console socket");
    }
    return 0;
}

Result<int> run_verb(const Store& store, const Parsed& words, bool systemd) {
    RunOptions options;
    options.create = TRY(create_options(words, systemd));
    options.detach = words.on("detach");
    options.keep = words.on("keep");
    if (!options.create.console_socket.empty() && !options.detach) return base::fail(Code::invalid, "cannot use console socket if runc will not detach or allocate tty");
    auto code = run(store, options);
    if (!code) return std::move(code.error()).with("runtime run failed");
    return code;
}

Result<int> kill_verb(const Store& store, const Parsed& words) {
    std::string name = words.rest.size() > 1 ? words.rest[1] : "SIGTERM";
    auto signal = runtime::parse_signal(name);
    if (!signal && name == "0") signal = 0;
    if (!signal) return base::fail(Code::invalid, "unknown signal " + base::quote(name));
    return nothing(kill(store, words.rest[0], *signal, words.on("all")));
}

Result<int> exec_verb(const Store& store, const Parsed& words) {
    ExecRequest request;
    request.id = words.rest[0];
    request.args.assign(words.rest.begin() + 1, words.rest.end());
    if (words.given("process")) {
        std::string file = words.text("process");
        request.process = TRY(read_process(TRY(parse_object(TRY(base::read_file(file)), file))));
    } else if (request.args.empty()) {
        return base::fail(Code::invalid, "exec: a command is needed, or --process");
    }
    request.env = words.all("env");
    request.capabilities = words.all("cap");
    request.user = words.text("user");
    request.cwd = words.text("cwd");
    request.console_socket = words.text("console-socket");
    request.pid_file = words.text("pid-file");
    request.apparmor_profile = words.text("apparmor");
    request.selinux_label = words.text("process-label");
    request.cgroup = words.text("cgroup");
    for (const std::string& group : words.all("additional-gids")) {
        auto number = base::parse_int(group);
        if (!number || *number < 0 || *number > UINT32_MAX - 1) return base::fail(Code::invalid, "--additional-gids: " + base::quote(group) + " is not a group number");
        request.groups.push_back(static_cast<uint32_t>(*number));
    }
    request.tty = words.on("tty");
    request.detach = words.on("detach");
    request.no_new_privileges = words.on("no-new-privs");
    request.ignore_paused = words.on("ignore-paused");
    int64_t preserved = TRY(words.number("preserve-fds", 0));
    if (preserved < 0 || preserved > 1000) return base::fail(Code::invalid, "--preserve-fds: " + std::to_string(preserved) + " is not a number of files");
    request.preserve_fds = static_cast<unsigned>(preserved);
    auto code = exec(store, request);
    if (!code) return std::move(code.error()).with("exec failed");
    return code;
}

Result<int> update_verb(const Store& store, const Parsed& words) {
    for (const char* name : {"l3-cache-schema", "mem-bw-schema"})
        if (words.given(name)) return base::fail(Code::unsupported, "--" + std::string(name) + ": this runtime does not set Intel Resource Director Technology");
    boost::json::object resources;
    if (words.given("resources")) {
        std::string file = words.text("resources");
        std::string text = file == "-" ? TRY(base::read_all(STDIN_FILENO)) : TRY(base::read_file(file));
        resources = TRY(parse_object(text, file));
    } else {
        struct Row {
            const char *flag, *part, *key;
        };
        constexpr Row kRows[] = {{"blkio-weight", "blockIO", "weight"},      {"cpu-period", "cpu", "period"},           {"cpu-quota", "cpu", "quota"},
                                 {"cpu-burst", "cpu", "burst"},              {"cpu-share", "cpu", "shares"},            {"cpu-rt-period", "cpu", "realtimePeriod"},
                                 {"cpu-rt-runtime", "cpu", "realtimeRuntime"}, {"cpu-idle", "cpu", "idle"},             {"kernel-memory-tcp", "memory", "kernelTCP"},
                                 {"memory", "memory", "limit"},              {"memory-reservation", "memory", "reservation"}, {"memory-swap", "memory", "swap"},
                                 {"pids-limit", "pids", "limit"}};
        auto part = [&](const char* name) -> boost::json::object& {
            boost::json::value& value = resources[name];
            return value.is_object() ? value.get_object() : value.emplace_object();
        };
        for (const Row& row : kRows)
            if (words.given(row.flag)) {
                std::string given = words.text(row.flag);
                auto bytes = base::parse_int(given);
                if (!bytes && std::string_view(row.part) == "memory") bytes = base::parse_bytes(given);
                if (!bytes) return base::fail(Code::invalid, "invalid value for " + std::string(row.flag) + ": " + base::quote(given));
                part(row.part)[row.key] = *bytes;
            }
        for (auto [flag, key] : {std::pair{"cpuset-cpus", "cpus"}, std::pair{"cpuset-mems", "mems"}})
            if (words.given(flag)) part("cpu")[key] = words.text(flag);
    }
    return nothing(update(store, words.rest[0], resources));
}

Result<int> spec_verb(const Parsed& words) {
    std::string path = words.text("bundle", ".") + "/config.json";
    if (base::exists(path)) return base::fail(Code::conflict, "File config.json exists. Remove it first");
    TRY_VOID(base::write_file(path, default_config(words.on("rootless")), 0666));
    return 0;
}

Result<int> events_verb(const Store& store, const Parsed& words) {
    auto interval = base::parse_duration(words.text("interval", "5s"));
    if (!interval) return base::fail(Code::invalid, "invalid value " + base::quote(words.text("interval")) + " for flag -interval: parse error");
    return nothing(events(store, words.rest[0], *interval, words.on("stats")));
}

Result<int> carry_out(const Verb& verb, const Store& store, const Parsed& global, const Parsed& words) {
    const std::string_view name = verb.name;
    if (name == "create") return create_verb(store, words, global.on("systemd-cgroup"));
    if (name == "start") return nothing(start(store, words.rest[0]));
    if (name == "run") return run_verb(store, words, global.on("systemd-cgroup"));
    if (name == "state") return text_result(state(store, words.rest[0]));
    if (name == "kill") return kill_verb(store, words);
    if (name == "delete") return nothing(remove(store, words.rest[0], words.on("force")));
    if (name == "exec") return exec_verb(store, words);
    if (name == "ps") return text_result(ps(store, words.rest[0], words.text("format", "table")));
    if (name == "list") return text_result(list(store, words.text("format", "table"), words.on("quiet")));
    if (name == "pause") return nothing(pause(store, words.rest[0]));
    if (name == "resume") return nothing(resume(store, words.rest[0]));
    if (name == "update") return update_verb(store, words);
    if (name == "events") return events_verb(store, words);
    if (name == "spec") return spec_verb(words);
    return printed(features());
}

struct Log {
    std::string file, format = "text";

    /// One entry of the log, as runc writes them: containerd looks for the error in the last line.
    void write(const char* level, const std::string& text) const {
        if (file.empty()) return;
        base::UniqueFd log(::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
        if (!log) return;
        std::string time = base::format_time(base::now());
        std::string line = format == "json" ? boost::json::serialize(boost::json::object{{"level", level}, {"msg", text}, {"time", time}})
                                            : "time=\"" + time + "\" level=" + level + " msg=" + base::quote(text);
        (void)base::write_all(log.get(), line + "\n");
    }
};
}  // namespace

int runtime_main(const std::vector<std::string>& words, const std::string& version) {
    ::signal(SIGPIPE, SIG_IGN);
    Log log;
    auto failed = [&](const base::Error& error, int status) {
        std::string text = error.message();
        log.write("error", text);
        (void)base::write_all(STDERR_FILENO, base::printable(text) + "\n");
        return status;
    };
    auto global = parse_options(kGlobal, words);
    if (!global) return failed(global.error(), 1);
    if (global->on("version")) return printed("compose runtime version " + version + "\nspec: " + kSpecVersion + "\n");
    if (global->rest.empty() || global->given("help") || global->rest[0] == "help") return printed(usage());
    log.file = global->text("log");
    log.format = global->text("log-format", "text");
    if (log.format != "text" && log.format != "json") return failed(base::fail(Code::invalid, "invalid log-format: " + base::quote(log.format)), 1);
    if (global->on("debug")) base::log::set_level(base::log::Level::debug);

    std::string name = global->rest[0];
    const Verb* verb = nullptr;
    for (const Verb& known : kVerbs)
        if (known.name == name) verb = &known;
    if (verb == nullptr) {
        if (name == "checkpoint" || name == "restore")
            return failed(base::fail(Code::unsupported, name + ": this runtime does not checkpoint containers"), 1);
        return failed(base::fail(Code::invalid, "No help topic for '" + base::printable(name) + "'"), 3);
    }
    // runc's exec ends with 255 when it cannot begin, so that it is not taken for the program's own status.
    int status = name == "exec" ? 255 : 1;
    auto parsed = parse_options(verb->options, {global->rest.begin() + 1, global->rest.end()});
    if (!parsed) return failed(parsed.error(), status);
    if (parsed->given("help")) return printed(verb_help(*verb));
    if (parsed->rest.size() < verb->least || parsed->rest.size() > verb->most) {
        std::string wanted = verb->least == verb->most ? "exactly " + std::to_string(verb->least) : "a minimum of " + std::to_string(verb->least);
        return failed(base::fail(Code::invalid, "\"" + name + "\" requires " + wanted + " argument(s); see compose runtime " + name + " --help"), status);
    }
    auto result = carry_out(*verb, Store(global->text("root", Store::default_root())), *global, *parsed);
    if (!result) return failed(result.error(), status);
    return *result;
}

}  // namespace engine::oci
