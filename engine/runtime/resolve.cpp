#include "runtime/resolve.h"

#include <sys/utsname.h>

#include <algorithm>

#include "runtime/inside_path.h"
#include "runtime/signals.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view name_of(std::string_view entry) { return entry.substr(0, entry.find('=')); }

bool covered(const ContainerSpec& spec, const std::string& path) {
    auto same = [&](const std::string& target) { return clean_path(target) == path; };
    return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const Mount& mount) { return same(mount.target); }) ||
           std::any_of(spec.tmpfs.begin(), spec.tmpfs.end(), [&](const auto& entry) { return same(entry.first); });
}
}  // namespace

std::vector<std::string> merge_env(std::vector<std::string> base, const std::vector<std::string>& over) {
    for (const std::string& entry : over) {
        auto same = [&](const std::string& other) { return name_of(other) == name_of(entry); };
        if (entry.find('=') == std::string::npos)
            std::erase_if(base, same);
        else if (auto found = std::find_if(base.begin(), base.end(), same); found != base.end())
            *found = entry;
        else
            base.push_back(entry);
    }
    return base;
}

std::optional<std::string_view> env_value(const std::vector<std::string>& env, std::string_view name) {
    for (auto entry = env.rbegin(); entry != env.rend(); ++entry)
        if (name_of(*entry) == name && entry->size() > name.size()) return std::string_view(*entry).substr(name.size() + 1);
    return std::nullopt;
}

Result<std::vector<std::string>> resolve_argv(const ContainerSpec& spec, const ImageConfig& image) {
    std::vector<std::string> argv = spec.entrypoint ? *spec.entrypoint : image.entrypoint;
    if (argv.size() == 1 && argv[0].empty()) argv.clear();  // `entrypoint: ""` clears it, as `docker run --entrypoint ""` does
    // Docker's rule: an entrypoint of the user's drops the image's command (which was written for the image's entrypoint).
    const std::vector<std::string>& command = spec.command ? *spec.command : spec.entrypoint ? std::vector<std::string>{} : image.cmd;
    argv.insert(argv.end(), command.begin(), command.end());
    if (argv.empty()) return base::fail(Code::invalid, "no command specified");
    return argv;
}

std::optional<HealthCheck> resolve_health(const std::optional<HealthCheck>& spec, const std::optional<HealthCheck>& image) {
    if (!spec && !image) return std::nullopt;
    HealthCheck check = spec ? *spec : *image;
    if (spec && image) {
        if (check.test.empty()) check.test = image->test;
        if (check.interval.count() == 0) check.interval = image->interval;
        if (check.timeout.count() == 0) check.timeout = image->timeout;
        if (check.start_period.count() == 0) check.start_period = image->start_period;
        if (check.start_interval.count() == 0) check.start_interval = image->start_interval;
        if (check.retries == 0) check.retries = image->retries;
    }
    if (check.test.empty() || check.test[0] == "NONE") return std::nullopt;
    using std::chrono::seconds;
    if (check.interval.count() == 0) check.interval = seconds(30);
    if (check.timeout.count() == 0) check.timeout = seconds(30);
    if (check.start_interval.count() == 0) check.start_interval = seconds(5);
    if (check.retries == 0) check.retries = 3;
    return check;
}

/// The machine's own name: what a container on the host's network is called, as in Docker.
static std::string host_name() {
    utsname name{};
    return ::uname(&name) == 0 ? name.nodename : "localhost";
}

Result<Resolved> resolve(const ContainerSpec& spec, const ImageConfig& image, const std::string& id) {
    Resolved out;
    out.argv = TRY(resolve_argv(spec, image));
    out.hostname = spec.hostname;
    if (out.hostname.empty()) out.hostname = spec.network_mode == "host" || spec.uts_mode == "host" ? host_name() : id.substr(0, 12);

    // behaviour.md §2: PATH, HOSTNAME, TERM only with tty, then image and service variables.
    std::vector<std::string> env{"PATH=" + std::string(kDefaultPath), "HOSTNAME=" + out.hostname};
    if (spec.tty) env.emplace_back("TERM=xterm");
    out.env = merge_env(merge_env(std::move(env), image.env), spec.env);

    out.user = spec.user.empty() ? image.user : spec.user;
    const std::string& folder = spec.working_dir.empty() ? image.working_dir : spec.working_dir;
    if (!folder.empty() && folder[0] != '/')
        return base::fail(Code::invalid, "the working directory " + base::quote(folder) + " is invalid, it needs to be an absolute path");
    out.working_dir = clean_path(folder);

    const std::string& signal = spec.stop_signal.empty() ? image.stop_signal : spec.stop_signal;
    if (!signal.empty()) {
        auto number = parse_signal(signal);
        if (!number) return base::fail(Code::invalid, "invalid signal: " + base::printable(signal));
        out.stop_signal = *number;
    }
    if (spec.stop_grace) out.stop_grace = *spec.stop_grace;
    out.health_check = resolve_health(spec.health_check, image.health_check);
    for (const std::string& volume : image.volumes) {
        std::string path = clean_path(volume);
        if (path != "/" && !covered(spec, path)) out.volumes.push_back(path);
    }
    return out;
}

}  // namespace engine::runtime
