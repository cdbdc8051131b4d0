#include "runtime/apparmor.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/process_plan.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr const char* kLoadedProfiles = "/sys/kernel/security/apparmor/profiles";
constexpr const char* kParsers[] = {"/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"};

/// As a file's name of what the kernel has: "name (enforce)" lines. nullopt: it does not say.
std::optional<bool> profile_is_loaded(std::string_view name) {
    auto list = base::read_file(kLoadedProfiles);
    if (!list) return std::nullopt;
    const std::string start = std::string(name) + " (";
    for (const std::string& line : base::split(*list, '\n'))
        if (line.starts_with(start)) return true;
    return false;
}

const char* apparmor_parser() {
    for (const char* path : kParsers)
        if (::access(path, X_OK) == 0) return path;
    return nullptr;
}

/// Runs the parser on the profile's text; only it knows the kernel's binary form.
base::Status load_default_profile(const char* parser) {
    base::UniqueFd text(::memfd_create("apparmor", MFD_CLOEXEC)), said(::memfd_create("apparmor-says", MFD_CLOEXEC));
    if (!text || !said) return base::fail_errno("make a memory file");
    TRY_VOID(base::write_all(text.get(), default_apparmor_profile()));
    ::lseek(text.get(), 0, SEEK_SET);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, text.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, said.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, said.get(), 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const char* words[] = {parser, "--replace", "--skip-cache", nullptr};
    const char* environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
    pid_t child = -1;
    int error = ::posix_spawn(&child, parser, &actions, &attributes, const_cast<char**>(words), const_cast<char**>(environment));
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) return base::fail_errno("run " + std::string(parser), error);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    char message[512];
    ssize_t n = ::pread(said.get(), message, sizeof message, 0);
    return base::fail(Code::unavailable, "AppArmor is on, but the profile " + std::string(kDefaultAppArmorProfile) + " could not be loaded: " +
                                             base::printable(base::trim(std::string_view(message, static_cast<size_t>(std::max<ssize_t>(n, 0))))) +
                                             " (security_opt: [apparmor=unconfined] does without it)");
}

/// Docker's condition: a system that has the means to load profiles, and is no container itself.
const char* usable_parser() {
    if (::access("/sys/kernel/security/apparmor", F_OK) != 0 || ::getenv("container") != nullptr) return nullptr;
    return apparmor_parser();
}

Result<std::string> default_profile() {
    const char* parser = usable_parser();
    if (parser == nullptr) return std::string();
    if (!profile_is_loaded(kDefaultAppArmorProfile).value_or(false)) TRY_VOID(load_default_profile(parser));
    return std::string(kDefaultAppArmorProfile);
}
}  // namespace

const char* apparmor_file() {
    if (base::trim(base::read_file("/sys/module/apparmor/parameters/enabled").value_or("")) != "Y") return nullptr;
    return base::exists("/proc/self/attr/apparmor/exec") ? "attr/apparmor/exec" : "attr/exec";
}

Result<std::string> apparmor_profile(const ContainerSpec& spec) {
    SecurityOptions options = TRY(parse_security_options(spec.security_opt));
    const std::string& asked = options.apparmor;
    if (asked == "unconfined") return std::string();
    if (apparmor_file() == nullptr) {
        // Docker does the same: a file that names a profile still runs where the host has no AppArmor; here it is said.
        if (!asked.empty()) base::log::warn("apparmor=" + base::printable(asked) + " is ignored: AppArmor is not part of this kernel, or it is off");
        return std::string();
    }
    if (asked.empty()) return spec.privileged ? std::string() : default_profile();
    std::optional<bool> loaded = profile_is_loaded(asked);
    if (loaded == false && (asked == "docker-default" || asked == kDefaultAppArmorProfile)) return default_profile();
    if (loaded == false)
        return base::fail(Code::not_found, "apparmor=" + base::printable(asked) + ": the kernel has no profile of this name: load its file with apparmor_parser -r FILE");
    return asked;
}

std::string_view default_apparmor_profile() {
    // What a container may do is bounded by its capabilities, namespaces and masked paths; this is a second wall behind them, for
    // the day that one of them has a hole. It denies no less than Docker's profile: no mounts, nothing of the host's settings below
    // /proc and /sys written, no tracing of processes outside, signals to and from its own kind only (and from the engine).
    return R"(profile compose-default flags=(attach_disconnected,mediate_deleted) {
  file,
  network,
  capability,
  umount,
  deny mount,

  signal (receive) peer=unconfined,
  signal (send, receive) peer=compose-default,
  ptrace (trace, read, tracedby, readby) peer=compose-default,

  # all of procfs but the folders of processes
  deny /proc/[^0-9]** wl,
  deny /proc/kcore rwklx,
  deny /proc/sysrq-trigger rwklx,

  # all of sysfs but the container's control groups
  deny /sys/[^f]** wklx,
  deny /sys/f[^s]** wklx,
  deny /sys/fs/[^c]** wklx,
  deny /sys/fs/c[^g]** wklx,
  deny /sys/fs/cg[^r]** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}
)";
}

}  // namespace engine::runtime
