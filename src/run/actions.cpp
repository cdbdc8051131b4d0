#include "run/actions.h"

#include "plan/names.h"
#include "plan/planner.h"

namespace compose::run {
namespace {

using base::Code;

/// Gone already, or never there: what was to be removed is not there, which is what was wanted.
bool absent(const base::Status& status) { return !status && status.error().code == Code::not_found; }
bool conflict(const base::Status& status) { return !status && status.error().code == Code::conflict; }

const model::Service* service_of(const model::Project& project, const std::string& name) {
    for (const auto* services : {&project.services, &project.disabled_services})
        if (auto found = services->find(name); found != services->end()) return &found->second;
    return nullptr;
}

}  // namespace

Actions::Actions(const Work& work, Reporter& reporter) : work_(work), engine_(*work.engine), reporter_(reporter) {
    for (const auto& container : work.observed->containers) {
        if (plan::is_one_off(container)) continue;
        auto [first, fresh] = first_.try_emplace(plan::service_of(container), plan::number_of(container), container.id);
        if (!fresh && plan::number_of(container) < first->second.first) first->second = {plan::number_of(container), container.id};
    }
    for (const auto& [reference, image] : work.observed->images) images_[reference] = {image.id, image.config.volumes};
}

std::vector<base::Status> Actions::pull(const Steps& steps, const std::function<void(size_t, const engine::PullProgress&)>& progress) {
    std::vector<engine::PullRequest> requests;
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < steps.size(); ++i) {
        requests.push_back({steps[i]->name, steps[i]->platform});
        index.emplace(steps[i]->name, i);
    }
    engine::PullOptions options;
    options.cancel = work_.cancel;
    options.progress = [&](const engine::PullProgress& event) {
        auto found = index.find(event.reference);
        if (found == index.end()) return;
        if (!event.layer.empty() || event.phase != engine::PullProgress::Phase::done) reporter_.pull(*steps[found->second], event);
        progress(found->second, event);
    };
    auto results = engine_.pull(requests, options);
    std::vector<base::Status> statuses;
    for (size_t i = 0; i < steps.size(); ++i) {
        if (results[i]) {
            std::lock_guard lock(mutex_);
            images_[steps[i]->name] = {results[i]->id, results[i]->config.volumes};
            statuses.emplace_back();
        } else {
            statuses.push_back(std::move(results[i].error()).with("service " + base::quote(steps[i]->service)));
        }
    }
    return statuses;
}

bool Actions::arrived(const plan::Step& step) {
    auto image = engine_.image(step.name);
    if (!image) return false;
    std::lock_guard lock(mutex_);
    images_[step.name] = {image->id, image->config.volumes};
    return true;
}

base::Status Actions::build(const plan::Step& step) {
    if (step.only_if_missing && arrived(step)) return {};
    const auto* service = service_of(*work_.project, step.service);
    if (!work_.build || !service)
        return base::fail(Code::unsupported, "service " + base::quote(step.service) + ": image " + base::quote(step.name) +
                                                 " must be built, and this engine does not build images: build it elsewhere, push it to a "
                                                 "registry and name it with `image`");
    std::string id = TRY(work_.build(*work_.project, *service).context("build of service " + base::quote(step.service)));
    std::lock_guard lock(mutex_);
    images_.erase(step.name);
    return {};
}

base::Status Actions::resource(const plan::Step& step) {
    using plan::Kind;
    const model::Project& project = *work_.project;
    base::Status status;
    switch (step.kind) {
        case Kind::create_network: {
            auto made = engine_.create_network(network_spec(project, step.key));
            if (!made) return std::move(made.error()).with("create network " + step.name);
            return {};
        }
        case Kind::create_volume: {
            auto made = engine_.create_volume(volume_spec(project, step.key));
            if (!made) return std::move(made.error()).with("create volume " + base::quote(step.name));
            return {};
        }
        case Kind::remove_network: status = step.in_use ? base::fail(Code::conflict, step.reason) : engine_.remove_network(step.name); break;
        case Kind::remove_volume: status = step.in_use ? base::fail(Code::conflict, step.reason) : engine_.remove_volume(step.name); break;
        case Kind::remove_image: {
            auto removed = engine_.remove_image(step.name, false);
            if (!removed) status = std::move(removed.error());
            break;
        }
        default: return base::fail(Code::internal, std::string("no resource: ") + plan::to_text(step.kind));
    }
    if (conflict(status)) {
        // Not an error: others use it (behaviour.md §7), and it goes when they go. Unless it is to be made again: then it is.
        for (const auto& edge : work_.plan->edges)
            if (edge.from == step.id) return std::move(status.error()).with("remove " + resource_of(step));
        reporter_.note(step, "Resource is still in use", Phase::warning, status.error().what);
        return status;
    }
    if (absent(status)) return {};
    return status;
}

