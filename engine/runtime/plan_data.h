#pragma once
// The plan while the parent writes it, and its sentences: a step as text, a failed step as an Error.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/cdi_hooks.h"
#include "runtime/plan.h"

namespace engine::runtime {

struct PlanData {
    std::vector<Step> steps;
    std::string pool = std::string(1, '\0');  ///< offset 0 is ""
    std::vector<std::string> argv, env;
    std::vector<std::string> candidates;  ///< paths that execve is tried with
    int sealed_exec_fd = -1;
    std::vector<base::UniqueFd> owned;  ///< what steps refer to; closed when the child has its copies
    base::UniqueFd terminal;            ///< pty master
    uint64_t clone_flags = 0;
    int cgroup_fd = -1;     ///< CLONE_INTO_CGROUP
    int terminal_slave = -1;
    int go_fd = -1, late_fd = -1;  ///< as ArenaHead's
    int told_fd = -1, wait_fd = -1;  ///< pipes to and from the parent, for plans that wait for it on the way
    std::unique_ptr<HookExchange> hooks;  ///< CDI hooks that the parent takes part in
    int pid_namespace = -1; ///< joined by the parent around clone
    int root_fd = -1;
    int next_slot = 0;
    int proc_slot = -1;

    PlanData() = default;
    PlanData(const PlanData&) = delete;
    PlanData& operator=(const PlanData&) = delete;
    ~PlanData();

    uint32_t intern(std::string_view text);                  ///< a C string
    uint32_t intern_list(const std::vector<std::string>& list);  ///< C strings, then an empty one
    uint32_t intern_bytes(const void* bytes, size_t size);   ///< aligned to 8
    int keep(base::UniqueFd fd);
    int16_t new_slot() { return static_cast<int16_t>(next_slot++); }
    /// Appends a step; the reference is good until the next one.
    Step& add(Op op);
    Step& add(Op op, std::string_view text, uint16_t flags = 0);
    /// Op::mount_new: a new file system of `type` with `attributes` (MOUNT_ATTR_…); `options` are names and values in turn.
    Step& add_mount(std::string_view type, std::string_view target, uint64_t attributes, const std::vector<std::string>& options, uint16_t flags);

    std::string describe(const Step& step) const;
    std::string text() const;
    /// Copies everything into one mapping, with a stack at its end.
    base::Status seal();
    ArenaHead* head() const { return static_cast<ArenaHead*>(mapping_); }
    void* stack_bottom() const;
    size_t stack_size() const;
    /// The Error of the step that the child reported.
    base::Error failure() const;
    /// The Error of a program that the sealed page could not execute; Docker's words.
    base::Error exec_failure(int error, Detail detail) const;

private:
    void* mapping_ = nullptr;
    size_t size_ = 0, stack_offset_ = 0;
};

/// The paths that execve is tried with: argv0 itself when it has a slash, else below each folder of PATH (Go's LookPath:
/// empty entries are skipped).
std::vector<std::string> exec_candidates(const std::string& argv0, const std::vector<std::string>& env);

}  // namespace engine::runtime
