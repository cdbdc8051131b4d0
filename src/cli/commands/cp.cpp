#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/tar.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kCpFlags[] = {
    {"all", 0, Type::boolean, "Include containers created by the run command"},
    {"archive", 'a', Type::boolean, "Archive mode (copy all uid/gid information)"},
    {"follow-link", 'L', Type::boolean, "Always follow symbol link in SRC_PATH"},
    {"index", 0, Type::integer, "Index of the container if service has multiple replicas"},
};

/// `SERVICE:PATH`, or a host path (service empty). A path with a slash before the colon is a host path.
struct Place {
    std::string service, path;
};
Place place_of(const std::string& text) {
    size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find('/') < colon || text[0] == '.') return {"", text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

std::string last_part(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}
std::string parent_of(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}
bool wants_content(const std::string& path) { return path == "." || path.ends_with("/."); }
std::string without_dot(const std::string& path) { return path.ends_with("/.") ? path.substr(0, std::max<size_t>(1, path.size() - 2)) : path; }

/// Runs the two ends of a pipe at once; the writer's error, being the cause, goes first.
Status through_pipe(const std::function<Status(int)>& write_end, const std::function<Status(int)>& read_end) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return base::fail_errno("pipe");
    base::UniqueFd reader(fds[0]), writer(fds[1]);
    Status written;
    std::thread thread([&] {
        written = write_end(writer.get());
        writer.reset();
    });
    Status got = read_end(reader.get());
    reader.reset();  // a writer that has more to say gets EPIPE
    thread.join();
    if (!written && written.error().sys_errno != EPIPE && (got || written.error().code == Code::not_found)) return written;
    return got;
}

Status to_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow) {
    if (source == "-") return engine.copy_to(id, target, STDIN_FILENO);
    struct stat info {};
    if ((follow ? stat(source.c_str(), &info) : lstat(source.c_str(), &info)) != 0) return base::fail_errno("lstat " + source);
    bool folder = S_ISDIR(info.st_mode);
    auto there = engine.stat_path(id, target);
    if (!there && there.error().code != Code::not_found) return Error(there.error());
    bool target_is_folder = there && S_ISDIR(there->mode);
    if (there && !target_is_folder && folder) return fail(Code::invalid, "cannot copy a directory over the file " + base::quote(target));
    if (!there && !folder && target.ends_with('/')) return fail(Code::not_found, "no such directory: " + base::quote(target));
    std::string into = target, name = last_part(source);
    if (target_is_folder && folder && wants_content(source))
        name.clear();
    else if (!target_is_folder)
        into = parent_of(target), name = last_part(target);
    if (name == "." || name == "..") {
        char real[PATH_MAX];
        if (!realpath(source.c_str(), real)) return base::fail_errno("lstat " + source);
        name = last_part(real);
    }
    return through_pipe([&](int fd) { return pack(without_dot(source), {name, follow}, fd); }, [&](int fd) { return engine.copy_to(id, into, fd); });
}

Status from_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow) {
    if (target == "-") return engine.copy_from(id, without_dot(source), follow, STDOUT_FILENO);
    auto what = TRY(engine.stat_path(id, without_dot(source)));
    struct stat info {};
    bool there = stat(target.c_str(), &info) == 0, target_is_folder = there && S_ISDIR(info.st_mode), folder = S_ISDIR(what.mode);
    if (there && !target_is_folder && folder) return fail(Code::invalid, "cannot copy a directory over the file " + base::quote(target));
    if (!there && !folder && target.ends_with('/')) return fail(Code::not_found, "no such directory: " + base::quote(target));
    std::string into = target, strip = last_part(without_dot(source)), name = strip;
    if (strip == "/" || strip.empty()) strip = name = ".";
    if (target_is_folder && wants_content(source))
        name.clear();
    else if (!target_is_folder)
        into = parent_of(target), name = last_part(target);
    return through_pipe([&](int fd) { return engine.copy_from(id, without_dot(source), follow, fd); },
                        [&](int fd) { return unpack(fd, into, {strip, name}); });
}

Result<int> cp_command(Context& context, const Arguments& arguments) {
    Place from = place_of(arguments.operands[0]), to = place_of(arguments.operands[1]);
    if (!from.service.empty() && !to.service.empty()) return fail(Code::invalid, "copying between services is not supported");
    if (from.service.empty() && to.service.empty()) return fail(Code::invalid, "unknown copy direction: one of the two must be SERVICE:PATH");
    (void)TRY(context.project_if_any());
    const std::string& service = from.service.empty() ? to.service : from.service;
    int index = static_cast<int>(arguments.integer("index"));
    auto containers = TRY(select_containers(context, {{service}, true, arguments.on("all"), index}));
    if (containers.empty()) return fail(Code::not_found, "no container found for service " + base::quote(service) + (index ? " with index " + std::to_string(index) : ""));
    bool outward = to.service.empty();
    if (outward) containers.resize(1);
    auto* engine = TRY(context.engine());
    auto progress = context.make_progress();
    std::vector<Error> errors;
    for (const auto& container : containers) {
        std::string id = container.spec.name, text = "copy " + (outward ? id + ":" + from.path + " to " + to.path : from.path + " to " + id + ":" + to.path);
        progress->say(id, text + " Copying", run::Phase::working);
        Status status;
        if (!context.globals.dry_run)
            status = outward ? from_container(*engine, container.id, from.path, to.path, arguments.on("follow-link"))
                             : to_container(*engine, container.id, from.path, to.path, arguments.on("follow-link"));
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
