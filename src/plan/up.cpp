// up, create, scale, run: the containers of each service against what the file asks for (behaviour.md §6).
#include <algorithm>

#include "plan/draft.h"

namespace compose::plan {
namespace {

/// What becomes of one existing container.
struct Fate {
    enum What { keep, recreate, remove, gone } what = keep;
    const engine::ContainerInfo* container = nullptr;
    std::string reason;
    bool in_the_way = false;  ///< remove: its name is wanted
};

/// What becomes of a service.
struct Course {
    std::vector<Fate> fates;
    std::vector<int> fresh;                    ///< numbers of new containers
    std::string fresh_reason;
    std::string restart_reason;                ///< stopped before and started after what it depends on
    std::map<std::string, StepId> early_stops; ///< container id → that stop
    std::vector<StepId> made;                  ///< steps after which its containers exist
};

class Convergence {
public:
    explicit Convergence(Draft& draft) : draft_(draft), options_(draft.options), waits_(draft) {}

    base::Status run() {
        selected_ = TRY(select(draft_.project, options_.services, options_.no_deps));
        named_.insert(options_.services.begin(), options_.services.end());
        TRY_VOID(check_scale());
        images_ = TRY(plan_images(draft_, selected_));
        resources_ = TRY(plan_resources(draft_, selected_));
        for (const auto& name : selected_)
            if (converges(name)) TRY_VOID(decide(name));
        for (const auto& name : selected_) follow_recreated(name);
        for (const auto& name : selected_)
            if (converges(name)) emit(name);
        if (options_.verb == Verb::run) wait_for_dependencies(*draft_.service(options_.services.front()));
        plan_orphans(draft_);
        if (options_.wait && starts_containers()) plan_wait(draft_, waits_, converging());
        return {};
    }

private:
    bool starts_containers() const { return options_.verb != Verb::create && !options_.no_start; }
    /// `run` brings up what the service needs, not the service; a provider has no containers.
    bool converges(const std::string& name) const {
        return !(options_.verb == Verb::run && named_.contains(name)) && !draft_.service(name)->provider;
    }
    std::vector<std::string> converging() const {
        std::vector<std::string> names;
        for (const auto& name : selected_)
            if (converges(name)) names.push_back(name);
        return names;
    }

    base::Status check_scale() {
        for (const auto& [name, count] : options_.scale)
            if (!draft_.any_service(name)) return base::fail(base::Code::not_found, "no such service: " + name);
        for (const auto& name : selected_) {
            const auto& service = *draft_.service(name);
            if (service.provider)
                draft_.plan.warnings.push_back("service " + base::quote(name) + " is run by the provider " +
                                               base::quote(service.provider->type) + ", which this engine does not call: ignored");
            if (!service.container_name.empty() && converges(name) && replicas_of(service, options_) > 1)
                return at(base::fail(base::Code::invalid, "WARNING: The " + base::quote(name) + " service is using the custom container name " +
                                                              base::quote(service.container_name) +
                                                              ". Docker requires each container to have a unique name. Remove the custom "
                                                              "name to scale the service"),
                          draft_.project, "services." + name + ".container_name");
        }
        return {};
    }

    /// Why a container must be made anew; "" when it can stay.
    std::string divergence(const model::Service& service, const engine::ContainerInfo& container) {
        if (options_.no_recreate) return "";
        bool named = named_.empty() || named_.contains(service.name);
        if (options_.force_recreate && named) return "--force-recreate";
        if (options_.always_recreate_deps && !named) return "--always-recreate-deps";
        if (std::string text = difference(draft_, service, container); !text.empty()) return text;
        if (std::string text = lost_namespace(service, container); !text.empty()) return text;
        if (options_.renew_anonymous_volumes && named)
            for (const auto& mount : container.spec.mounts)
                if (mount.anonymous && mount.type == engine::Mount::Type::volume)
                    return "--renew-anon-volumes, " + mount.target + " is anonymous";
        return "";
    }

