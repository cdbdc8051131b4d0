#include "cli/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <functional>
#include <thread>

#include "base/fd.h"
#include "cli/tar.h"

namespace compose::cli {

using base::Code;
using base::Error;
using base::fail;
using base::Status;

namespace {

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

}  // namespace

CopyPlace copy_place(const std::string& text) {
    size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find('/') < colon || text[0] == '.') return {"", text};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

Status copy_to_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow) {
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

Status copy_from_container(engine::Engine& engine, const std::string& id, const std::string& source, const std::string& target, bool follow) {
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

}  // namespace compose::cli