Actions::Image Actions::image_of(const std::string& reference) {
    {
        std::lock_guard lock(mutex_);
        if (auto found = images_.find(reference); found != images_.end()) return found->second;
    }
    Image image;
    if (auto there = engine_.image(reference)) image = {there->id, there->config.volumes};
    std::lock_guard lock(mutex_);
    return images_[reference] = image;
}

const engine::ContainerInfo* Actions::observed(const std::string& id) const {
    for (const auto& container : work_.observed->containers)
        if (container.id == id) return &container;
    return nullptr;
}

base::Result<engine::ContainerInfo> Actions::peer(const std::string& service) {
    std::string id;
    {
        std::lock_guard lock(mutex_);
        if (auto found = first_.find(service); found != first_.end()) id = found->second.second;
    }
    if (id.empty()) return base::fail(Code::not_found, "service " + base::quote(service) + " has no container");
    return engine_.container(id);
}

base::Result<engine::ContainerSpec> Actions::spec_of(const plan::Step& step) {
    const auto* service = service_of(*work_.project, step.service);
    if (!service) return base::fail(Code::not_found, "no such service: " + step.service);
    Image image = image_of(plan::image_of(*work_.project, *service));
    Target target;
    target.number = step.number;
    target.name = step.name;
    target.image_id = image.id;
    target.image_volumes = image.volumes;
    if (step.kind == plan::Kind::recreate) {
        target.replaces = observed(step.container);
        target.renew_volumes = step.renew_volumes;
        target.replace_label = step.service + "-" + std::to_string(step.number);
    }
    Peers peers{[this](const std::string& name) { return peer(name); }, [this](const std::string& name) { return engine_.container(name); }};
    return container_spec(*work_.project, *service, target, peers);
}

std::vector<base::Status> Actions::create(const Steps& steps) {
    std::vector<base::Status> statuses(steps.size());
    std::vector<engine::ContainerSpec> specs;
    std::vector<size_t> index;
    for (size_t i = 0; i < steps.size(); ++i) {
        auto spec = spec_of(*steps[i]);
        if (!spec) {
            statuses[i] = std::move(spec.error());
            continue;
        }
        specs.push_back(std::move(*spec));
        index.push_back(i);
    }
    if (specs.empty()) return statuses;
    auto results = engine_.create_many(specs);
    std::lock_guard lock(mutex_);
    for (size_t k = 0; k < index.size(); ++k) {
        const plan::Step& step = *steps[index[k]];
        if (!results[k]) {
            statuses[index[k]] = std::move(results[k].error()).with("create container " + step.name);
            continue;
        }
        created_[step.new_name.empty() ? step.name : step.new_name] = *results[k];
        auto [first, fresh] = first_.try_emplace(step.service, step.number, *results[k]);
        if (!fresh && step.number <= first->second.first) first->second = {step.number, *results[k]};
    }
    return statuses;
}

base::Result<std::string> Actions::id_of_name(const std::string& name) const {
    {
        std::lock_guard lock(mutex_);
        if (auto found = created_.find(name); found != created_.end()) return found->second;
    }
    for (const auto& container : work_.observed->containers)
        if (container.spec.name == name) return container.id;
    return base::fail(Code::not_found, "no such container: " + name);
}

base::Result<std::string> Actions::id_of(const plan::Step& step) const {
    if (!step.container.empty()) return step.container;
    return id_of_name(step.name);
}

