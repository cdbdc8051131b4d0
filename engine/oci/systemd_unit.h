#pragma once
// --systemd-cgroup: the container's group is that of a transient scope (or slice) which systemd makes, so that the two agree on
// whose it is and what limits it has (systemd's "Control Group APIs and Delegation").
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "runtime/cgroup.h"

namespace engine::oci {

struct SystemdUnit {
    std::string slice;  ///< the parent: "system.slice"
    std::string name;   ///< "docker-ID.scope"; one that ends in ".slice" is a slice itself
    /// The group's place below the hierarchy's root: "/system.slice/docker-ID.scope".
    std::string path() const;
    bool is_slice() const { return name.ends_with(".slice"); }
};
/// cgroupsPath as SLICE:PREFIX:NAME, runc's form; empty: system.slice, "runc" and the id. invalid: another form, or a slice's name
/// that systemd would not take.
base::Result<SystemdUnit> systemd_unit(const std::string& cgroups_path, const std::string& id);
/// "a-b.slice" is "/a.slice/a-b.slice"; "-.slice" is "" (systemd.slice(5)).
base::Result<std::string> slice_path(const std::string& slice);

/// A property of a unit with D-Bus' type: t, or a byte for each eight CPUs or nodes (ay).
struct UnitProperty {
    std::string name;
    std::variant<uint64_t, std::vector<uint8_t>> value;
    bool operator==(const UnitProperty&) const = default;
};
/// Limits that systemd has a property for: without it, its next reload would take them off. The rest is for the files alone.
std::vector<UnitProperty> unit_properties(std::span<const runtime::CgroupWrite> writes, runtime::CgroupVersion version);

/// Starts the unit with `pid` in it and waits until it is there, at most 30 s. unsupported: no systemd runs here.
base::Status start_unit(const SystemdUnit& unit, const std::string& description, pid_t pid, std::span<const runtime::CgroupWrite> writes, runtime::CgroupVersion version);
base::Status update_unit(const std::string& name, std::span<const runtime::CgroupWrite> writes, runtime::CgroupVersion version);
/// Stops it and forgets that it failed. One that is gone is fine.
base::Status stop_unit(const std::string& name);

/// A process that does nothing, to keep a unit alive until the container's own is in it.
class Anchor {
public:
    static base::Result<Anchor> make();
    Anchor(Anchor&& other) noexcept;
    Anchor& operator=(Anchor&&) = delete;
    ~Anchor();  ///< ends it
    pid_t pid() const { return pid_; }

private:
    Anchor() = default;
    pid_t pid_ = -1;
};

}  // namespace engine::oci
