#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kStartFlags[] = {
    {"wait", 0, Type::boolean, "Wait for services to be running|healthy. Implies detached mode"},
    {"wait-timeout", 0, Type::integer, "Maximum duration in seconds to wait for the project to be running|healthy"},
};

Result<int> start_command(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto* project = TRY(project_with(context, arguments.operands, model::Dependencies::include));
    plan::Options options = base_options(context, arguments, plan::Verb::start);
    options.wait = arguments.on("wait");
    if (arguments.given("wait-timeout")) options.wait_timeout = std::chrono::seconds(std::max<int64_t>(1, arguments.integer("wait-timeout")));
    options.labels_only = context.from_labels();
    return operate(context, *project, options, run::start);
}

}  // namespace

const Command kStart{"start", "[SERVICE...]", "Start services", kStartFlags, start_command};

}  // namespace compose::cli
