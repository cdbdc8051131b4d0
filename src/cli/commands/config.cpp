#include "model/config_command.h"

#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kConfigFlags[] = {
    {"environment", 0, Type::boolean, "Print environment used for interpolation"},
    {"explain", 0, Type::text, "Print where a value or a variable comes from: PATH (services.web.image) or VARIABLE"},
    {"format", 0, Type::text, "Format the output. Values: [yaml | json]"},
    {"hash", 0, Type::text, "Print the service config hash, one per line"},
    {"images", 0, Type::boolean, "Print the image names, one per line"},
    {"lock-image-digests", 0, Type::boolean, "Produces an override file with image digests"},
    {"models", 0, Type::boolean, "Print the model names, one per line"},
    {"networks", 0, Type::boolean, "Print the network names, one per line"},
    {"no-consistency", 0, Type::boolean, "Don't check model consistency - warning: may produce invalid Compose output"},
    {"no-env-resolution", 0, Type::boolean, "Don't resolve service env files"},
    {"no-interpolate", 0, Type::boolean, "Don't interpolate environment variables"},
    {"no-normalize", 0, Type::boolean, "Don't normalize compose model"},
    {"no-path-resolution", 0, Type::boolean, "Don't resolve file paths"},
    {"output", 'o', Type::text, "Save to file (default to stdout)"},
    {"profiles", 0, Type::boolean, "Print the profile names, one per line"},
    {"quiet", 'q', Type::boolean, "Only validate the configuration, don't print anything"},
    {"resolve-image-digests", 0, Type::boolean, "Pin image tags to digests"},
    {"services", 0, Type::boolean, "Print the service names, one per line"},
    {"variables", 0, Type::boolean, "Print model variables and default values"},
    {"volumes", 0, Type::boolean, "Print the volume names, one per line"},
};

Result<int> config_command(Context& context, const Arguments& arguments) {
    model::ConfigOptions options;
    options.load = context.load_options();
    options.load.no_consistency = arguments.on("no-consistency");
    options.load.no_env_resolution = arguments.on("no-env-resolution");
    options.load.no_interpolate = arguments.on("no-interpolate");
    options.load.no_normalize = arguments.on("no-normalize");
    options.load.no_path_resolution = arguments.on("no-path-resolution");
    options.services = arguments.operands;
    options.all_resources = context.globals.all_resources;
    options.format = arguments.text("format");
    if (!options.format.empty() && options.format != "yaml" && options.format != "json") return fail(Code::invalid, "unsupported format " + base::quote(options.format) + ": use yaml or json");
    options.list_services = arguments.on("services");
    options.list_volumes = arguments.on("volumes");
    options.list_networks = arguments.on("networks");
    options.list_images = arguments.on("images");
    options.list_profiles = arguments.on("profiles");
    options.list_models = arguments.on("models");
    options.list_environment = arguments.on("environment");
    options.list_variables = arguments.on("variables");
    if (arguments.given("hash")) options.hash = arguments.text("hash");
    options.lock_image_digests = arguments.on("lock-image-digests");
    options.resolve_image_digests = arguments.on("resolve-image-digests") || options.lock_image_digests;
    options.quiet = arguments.on("quiet");
    if (arguments.given("explain")) options.explain = arguments.text("explain");
    options.resolve_digest = [&context](const std::string& image) -> Result<std::string> {
        return TRY(context.engine())->resolve_digest(image);
    };
    auto output = model::run_config(options);
    std::string told = model::render(output.diagnostics, is_terminal(STDERR_FILENO));
    if (!told.empty() && told.back() != '\n') told += '\n';
    (void)base::write_all(STDERR_FILENO, told);  // ignored: the status says it too
    if (std::string file = arguments.text("output"); !file.empty() && output.status == 0)
        TRY_VOID(base::write_file(file, output.text));
    else
        TRY_VOID(base::write_all(STDOUT_FILENO, output.text));
    return output.status;
}

}  // namespace

const Command kConfig{"config", "[OPTIONS] [SERVICE...]", "Parse, resolve and render compose file in canonical format", kConfigFlags, config_command, 0, -1, false, false, "convert"};

}  // namespace compose::cli
