#include "cli/commands/container_common.h"

#include <unistd.h>

#include "base/file.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"

namespace compose::cli {

Result<int> for_each_container(Context& context, const std::vector<std::string>& names,
                               const std::function<Status(engine::Engine&, const engine::ContainerInfo&)>& verb) {
    auto* engine = TRY(context.engine_without_project());
    int status = 0;
    for (const std::string& name : names) {
        auto container = engine->container(name);
        Status done;
        if (!container)
            done = container.error();
        else if (!context.globals.dry_run)
            done = verb(*engine, *container);
        if (done) {
            TRY_VOID(base::write_all(STDOUT_FILENO, name + "\n"));
        } else {
            print_error(done.error());
            status = 1;
        }
    }
    return status;
}

Result<engine::AttachResult> attach_to(engine::Engine& engine, const engine::ContainerInfo& container, const Attaching& attaching) {
    engine::AttachOptions options;
    options.stdin_open = attaching.input && container.spec.stdin_open;
    options.tty = container.spec.tty && options.stdin_open && is_terminal(STDIN_FILENO);
    options.signal_proxy = false;
    options.from_start = attaching.whole_log;
    options.detach_keys = attaching.detach_keys;
    if (!options.stdin_open) options.streams.in = -1;
    if (!attaching.output) options.streams.out = -1;
    if (!attaching.error) options.streams.err = -1;
    std::optional<interrupts::Watch> watch;
    if (attaching.signals && !container.spec.tty)
        watch.emplace([&](int) { (void)engine.kill(container.id, std::to_string(interrupts::last_signal())); });  // ignored: it may have ended
    return attaching.start ? engine.start_attached(container.id, options) : engine.attach(container.id, options);
}

Status check_terminal(bool input, bool tty) {
    if (input && tty && !is_terminal(STDIN_FILENO)) return fail(Code::invalid, "the input device is not a TTY");
    return {};
}

int start_status(const Error& error, int otherwise) {
    if (error.code == Code::cannot_execute || error.code == Code::no_such_command) return exec_status(error.code);
    return error.code == Code::interrupted ? kInterrupted : otherwise;
}

Result<engine::ImageInfo> image_for(Context& context, engine::Engine& engine, const std::string& reference, const std::string& platform,
                                    const std::string& policy, bool quiet) {
    if (policy != "always" && policy != "missing" && policy != "never")
        return fail(Code::invalid, "invalid pull option: " + base::quote(policy) + ": must be one of \"always\", \"missing\" or \"never\"");
    if (policy != "always") {
        auto found = engine.image(reference);
        if (found || found.error().code != Code::not_found || policy == "never") return found;
        if (!quiet) (void)base::write_all(STDERR_FILENO, "Unable to find image " + base::quote(reference) + " locally\n");  // ignored: it only tells
    }
    auto progress = context.make_progress(quiet);
    interrupts::install();
    progress->say(reference, "Pulling", run::Phase::working);
    engine::PullOptions options;
    options.cancel = &interrupts::flag();
    options.progress = [&](const engine::PullProgress& at) {
        run::StepEvent event;
        event.id = at.reference;
        event.pull = &at;
        progress->event(event);
    };
    auto pulled = engine.pull({{reference, platform}}, options);
    const auto& image = pulled.front();
    progress->say(reference, image ? "Pulled" : "Error", image ? run::Phase::done : run::Phase::error);
    progress->close();
    return image;
}

namespace {

/// K=V as it is; K with the caller's value, nothing when it has none.
void add_variable(Context& context, const std::string& variable, std::vector<std::string>& result) {
    if (variable.find('=') != std::string::npos) {
        result.push_back(variable);
    } else if (auto it = context.environment().find(variable); it != context.environment().end()) {
        result.push_back(variable + "=" + it->second);
    }
}

}  // namespace

Result<std::vector<std::string>> environment_of(Context& context, const std::vector<std::string>& files, const std::vector<std::string>& variables) {
    std::vector<std::string> result;
    for (const std::string& file : files) {
        std::string text = TRY(base::read_file(file).context("--env-file"));
        int number = 0;
        // docker run's own form: a line is a variable as it stands, without quotes and expansions
        for (std::string line : base::split(text, '\n')) {
            ++number;
            if (line.ends_with('\r')) line.pop_back();
            line.erase(0, std::min(line.find_first_not_of(" \t"), line.size()));
            if (line.empty() || line[0] == '#') continue;
            std::string name = line.substr(0, line.find('='));
            if (name.empty() || name.find_first_of(" \t") != std::string::npos) {
                Error error = fail(Code::invalid, "invalid env file: variable " + base::quote(name) + (name.empty() ? " has no name" : " contains whitespaces"));
                error.at = base::SourcePos{file, number, 1};
                return error;
            }
            add_variable(context, line, result);
        }
    }
    for (const std::string& variable : variables) {
        if (variable.empty() || variable[0] == '=') return fail(Code::invalid, "invalid environment variable: " + variable);
        add_variable(context, variable, result);
    }
    return result;
}

}  // namespace compose::cli