    /// It shares a namespace with a container that is made anew, or that has been since.
    std::string lost_namespace(const model::Service& service, const engine::ContainerInfo& container) {
        for (auto [asked, old, what] : {std::tuple{&service.network_mode, &container.spec.network_mode, "network"},
                                        std::tuple{&service.pid, &container.spec.pid_mode, "pid namespace"},
                                        std::tuple{&service.ipc, &container.spec.ipc_mode, "ipc namespace"}}) {
            std::string name = shared_service(*asked);
            if (name.empty() || !courses_.contains(name)) continue;
            for (const auto& fate : courses_[name].fates)
                if (fate.what == Fate::keep && *old == "container:" + fate.container->id) return "";
            return std::string("its ") + what + " is that of " + name + ", which is made anew";
        }
        return "";
    }

    base::Status decide(const std::string& name) {
        const auto& service = *draft_.service(name);
        Course& course = courses_[name];
        int highest = 0;
        for (const auto* container : draft_.services[name].containers) {
            Fate fate{.container = container};
            highest = std::max(highest, number_of(*container));
            if (resources_.removed.contains(container->id))
                fate = {Fate::gone, container, "its volume is made again", false};
            else if (left_over(service, *container))
                fate = {Fate::remove, container, "left over from an interrupted recreation", true};
            else if (container->state.status == engine::ContainerStatus::removing || container->state.status == engine::ContainerStatus::dead)
                fate = {Fate::remove, container, std::string("it is ") + status_word(container->state.status), true};
            else if (std::string reason = divergence(service, *container); !reason.empty())
                fate = {Fate::recreate, container, std::move(reason), false};
            course.fates.push_back(std::move(fate));
        }
        scale_down(service, course);
        size_t stay = 0;
        for (const auto& fate : course.fates) {
            stay += fate.what == Fate::keep || fate.what == Fate::recreate;
            if (fate.what == Fate::gone) course.fresh.push_back(number_of(*fate.container));
        }
        auto wanted = static_cast<size_t>(std::max(0, replicas_of(service, options_)));
        while (stay + course.fresh.size() < wanted) course.fresh.push_back(++highest);
        course.fresh.resize(std::min(course.fresh.size(), wanted - std::min(wanted, stay)));
        if (!course.fresh.empty() && !service.container_name.empty()) {
            auto holder = draft_.observed.taken_names.find(service.container_name);
            if (holder != draft_.observed.taken_names.end())
                return base::fail(base::Code::conflict, "Conflict. The container name \"/" + service.container_name +
                                                            "\" is already in use by container \"" + holder->second +
                                                            "\". You have to remove (or rename) that container to be able to reuse that name.");
        }
        course.fresh_reason = stay == 0 ? "not here" : "scale " + std::to_string(stay) + " → " + std::to_string(wanted);
        return {};
    }

    /// Both the old and the new container of a recreation that was cut short are there: the new one goes. (When only the new
    /// one is left it gets its name: see emit.)
    bool left_over(const model::Service& service, const engine::ContainerInfo& container) {
        if (label_of(container.spec.labels, label::kReplace).empty() || container.spec.name == final_name(service, container)) return false;
        const auto& all = draft_.services[service.name].containers;
        return std::any_of(all.begin(), all.end(), [&](const auto* other) {
            return other != &container && number_of(*other) == number_of(container) &&
                   container.spec.name == other->id.substr(0, 12) + "_" + other->spec.name;
        });
    }

    std::string final_name(const model::Service& service, const engine::ContainerInfo& container) const {
        return container_name(draft_.project, service, number_of(container), options_.separator);
    }

    /// Too many: those that would be made anew go first, then the highest numbers.
    void scale_down(const model::Service& service, Course& course) {
        int wanted = std::max(0, replicas_of(service, options_));
        std::vector<Fate*> order;
        for (auto& fate : course.fates)
            if (fate.what == Fate::keep || fate.what == Fate::recreate) order.push_back(&fate);
        int count = static_cast<int>(order.size());
        if (count <= wanted) return;
        std::stable_sort(order.begin(), order.end(), [](const Fate* a, const Fate* b) {
            if (a->what != b->what) return a->what == Fate::keep;
            return number_of(*a->container) < number_of(*b->container);
        });
        for (auto fate = order.begin() + wanted; fate != order.end(); ++fate) {
            (*fate)->what = Fate::remove;
            (*fate)->reason = "scale " + std::to_string(count) + " → " + std::to_string(wanted);
        }
    }

