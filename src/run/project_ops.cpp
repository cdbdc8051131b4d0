#include "run/project_ops.h"

#include <algorithm>
#include <set>

#include "model/load.h"
#include "plan/names.h"
#include "run/convert.h"
#include "run/executor.h"

namespace compose::run {
namespace {

using plan::Kind;
using plan::Verb;

bool converges(Verb verb) { return verb == Verb::up || verb == Verb::create || verb == Verb::scale || verb == Verb::run; }

/// A service that no profile enables is enabled by naming it (compose-spec 15-profiles.md).
class Enabled {
public:
    static base::Result<Enabled> make(const model::Project& project, const plan::Options& options) {
        Enabled result(project);
        std::vector<std::string> names;
        auto take = [&](const std::string& name) {
            if (project.disabled_services.contains(name)) names.push_back(name);
        };
        for (const auto& name : options.services) take(name);
        for (const auto& [name, count] : options.scale) take(name);
        if (names.empty()) return result;
        result.copy_ = std::make_unique<model::Project>(project);
        (void)TRY(model::select_services(*result.copy_, names,
                                         options.no_deps ? model::Dependencies::ignore : model::Dependencies::include));
        return result;
    }
    const model::Project& get() const { return copy_ ? *copy_ : *project_; }

private:
    explicit Enabled(const model::Project& project) : project_(&project) {}
    const model::Project* project_;
    std::unique_ptr<model::Project> copy_;
};

Work work_of(const Context& context, const model::Project& project, const plan::Observed& observed, const plan::Plan& plan) {
    Work work;
    work.engine = context.engine;
    work.project = &project;
    work.observed = &observed;
    work.plan = &plan;
    work.listener = context.listener;
    work.cancel = context.cancel;
    work.warn = context.warn;
    work.build = context.build;
    work.parallel = context.parallel;
    return work;
}

/// Only the steps that bring images, when what becomes of the containers hangs on them.
plan::Plan image_steps(const plan::Plan& plan) {
    plan::Plan images;
    std::map<plan::StepId, plan::StepId> ids;
    for (const auto& step : plan.steps) {
        if (step.kind != Kind::pull && step.kind != Kind::build) continue;
        images.steps.push_back(step);
        images.steps.back().id = ids[step.id] = static_cast<plan::StepId>(images.steps.size());
    }
    for (const auto& edge : plan.edges)
        if (ids.contains(edge.from) && ids.contains(edge.to)) images.edges.push_back({ids[edge.from], ids[edge.to], edge.required});
    return images;
}

void warn(const Context& context, const std::string& text) {
    if (context.warn) context.warn(text);
}

void warn_of_ignored(const Context& context, const model::Project& project, const plan::Plan& plan) {
    // Said when containers are made, not by every `up` that leaves all as it is.
    std::set<std::string> services;
    for (const auto& step : plan.steps)
        if (step.kind == Kind::create || step.kind == Kind::recreate) services.insert(step.service);
    std::set<std::string> told;  // a network's is told once for all its services
    for (const auto& name : services)
        if (auto found = project.services.find(name); found != project.services.end())
            for (const auto& line : ignored_attributes(project, found->second))
                if (told.insert(line).second) warn(context, line);
}

/// Asks what only the user can decide; true when the plan must be made again.
bool ask(const Context& context, const plan::Plan& plan, plan::Options& options) {
    bool changed = false;
    for (const auto& question : plan.questions)
        if (context.confirm && context.confirm(question.text)) changed = options.recreate_volumes.insert(question.volume).second || changed;
    return changed;
}

void carry_out(const Context& context, const Work& work, Report& report) {
    if (context.dry_run) return rehearse(work);
    Done done = execute(work);
    report.errors.insert(report.errors.end(), std::make_move_iterator(done.errors.begin()), std::make_move_iterator(done.errors.end()));
    report.interrupted = report.interrupted || done.interrupted;
}

}  // namespace

base::Result<plan::Plan> preview(engine::Engine& engine, const model::Project& project, const plan::Options& options) {
    auto enabled = TRY(Enabled::make(project, options));
    auto observed = TRY(observe(engine, enabled.get()));
    return plan::make_plan(enabled.get(), observed, options);
}

base::Result<Report> apply(const Context& context, const model::Project& original, const plan::Options& asked) {
    plan::Options options = asked;
    auto enabled = TRY(Enabled::make(original, options));
    const model::Project& project = enabled.get();
    auto observed = TRY(observe(*context.engine, project));
    Report report;
    report.plan = TRY(plan::make_plan(project, observed, options));
    if (ask(context, report.plan, options)) report.plan = TRY(plan::make_plan(project, observed, options));
    for (const auto& text : report.plan.warnings) warn(context, text);
    if (report.plan.images_first && !context.dry_run) {
        plan::Plan images = image_steps(report.plan);
        carry_out(context, work_of(context, project, observed, images), report);
        if (!report.ok()) return report;
        observed = TRY(observe(*context.engine, project));
        options.images_ready = true;
        report.plan = TRY(plan::make_plan(project, observed, options));
    }
    if (converges(options.verb)) warn_of_ignored(context, project, report.plan);
    carry_out(context, work_of(context, project, observed, report.plan), report);
    return report;
}

namespace {
base::Result<Report> with_verb(const Context& context, const model::Project& project, plan::Options&& options, Verb verb) {
    options.verb = verb;
    return apply(context, project, options);
}
}  // namespace

base::Result<Report> up(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::up);
}
base::Result<Report> create(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::create);
}
base::Result<Report> scale(const Context& context, const model::Project& project, plan::Options options) {
    if (options.services.empty())
        for (const auto& [name, count] : options.scale) options.services.push_back(name);
    return with_verb(context, project, std::move(options), Verb::scale);
}
base::Result<Report> start(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::start);
}
base::Result<Report> stop(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::stop);
}
base::Result<Report> restart(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::restart);
}
base::Result<Report> kill(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::kill);
}
base::Result<Report> pause(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::pause);
}
base::Result<Report> unpause(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::unpause);
}
base::Result<Report> remove(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::remove);
}
base::Result<Report> down(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::down);
}
base::Result<Report> pull(const Context& context, const model::Project& project, plan::Options options) {
    return with_verb(context, project, std::move(options), Verb::pull);
}

