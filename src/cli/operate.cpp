#include "cli/operate.h"

namespace compose::cli {

Result<int> operate(Context& context, const model::Project& project, const plan::Options& options, Operation operation, bool quiet) {
    Lock lock;
    if (!context.globals.dry_run) lock = TRY(context.lock());
    auto progress = context.make_progress(quiet);
    auto run_context = TRY(context.run_context(*progress));
    auto report = operation(run_context, project, options);
    progress->close();
    return finish(report);
}

namespace {
Result<model::Project*> enabled(model::Project* project, const std::vector<std::string>& services, model::Dependencies dependencies) {
    if (!services.empty()) (void)TRY(model::select_services(*project, services, dependencies));
    return project;
}
}  // namespace

Result<model::Project*> project_with(Context& context, const std::vector<std::string>& services, model::Dependencies dependencies) {
    return enabled(TRY(context.project_or_labels()), services, dependencies);
}

Result<model::Project*> file_project_with(Context& context, const std::vector<std::string>& services, model::Dependencies dependencies) {
    return enabled(TRY(context.project()), services, dependencies);
}

Result<std::map<std::string, int>> scales_of(const std::vector<std::string>& words) {
    std::map<std::string, int> result;
    for (const std::string& word : words) {
        auto [service, count] = base::cut(word, '=');
        auto number = count ? base::parse_int(*count) : std::nullopt;
        if (service.empty() || !number || *number < 0 || *number > 100000)
            return fail(Code::invalid, "invalid scale specifier " + base::quote(word) + ": it must be SERVICE=REPLICAS");
        result[service] = static_cast<int>(*number);
    }
    return result;
}

plan::Options base_options(Context& context, const Arguments& arguments, plan::Verb verb) {
    plan::Options options;
    options.verb = verb;
    options.services = arguments.operands;
    options.timeout = timeout_of(arguments);
    options.remove_orphans = arguments.given("remove-orphans") ? arguments.on("remove-orphans") : context.variable_on("COMPOSE_REMOVE_ORPHANS");
    options.ignore_orphans = context.variable_on("COMPOSE_IGNORE_ORPHANS");
    if (context.load_options().compatibility) options.separator = "_";
    return options;
}

Result<plan::Options> up_options(Context& context, const Arguments& arguments, plan::Verb verb) {
    plan::Options options = base_options(context, arguments, verb);
    options.no_deps = arguments.on("no-deps");
    options.force_recreate = arguments.on("force-recreate");
    options.no_recreate = arguments.on("no-recreate");
    options.always_recreate_deps = arguments.on("always-recreate-deps");
    options.renew_anonymous_volumes = arguments.on("renew-anon-volumes");
    options.no_start = arguments.on("no-start");
    options.build = arguments.on("build");
    options.no_build = arguments.on("no-build");
    if (arguments.given("pull") && arguments.text("pull") != "policy") options.pull = arguments.text("pull");
    options.scale = TRY(scales_of(arguments.list("scale")));
    return options;
}

}  // namespace compose::cli
