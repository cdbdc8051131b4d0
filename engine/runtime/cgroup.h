#pragma once
// A container's control group: v1 (one folder a controller), v2 (one folder) or hybrid, found once by looking at the mounts.
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/engine.h"
#include "engine/types.h"

namespace engine::runtime {

/// One line of the device list: "c 1:3 rwm". -1 is "*".
struct DeviceRule {
    bool allow = true;
    char type = 'a';  ///< a, b, c
    int64_t major = -1, minor = -1;
    std::string access = "rwm";
    bool operator==(const DeviceRule&) const = default;
    std::string text() const;  ///< "c 1:3 rwm", devices.allow's form
};
/// "c 1:3 mr", "a *:* rwm"; invalid with the text otherwise.
base::Result<DeviceRule> parse_device_rule(std::string_view text);
/// What every container may use (runtime-spec config-linux.md, default devices; making nodes is harmless without access).
std::vector<DeviceRule> default_device_rules();
/// Deny all, then the default ones, then the spec's.
base::Result<std::vector<DeviceRule>> device_rules(const ContainerSpec& spec);

struct CgroupWrite {
    std::string controller, file, value;
    bool optional = false;  ///< a kernel without the file or a swap account is no error
    bool operator==(const CgroupWrite&) const = default;
};

/// Where systemd has a slice: "a-b.slice" is /a.slice/a-b.slice.
std::string slice_path(const std::string& slice);
/// Where a container's group is below the hierarchy's root: "/compose/ID", or cgroup_parent + "/ID"; a slice's name alone is the
/// one of systemd, where that runs.
std::string cgroup_path(const ContainerInfo& container);

/// v1: whether the container gets a folder in every hierarchy instead of those alone that its limits need: where programs inside look
/// at limits (the JVM knows its own only where memory, cpu, cpuset and cpuacct are all mounted), where the control groups are
/// theirs to write (privileged, writable-cgroups), and where a parent's limits may be in any of them (cgroup_parent).
bool needs_every_group(const ContainerSpec& spec);

enum class CgroupVersion : uint8_t { v1, v2 };  ///< hybrid counts as v1: the controllers are there
CgroupVersion cgroup_version();

class Cgroup {
public:
    /// Makes the group (parents too) and sets limits and device rules. A left-over of the same name is reused.
    static base::Result<Cgroup> create(const std::string& path, const Resources& resources, const std::vector<DeviceRule>& devices, bool everywhere = false);
    /// The same from ready-made writes. `everywhere`: a folder in every v1 hierarchy, named ones too, as other runtimes make.
    static base::Result<Cgroup> create(const std::string& path, const std::vector<CgroupWrite>& writes, const std::vector<DeviceRule>& devices, bool everywhere);
    /// One that is there. not_found otherwise.
    static base::Result<Cgroup> open(const std::string& path);
    Cgroup(Cgroup&&) noexcept;
    Cgroup& operator=(Cgroup&&) noexcept;
    ~Cgroup();  ///< closes fds; does not remove the group

    const std::string& path() const { return path_; }
    /// v2: the folder for CLONE_INTO_CGROUP; -1 on v1.
    int folder_fd() const;
    /// v1: open cgroup.procs of each hierarchy; a process enters by writing "0" to each. Empty on v2.
    const std::vector<base::UniqueFd>& procs_fds() const { return procs_; }

    base::Status add(pid_t pid) const;
    /// Sets what is given and leaves the rest. Errors name the file and the value.
    base::Status update(const Resources& resources) const;
    base::Status update(const std::vector<CgroupWrite>& writes) const;
    base::Status freeze() const;  ///< returns when all are frozen; timeout after 10 s
    base::Status thaw() const;
    bool frozen() const;
    /// SIGKILL to every process, also of groups below (cgroup.kill, else freezer or repeated passes over the pids).
    base::Status kill_all() const;
    /// Sends a signal to every member, each by its pidfd (a reused number is left alone); how many got it.
    base::Result<size_t> signal_all(int signal) const;
    /// Processes of this group and those below.
    base::Result<std::vector<pid_t>> pids() const;
    bool populated() const;
    /// Fills cpu, memory, block and pids; network and names are the caller's.
    base::Result<ContainerStats> stats() const;
    /// How often the kernel's OOM killer took a process of the group.
    base::Result<uint64_t> oom_kills() const;
    /// An fd that becomes readable when that changes: eventfd (v1) or inotify (v2). Read it to re-arm (drain_oom_events).
    base::Result<base::UniqueFd> oom_events() const;
    static void drain_oom_events(int fd);
    /// Removes the group and those below; processes that are dying are waited for, at most 5 s. Absent is fine.
    base::Status remove();

private:
    Cgroup() = default;
    std::string path_;
    base::UniqueFd folder_;
    std::vector<base::UniqueFd> procs_;
};

}  // namespace engine::runtime
