#include <unistd.h>

#include <boost/json.hpp>

#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

namespace json = boost::json;
using Type = Flag::Type;
constexpr Flag kPlanFlags[] = {
    {"always-recreate-deps", 0, Type::boolean, "As up's"},
    {"build", 0, Type::boolean, "As up's"},
    {"force-recreate", 0, Type::boolean, "As up's"},
    {"format", 0, Type::text, "Format output: 'text' or 'json' (an object a line)", "text"},
    {"no-deps", 0, Type::boolean, "As up's"},
    {"no-recreate", 0, Type::boolean, "As up's"},
    {"no-start", 0, Type::boolean, "As up's"},
    {"pull", 0, Type::text, "As up's", "policy"},
    {"remove-orphans", 0, Type::boolean, "As up's"},
    {"renew-anon-volumes", 'V', Type::boolean, "As up's"},
    {"scale", 0, Type::list, "As up's"},
    {"timeout", 't', Type::integer, "As up's"},
};

std::string json_lines(const plan::Plan& plan) {
    std::string text;
    for (const plan::Step& step : plan.steps) {
        json::object object{{"step", step.id}, {"action", plan::to_text(step.kind)}, {"object", step.object}, {"name", step.name}, {"reason", step.reason}};
        if (!step.service.empty()) object["service"] = step.service;
        auto after = plan.after(step.id);
        object["after"] = json::array(after.begin(), after.end());
        text += json::serialize(object) + "\n";
    }
    return text;
}

Result<int> plan_command(Context& context, const Arguments& arguments) {
    std::string format = arguments.text("format");
    if (format != "text" && format != "json") return fail(Code::invalid, "unsupported format " + base::quote(format) + ": use text or json");
    auto* project = TRY(file_project_with(context, arguments.operands, arguments.on("no-deps") ? model::Dependencies::ignore : model::Dependencies::include));
    plan::Options options = TRY(up_options(context, arguments, plan::Verb::up));
    auto plan = TRY(run::preview(*TRY(context.engine()), *project, options));
    for (const std::string& warning : plan.warnings) warn(warning);
    std::string text = format == "json" ? json_lines(plan) : plan.text();
    if (!text.empty() && text.back() != '\n') text += '\n';
    Output out(STDOUT_FILENO);
    out << text;
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kPlan{"plan", "[OPTIONS] [SERVICE...]", "Show what up would do, a line a step with its reason", kPlanFlags, plan_command};

}  // namespace compose::cli
