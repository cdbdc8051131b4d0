#pragma once
// The steps that container start and exec have in common: from the standard streams to execve.
#include <array>

#include "engine/engine.h"
#include "runtime/capability.h"
#include "runtime/plan_data.h"
#include "runtime/resolve.h"

namespace engine::runtime {

struct ProcessSettings {
    const ContainerSpec* spec = nullptr;
    const Identity* identity = nullptr;
    std::string working_dir = "/";
    bool privileged = false;  ///< all capabilities, no filter
    bool tty = false;
    StreamSet stdio;          ///< with tty: all three are the slave
    std::string cache_dir, keyring;
};
/// oom_score_adj and LSM labels: through the procfs of the plan's slot, or by the host's /proc before namespaces are joined.
base::Status add_proc_settings(PlanData& plan, const ContainerSpec& spec, bool exec);
/// Limits, session, streams, capabilities, user, filter, exec. plan.argv and plan.env must be set.
base::Status add_process(PlanData& plan, const ProcessSettings& settings);
/// The three streams as numbers that survive until dup2, -1 being /dev/null; given to the user (without a terminal), who may
/// open them anew by name.
base::Result<std::array<int, 3>> prepare_streams(PlanData& plan, const StreamSet& stdio, bool tty, uint32_t uid);
/// privileged, seccomp=…, no-new-privileges, apparmor=…, label=…; unknown ones are invalid.
struct SecurityOptions {
    bool no_new_privileges = false, unconfined_seccomp = false, unconfined_paths = false;
    bool writable_cgroups = false;  ///< the control groups are mounted read-write
    std::string seccomp_profile, apparmor;
    std::vector<std::string> labels;
};
base::Result<SecurityOptions> parse_security_options(const std::vector<std::string>& options);

}  // namespace engine::runtime
