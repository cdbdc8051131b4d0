#pragma once
// config.json → the flat plan that the runtime's child walks (runtime/plan.h).
#include <array>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "oci/spec.h"
#include "runtime/cgroup.h"
#include "runtime/plan_data.h"

namespace engine::oci {

/// The program that the filter of a process needs, compiled; empty without a filter.
struct Filter {
    std::shared_ptr<const std::vector<sock_filter>> program;
    uint64_t flags = 0;
    bool listener = false;
    std::string listener_path, listener_metadata;
};
/// `cache_dir`: where compiled filters are kept, by their content; empty: nowhere.
base::Result<Filter> read_filter(const Spec& spec, const std::string& cache_dir);

/// What the process of a container, its first or an exec, needs besides the configuration.
struct ProcessInput {
    const Process* process = nullptr;
    const Spec* spec = nullptr;
    const Filter* filter = nullptr;
    StreamSet stdio;             ///< borrowed
    unsigned preserve_fds = 0;   ///< 3 … 3 + n - 1 stay open
    std::string keyring;         ///< empty: the caller's
    int16_t proc_slot = -1;      ///< the container's procfs; -1: the host's /proc (exec, before it joins)
};
/// The uid that a user of the container has outside.
uint32_t host_uid(const Spec& spec, uint32_t uid);
/// LSM labels: through the procfs of the slot, or through /proc before namespaces are joined.
base::Status add_labels(runtime::PlanData& plan, const ProcessInput& input);
/// From the resource limits to execute.
base::Status add_process_steps(runtime::PlanData& plan, const ProcessInput& input);

/// Pipes between the parent and the child, and what hooks read.
struct Exchange {
    base::UniqueFd go_read, go_write;      ///< the child waits for a byte: at its beginning, and after the runtime's hooks
    base::UniqueFd told_read, told_write;  ///< the child says that mounts are made and the runtime's hooks may run
    base::UniqueFd hook_input;             ///< a memory file with the state, for hooks inside
};

struct ContainerInput {
    const Spec* spec = nullptr;
    std::string id, bundle;
    const runtime::Cgroup* cgroup = nullptr;
    const Exchange* exchange = nullptr;
    const Filter* filter = nullptr;
    StreamSet stdio;
    unsigned preserve_fds = 0;
    bool new_keyring = true, pivot = true;
};
/// The whole plan, not yet sealed; plan.terminal is the master when the process has a terminal.
base::Status plan_container(runtime::PlanData& plan, const ContainerInput& input);
/// Absolute and clean: the root's path of a bundle.
base::Result<std::string> root_path(const Spec& spec, const std::string& bundle);

}  // namespace engine::oci
