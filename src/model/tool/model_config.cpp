// `model_config [global flags] config [flags] [SERVICE…]`: what the model says, without the command line of `compose`.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/text.h"
#include "model/config_command.h"

namespace {

using compose::model::ConfigOptions;

/// The value of a flag: `--flag=value` or the next argument.
bool take(const std::vector<std::string>& args, size_t& at, const std::string& longer, const std::string& shorter, std::string& value) {
    const std::string& arg = args[at];
    if (arg.starts_with(longer + "=")) {
        value = arg.substr(longer.size() + 1);
        return true;
    }
    if (!shorter.empty() && arg.size() > 2 && arg.starts_with(shorter) && !arg.starts_with("--")) {
        value = arg.substr(arg[2] == '=' ? 3 : 2);
        return true;
    }
    if ((arg != longer && (shorter.empty() || arg != shorter)) || at + 1 >= args.size()) return false;
    value = args[++at];
    return true;
}

int run(std::vector<std::string> args) {
    ConfigOptions options;
    std::string value, output;
    bool command = false;
    options.load.environment = compose::model::process_environment();
    for (size_t at = 0; at < args.size(); ++at) {
        const std::string& arg = args[at];
        auto flag = [&](const char* name, bool& target) { return arg == name ? (target = true) : false; };
        if (!command) {
            if (arg == "config") command = true;
            else if (take(args, at, "--file", "-f", value)) options.load.files.push_back(value);
            else if (take(args, at, "--project-name", "-p", value)) options.load.project_name = value;
            else if (take(args, at, "--project-directory", "", value)) options.load.project_directory = value;
            else if (take(args, at, "--env-file", "", value)) options.load.env_files.push_back(value);
            else if (take(args, at, "--profile", "", value)) options.load.profiles.push_back(value);
            else if (arg == "--compatibility") options.load.compatibility = true;
            else if (arg == "--all-resources") options.all_resources = true;
            else if (arg != "--dry-run") return std::fprintf(stderr, "unknown flag: %s\n", arg.c_str()), 1;
            continue;
        }
        bool known = flag("--services", options.list_services) || flag("--volumes", options.list_volumes) ||
                     flag("--networks", options.list_networks) || flag("--images", options.list_images) ||
                     flag("--profiles", options.list_profiles) || flag("--models", options.list_models) ||
                     flag("--environment", options.list_environment) || flag("--variables", options.list_variables) ||
                     flag("--quiet", options.quiet) || flag("-q", options.quiet) ||
                     flag("--no-interpolate", options.load.no_interpolate) || flag("--no-normalize", options.load.no_normalize) ||
                     flag("--no-path-resolution", options.load.no_path_resolution) ||
                     flag("--no-env-resolution", options.load.no_env_resolution) || flag("--no-consistency", options.load.no_consistency) ||
                     flag("--lock-image-digests", options.lock_image_digests) || flag("--resolve-image-digests", options.resolve_image_digests);
        if (known) continue;
        if (take(args, at, "--format", "", value)) options.format = value;
        else if (take(args, at, "--hash", "", value)) options.hash = value;
        else if (take(args, at, "--explain", "", value)) options.explain = value;
        else if (take(args, at, "--output", "-o", value)) output = value;
        else if (arg.starts_with('-')) return std::fprintf(stderr, "unknown flag: %s\n", arg.c_str()), 1;
        else options.services.push_back(arg);
    }
    compose::model::ConfigOutput out = compose::model::run_config(options);
    std::string findings = compose::model::render(out.diagnostics, ::isatty(STDERR_FILENO) == 1);
    if (!base::write_all(STDERR_FILENO, findings)) return 1;
    if (output.empty()) {
        if (!base::write_all(STDOUT_FILENO, out.text)) return 1;
    } else if (auto done = base::write_file(output, out.text); !done) {
        return std::fprintf(stderr, "%s\n", done.error().message().c_str()), 1;
    }
    return out.status;
}

}  // namespace

int main(int argc, char** argv) { return run({argv + 1, argv + argc}); }
