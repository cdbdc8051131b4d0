#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/copy.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kCpFlags[] = {
    {"all", 0, Type::boolean, "Include containers created by the run command"},
    {"archive", 'a', Type::boolean, "Archive mode (copy all uid/gid information)"},
    {"follow-link", 'L', Type::boolean, "Always follow symbol link in SRC_PATH"},
    {"index", 0, Type::integer, "Index of the container if service has multiple replicas"},
};

Result<int> cp_command(Context& context, const Arguments& arguments) {
    CopyPlace from = copy_place(arguments.operands[0]), to = copy_place(arguments.operands[1]);
    if (!from.container.empty() && !to.container.empty()) return fail(Code::invalid, "copying between services is not supported");
    if (from.container.empty() && to.container.empty()) return fail(Code::invalid, "unknown copy direction: one of the two must be SERVICE:PATH");
    (void)TRY(context.project_if_any());
    const std::string& service = from.container.empty() ? to.container : from.container;
    int index = static_cast<int>(arguments.integer("index"));
    auto containers = TRY(select_containers(context, {{service}, true, arguments.on("all"), index}));
    if (containers.empty()) return fail(Code::not_found, "no container found for service " + base::quote(service) + (index ? " with index " + std::to_string(index) : ""));
    bool outward = to.container.empty();
    if (outward) containers.resize(1);
    auto* engine = TRY(context.engine());
    auto progress = context.make_progress();
    std::vector<Error> errors;
    for (const auto& container : containers) {
        std::string id = container.spec.name, text = "copy " + (outward ? id + ":" + from.path + " to " + to.path : from.path + " to " + id + ":" + to.path);
        progress->say(id, text + " Copying", run::Phase::working);
        Status status;
        if (!context.globals.dry_run)
            status = outward ? copy_from_container(*engine, container.id, from.path, to.path, arguments.on("follow-link"))
                             : copy_to_container(*engine, container.id, from.path, to.path, arguments.on("follow-link"));
        progress->say(id, text + (status ? " Copied" : " Error"), status ? run::Phase::done : run::Phase::error);
        if (!status) errors.push_back(std::move(status.error()));
    }
    progress->close();
    for (const Error& error : errors) print_error(error);
    return errors.empty() ? 0 : 1;
}

}  // namespace

const Command kCp{"cp", "[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n        compose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH",
                  "Copy files/folders between a service container and the local filesystem", kCpFlags, cp_command, 2, 2};

}  // namespace compose::cli
