// Which images must be pulled or built: compose-spec 05-services.md pull_policy, build.md "image and build".
#include <algorithm>

#include "plan/draft.h"

namespace compose::plan {
namespace {

using std::chrono::hours;

/// daily, weekly, every_<duration>: how old a pulled image may be.
std::optional<std::chrono::nanoseconds> refresh_age(const std::string& policy) {
    if (policy == "daily") return hours(24);
    if (policy == "weekly") return hours(24 * 7);
    if (!policy.starts_with("every_")) return std::nullopt;
    std::string text = policy.substr(6);
    // The specification also has weeks and days, which Go's durations lack.
    std::chrono::nanoseconds days{0};
    for (auto [unit, length] : {std::pair{'w', hours(24 * 7)}, std::pair{'d', hours(24)}})
        if (size_t at = text.find(unit); at != std::string::npos) {
            auto count = base::parse_int(text.substr(0, at));
            if (!count) return std::nullopt;
            days += *count * length;
            text.erase(0, at + 1);
        }
    if (text.empty()) return days;
    auto rest = base::parse_duration(text);
    if (!rest) return std::nullopt;
    return days + *rest;
}

const engine::ImageInfo* present(const Draft& draft, const std::string& reference) {
    auto found = draft.observed.images.find(reference);
    return found == draft.observed.images.end() ? nullptr : &found->second;
}

/// `platform` of a service says os/architecture[/variant]; an image of another one is as good as none.
bool fits(const std::string& platform, const engine::Platform& have) {
    if (platform.empty()) return true;
    auto parts = base::split(base::to_lower(platform), '/');
    static const std::map<std::string, std::string> kOther = {{"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}, {"armhf", "arm"}};
    std::string architecture = parts.size() > 1 ? parts[1] : parts[0];
    if (auto other = kOther.find(architecture); other != kOther.end()) architecture = other->second;
    if (parts.size() == 1) return parts[0] == have.os || architecture == have.architecture;
    return architecture == have.architecture && (parts.size() < 2 || parts[0] == have.os) && (parts.size() < 3 || have.variant.empty() || parts[2] == have.variant);
}

struct Need {
    bool pull = false, build = false;
    std::string reason;
};

/// What an image needs before a container can be made of it.
base::Result<Need> need(const Draft& draft, const model::Service& service, const std::string& reference) {
    const Options& options = draft.options;
    const auto* image = present(draft, reference);
    std::string policy = options.pull && *options.pull != "policy" ? *options.pull : service.pull_policy;
    bool can_build = service.build.has_value() && !options.no_build;
    if (options.images_ready) {
        if (image) return Need{};
        return base::fail(base::Code::not_found, "No such image: " + reference);
    }
    if (can_build && (options.build || policy == "build"))
        return Need{.build = true, .reason = options.build ? "--build" : "pull_policy: build"};
    if (policy == "never" && !image) {
        if (can_build) return Need{.build = true, .reason = "not here, pull_policy: never"};
        return at(base::fail(base::Code::not_found, "No such image: " + reference + " (service " + base::quote(service.name) +
                                                        ", pull policy never)"),
                  draft.project, "services." + service.name + ".image");
    }
    bool pullable = !service.image.empty();
    if (policy == "always" && pullable)
        return Need{.pull = true, .build = can_build && !image, .reason = options.pull == policy ? "--pull always" : "pull_policy: always"};
    if (auto age = refresh_age(policy); age && image && pullable) {
        base::Time now = options.now != 0 ? options.now : base::now();
        base::Time fresh = std::max(image->tagged, image->pulled);
        if (now < fresh || now - fresh > age->count())  // in the future: the clock was wrong then or is now
            return Need{.pull = true, .reason = "pull_policy: " + policy + ", pulled " + base::format_age(std::chrono::nanoseconds(now - fresh)) + " ago"};
        return Need{};
    }
    if (image && pullable && !fits(service.platform, image->platform))
        return Need{.pull = true, .reason = "here for " + image->platform.text() + ", not for " + service.platform};
    if (image) return Need{};
    if (!pullable && !can_build)
        return base::fail(base::Code::not_found, "No such image: " + reference + ": service " + base::quote(service.name) +
                                                     " must be built, which --no-build forbids");
    return Need{.pull = pullable, .build = can_build, .reason = "not here"};
}

StepId add_pull(Draft& draft, const model::Service& service, const std::string& reference, const std::string& reason) {
    Step step;
    step.kind = Kind::pull;
    step.service = service.name;
    step.object = reference;
    step.name = reference;
    step.platform = service.platform;
    step.reason = reason;
    return draft.add(std::move(step));
}

StepId add_build(Draft& draft, const model::Service& service, const std::string& reference, const std::string& reason) {
    Step step;
    step.kind = Kind::build;
    step.service = service.name;
    step.object = reference;
    step.name = reference;
    step.reason = reason;
    return draft.add(std::move(step));
}

/// Builds that stand on another service's build: `additional_contexts: {base: service:NAME}`.
void order_builds(Draft& draft, const std::map<std::string, StepId>& builds) {
    for (const auto& [name, id] : builds) {
        const auto* service = draft.any_service(name);
        for (const auto& [context, source] : service->build->additional_contexts)
            if (auto found = builds.find(shared_service(source)); found != builds.end()) draft.edge(found->second, id);
    }
}

/// Images that are mounted as volumes: pulled where they are missing.
void add_mounted_images(Draft& draft, const model::Service& service, std::map<std::string, StepId>& steps) {
    if (draft.options.images_ready || draft.options.pull == "never") return;
    for (const auto& mount : service.volumes) {
        if (mount.type != "image" || mount.source.empty() || steps.contains(mount.source) || present(draft, mount.source)) continue;
        model::Service pulled;
        pulled.name = service.name;
        steps[mount.source] = add_pull(draft, pulled, mount.source, "mounted at " + mount.target + ", not here");
    }
}

}  // namespace

base::Result<std::map<std::string, StepId>> plan_images(Draft& draft, const std::vector<std::string>& services) {
    std::map<std::string, StepId> steps;
    std::map<std::string, StepId> builds;  // by service
    for (const auto& name : services) {
        const auto& service = *draft.service(name);
        if (service.provider) continue;
        std::string reference = image_of(draft.project, service);
        if (steps.contains(reference)) continue;
        Need needs = TRY(need(draft, service, reference));
        if (!needs.pull && !needs.build) continue;
        if (!draft.services[name].containers.empty()) draft.plan.images_first = true;
        StepId pull = needs.pull ? add_pull(draft, service, reference, needs.reason) : 0;
        StepId last = pull;
        if (needs.build) {
            last = add_build(draft, service, reference, pull ? "if the pull fails" : needs.reason);
            draft.at(last).only_if_missing = pull != 0;
            draft.edge(pull, last, false);
            if (pull != 0) draft.at(pull).optional = true;
            builds[name] = last;
        }
        steps[reference] = last;
    }
    for (const auto& name : services) add_mounted_images(draft, *draft.service(name), steps);
    order_builds(draft, builds);
    return steps;
}

base::Status plan_pull(Draft& draft, const std::vector<std::string>& services) {
    std::set<std::string> seen;
    for (const auto& name : services) {
        const auto& service = *draft.service(name);
        std::string policy = draft.options.pull.value_or(service.pull_policy);
        // Docker's rules: nothing to pull without an image, or where the file says that it is built or stays as it is.
        if (service.provider || service.image.empty() || policy == "never" || policy == "build") continue;
        if (draft.options.ignore_buildable && service.build) continue;
        bool here = present(draft, service.image) != nullptr;
        if (here && (policy == "missing" || policy == "if_not_present")) continue;
        if (!seen.insert(service.image).second) continue;
        add_pull(draft, service, service.image, here ? "asked for" : "not here");
    }
    return {};
}

base::Status plan_build(Draft& draft, const std::vector<std::string>& services) {
    std::map<std::string, StepId> builds;
    for (const auto& name : services)
        if (const auto& service = *draft.service(name); service.build)
            builds[name] = add_build(draft, service, image_of(draft.project, service), "asked for");
    order_builds(draft, builds);
    return {};
}

}  // namespace compose::plan
