#include "supervisor/keepers.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "supervisor/guardian.h"

namespace engine::supervisor {

using base::Status;

namespace {

using KeeperClock = std::chrono::steady_clock;

struct Keeper {
    base::PidFd process;
    uint64_t start = 0;
    std::optional<KeeperClock::time_point> traced_since;
};

struct Keepers {
    std::vector<Keeper> known;
    std::optional<KeeperClock::time_point> searched;
};

/// Both are there in nearly all calls: only when one is missing /proc is gone through, and not more often than this.
constexpr auto kSearchAgain = std::chrono::seconds(2);

bool same_pid_namespace(const std::string& pid) {
    struct stat own {}, its {};
    return ::stat("/proc/self/ns/pid", &own) == 0 && ::stat(("/proc/" + pid + "/ns/pid").c_str(), &its) == 0 && own.st_ino == its.st_ino && own.st_dev == its.st_dev;
}

/// By its command line, as the owner of that process (root or ourselves) alone may be believed, and not from inside a container.
bool is_keeper(const std::string& pid, const store::Paths& paths, const std::optional<std::string>& group) {
    struct stat owner {};
    if (::stat(("/proc/" + pid).c_str(), &owner) != 0 || (owner.st_uid != 0 && owner.st_uid != ::geteuid())) return false;
    auto line = base::read_file("/proc/" + pid + "/cmdline", 64 * 1024);
    if (!line || !line->starts_with("compose-guardian")) return false;
    auto words = base::split(*line, '\0');
    return words.size() >= 8 && words[0] == "compose-guardian" && words[1] == paths.root && words[2] == paths.run && (!group || words[3] == *group) &&
           same_pid_namespace(pid);
}

void search(Keepers& keepers, const store::Paths& paths, const std::optional<std::string>& group) {
    for (const auto& name : base::list_dir("/proc").value_or(std::vector<std::string>{})) {
        auto pid = base::parse_int(name);
        if (!pid || *pid == ::getpid() || !is_keeper(name, paths, group)) continue;
        if (std::any_of(keepers.known.begin(), keepers.known.end(), [&](const Keeper& each) { return each.process.pid() == *pid; })) continue;
        auto process = base::PidFd::open(static_cast<pid_t>(*pid));
        if (!process) continue;
        // Only what is read once the pidfd is held, of a process that still lives then, is surely about this one.
        const auto look = look_at_process(static_cast<pid_t>(*pid));
        if (!is_keeper(name, paths, group) || !process->alive()) continue;
        keepers.known.push_back({std::move(*process), look.start, std::nullopt});
    }
}

std::string described(const Keeper& keeper, const ProcessLook& look, const Keepers& all, const std::optional<std::string>& group) {
    const bool is_child = std::any_of(all.known.begin(), all.known.end(), [&](const Keeper& each) { return each.process.pid() == look.parent; });
    const bool is_parent = std::any_of(all.known.begin(), all.known.end(),
                                       [&](const Keeper& each) { return look_at_process(each.process.pid()).parent == keeper.process.pid(); });
    std::string text = is_parent && !is_child ? "the guardian" : "the supervisor";
    if (group) text += " of " + base::quote(*group);
    return text + " (process " + std::to_string(keeper.process.pid()) + ")";
}

}  // namespace

ProcessLook parse_process(std::string_view stat, std::string_view status) {
    ProcessLook look;
    const size_t at = stat.rfind(')');
    if (at == std::string_view::npos || at + 2 >= stat.size()) return look;
    auto fields = base::split(stat.substr(at + 2), ' ');
    if (fields.size() <= 19 || fields[0].empty()) return look;
    look.state = fields[0][0];
    look.parent = static_cast<pid_t>(base::parse_int(fields[1]).value_or(0));
    look.start = static_cast<uint64_t>(base::parse_int(fields[19]).value_or(0));
    constexpr std::string_view name = "\nTracerPid:\t";
    if (const size_t tracer = status.find(name); tracer != std::string_view::npos) {
        auto rest = status.substr(tracer + name.size());
        look.tracer = static_cast<pid_t>(base::parse_int(rest.substr(0, rest.find('\n'))).value_or(0));
    }
    return look;
}

ProcessLook look_at_process(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid);
    auto stat = base::read_file(folder + "/stat", 4096);
    auto status = base::read_file(folder + "/status", 64 * 1024);
    return stat && status ? parse_process(*stat, *status) : ProcessLook{};
}

Status wake_keepers(const store::Paths& paths, const std::optional<std::string>& group, std::chrono::seconds patience) {
    static std::mutex mutex;
    static std::map<std::string, Keepers> groups;
    std::lock_guard lock(mutex);
    Keepers& keepers = groups[paths.run + '\0' + (group ? "=" + *group : std::string())];
    std::erase_if(keepers.known, [](const Keeper& each) { return !each.process.alive(); });
    const auto now = KeeperClock::now();
    if (keepers.known.size() < 2 && (!keepers.searched || now - *keepers.searched >= kSearchAgain)) {
        keepers.searched = now;
        search(keepers, paths, group);
    }
    for (Keeper& keeper : keepers.known) {
        const auto look = look_at_process(keeper.process.pid());
        if (look.start != keeper.start || (look.state != 'T' && look.state != 't')) {
            keeper.traced_since.reset();
            continue;
        }
        if (look.tracer != 0) {
            const std::string who = described(keeper, look, keepers, group);
            const auto tracer = std::to_string(look.tracer);
            const std::string name = base::trim(base::read_file("/proc/" + tracer + "/comm", 256).value_or(""));
            const std::string what = who + " is stopped by a debugger (process " + tracer + (name.empty() ? "" : ", " + base::printable(name)) + ") and does not answer";
            if (!keeper.traced_since) {
                keeper.traced_since = now;
                base::log::warn(what);
            }
            if (now - *keeper.traced_since >= patience) return base::fail(base::Code::unavailable, what + ": let it go on there, or end the debugger, and try again");
            continue;
        }
        const std::string who = described(keeper, look, keepers, group);
        auto woken = keeper.process.signal(SIGCONT);
        if (woken) {
            base::log::warn(who + " was stopped (SIGSTOP): woken up");
        } else if (woken.error().sys_errno == EPERM) {
            return base::fail(base::Code::permission, who + " is stopped and does not answer: kill -CONT " + std::to_string(keeper.process.pid()));
        }
    }
    return {};
}

}  // namespace engine::supervisor