void Actions::stop(const Steps& steps, const std::function<void(size_t, const base::Status&)>& ended) {
    std::vector<engine::StopRequest> requests;
    for (const auto* step : steps) requests.push_back({step->container, step->timeout});
    engine_.stop_many(requests, [&](size_t i, const base::Status& status) { ended(i, absent(status) ? base::Status() : status); });
}

std::vector<base::Status> Actions::remove(const Steps& steps) {
    std::vector<engine::RemoveRequest> requests;
    for (const auto* step : steps) requests.push_back({step->container, step->force, step->kind == plan::Kind::remove && step->volumes});
    auto statuses = engine_.remove_many(requests);
    for (auto& status : statuses)
        if (absent(status)) status = {};
    return statuses;
}

base::Status Actions::rename(const plan::Step& step) {
    // A recreated container is created under `name` and known by its new name; an old one is renamed by its own id.
    std::string id = step.kind == plan::Kind::recreate ? TRY(id_of_name(step.new_name)) : step.container;
    TRY_VOID(engine_.rename(id, step.new_name).context("rename container " + step.name));
    std::lock_guard lock(mutex_);
    created_[step.new_name] = id;
    return {};
}

std::vector<base::Status> Actions::start(const Steps& steps) {
    std::vector<base::Status> statuses(steps.size());
    std::vector<std::string> ids;
    std::vector<size_t> index;
    for (size_t i = 0; i < steps.size(); ++i) {
        auto id = id_of(*steps[i]);
        if (!id) {
            statuses[i] = std::move(id.error());
            continue;
        }
        ids.push_back(std::move(*id));
        index.push_back(i);
    }
    if (ids.empty()) return statuses;
    auto results = engine_.start_many(ids);
    for (size_t k = 0; k < index.size() && k < results.size(); ++k)
        if (!results[k].status)
            statuses[index[k]] = std::move(results[k].status.error()).with("start container " + steps[index[k]]->name);
    return statuses;
}

base::Status Actions::signal(const plan::Step& step) {
    using plan::Kind;
    std::string id = TRY(id_of(step));
    base::Status status;
    switch (step.kind) {
        case Kind::kill: status = engine_.kill(id, step.signal); break;
        case Kind::pause: status = engine_.pause(id); break;
        case Kind::unpause: status = engine_.unpause(id); break;
        case Kind::restart: status = engine_.restart(id, step.timeout); break;
        default: return base::fail(Code::internal, std::string("no signal: ") + plan::to_text(step.kind));
    }
    // It has ended by itself between the look and the signal.
    if (step.kind == Kind::kill && !status && (status.error().code == Code::not_running || absent(status))) return {};
    return std::move(status).context(std::string(plan::to_text(step.kind)) + " container " + step.name);
}

base::Status Actions::hook(const plan::Step& step) {
    const auto* service = service_of(*work_.project, step.service);
    if (!service) return base::fail(Code::not_found, "no such service: " + step.service);
    const auto& hooks = step.kind == plan::Kind::post_start ? service->post_start : service->pre_stop;
    if (step.hook >= hooks.size()) return {};
    const model::Hook& hook = hooks[step.hook];
    engine::ExecOptions options;
    options.argv = hook.command.value_or(model::Strings{});
    for (const auto& [name, value] : hook.environment) options.env.push_back(value ? name + "=" + *value : name);
    options.user = hook.user;
    options.working_dir = hook.working_dir;
    options.privileged = hook.privileged;
    options.interactive = false;
    options.streams = {-1, -1, -1};
    std::string where = "service " + base::quote(step.service) + ": " + plan::to_text(step.kind);
    std::string id = TRY(id_of(step));
    int status = TRY(engine_.exec(id, options).context(where));
    if (status == 0) return {};
    base::Error error = base::fail(Code::invalid, step.service + " hook exited with status " + std::to_string(status));
    return std::move(error).with("container " + step.name + ": " + plan::to_text(step.kind));
}

std::string Actions::created(const std::string& name) const {
    std::lock_guard lock(mutex_);
    auto found = created_.find(name);
    return found == created_.end() ? std::string() : found->second;
}

std::map<std::string, std::string> Actions::created() const {
    std::lock_guard lock(mutex_);
    return created_;
}

}  // namespace compose::run
