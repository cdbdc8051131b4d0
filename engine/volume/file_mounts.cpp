#include "volume/file_mounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

namespace engine::volume {
namespace {

const char* kind(const FileMount& file) { return file.secret ? "secret" : "config"; }

base::Result<uint32_t> number(const FileMount& file, const char* what, const std::string& text) {
    if (text.empty()) return 0u;
    auto value = base::parse_int(text);
    if (!value || *value < 0 || *value > 0xfffffffe)
        return base::fail(base::Code::invalid, std::string(kind(file)) + " " + file.target + ": " + what + " \"" + base::printable(text) + "\" is not a number");
    return static_cast<uint32_t>(*value);
}

/// Beside, then rename: a start that was cut leaves no half file behind the name.
base::Status write_owned(const std::string& path, const FileMount& file, std::string_view content) {
    uint32_t uid = TRY(number(file, "uid", file.uid)), gid = TRY(number(file, "gid", file.gid));
    std::string beside = path + ".new";
    unlink(beside.c_str());  // ignored: usually absent
    base::UniqueFd fd = TRY(base::open_at(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    TRY_VOID(base::write_all(fd.get(), content));
    if (fchown(fd.get(), uid, gid) != 0) return base::fail_errno("set the owner of \"" + path + "\"");
    if (fchmod(fd.get(), file.mode.value_or(0444) & 07777) != 0) return base::fail_errno("set the mode of \"" + path + "\"");
    if (rename(beside.c_str(), path.c_str()) != 0) return base::fail_errno("rename \"" + beside + "\"");
    return {};
}

std::string staged_path(const store::Paths& paths, const std::string& id, size_t index) {
    return paths.container_files(id) + "/" + std::to_string(index);
}

std::string kept_path(const store::Paths& paths, const std::string& id, size_t index) {
    return paths.container_kept_files(id) + "/" + std::to_string(index);
}

/// The run folder goes with a reboot, this stays; for configs alone, a secret's content is never on a disk. With a digest in front: after a power cut a file may be there and short.
base::Status keep(const store::Paths& paths, const std::string& id, size_t index, const std::string& content) {
    TRY_VOID(base::make_dirs(paths.container_kept_files(id), 0700));
    return base::replace_file(kept_path(paths, id, index), base::sha256_hex(content) + "\n" + content, 0600);
}

base::Result<std::string> kept(const store::Paths& paths, const std::string& id, size_t index) {
    auto [digest, content] = base::cut(TRY(base::read_file(kept_path(paths, id, index))), '\n');
    if (!content || base::sha256_hex(*content) != digest) return base::fail(base::Code::corrupt, "\"" + kept_path(paths, id, index) + "\" is not whole");
    return std::move(*content);
}

bool has_own_attributes(const FileMount& file) { return file.mode || !file.uid.empty() || !file.gid.empty(); }

}  // namespace

base::Status stage_files(const store::Paths& paths, const std::string& id, ContainerSpec& spec) {
    for (size_t i = 0; i < spec.files.size(); ++i) {
        FileMount& file = spec.files[i];
        if (file.target.empty() || file.target[0] != '/')
            return base::fail(base::Code::invalid, std::string(kind(file)) + " target \"" + base::printable(file.target) + "\" is not an absolute path");
        if (!file.content) continue;
        TRY_VOID(base::make_dirs(paths.container_files(id), 0700));
        auto written = write_owned(staged_path(paths, id, i), file, *file.content);
        if (written && !file.secret) written = keep(paths, id, i, *file.content);
        if (!written) return std::move(written).context(std::string(kind(file)) + " " + file.target);
        file.content.reset();
    }
    return {};
}

base::Status remove_files(const store::Paths& paths, const std::string& id) {
    auto removed = base::remove_tree(paths.container_files(id));
    auto forgotten = base::remove_tree(paths.container_kept_files(id));
    return removed ? std::move(forgotten) : std::move(removed);
}

base::Result<std::vector<FileSource>> resolve_files(const store::Paths& paths, const ContainerInfo& container) {
    std::vector<FileSource> sources;
    for (size_t i = 0; i < container.spec.files.size(); ++i) {
        const FileMount& file = container.spec.files[i];
        std::string staged = staged_path(paths, container.id, i);
        // Writable when its content came from the project, as Docker's; the owner's bits decide. A host file is never written.
        if (file.host_path.empty()) {
            if (!base::exists(staged)) {
                if (file.secret)
                    return base::fail(base::Code::not_found, "secret " + file.target +
                                                                 " is gone: it came from the environment of a command and is kept in memory only; run `compose up --force-recreate` with the variable set");
                auto content = kept(paths, container.id, i);
                if (!content)
                    return base::fail(base::Code::not_found, std::string(kind(file)) + " " + file.target + " is gone (" + content.error().message() +
                                                                 "); recreate the container (`up --force-recreate`)");
                TRY_VOID(base::make_dirs(paths.container_files(container.id), 0700));
                TRY_VOID(write_owned(staged, file, *content));
            }
            sources.push_back({file.target, staged, false});
            continue;
        }
        struct stat status;
        if (stat(file.host_path.c_str(), &status) != 0)
            return base::fail_errno("invalid mount config for type \"bind\": bind source path does not exist: " + file.host_path);
        if (!has_own_attributes(file) || S_ISDIR(status.st_mode)) {
            sources.push_back({file.target, file.host_path, true});
            continue;
        }
        std::string content = TRY(base::read_file(file.host_path).context(std::string(kind(file)) + " " + file.target));
        TRY_VOID(base::make_dirs(paths.container_files(container.id), 0700));
        TRY_VOID(write_owned(staged, file, content));
        sources.push_back({file.target, staged, true});
    }
    return sources;
}

}  // namespace engine::volume
