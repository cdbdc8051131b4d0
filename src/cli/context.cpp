#include "cli/context.h"

#include <unistd.h>

#include <fmt/core.h>

#include "base/file.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"

namespace compose::cli {

namespace label = plan::label;

Error told(Code code) { return fail(code, ""); }

void print_error(const Error& error) {
    std::string text = error.message();
    if (text.empty()) return;
    if (error.at && !error.at->file.empty()) {
        std::string place = base::printable(error.at->file);
        if (error.at->line > 0) place += fmt::format(":{}:{}", error.at->line, error.at->column);
        text = place + ": " + text;
    }
    (void)base::write_all(STDERR_FILENO, text + "\n");  // ignored: there is no other place to say it
}

void warn(const std::string& text) {
    (void)base::write_all(STDERR_FILENO, "WARNING: " + text + "\n");  // ignored: as above
}

const std::map<std::string, std::string>& Context::environment() {
    if (!environment_) environment_ = model::process_environment();
    return *environment_;
}

std::string Context::variable(const std::string& name) {
    auto it = environment().find(name);
    return it == environment().end() ? std::string() : it->second;
}

bool Context::variable_on(const std::string& name) {
    std::string value = base::to_lower(variable(name));
    return !value.empty() && value != "0" && value != "false" && value != "no" && value != "f";
}

model::LoadOptions Context::load_options() {
    model::LoadOptions options;
    options.files = globals.files;
    options.project_directory = globals.project_directory;
    options.project_name = globals.project_name;
    options.env_files = globals.env_files;
    options.profiles = globals.profiles;
    options.environment = environment();
    options.compatibility = globals.compatibility || variable_on("COMPOSE_COMPATIBILITY");
    return options;
}

Result<model::Project*> Context::project() {
    if (loaded_) return &loaded_->project;
    auto loaded = std::make_unique<model::Loaded>(model::load(load_options()));
    std::string text = model::render(loaded->ok() ? loaded->warnings() : loaded->diagnostics, is_terminal(STDERR_FILENO));
    if (!text.empty() && text.back() != '\n') text += '\n';
    (void)base::write_all(STDERR_FILENO, text);  // ignored: the exit status says it too
    if (!loaded->ok()) return told();
    loaded_ = std::move(loaded);
    return &loaded_->project;
}

Result<std::string> Context::project_name() {
    if (loaded_) return loaded_->project.name;
    return model::project_name(load_options());
}

Result<model::Project*> Context::project_if_any() {
    if (loaded_) return &loaded_->project;
    bool named = !globals.project_name.empty() || !variable("COMPOSE_PROJECT_NAME").empty();
    if (named && !model::has_config_file(load_options())) return nullptr;
    return project();
}

Result<model::Project*> Context::project_or_labels() {
    if (labels_project_) return labels_project_.get();
    if (auto* found = TRY(project_if_any())) return found;
    std::string name = TRY(project_name());
    auto* opened = TRY(engine());
    auto observed = TRY(run::observe(*opened, name));
    labels_project_ = std::make_unique<model::Project>(run::project_from_labels(name, observed));
    from_labels_ = true;
    return labels_project_.get();
}

Status Context::check_services(const std::vector<std::string>& names) {
    if (names.empty()) return {};
    auto* found = TRY(project_or_labels());
    for (const std::string& name : names) {
        if (found->services.contains(name) || found->disabled_services.contains(name)) continue;
        std::vector<std::string> known;
        for (auto& [service, unused] : found->services) known.push_back(service);
        std::string text = "no such service: " + name;
        if (auto near = base::closest(name, known)) text += "; did you mean " + base::quote(*near) + "?";
        return fail(Code::not_found, text);
    }
    return {};
}

Result<engine::Engine*> Context::open_engine(const std::string& group) {
    if (engine_) return engine_.get();
    engine::EngineOptions options;
    options.root = globals.root;
    options.group = group;
    options.registries = registries();
    options.will_start = will_start && !globals.dry_run;
    options.notice = [](const std::string& container, const std::string& text) {
        (void)base::write_all(STDERR_FILENO, container + ": " + base::printable(text) + "\n");  // ignored: it only advises
    };
    engine_ = TRY(engine::Engine::open(options));
    return engine_.get();
}

Result<engine::Engine*> Context::engine() {
    if (engine_) return engine_.get();
    return open_engine(TRY(project_name()));
}

Result<engine::Engine*> Context::engine_without_project() { return open_engine(""); }

Result<Lock> Context::lock() {
    auto* opened = TRY(engine());
    return opened->lock_group([](const std::string& holder) {
        (void)base::write_all(STDERR_FILENO, "Waiting for another command on this project" + (holder.empty() ? "" : " (" + holder + ")") + "\n");
    });
}

ProgressMode Context::progress_mode() const {
    if (globals.progress == "tty") return ProgressMode::tty;
    if (globals.progress == "plain") return ProgressMode::plain;
    if (globals.progress == "json") return ProgressMode::json;
    if (globals.progress == "quiet") return ProgressMode::quiet;
    return is_terminal(STDERR_FILENO) && globals.ansi != Ansi::never ? ProgressMode::tty : ProgressMode::plain;
}

std::unique_ptr<Progress> Context::make_progress(bool quiet) {
    int fd = variable_on("COMPOSE_STATUS_STDOUT") ? STDOUT_FILENO : STDERR_FILENO;
    return std::make_unique<Progress>(quiet ? ProgressMode::quiet : progress_mode(), fd, colours(fd, globals.ansi), globals.dry_run);
}

Result<run::Context> Context::run_context(Progress& progress) {
    interrupts::install();
    run::Context result;
    result.engine = TRY(engine());
    result.listener = [&progress, quiet = quiet_pull](const run::StepEvent& event) {
        if (!(quiet && event.pull)) progress.event(event);
    };
    result.parallel = globals.parallel;
    result.cancel = &interrupts::flag();
    result.warn = [](const std::string& text) { warn(text); };
    result.confirm = [this](const std::string& question) { return assume_yes || (is_terminal(STDIN_FILENO) && ask(question)); };
    result.dry_run = globals.dry_run;
    return result;
}

int finish(const Result<run::Report>& report) {
    if (!report) {
        print_error(report.error());
        return exit_status(report.error().code);
    }
    int status = 0;
    std::string before;
    for (const Error& error : report->errors) {
        std::string text = error.message();
        if (text != before) print_error(error);  // one cause that several steps ran into is told once
        before = text;
        if (!status) status = exit_status(error.code);
    }
    return report->interrupted ? kInterrupted : status;
}

Result<std::vector<engine::ContainerInfo>> select_containers(Context& context, const Selection& selection) {
    TRY_VOID(context.check_services(selection.services));
    std::string name = TRY(context.project_name());
    auto* engine = TRY(context.engine());
    engine::ContainerFilter filter;
    filter.labels[label::kProject] = name;
    auto found = TRY(engine->containers(filter));
    std::erase_if(found, [&](const engine::ContainerInfo& container) {
        const auto& services = selection.services;
        if (!selection.all && !plan::is_running(container)) return true;
        if (!selection.one_off && plan::is_one_off(container)) return true;
        if (selection.index && plan::number_of(container) != selection.index) return true;
        return !services.empty() && std::find(services.begin(), services.end(), plan::service_of(container)) == services.end();
    });
    std::sort(found.begin(), found.end(), [](const engine::ContainerInfo& a, const engine::ContainerInfo& b) {
        // web-2 before web-10; other names by letters
        std::string left = plan::service_of(a), right = plan::service_of(b);
        if (left == right && plan::number_of(a) != plan::number_of(b)) return plan::number_of(a) < plan::number_of(b);
        return a.spec.name < b.spec.name;
    });
    return found;
}

Result<engine::ContainerInfo> running_replica(Context& context, const std::string& service, int index) {
    auto found = TRY(select_containers(context, {{service}, false, false, index}));
    std::erase_if(found, [](const engine::ContainerInfo& container) { return container.state.status == engine::ContainerStatus::restarting; });
    if (!found.empty()) return found.front();
    std::string text = "service " + base::quote(service) + " is not running";
    if (index) text += " container #" + std::to_string(index);
    return fail(Code::not_running, text);
}

std::optional<std::chrono::nanoseconds> timeout_of(const Arguments& arguments) {
    if (!arguments.given("timeout")) return std::nullopt;
    return std::chrono::seconds(std::max<int64_t>(0, arguments.integer("timeout")));
}

bool ask(const std::string& question) {
    (void)base::write_all(STDERR_FILENO, question + " [y/N] ");  // ignored: no answer is no
    std::string answer;
    char c;
    while (answer.size() < 100 && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') answer += c;
    answer = base::to_lower(base::trim(answer));
    return answer == "y" || answer == "yes";
}

}  // namespace compose::cli
