#pragma once
// Rules → BPF by libseccomp; internal to the seccomp files.
#include <string>
#include <string_view>
#include <vector>

#include "runtime/seccomp.h"

namespace engine::runtime {

struct SeccompSettings {
    std::string default_action;  ///< SCMP_ACT_…; empty: errno
    uint32_t default_errno = 1;
    bool notify = false;                     ///< SCMP_ACT_NOTIFY is known: somebody gets the listener
    std::vector<std::string> architectures;  ///< SCMP_ARCH_…; empty: this machine's with its compatible ones
};
base::Result<std::vector<sock_filter>> compile_seccomp(const SeccompSettings& settings, const std::vector<SeccompRule>& rules);
std::string seccomp_library_version();
bool kernel_at_least(std::string_view version);

}  // namespace engine::runtime