base::Result<std::vector<std::string>> removable(engine::Engine& engine, const model::Project& project, const plan::Options& asked) {
    plan::Options options = asked;
    options.verb = Verb::remove;
    plan::Plan plan = TRY(preview(engine, project, options));
    std::vector<std::string> names;
    for (const auto& step : plan.steps)
        if (step.kind == Kind::remove) names.push_back(step.name);
    std::sort(names.begin(), names.end());
    return names;
}

base::Result<std::vector<Ended>> wait(const Context& context, const model::Project& project, const std::vector<std::string>& services,
                                      bool first_only, const std::function<void(const Ended&)>& ended) {
    for (const auto& name : services)
        if (!project.services.contains(name) && !project.disabled_services.contains(name))
            return base::fail(base::Code::not_found, "no such service: " + name);
    auto observed = TRY(observe(*context.engine, project.name));
    std::vector<Ended> waited;
    for (const auto& container : observed.containers) {
        std::string service = plan::service_of(container);
        if (plan::is_one_off(container) || (!services.empty() && std::find(services.begin(), services.end(), service) == services.end()))
            continue;
        waited.push_back({container.id, container.spec.name, service, 0});
    }
    if (waited.empty()) return base::fail(base::Code::not_found, "no containers for project " + base::quote(project.name));
    return wait_for_all(*context.engine, waited, first_only, ended, context.cancel);
}

base::Result<std::vector<UsedImage>> images(engine::Engine& engine, const std::string& project, const std::vector<std::string>& services) {
    auto observed = TRY(observe(engine, project));
    std::vector<UsedImage> used;
    std::map<std::string, engine::ImageInfo> known;
    for (const auto& container : observed.containers) {
        std::string service = plan::service_of(container);
        if (!services.empty() && std::find(services.begin(), services.end(), service) == services.end()) continue;
        std::string key = container.spec.image_id.empty() ? container.spec.image : container.spec.image_id;
        auto found = known.find(key);
        if (found == known.end()) {
            auto image = engine.image(key);
            if (!image && image.error().code != base::Code::not_found) return std::move(image.error());
            engine::ImageInfo info;  // removed by force: what the container knows of it
            info.id = container.spec.image_id;
            found = known.emplace(key, image ? std::move(*image) : std::move(info)).first;
        }
        used.push_back({container.spec.name, service, container.spec.image, found->second});
    }
    return used;
}

}  // namespace compose::run
