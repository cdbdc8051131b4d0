// `container run` and `container create`: one container, without a Compose file.
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/container_common.h"
#include "cli/container_spec.h"
#include "engine/remarks.h"

namespace compose::cli {
namespace {

constexpr int kContainerEngineFailed = 125;

/// Pulls what is missing and stores the container. Returns it.
Result<engine::ContainerInfo> make_container(Context& context, engine::Engine& engine, AskedContainer asked, const Arguments& arguments) {
    engine::ContainerSpec& spec = asked.spec;
    std::string id_file = arguments.text("cidfile");
    if (!id_file.empty() && base::exists(id_file))
        return fail(Code::conflict, "container ID file found, make sure the other container isn't running or delete " + id_file);
    bool quiet = arguments.on("quiet");
    spec.image_id = TRY(image_for(context, engine, spec.image, spec.platform.value_or(""), arguments.text("pull"), quiet)).id;
    for (const auto& mount : spec.mounts)
        if (mount.type == engine::Mount::Type::image) (void)TRY(image_for(context, engine, mount.source, "", arguments.text("pull"), quiet));
    for (const auto& volume : asked.volumes) {
        if (auto there = engine.volume(volume.name); there) continue;
        auto made = engine.create_volume(volume);
        if (!made && made.error().code != Code::conflict) return made.error();
    }
    for (const auto& remark : engine::remarks(spec)) warn(remark.attribute + " " + remark.text);
    std::string id = TRY(engine.create(spec));
    if (!id_file.empty()) {
        auto written = base::replace_file(id_file, id, 0644);
        if (!written) {
            (void)engine.remove(id, true, true);  // ignored: the first error is the one to tell
            return Error(written.error()).with("write the container ID file");
        }
    }
    return engine.container(id);
}

Result<int> container_create(Context& context, const Arguments& arguments) {
    auto* engine = TRY(context.engine_without_project());
    auto asked = TRY(asked_container(context, *engine, arguments));
    asked.spec.stdin_once = asked.spec.stdin_open;
    if (context.globals.dry_run) return 0;
    auto container = TRY(make_container(context, *engine, std::move(asked), arguments));
    TRY_VOID(base::write_all(STDOUT_FILENO, container.id + "\n"));
    return 0;
}

Result<int> container_run(Context& context, const Arguments& arguments) {
    context.will_start = true;
    auto* engine = TRY(context.engine_without_project());
    auto asked = TRY(asked_container(context, *engine, arguments));
    bool detach = arguments.on("detach"), removed_after = asked.spec.auto_remove;
    if (detach && !asked.attach.empty()) return fail(Code::invalid, "conflicting options: cannot specify both --attach and --detach");
    auto attached = [&](const char* stream, bool otherwise) {
        return asked.attach.empty() ? otherwise : std::find(asked.attach.begin(), asked.attach.end(), stream) != asked.attach.end();
    };
    Attaching attaching;
    attaching.start = true;
    attaching.input = !detach && attached("stdin", asked.spec.stdin_open);
    attaching.output = attached("stdout", true);
    attaching.error = attached("stderr", true);
    attaching.signals = arguments.on("sig-proxy");
    attaching.whole_log = true;
    attaching.detach_keys = arguments.text("detach-keys");
    if (attaching.input && !asked.spec.stdin_open) asked.spec.stdin_open = true;
    if (auto terminal = check_terminal(attaching.input, asked.spec.tty); !terminal) {
        print_error(terminal.error());
        return 1;
    }
    asked.spec.stdin_once = attaching.input;
    if (context.globals.dry_run) return 0;
    auto container = TRY(make_container(context, *engine, std::move(asked), arguments));
    auto give_up = [&](const Error& error) {
        print_error(error);
        if (removed_after) (void)engine->remove(container.id, true, true);  // ignored: the first error is the one to tell
        return start_status(error, kContainerEngineFailed);
    };
    if (detach) {
        if (auto started = engine->start(container.id); !started) return give_up(started.error());
        TRY_VOID(base::write_all(STDOUT_FILENO, container.id + "\n"));
        return 0;
    }
    auto ended = attach_to(*engine, container, attaching);
    if (!ended) return give_up(ended.error());
    if (removed_after && !ended->detached)
        if (auto removed = engine->remove(container.id, true, true); !removed && removed.error().code != Code::not_found) print_error(removed.error());
    return ended->exit_code;
}

}  // namespace

const Command kContainerRun{"container run", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create and run a new container from an image", container_run_flags(), container_run,
                            1, -1, true, false, {}, false, kContainerEngineFailed};
const Command kContainerCreate{"container create", "[OPTIONS] IMAGE [COMMAND] [ARG...]", "Create a new container", container_flags(), container_create, 1, -1, true};

}  // namespace compose::cli
