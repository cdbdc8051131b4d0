#pragma once
// Seccomp filters as BPF programs: the default one (seccomp_default.cpp) and profile files in Docker's JSON form. Compiled by
// libseccomp once per capability set, kept in the process and in a file, since that takes milliseconds.
#include <linux/filter.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/capability.h"

namespace engine::runtime {

using SeccompProgram = std::shared_ptr<const std::vector<sock_filter>>;

/// `syscall \t action \t condition` lines.
std::string_view default_seccomp_rows();

/// One rule, already decided for this architecture, kernel and capability set.
struct SeccompRule {
    std::string call;
    bool allow = true;
    uint32_t action_errno = 0;  ///< when not allowed
    std::string action = {};    ///< a profile's own action; empty: allow or errno
    struct Argument {
        unsigned index = 0;
        std::string op;  ///< SCMP_CMP_EQ …
        uint64_t value = 0, value_two = 0;
    };
    std::vector<Argument> arguments;
};
/// The default rows that apply to a container with these capabilities here.
base::Result<std::vector<SeccompRule>> default_seccomp_rules(CapabilitySet capabilities);

/// The default filter. `cache_dir`: where compiled ones are kept, empty: nowhere.
base::Result<SeccompProgram> default_seccomp(CapabilitySet capabilities, const std::string& cache_dir);
/// A profile in Docker's JSON form (defaultAction, archMap, syscalls with includes and excludes). `notify`: SCMP_ACT_NOTIFY may be used.
base::Result<SeccompProgram> seccomp_from_profile(const std::string& json, CapabilitySet capabilities, bool notify = false);
/// An OCI filter is the same without conditions, so capabilities do not matter: its compiled form is kept in a file by content.
base::Result<SeccompProgram> cached_profile(const std::string& json, const std::string& cache_dir);

}  // namespace engine::runtime
