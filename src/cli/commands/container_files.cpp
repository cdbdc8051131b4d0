// `container cp`, `diff`, `commit`, `export`: the container's file system.
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/copy.h"
#include "cli/output_file.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kContainerCopyFlags[] = {
    {"archive", 'a', Type::boolean, "Archive mode (copy all uid/gid information)"},
    {"follow-link", 'L', Type::boolean, "Always follow symbol link in SRC_PATH"},
    {"quiet", 'q', Type::boolean, "Suppress progress output during copy"},
};
constexpr Flag kContainerCommitFlags[] = {
    {"author", 'a', Type::text, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"},
    {"change", 'c', Type::list, "Apply Dockerfile instruction to the created image"},
    {"message", 'm', Type::text, "Commit message"},
    {"pause", 'p', Type::boolean, "Pause container during commit", "true"},
};
constexpr Flag kContainerExportFlags[] = {{"output", 'o', Type::text, "Write to a file, instead of STDOUT"}};

Result<int> container_cp(Context& context, const Arguments& arguments) {
    CopyPlace from = copy_place(arguments.operands[0]), to = copy_place(arguments.operands[1]);
    if (!from.container.empty() && !to.container.empty()) return fail(Code::invalid, "copying between containers is not supported");
    if (from.container.empty() && to.container.empty()) return fail(Code::invalid, "must specify at least one container source");
    auto* engine = TRY(context.engine_without_project());
    bool outward = to.container.empty();
    auto container = TRY(engine->container(outward ? from.container : to.container));
    if (from.path.empty() || to.path.empty()) return fail(Code::invalid, "a path may not be empty");
    if (context.globals.dry_run) return 0;
    bool follow = arguments.on("follow-link");
    TRY_VOID(outward ? copy_from_container(*engine, container.id, from.path, to.path, follow) : copy_to_container(*engine, container.id, from.path, to.path, follow));
    if (!arguments.on("quiet") && is_terminal(STDOUT_FILENO) && is_terminal(STDERR_FILENO) && to.path != "-")
        (void)base::write_all(STDERR_FILENO, "Successfully copied to " + arguments.operands[1] + "\n");  // ignored: it only tells
    return 0;
}

Result<int> container_diff(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    Output out(STDOUT_FILENO);
    for (const std::string& change : TRY(engine->diff(container.id))) out << base::printable(change) + "\n";
    TRY_VOID(out.flush());
    return 0;
}

Result<int> container_commit(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    engine::CommitOptions options;
    if (arguments.operands.size() > 1) options.reference = arguments.operands[1];
    options.author = arguments.text("author");
    options.message = arguments.text("message");
    options.changes = arguments.list("change");
    options.pause = arguments.on("pause");
    if (context.globals.dry_run) return 0;
    std::string image = TRY(engine->commit(container.id, options));
    TRY_VOID(base::write_all(STDOUT_FILENO, image + "\n"));
    return 0;
}

Result<int> container_export(Context& context, const Arguments& arguments) {
    std::string output = arguments.text("output");
    if (output.empty() && is_terminal(STDOUT_FILENO)) return fail(Code::invalid, "cowardly refusing to save to a terminal. Use the -o flag or redirect");
    auto* engine = TRY(context.engine_without_project());
    auto container = TRY(engine->container(arguments.operands[0]));
    if (context.globals.dry_run) return 0;
    TRY_VOID(write_output(output, 0600, [&](int fd) { return engine->export_container(container.id, fd); }));
    return 0;
}

}  // namespace

const Command kContainerCp{"container cp", "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        compose container cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
                           "Copy files/folders between a container and the local filesystem", kContainerCopyFlags, container_cp, 2, 2};
const Command kContainerDiff{"container diff", "CONTAINER", "Inspect changes to files or directories on a container's filesystem", {}, container_diff, 1, 1};
const Command kContainerCommit{"container commit", "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", "Create a new image from a container's changes", kContainerCommitFlags, container_commit, 1, 2};
const Command kContainerExport{"container export", "[OPTIONS] CONTAINER", "Export a container's filesystem as a tar archive", kContainerExportFlags, container_export, 1, 1};

}  // namespace compose::cli
