#include "cli/commands/commands.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kPullFlags[] = {
    {"ignore-buildable", 0, Type::boolean, "Ignore images that can be built"},
    {"ignore-pull-failures", 0, Type::boolean, "Pull what it can and ignores images with pull failures"},
    {"include-deps", 0, Type::boolean, "Also pull services declared as dependencies"},
    {"no-parallel", 0, Type::boolean, "Deprecated - no effect", "", true},
    {"parallel", 0, Type::boolean, "Deprecated - no effect", "", true},
    {"policy", 0, Type::text, "Apply pull policy (\"missing\"|\"always\")"},
    {"quiet", 'q', Type::boolean, "Pull without printing progress information"},
    {"tls-verify", 0, Type::boolean, "Require HTTPS with a verified certificate", "true"},
};

Result<int> pull_command(Context& context, const Arguments& arguments) {
    context.tls_verify = arguments.on("tls-verify");
    std::string policy = arguments.text("policy");
    if (!policy.empty() && policy != "missing" && policy != "always") return fail(Code::invalid, "--policy " + base::quote(policy) + ": use missing or always");
    auto* project = TRY(file_project_with(context, arguments.operands, arguments.on("include-deps") ? model::Dependencies::include : model::Dependencies::ignore));
    plan::Options options = base_options(context, arguments, plan::Verb::pull);
    options.include_deps = arguments.on("include-deps");
    options.ignore_buildable = arguments.on("ignore-buildable");
    if (!policy.empty()) options.pull = policy;
    int status = TRY(operate(context, *project, options, run::pull, arguments.on("quiet")));
    return status == 1 && arguments.on("ignore-pull-failures") ? 0 : status;
}

}  // namespace

const Command kPull{"pull", "[OPTIONS] [SERVICE...]", "Pull service images", kPullFlags, pull_command};

}  // namespace compose::cli
