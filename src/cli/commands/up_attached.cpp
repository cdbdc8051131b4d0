#include "cli/commands/up_attached.h"

#include <unistd.h>

#include "base/file.h"
#include "cli/exit_status.h"
#include "cli/followers.h"
#include "cli/interrupts.h"

namespace compose::cli {
namespace {

/// All that is going on while `up` is attached.
class Session {
public:
    Session(Context& context, engine::Engine& engine, model::Project& project, const AttachedUp& up)
        : context_(context),
          engine_(engine),
          project_(project),
          up_(up),
          printer_(STDOUT_FILENO, up.style),
          followers_(engine, printer_, [this](const EndedContainer& ended) { has_ended(ended); }) {}

    Result<int> run() {
        // what ran or was run before belongs to earlier commands
        for (const auto& container : TRY(engine_.containers({.labels = {{plan::label::kProject, project_.name}}, .ids = {}})))
            if (auto position = engine_.log_position(container.id)) before_[container.id] = *position;
        const int64_t last = TRY(engine_.last_event());
        std::thread events([this, last] {
            (void)engine_.events_after(last, 0, [this](const engine::Event& event) { return on_event(event); }, &over_);  // ignored: only adds notes
        });
        base::Defer join([&] {
            over_ = true;
            events.join();
        });
        interrupts::Watch watch([this](int count) { on_signal(count); });
        int status = TRY(bring_up());
        if (status == 0 && !interrupts::count()) followers_.wait([this] { return aborting_ || interrupts::count() > 0; });
        if (interrupts::count()) {
            if (up_.style.colour) printer_.note("");
            (void)base::write_all(STDERR_FILENO, "Gracefully Stopping... press Ctrl+C again to force\n");  // ignored: only tells
            stop();
            status = kInterrupted;
        } else if (aborting_) {
            printer_.note(paint(style::kBoldRed, "Aborting on container exit...", up_.style.colour));
            stop();
            status = exit_code();
        }
        return status;
    }

private:
    /// `Attaching to a-1, b-1`, then up with a follower for each container as it starts. The lock is held no longer than that.
    Result<int> bring_up() {
        Lock lock = TRY(context_.lock());
        auto progress = context_.make_progress();
        auto run_context = TRY(context_.run_context(*progress));
        bool drawn = context_.progress_mode() == ProgressMode::tty;
        announce();
        run_context.listener = [&, listener = run_context.listener](const run::StepEvent& event) {
            bool started = event.status == "Started" || event.status == "Running" || event.status == "Restarted";
            // a redrawn block and log lines cannot share a screen: the block ends where the lines begin
            if (drawn && started && up_.shown.contains(event.service)) progress->close();
            listener(event);
            if (started && !event.container_id.empty()) follow(event.container_id);
        };
        auto report = run::up(run_context, project_, up_.options);
        progress->close();
        if (report && report->interrupted) return 0;  // the signal's own path goes on from here
        return finish(report);
    }

    void announce() {
        auto plan = run::preview(engine_, project_, up_.options);
        if (!plan) return;  // up itself will say why
        std::vector<std::string> names;
        for (const plan::Step& step : plan->steps) {
            bool container = step.kind == plan::Kind::create || step.kind == plan::Kind::recreate || step.kind == plan::Kind::keep || step.kind == plan::Kind::start;
            if (!container || !up_.shown.contains(step.service)) continue;
            if (std::find(names.begin(), names.end(), step.object) == names.end()) names.push_back(step.object);
        }
        for (const std::string& name : names) printer_.expect(name);
        if (!names.empty()) printer_.note("Attaching to " + base::join(names, ", "));
    }

    void follow(const std::string& id) {
        auto container = engine_.container(id);
        if (!container) return;
        std::string service = plan::service_of(*container);
        bool shown = up_.shown.contains(service);
        if (!shown && !up_.awaited.contains(service)) return;
        engine::LogOptions options;
        options.follow = true;
        options.timestamps = up_.style.timestamps;
        if (auto before = before_.find(id); before != before_.end()) options.from = before->second;
        followers_.follow(*container, options, shown);
    }

    bool on_event(const engine::Event& event) {
        if (over_ || event.type != "container") return !over_;
        if (event.action != "start" && event.action != "die") return true;
        auto container = engine_.container(event.id);
        if (!container || plan::label_of(container->spec.labels, plan::label::kProject) != project_.name || plan::is_one_off(*container)) return true;
        if (event.action == "start") {
            follow(event.id);
        } else if (container->state.status == engine::ContainerStatus::restarting && up_.shown.contains(plan::service_of(*container))) {
            auto code = event.attributes.find("exitCode");
            note_exit(plan::short_name(*container), code == event.attributes.end() ? "?" : code->second, " (restarting)");
        }
        return true;
    }

    void note_exit(const std::string& name, const std::string& code, const std::string& more) {
        printer_.note((is_terminal(STDOUT_FILENO) ? "\r\033[K" : "") + printer_.painted(name) + " exited with code " + code + more);
    }

    void has_ended(const EndedContainer& ended) {
        if (up_.shown.contains(ended.service) && !ended.removed) note_exit(ended.short_name, std::to_string(ended.exit_code), "");
        std::lock_guard lock(mutex_);
        bool aborts = !ended.removed && (up_.abort_on_exit || (up_.abort_on_failure && ended.exit_code != 0));
        if (aborts && !first_code_) first_code_ = ended.exit_code;
        if (ended.service == up_.exit_code_from && !from_code_) from_code_ = ended.exit_code;
        aborting_ = aborting_ || aborts;
    }

    int exit_code() {
        std::lock_guard lock(mutex_);
        return up_.exit_code_from.empty() ? first_code_.value_or(0) : from_code_.value_or(0);
    }

    void on_signal(int count) {
        followers_.nudge();
        if (count < 2) return;
        // the second one forces: no grace for anybody. Our own stop holds the lock, so this goes to the engine directly.
        auto containers = engine_.containers({{{plan::label::kProject, project_.name}}, {}});
        if (!containers) return;
        for (const auto& container : *containers)
            if (plan::is_running(container) && !plan::is_one_off(container)) (void)engine_.kill(container.id, "SIGKILL");  // ignored: it may have ended
    }

    void stop() {
        auto progress = context_.make_progress();
        auto run_context = context_.run_context(*progress);
        if (!run_context) return print_error(run_context.error());
        run_context->cancel = nullptr;  // the interrupt is why we stop; it does not end the stopping
        auto lock = context_.lock();
        if (!lock) return print_error(lock.error());
        plan::Options options;
        options.verb = plan::Verb::stop;
        options.services = up_.selected;
        options.timeout = up_.options.timeout;
        options.separator = up_.options.separator;
        (void)finish(run::stop(*run_context, project_, options));  // ignored: the status is that of what made us stop
        progress->close();
        followers_.wait();
    }

    Context& context_;
    engine::Engine& engine_;
    model::Project& project_;
    const AttachedUp& up_;
    std::map<std::string, uint64_t> before_;  ///< containers of earlier commands, and where their logs ended
    LogPrinter printer_;
    std::mutex mutex_;
    std::optional<int> first_code_, from_code_;
    std::atomic<bool> aborting_{false}, over_{false};
    Followers followers_;  // last: its threads use all of the above
};

}  // namespace

Result<int> up_attached(Context& context, model::Project& project, const AttachedUp& up) {
    auto* engine = TRY(context.engine());
    Session session(context, *engine, project, up);
    return session.run();
}

}  // namespace compose::cli
