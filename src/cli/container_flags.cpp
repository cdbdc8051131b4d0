// The flags of `container run` and `container create`, as docker's.
#include <algorithm>

#include "cli/container_spec.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;

constexpr Flag kContainerShared[] = {
    {"add-host", 0, Type::list, "Add a custom host-to-IP mapping (host:ip)"},
    {"annotation", 0, Type::list, "Add an annotation to the container (passed through to the OCI runtime)"},
    {"attach", 'a', Type::list, "Attach to STDIN, STDOUT or STDERR"},
    {"blkio-weight", 0, Type::integer, "Block IO (relative weight), between 10 and 1000, or 0 to disable", "0"},
    {"blkio-weight-device", 0, Type::list, "Block IO weight (relative device weight)"},
    {"cap-add", 0, Type::list, "Add Linux capabilities"},
    {"cap-drop", 0, Type::list, "Drop Linux capabilities"},
    {"cgroup-parent", 0, Type::text, "Optional parent cgroup for the container"},
    {"cgroupns", 0, Type::text, "Cgroup namespace to use (host|private)"},
    {"cidfile", 0, Type::text, "Write the container ID to the file"},
    {"cpu-period", 0, Type::integer, "Limit CPU CFS (Completely Fair Scheduler) period"},
    {"cpu-quota", 0, Type::integer, "Limit CPU CFS (Completely Fair Scheduler) quota"},
    {"cpu-rt-period", 0, Type::integer, "Limit CPU real-time period in microseconds"},
    {"cpu-rt-runtime", 0, Type::integer, "Limit CPU real-time runtime in microseconds"},
    {"cpu-shares", 'c', Type::integer, "CPU shares (relative weight)"},
    {"cpus", 0, Type::text, "Number of CPUs"},
    {"cpuset-cpus", 0, Type::text, "CPUs in which to allow execution (0-3, 0,1)"},
    {"cpuset-mems", 0, Type::text, "MEMs in which to allow execution (0-3, 0,1)"},
    {"device", 0, Type::list, "Add a host device to the container"},
    {"device-cgroup-rule", 0, Type::list, "Add a rule to the cgroup allowed devices list"},
    {"device-read-bps", 0, Type::list, "Limit read rate (bytes per second) from a device"},
    {"device-read-iops", 0, Type::list, "Limit read rate (IO per second) from a device"},
    {"device-write-bps", 0, Type::list, "Limit write rate (bytes per second) to a device"},
    {"device-write-iops", 0, Type::list, "Limit write rate (IO per second) to a device"},
    {"disable-content-trust", 0, Type::boolean, "Skip image verification", "true", true},
    {"dns", 0, Type::list, "Set custom DNS servers"},
    {"dns-opt", 0, Type::list, "Set DNS options", "", true},
    {"dns-option", 0, Type::list, "Set DNS options"},
    {"dns-search", 0, Type::list, "Set custom DNS search domains"},
    {"domainname", 0, Type::text, "Container NIS domain name"},
    {"entrypoint", 0, Type::text, "Overwrite the default ENTRYPOINT of the image"},
    {"env", 'e', Type::list, "Set environment variables"},
    {"env-file", 0, Type::list, "Read in a file of environment variables"},
    {"expose", 0, Type::list, "Expose a port or a range of ports"},
    {"gpus", 0, Type::list, "GPU devices to add to the container ('all' to pass all GPUs)"},
    {"group-add", 0, Type::list, "Add additional groups to join"},
    {"health-cmd", 0, Type::text, "Command to run to check health"},
    {"health-interval", 0, Type::text, "Time between running the check (ms|s|m|h)"},
    {"health-retries", 0, Type::integer, "Consecutive failures needed to report unhealthy"},
    {"health-start-interval", 0, Type::text, "Time between running the check during the start period (ms|s|m|h)"},
    {"health-start-period", 0, Type::text, "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h)"},
    {"health-timeout", 0, Type::text, "Maximum time to allow one check to run (ms|s|m|h)"},
    {"hostname", 'h', Type::text, "Container host name"},
    {"init", 0, Type::boolean, "Run an init inside the container that forwards signals and reaps processes"},
    {"interactive", 'i', Type::boolean, "Keep STDIN open even if not attached"},
    {"ip", 0, Type::text, "IPv4 address (e.g., 172.30.100.104)"},
    {"ip6", 0, Type::text, "IPv6 address (e.g., 2001:db8::33)"},
    {"ipc", 0, Type::text, "IPC mode to use"},
    {"isolation", 0, Type::text, "Container isolation technology", "", true},
    {"kernel-memory", 0, Type::text, "Kernel memory limit", "", true},
    {"label", 'l', Type::list, "Set meta data on a container"},
    {"label-file", 0, Type::list, "Read in a line delimited file of labels"},
    {"link", 0, Type::list, "Add link to another container", "", true},
    {"link-local-ip", 0, Type::list, "Container IPv4/IPv6 link-local addresses"},
    {"log-driver", 0, Type::text, "Logging driver for the container"},
    {"log-opt", 0, Type::list, "Log driver options"},
    {"mac-address", 0, Type::text, "Container MAC address (e.g., 92:d0:c6:0a:29:33)"},
    {"memory", 'm', Type::text, "Memory limit"},
    {"memory-reservation", 0, Type::text, "Memory soft limit"},
    {"memory-swap", 0, Type::text, "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"},
    {"memory-swappiness", 0, Type::integer, "Tune container memory swappiness (0 to 100)", "-1"},
    {"mount", 0, Type::list, "Attach a filesystem mount to the container"},
    {"name", 0, Type::text, "Assign a name to the container"},
    {"net", 0, Type::list, "Connect a container to a network", "", true},
    {"net-alias", 0, Type::list, "Add network-scoped alias for the container", "", true},
    {"network", 0, Type::list, "Connect a container to a network"},
    {"network-alias", 0, Type::list, "Add network-scoped alias for the container"},
    {"no-healthcheck", 0, Type::boolean, "Disable any container-specified HEALTHCHECK"},
    {"oom-kill-disable", 0, Type::boolean, "Disable OOM Killer"},
    {"oom-score-adj", 0, Type::integer, "Tune host's OOM preferences (-1000 to 1000)"},
    {"pid", 0, Type::text, "PID namespace to use"},
    {"pids-limit", 0, Type::integer, "Tune container pids limit (set -1 for unlimited)"},
    {"platform", 0, Type::text, "Set platform if server is multi-platform capable"},
    {"privileged", 0, Type::boolean, "Give extended privileges to this container"},
    {"publish", 'p', Type::list, "Publish a container's port(s) to the host"},
    {"publish-all", 'P', Type::boolean, "Publish all exposed ports to random ports"},
    {"pull", 0, Type::text, "Pull image before creating (\"always\", \"missing\", \"never\")", "missing"},
    {"quiet", 'q', Type::boolean, "Suppress the pull output"},
    {"read-only", 0, Type::boolean, "Mount the container's root filesystem as read only"},
    {"restart", 0, Type::text, "Restart policy to apply when a container exits", "no"},
    {"rm", 0, Type::boolean, "Automatically remove the container and its associated anonymous volumes when it exits"},
    {"runtime", 0, Type::text, "Runtime to use for this container"},
    {"security-opt", 0, Type::list, "Security Options"},
    {"shm-size", 0, Type::text, "Size of /dev/shm"},
    {"stop-signal", 0, Type::text, "Signal to stop the container"},
    {"stop-timeout", 0, Type::integer, "Timeout (in seconds) to stop a container"},
    {"storage-opt", 0, Type::list, "Storage driver options for the container"},
    {"sysctl", 0, Type::list, "Sysctl options"},
    {"tmpfs", 0, Type::list, "Mount a tmpfs directory"},
    {"tty", 't', Type::boolean, "Allocate a pseudo-TTY"},
    {"ulimit", 0, Type::list, "Ulimit options"},
    {"use-api-socket", 0, Type::boolean, "Bind mount the engine's API socket", "", true},
    {"user", 'u', Type::text, "Username or UID (format: <name|uid>[:<group|gid>])"},
    {"userns", 0, Type::text, "User namespace to use"},
    {"uts", 0, Type::text, "UTS namespace to use"},
    {"volume", 'v', Type::list, "Bind mount a volume"},
    {"volume-driver", 0, Type::text, "Optional volume driver for the container", "", true},
    {"volumes-from", 0, Type::list, "Mount volumes from the specified container(s)"},
    {"workdir", 'w', Type::text, "Working directory inside the container"},
};
constexpr Flag kContainerRunOnly[] = {
    {"detach", 'd', Type::boolean, "Run container in background and print container ID"},
    {"detach-keys", 0, Type::text, "Override the key sequence for detaching a container"},
    {"sig-proxy", 0, Type::boolean, "Proxy received signals to the process", "true"},
};

constexpr auto joined_container_flags() {
    std::array<Flag, std::size(kContainerShared) + std::size(kContainerRunOnly)> all{};
    std::copy(std::begin(kContainerShared), std::end(kContainerShared), all.begin());
    std::copy(std::begin(kContainerRunOnly), std::end(kContainerRunOnly), all.begin() + std::size(kContainerShared));
    std::sort(all.begin(), all.end(), [](const Flag& a, const Flag& b) { return a.name < b.name; });
    return all;
}
constexpr auto kContainerRunFlags = joined_container_flags();

}  // namespace

std::span<const Flag> container_flags() { return kContainerShared; }
std::span<const Flag> container_run_flags() { return kContainerRunFlags; }

}  // namespace compose::cli
