#include "store/paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"

namespace engine::store {
namespace {

std::string environment(const char* name) {
    const char* value = getenv(name);
    return value ? value : "";
}

// FNV-1a: a name for a folder, not a proof; SHA-256 would load the provider of OpenSSL at every start.
std::string short_hash(const std::string& text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
    char digits[17];
    snprintf(digits, sizeof digits, "%016lx", static_cast<unsigned long>(hash));
    return digits;
}

base::Result<std::string> absolute(std::string path) {
    if (path.empty() || path[0] != '/') {
        char* current = get_current_dir_name();
        if (!current) return base::fail_errno("working folder");
        path = std::string(current) + "/" + path;
        free(current);
    }
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    // One root reached by two names is one root.
    if (char* real = realpath(path.c_str(), nullptr)) {
        path = real;
        free(real);
    }
    return path;
}

/// Makes the folder and its parents; the folder itself gets `mode`, parents 0755.
base::Status make_private(const std::string& path, mode_t mode) {
    if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    if (errno != ENOENT) return base::fail_errno("make folder \"" + path + "\"");
    TRY_VOID(base::make_dirs(path.substr(0, path.rfind('/')), 0755));
    if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
    return base::fail_errno("make folder \"" + path + "\"");
}

}  // namespace

std::string Paths::folder_name(const std::string& group) {
    if (group.empty()) return "_";
    bool plain = group.size() <= 40 && group[0] != '.' && group[0] != '_';
    for (char c : group) plain = plain && (isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.');
    return plain ? group : "_" + short_hash(group);
}

base::Result<Paths> Paths::resolve(const std::string& root, const std::string& run) {
    Paths paths;
    bool is_root = geteuid() == 0;
    std::string standard = "/var/lib/compose";
    if (!is_root) {
        std::string data = environment("XDG_DATA_HOME");
        if (data.empty() && !environment("HOME").empty()) data = environment("HOME") + "/.local/share";
        standard = data.empty() ? "" : data + "/compose";
    }
    std::string wanted = root.empty() ? environment("COMPOSE_ROOT") : root;
    if (wanted.empty()) wanted = standard;
    if (wanted.empty())
        return base::fail(base::Code::invalid, "no folder for the engine's state: HOME and XDG_DATA_HOME are unset; set COMPOSE_ROOT or give --root");
    paths.root = TRY(absolute(wanted));

    std::string base_run = "/run/compose";
    if (!is_root) {
        std::string runtime = environment("XDG_RUNTIME_DIR");
        base_run = runtime.empty() ? "/tmp/compose-" + std::to_string(geteuid()) : runtime + "/compose";
    }
    if (!run.empty()) {
        paths.run = TRY(absolute(run));
    } else {
        paths.run = base_run + "/" + (paths.root == standard ? "default" : short_hash(paths.root));
    }
    return paths;
}

base::Status Paths::make() const {
    // Closed to others: setuid files of layers must not be reachable by local users.
    TRY_VOID(make_private(root, 0700));
    if (auto made = make_private(run, 0700); !made) return std::move(made).context("run folder");
    struct stat status;
    if (stat(run.c_str(), &status) != 0) return base::fail_errno("run folder \"" + run + "\"");
    if (status.st_uid != geteuid())
        return base::fail(base::Code::permission, "run folder \"" + run + "\" belongs to user " + std::to_string(status.st_uid));
    return {};
}

}  // namespace engine::store
