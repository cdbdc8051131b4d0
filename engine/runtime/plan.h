#pragma once
// The flat list of steps between clone3 and exec: data that the parent computes and the child (child.cpp) only walks. All
// memory is one mapping that the child shares (CLONE_VM), so the child reports by writing into it and allocates nothing.
#include <linux/filter.h>
#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace engine::runtime {

/// What a step does; each is a handful of system calls. `text` and `more` are offsets of C strings in the arena.
enum class Op : uint16_t {
    enter_cgroup,     ///< write "0" to `fd` (cgroup.procs, v1)
    join_namespace,   ///< setns(fd, a)
    new_namespace,    ///< unshare(a)
    borrow_mount,     ///< setns(fd = pidfd, NEWNS), clone the tree at `text` into `slot`, setns back to the namespace of fd `a`
    propagation,      ///< mount --make-… / with flags a
    attach_root,      ///< move the detached root `fd` over "/", or the host's folder `text`; slot = fd
    mount_new,        ///< filesystem `more`, its options follow `more` as key, value pairs; attributes a, propagation b; on `text`; slot = it
    mount_tree,       ///< move the detached tree (`fd`, or `from` slot) onto `text`; slot = it
    mount_attributes, ///< add attributes a to the mount in slot `from`
    mount_host,       ///< clone the host's path `more`, add attributes a, move onto `text`
    mount_console,    ///< clone the terminal `fd` onto `text`
    make_dirs,        ///< every missing folder of `text`, mode b
    make_file,        ///< an empty file `text`, mode b, unless something is there
    make_node,        ///< mknod `text`, mode and type a, device b, owner c
    make_link,        ///< symlink `text` → `more`
    mask_file,        ///< /dev/null (slot `from`, checked to be 1:3) over `text`; absent: skipped
    mask,             ///< the host's /dev/null (checked to be 1:3) over `text`, or, when that is a folder, as mask_folder
    mask_folder,      ///< an empty read-only tmpfs (slot `slot`, made at first use) over `text`; absent: skipped
    read_only,        ///< bind `text` over itself, read-only; absent: skipped
    write_proc,       ///< write `more` to `text` below the procfs in `at`, checked to be one
    root_read_only,   ///< the root mount `fd` read-only
    pivot,            ///< make `fd` the root and drop the host's
    host_name, domain_name,
    resource_limit,   ///< resource a, soft b, hard c
    session_keyring,  ///< a new one named `text`
    new_session,      ///< setsid
    stdio,            ///< fds fd, a, b become 0, 1, 2
    control_terminal, ///< fd 0 becomes the controlling terminal
    close_fds,        ///< all from 3 + a on are closed but the report's and b - 1, c - 1 (0: none); those below stay open over exec
    work_dir,         ///< chdir to `text` without magic links; the result must be inside the root
    drop_bounding,    ///< all capabilities but a, up to b
    groups,           ///< setgroups: a numbers at offset `more`
    become_root,      ///< setresgid 0, setresuid 0: root of the new user namespace, once its map is written
    identity,         ///< keep capabilities, setresgid b, setresuid a
    file_mask,        ///< umask a
    no_new_privileges,
    label,            ///< write `more` to `text` (an LSM's exec attribute): as write_proc
    tell,             ///< write one byte to `fd`: the parent may do its part
    run_hook,         ///< run `text` with arguments at `more`, stdin `fd`, for at most a ms (0: no limit); its failure is ours
    personality,      ///< a
    io_priority,      ///< a (ioprio_set's value)
    find_program,     ///< one of the paths at `more` can be executed, as the user that we are now
    wait_for_go,      ///< read one byte from `fd`: EOF ends the child, as does the hang-up of fd a - 1 (0: none)
    seccomp,          ///< the program at offset `more`, a instructions; flags b; c: the listener's fd is left in the head
    capabilities,     ///< effective a, permitted b, inheritable c; ambient empty
    ambient,          ///< raise a
    signal_mask,      ///< unblock all
    execute,          ///< the sealed page (`text`: its path by fd), which tries each path of the list at `more`
};

/// Bits of Step::flags.
enum : uint16_t {
    kMakeFolder = 1,    ///< make the target (and parents) as a folder when absent
    kMakeFile = 2,      ///< … as a file
    kNoSymlinks = 4,    ///< no link anywhere on the target's path: the engine's own mounts
    kAllowProc = 8,     ///< the target may be inside procfs
    kOptional = 16,     ///< an absent target is not an error
    kRecursive = 32,
    kReplace = 64,      ///< make_node, make_link: replace what is there
    kKeep = 128,        ///< make_node, make_link: what is there stays
};

struct Step {
    Op op;
    uint16_t flags;
    int16_t at;    ///< slot that `text` is relative to; -1: the root
    int16_t slot;  ///< where a result goes; -1: nowhere
    int16_t from;  ///< slot of a source; -1: `fd`
    int16_t spare;
    int32_t fd;
    uint32_t text, more;
    uint64_t a, b, c;
};
static_assert(std::is_trivially_copyable_v<Step> && std::is_standard_layout_v<Step>);

constexpr int kSlots = 32;
constexpr int kMaxHookWords = 1000;  ///< arguments and variables of a hook together

/// What went wrong beyond errno.
enum class Detail : int32_t {
    none,
    target_in_proc,     ///< a mount target leads into /proc
    outside_root,       ///< the working directory is not inside the root
    not_null_device,    ///< the mask's source is not /dev/null
    not_procfs,
    not_found,          ///< exec: in no folder of PATH
    no_interpreter,     ///< exec: the file is there, its interpreter is not
    go_refused,         ///< wait_for_go met an end of file or a hang-up
    hook_failed,        ///< run_hook: errno is its exit status
    hook_timeout,
    not_executable,     ///< exec: a folder, or a file without the permission
};

/// The beginning of the mapping.
struct ArenaHead {
    int32_t failed_step;  ///< -1: none
    int32_t error;        ///< errno
    Detail detail;
    uint32_t reached_exec;
    int32_t report_fd, sealed_exec_fd;
    int32_t go_fd, late_fd;  ///< -1, or: the sealed page waits for a byte on go_fd before it executes, and reports to late_fd then
    int32_t listener_fd;     ///< of a seccomp filter, in the child's table; -1: none
    char report_text[28];    ///< report_fd, or "late_fd,go_fd", in digits: the sealed page's first argument
    int32_t proc_slot, root_fd;
    uint32_t step_count;
    Step* steps;
    char* text;  ///< base of all offsets
    char** argv;  ///< the sealed page's: report_text, paths, "", the program's
    char** envp;
    int32_t slots[kSlots];
    char path[4096], name[256];  ///< the child's scratch
};
static_assert(std::is_trivially_copyable_v<ArenaHead> && std::is_standard_layout_v<ArenaHead>);

/// clone3 on the arena's own stack; the child runs the steps and never returns. Returns the pid, or -errno.
/// Implemented with raw system calls only: no libc, no errno, no TLS, as memory is shared with the parent.
long clone_and_run(ArenaHead* head, void* clone_args, size_t clone_args_size) noexcept;

}  // namespace engine::runtime
