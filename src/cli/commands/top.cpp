#include <unistd.h>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/table.h"

namespace compose::cli {
namespace {

Result<int> top_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    auto containers = TRY(select_containers(context, {arguments.operands, false, true, 0}));
    auto* engine = TRY(context.engine());
    Table table({"SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, 2);
    for (const auto& container : containers) {
        auto rows = engine->top(container.id);
        if (!rows && (rows.error().code == Code::not_found || rows.error().code == Code::not_running)) continue;  // ended meanwhile
        if (!rows) return Error(rows.error()).with("top of " + container.spec.name);
        int number = plan::number_of(container);
        for (const auto& row : *rows)
            table.add({plan::service_of(container), number ? std::to_string(number) : "", row.uid, row.pid, row.ppid, row.c, row.stime, row.tty, row.time,
                       base::printable(row.command)});
    }
    if (containers.empty()) return 0;
    Output out(STDOUT_FILENO);
    out << table.text();
    TRY_VOID(out.flush());
    return 0;
}

}  // namespace

const Command kTop{"top", "[SERVICES...]", "Display the running processes", {}, top_command};

}  // namespace compose::cli
