#include "cli/container_spec.h"

#include "base/file.h"
#include "cli/commands/container_common.h"
#include "model/short_forms.h"
#include "run/short_options.h"

namespace compose::cli {
namespace {

/// Flags that are known, so that who knows docker is told, and not done.
Status refuse_unknown(const Arguments& arguments) {
    struct Refused {
        std::string_view flag, why;
    };
    constexpr Refused kRefusedFlags[] = {
        {"link", "links are not made: put both containers on a network of your own with --network, there they find each other by name"},
        {"kernel-memory", "the kernel has no such limit any more"},
        {"use-api-socket", "there is no daemon with a socket"},
    };
    for (const Refused& refused : kRefusedFlags)
        if (arguments.given(refused.flag) && !arguments.text(refused.flag).empty() && arguments.text(refused.flag) != "false")
            return fail(Code::unsupported, "--" + std::string(refused.flag) + ": " + std::string(refused.why));
    if (std::string driver = arguments.text("volume-driver"); !driver.empty() && driver != "local")
        return fail(Code::unsupported, "--volume-driver " + base::quote(driver) + ": only local volumes are known");
    return {};
}

Result<engine::Labels> labels_asked(const Arguments& arguments) {
    engine::Labels labels;
    for (const std::string& file : arguments.list("label-file"))
        for (const std::string& raw : base::split(TRY(base::read_file(file).context("--label-file")), '\n')) {
            std::string line = base::trim(raw);
            if (line.empty() || line[0] == '#') continue;
            auto [name, value] = base::cut(line, '=');
            labels[name] = value.value_or("");
        }
    for (const std::string& label : arguments.list("label")) {
        auto [name, value] = base::cut(label, '=');
        labels[name] = value.value_or("");
    }
    return labels;
}

/// `key=value` flags; the value may not be missing where `strict`.
Result<std::map<std::string, std::string>> pairs_asked(const Arguments& arguments, std::string_view flag, bool strict) {
    std::map<std::string, std::string> result;
    for (const std::string& text : arguments.list(flag)) {
        auto [name, value] = base::cut(text, '=');
        if (strict && (!value || name.empty())) return fail(Code::invalid, "invalid argument " + base::quote(text) + " for \"--" + std::string(flag) + "\": use NAME=VALUE");
        result[name] = value.value_or("");
    }
    return result;
}

Result<engine::Nanoseconds> duration_asked(const Arguments& arguments, std::string_view flag) {
    std::string text = arguments.text(flag);
    if (text.empty()) return engine::Nanoseconds(0);
    auto value = base::parse_duration(text);
    if (!value) return fail(Code::invalid, "invalid argument " + base::quote(text) + " for \"--" + std::string(flag) + "\" flag: time: invalid duration " + base::quote(text));
    if (value->count() < 0) return fail(Code::invalid, "--" + std::string(flag) + " cannot be negative");
    return *value;
}

Result<std::optional<engine::HealthCheck>> health_check_asked(const Arguments& arguments) {
    constexpr std::string_view kHealthFlags[] = {"health-cmd", "health-interval", "health-retries", "health-start-interval", "health-start-period", "health-timeout"};
    bool given = std::any_of(std::begin(kHealthFlags), std::end(kHealthFlags), [&](std::string_view flag) { return arguments.given(flag); });
    if (arguments.on("no-healthcheck")) {
        if (given) return fail(Code::invalid, "--no-healthcheck conflicts with --health-* options");
        engine::HealthCheck none;
        none.test = {"NONE"};
        return std::optional(none);
    }
    if (!given) return std::optional<engine::HealthCheck>();
    engine::HealthCheck check;
    if (std::string command = arguments.text("health-cmd"); !command.empty()) check.test = {"CMD-SHELL", command};
    check.interval = TRY(duration_asked(arguments, "health-interval"));
    check.timeout = TRY(duration_asked(arguments, "health-timeout"));
    check.start_period = TRY(duration_asked(arguments, "health-start-period"));
    check.start_interval = TRY(duration_asked(arguments, "health-start-interval"));
    if (arguments.integer("health-retries") < 0) return fail(Code::invalid, "--health-retries cannot be negative");
    check.retries = static_cast<int>(arguments.integer("health-retries"));
    return std::optional(check);
}

Result<std::vector<std::string>> security_options(const Arguments& arguments) {
    std::vector<std::string> result;
    for (const std::string& option : arguments.list("security-opt")) {
        if (option.starts_with("seccomp=") || option.starts_with("seccomp:")) {
            std::string value = option.substr(8);
            bool word = value == "unconfined" || value == "builtin" || value.starts_with("{");
            result.push_back("seccomp=" + (word ? value : run::from_here(value)));
        } else {
            result.push_back(option);
        }
    }
    return result;
}

/// Names that people can say: two words and, when taken, the engine says so.
std::string made_up_name() {
    constexpr const char* kFirst[] = {"agile",  "amber", "brave", "bright", "calm",  "clever", "cosy",  "crisp", "eager", "fair",  "fond",
                                      "gentle", "glad",  "happy", "jolly",  "keen",  "kind",   "lively", "lucid", "merry", "neat",  "noble",
                                      "plucky", "proud", "quick", "quiet",  "sharp", "solid",  "sunny", "swift", "tidy",  "witty"};
    constexpr const char* kSecond[] = {"acorn",  "anchor", "badger", "beacon", "birch",  "canyon", "cedar",  "comet",  "curlew", "dolphin", "falcon",
                                       "ferry",  "fjord",  "garnet", "harbor", "heron",  "island", "jasper", "kettle", "lantern", "maple",   "marten",
                                       "meadow", "otter",  "pebble", "quartz", "raven",  "river",  "saddle", "tiller", "walnut", "willow"};
    std::string digits = base::random_hex(8);
    auto number = std::stoul(digits, nullptr, 16);
    return std::string(kFirst[number % std::size(kFirst)]) + "_" + kSecond[number / 64 % std::size(kSecond)] + "_" + digits.substr(4);
}

}  // namespace

Result<AskedContainer> asked_container(Context& context, engine::Engine& engine, const Arguments& arguments) {
    TRY_VOID(refuse_unknown(arguments));
    AskedContainer asked;
    engine::ContainerSpec& spec = asked.spec;
    spec.name = arguments.given("name") ? arguments.text("name") : made_up_name();
    spec.image = arguments.operands[0];
    if (spec.image.empty()) return fail(Code::invalid, "invalid reference format: the image's name is empty");
    if (arguments.operands.size() > 1) spec.command.emplace(arguments.operands.begin() + 1, arguments.operands.end());
    if (arguments.given("entrypoint")) {
        std::string entrypoint = arguments.text("entrypoint");
        spec.entrypoint.emplace();
        if (!entrypoint.empty()) spec.entrypoint->push_back(entrypoint);
    }
    spec.env = TRY(environment_of(context, arguments.list("env-file"), arguments.list("env")));
    spec.user = arguments.text("user");
    spec.working_dir = arguments.text("workdir");
    spec.hostname = arguments.text("hostname");
    spec.domainname = arguments.text("domainname");
    spec.stop_signal = arguments.text("stop-signal");
    if (arguments.given("stop-timeout")) spec.stop_grace = std::chrono::seconds(std::max<int64_t>(0, arguments.integer("stop-timeout")));
    spec.group_add = arguments.list("group-add");
    spec.labels = TRY(labels_asked(arguments));
    spec.annotations = TRY(pairs_asked(arguments, "annotation", true));
    spec.tty = arguments.on("tty");
    spec.stdin_open = arguments.on("interactive");
    spec.init = arguments.on("init");
    spec.read_only = arguments.on("read-only");
    spec.privileged = arguments.on("privileged");
    spec.cap_add = arguments.list("cap-add");
    spec.cap_drop = arguments.list("cap-drop");
    spec.security_opt = TRY(security_options(arguments));
    spec.sysctls = TRY(pairs_asked(arguments, "sysctl", true));
    spec.pid_mode = arguments.text("pid");
    spec.ipc_mode = arguments.text("ipc");
    spec.uts_mode = arguments.text("uts");
    spec.userns_mode = arguments.text("userns");
    if (!spec.userns_mode.empty() && spec.userns_mode != "host") return fail(Code::invalid, "--userns: invalid USER mode: " + base::quote(spec.userns_mode));
    spec.cgroup_mode = arguments.text("cgroupns");
    spec.cgroup_parent = arguments.text("cgroup-parent");
    spec.runtime = arguments.text("runtime");
    spec.isolation = arguments.text("isolation");
    spec.oom_score_adj = static_cast<int>(std::clamp<int64_t>(arguments.integer("oom-score-adj"), -2000, 2000));
    spec.health_check = TRY(health_check_asked(arguments));
    spec.log.driver = arguments.text("log-driver");
    spec.log.options = TRY(pairs_asked(arguments, "log-opt", true));
    spec.storage_options = TRY(pairs_asked(arguments, "storage-opt", true));
    if (arguments.given("platform")) spec.platform = arguments.text("platform");
    spec.restart = TRY(restart_policy_of(arguments.text("restart")));
    spec.auto_remove = arguments.on("rm");
    if (spec.auto_remove && spec.restart.name != "no") return fail(Code::invalid, "conflicting options: cannot specify both --restart and --rm");
    spec.shm_size = TRY(bytes_of(arguments, "shm-size"));
    spec.resources = TRY(resources_of(arguments));
    spec.resources.oom_kill_disable = arguments.on("oom-kill-disable");
    TRY_VOID(add_device_flags(spec, arguments));
    TRY_VOID(add_network_flags(spec, arguments));
    TRY_VOID(add_mount_flags(asked, engine, arguments));
    for (const std::string& stream : arguments.list("attach")) {
        asked.attach.push_back(base::to_lower(stream));
        if (asked.attach.back() != "stdin" && asked.attach.back() != "stdout" && asked.attach.back() != "stderr")
            return fail(Code::invalid, "invalid argument " + base::quote(stream) + " for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR");
    }
    return asked;
}

Result<std::vector<std::string>> csv_fields(const std::string& line, std::string_view flag) {
    std::vector<std::string> fields(1);
    for (size_t i = 0; i < line.size(); ++i) {
        if (line[i] == ',') {
            fields.emplace_back();
        } else if (line[i] == '"' && fields.back().empty()) {
            for (++i; i < line.size() && (line[i] != '"' || line.substr(i, 2) == "\"\""); ++i) {
                if (line[i] == '"') ++i;
                fields.back() += line[i];
            }
            if (i >= line.size()) return fail(Code::invalid, "--" + std::string(flag) + " " + base::quote(line) + ": a quote is not closed");
        } else {
            fields.back() += line[i];
        }
    }
    return fields;
}

}  // namespace compose::cli
