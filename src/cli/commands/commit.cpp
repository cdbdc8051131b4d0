#include "cli/commands/commands.h"
#include "cli/context.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kCommitFlags[] = {
    {"author", 'a', Type::text, "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"},
    {"change", 'c', Type::list, "Apply Dockerfile instruction to the created image"},
    {"index", 0, Type::integer, "index of the container if service has multiple replicas"},
    {"message", 'm', Type::text, "Commit message"},
    {"pause", 'p', Type::boolean, "Pause container during commit", "true"},
};

Result<int> commit_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    Selection selection{{arguments.operands[0]}, true, false, static_cast<int>(arguments.integer("index"))};
    auto found = TRY(select_containers(context, selection));
    if (found.empty()) return fail(Code::not_found, "service " + base::quote(arguments.operands[0]) + " has no container to commit");
    const auto& container = found.front();
    engine::CommitOptions options;
    if (arguments.operands.size() > 1) options.reference = arguments.operands[1];
    options.author = arguments.text("author");
    options.message = arguments.text("message");
    options.changes = arguments.list("change");
    options.pause = arguments.on("pause");
    auto progress = context.make_progress();
    std::string id = "Container " + container.spec.name;
    progress->say(id, "Committing", run::Phase::working);
    if (context.globals.dry_run) {
        progress->say(id, "Committed", run::Phase::done);
        return 0;
    }
    auto image = TRY(context.engine())->commit(container.id, options);
    progress->say(id, image ? "Committed as " + *image : "Error", image ? run::Phase::done : run::Phase::error);
    TRY_VOID(Status(image ? Status() : Status(image.error())));
    return 0;
}

}  // namespace

const Command kCommit{"commit", "[OPTIONS] SERVICE [REPOSITORY[:TAG]]", "Create a new image from a service container's changes", kCommitFlags, commit_command, 1, 2};

}  // namespace compose::cli
