#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"

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
    if (output.empty()) {
        TRY_VOID(engine->export_container(container.id, STDOUT_FILENO));
        return 0;
    }
    // beside, then renamed: a file of that name is whole or the old one
    std::string beside = output + "." + base::random_hex(8) + ".tmp";
    auto fd = TRY(base::open_at(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL, 0600));
    base::Defer remove([&] { (void)unlink(beside.c_str()); });  // ignored: it is gone already
    TRY_VOID(engine->export_container(container.id, fd.get()));
    if (rename(beside.c_str(), output.c_str()) != 0) return base::fail_errno("export to " + base::quote(output));
    remove.cancel();
    return 0;
}

}  // namespace

const Command kExport{"export", "[OPTIONS] SERVICE", "Export a service container's filesystem as a tar archive", kExportFlags, export_command, 1, 1};

}  // namespace compose::cli
