#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

constexpr Flag kScaleFlags[] = {
    {"no-deps", 0, Flag::Type::boolean, "Don't start linked services"},
};

Result<int> scale_command(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto scales = TRY(scales_of(arguments.operands));
    std::vector<std::string> services;
    for (auto& [service, count] : scales) services.push_back(service);
    auto* project = TRY(file_project_with(context, services, arguments.on("no-deps") ? model::Dependencies::ignore : model::Dependencies::include));
    plan::Options options = base_options(context, arguments, plan::Verb::scale);
    options.services = services;
    options.scale = scales;
    options.no_deps = arguments.on("no-deps");
    return operate(context, *project, options, run::scale);
}

}  // namespace

const Command kScale{"scale", "[SERVICE=REPLICAS...]", "Scale services", kScaleFlags, scale_command, 1};

}  // namespace compose::cli
