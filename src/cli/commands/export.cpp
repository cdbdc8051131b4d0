#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/output_file.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kExportFlags[] = {
    {"index", 0, Type::integer, "index of the container if service has multiple replicas"},
    {"output", 'o', Type::text, "Write to a file, instead of STDOUT"},
};

Result<int> export_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    std::string output = arguments.text("output");
    if (output.empty() && is_terminal(STDOUT_FILENO)) return fail(Code::invalid, "output option is required when exporting to terminal");
    auto container = TRY(running_replica(context, arguments.operands[0], static_cast<int>(arguments.integer("index"))));
    auto* engine = TRY(context.engine());
    if (context.globals.dry_run) return 0;
    TRY_VOID(write_output(output, 0600, [&](int fd) { return engine->export_container(container.id, fd); }));
    return 0;
}

}  // namespace

const Command kExport{"export", "[OPTIONS] SERVICE", "Export a service container's filesystem as a tar archive", kExportFlags, export_command, 1, 1};

}  // namespace compose::cli