    /// restart: true: its running containers are stopped before what they depend on is made anew, and started after.
    void follow_recreated(const std::string& name) {
        if (!starts_containers() || !courses_.contains(name)) return;
        for (const auto& [dependency, how] : draft_.service(name)->depends_on) {
            auto found = courses_.find(dependency);
            if (!how.restart || found == courses_.end()) continue;
            bool anew = std::any_of(found->second.fates.begin(), found->second.fates.end(),
                                    [](const Fate& fate) { return fate.what == Fate::recreate || fate.what == Fate::gone; });
            if (!anew) continue;
            courses_[name].restart_reason = "it depends on " + dependency + ", which is made anew, with restart: true";
            followers_[dependency].push_back(name);
        }
        if (courses_[name].restart_reason.empty()) return;
        for (const auto& fate : courses_[name].fates) {
            if (fate.what != Fate::keep || !is_running(*fate.container)) continue;
            StepId& stop = courses_[name].early_stops[fate.container->id];
            if (auto done = resources_.stops.find(fate.container->id); done != resources_.stops.end())
                stop = done->second;
            else
                stop = draft_.stop(*fate.container, courses_[name].restart_reason, true);
        }
    }

    /// What must be there before a container of the service can be made.
    std::vector<StepId> foundations(const model::Service& service) {
        std::vector<StepId> steps;
        auto take = [&](const std::map<std::string, StepId>& from, const std::string& name) {
            if (auto found = from.find(name); found != from.end()) steps.push_back(found->second);
        };
        take(images_, image_of(draft_.project, service));
        for (const auto& mount : service.volumes)
            if (mount.type == "image") take(images_, mount.source);
        for (const auto& key : networks_of(service)) take(resources_.networks, network_name(draft_.project, key));
        for (const auto& key : volumes_of(draft_.project, service)) take(resources_.volumes, volume_name(draft_.project, key));
        for (const auto& shared : shared_services(service))
            if (auto found = courses_.find(shared); found != courses_.end())
                steps.insert(steps.end(), found->second.made.begin(), found->second.made.end());
        return steps;
    }

    void emit(const std::string& name) {
        const auto& service = *draft_.service(name);
        Course& course = courses_[name];
        std::vector<StepId> base = foundations(service);
        for (const auto& follower : followers_[name])
            for (const auto& [id, stop] : courses_[follower].early_stops) base.push_back(stop);
        for (const auto& fate : course.fates)
            if (fate.what == Fate::remove && fate.in_the_way) base.push_back(emit_removed(fate));
        for (const auto& fate : course.fates) {
            if (fate.what == Fate::keep) emit_kept(service, course, fate);
            if (fate.what == Fate::recreate) emit_recreated(service, course, fate, base);
            if (fate.what == Fate::remove && !fate.in_the_way) emit_removed(fate);
        }
        for (int number : course.fresh) emit_fresh(service, course, number, base);
    }

    void begin(const model::Service& service, Step step, const std::string& reason, std::vector<StepId> before) {
        waits_.container(service.name, step.new_name.empty() ? step.name : step.new_name);
        if (!starts_containers()) return;
        if (!step.new_name.empty()) step.name = step.new_name;
        step.new_name.clear();
        step.kind = Kind::start;
        step.reason = reason;
        StepId first = static_cast<StepId>(draft_.plan.steps.size()) + 1;
        StepId last = draft_.start(std::move(step), before);
        waits_.before(service, first);
        waits_.starts(service.name, last);
    }

    void emit_kept(const model::Service& service, Course& course, const Fate& fate) {
        const auto& container = *fate.container;
        std::string name = container.spec.name;
        std::vector<StepId> before;
        if (std::string right = final_name(service, container);
            name != right && !label_of(container.spec.labels, label::kReplace).empty()) {
            Step rename = draft_.about(Kind::rename, container, "an interrupted recreation left it so");
            rename.object = service.name + "-" + std::to_string(number_of(container));
            rename.new_name = name = right;
            before.push_back(draft_.add(std::move(rename)));
        }
        Step step = draft_.about(Kind::start, container, "");
        if (!before.empty()) step.object = service.name + "-" + std::to_string(step.number);
        step.name = name;
        if (auto stop = course.early_stops.find(container.id); stop != course.early_stops.end()) {
            before.push_back(stop->second);
            return begin(service, std::move(step), course.restart_reason, before);
        }
        if (auto stop = resources_.stops.find(container.id); stop != resources_.stops.end()) {
            for (const auto& endpoint : container.spec.endpoints)
                if (auto made = resources_.networks.find(endpoint.network); made != resources_.networks.end()) before.push_back(made->second);
            before.push_back(stop->second);
            return begin(service, std::move(step), "its network was made again", before);
        }
        using Status = engine::ContainerStatus;
        if (container.state.status == Status::paused && starts_containers()) {
            waits_.container(service.name, name);
            waits_.starts(service.name, draft_.add(draft_.about(Kind::unpause, container, "it is paused")));
            return;
        }
        if (!is_running(container) && starts_containers()) {
            std::string reason = container.state.status == Status::created
                                     ? "created, never started"
                                     : "exited (" + std::to_string(container.state.exit_code) + ")";
            for (const auto& endpoint : container.spec.endpoints)
                if (auto made = resources_.networks.find(endpoint.network); made != resources_.networks.end()) before.push_back(made->second);
            return begin(service, std::move(step), reason, before);
        }
        waits_.container(service.name, name);
        step.kind = Kind::keep;
        step.reason = is_running(container) ? "up to date" : status_word(container.state.status);
        StepId id = draft_.add(std::move(step));
        draft_.edges(before, id);
    }

    void emit_recreated(const model::Service& service, Course& course, const Fate& fate, const std::vector<StepId>& base) {
        Step step = draft_.about(Kind::recreate, *fate.container, fate.reason);
        step.new_name = final_name(service, *fate.container);
        step.name = fate.container->id.substr(0, 12) + "_" + step.new_name;
        step.object = service.container_name.empty() ? service.name + "-" + std::to_string(step.number) : service.container_name;
        step.timeout = draft_.grace();
        step.renew_volumes = options_.renew_anonymous_volumes;
        Step created = step;
        StepId id = draft_.add(std::move(step));
        draft_.edges(base, id);
        if (auto stop = resources_.stops.find(fate.container->id); stop != resources_.stops.end()) draft_.edge(stop->second, id);
        course.made.push_back(id);
        created.container.clear();
        begin(service, std::move(created), "", {id});
    }

    StepId emit_removed(const Fate& fate) {
        StepId stop = resources_.stops.contains(fate.container->id) ? resources_.stops[fate.container->id]
                                                                     : draft_.stop(*fate.container, fate.reason, true);
        Step step = draft_.about(Kind::remove, *fate.container, fate.reason);
        StepId id = draft_.add(std::move(step));
        draft_.edge(stop, id);
        return id;
    }

    void emit_fresh(const model::Service& service, Course& course, int number, const std::vector<StepId>& base) {
        Step step;
        step.kind = Kind::create;
        step.service = service.name;
        step.number = number;
        step.name = container_name(draft_.project, service, number, options_.separator);
        step.object = service.container_name.empty() ? service.name + "-" + std::to_string(number) : service.container_name;
        step.reason = course.fresh_reason;
        Step created = step;
        StepId id = draft_.add(std::move(step));
        draft_.edges(base, id);
        for (const auto& fate : course.fates)
            if (fate.what == Fate::gone) draft_.edge(resources_.removed[fate.container->id], id);
        course.made.push_back(id);
        begin(service, std::move(created), "", {id});
    }

    void wait_for_dependencies(const model::Service& service) {
        if (options_.no_deps) return;
        for (const auto& [name, dependency] : service.depends_on)
            if (Condition condition = condition_of(dependency); condition != Condition::started)
                waits_.until(name, condition, dependency.required);
    }

    Draft& draft_;
    const Options& options_;
    Waits waits_;
    std::vector<std::string> selected_;  ///< in dependency order
    std::set<std::string> named_;
    std::map<std::string, StepId> images_;
    Resources resources_;
    std::map<std::string, Course> courses_;
    std::map<std::string, std::vector<std::string>> followers_;  ///< service made anew → those to stop before and start after
};

}  // namespace

base::Status plan_up(Draft& draft) { return Convergence(draft).run(); }

}  // namespace compose::plan
