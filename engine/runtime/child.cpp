// Everything that runs between clone3 and exec. The child shares the parent's memory (CLONE_VM): raw system calls only, no
// libc, no errno, no TLS, no heap, no locks, no destructors. Compiled with its own flags (engine/CMakeLists.txt); a test
// checks with nm that the object refers to no symbol outside.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/stat.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cerrno>

#include "runtime/plan.h"
#include "runtime/raw_syscall.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

namespace engine::runtime {
namespace {

using raw_calls::p;
using raw_calls::raw;

inline size_t length(const char* s) {
    size_t n = 0;
    while (s[n] != 0) ++n;
    return n;
}

[[noreturn]] inline void leave() {
    for (;;) {
        raw(SYS_exit_group, 126);
        __builtin_trap();  // a filter of the user's may refuse exit_group
    }
}

/// open relative to a folder as if it were "/"; -errno.
inline long open_in(int folder, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.mode = mode;
    how.resolve = resolve;
    while (*path == '/') ++path;
    if (*path == 0) path = ".";
    for (int attempt = 0; attempt < 64; ++attempt) {
        long fd = raw(SYS_openat2, folder, p(path), p(&how), sizeof how);
        if (fd != -EAGAIN && fd != -EINTR) return fd;  // EAGAIN: a rename raced with ".."
    }
    return -EAGAIN;
}

inline uint64_t how_to_resolve(uint16_t flags) {
    uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    return (flags & kNoSymlinks) != 0 ? resolve | RESOLVE_NO_SYMLINKS : resolve;
}

/// mkdir -p below `folder`, following links inside it only; an O_PATH fd of the last, or -errno. With `parent_only` the last
/// name is left alone and copied to head->name.
long make_folders(ArenaHead* head, int folder, const char* path, unsigned mode, uint64_t resolve, bool parent_only) {
    char* walked = head->path;
    size_t used = 0;
    long here = open_in(folder, ".", O_PATH | O_DIRECTORY, 0, resolve);
    if (here < 0) return here;
    for (;;) {
        while (*path == '/') ++path;
        if (*path == 0) return here;
        size_t n = 0;
        while (path[n] != 0 && path[n] != '/') ++n;
        if (n >= sizeof head->name || used + n + 2 > sizeof head->path) return -ENAMETOOLONG;
        for (size_t i = 0; i < n; ++i) head->name[i] = path[i];
        head->name[n] = 0;
        path += n;
        if (parent_only) {
            const char* rest = path;
            while (*rest == '/') ++rest;
            if (*rest == 0) return here;
        }
        walked[used++] = '/';
        for (size_t i = 0; i < n; ++i) walked[used++] = head->name[i];
        walked[used] = 0;
        long next = open_in(folder, walked, O_PATH | O_DIRECTORY, 0, resolve);
        if (next == -ENOENT) {
            long made = raw(SYS_mkdirat, here, p(head->name), mode);
            if (made < 0 && made != -EEXIST) return made;
            next = open_in(folder, walked, O_PATH | O_DIRECTORY, 0, resolve);
        }
        raw(SYS_close, here);
        if (next < 0) return next;
        here = next;
    }
}

struct Child {
    ArenaHead* head;

    const char* text(uint32_t offset) const { return head->text + offset; }
    int base(const Step& step) const { return step.at >= 0 ? head->slots[step.at] : head->root_fd; }
    int source(const Step& step) const { return step.from >= 0 ? head->slots[step.from] : step.fd; }
    void keep(const Step& step, long fd) const {
        if (step.slot >= 0) head->slots[step.slot] = static_cast<int32_t>(fd);
    }
    long refuse(Detail detail, long error) const {
        head->detail = detail;
        return error;
    }

    /// The target of a mount as an O_PATH fd, made when asked for. Targets inside procfs are refused but for those that the
    /// plan allows: a volume there could fake what the runtime itself reads (CVE-2019-19921, CVE-2023-28642).
    long target(const Step& step) const {
        uint64_t resolve = how_to_resolve(step.flags);
        int folder = base(step);
        long fd = open_in(folder, text(step.text), O_PATH, 0, resolve);
        if (fd == -ENOENT && (step.flags & kMakeFolder) != 0) {
            fd = make_folders(head, folder, text(step.text), 0755, resolve, false);
        } else if (fd == -ENOENT && (step.flags & kMakeFile) != 0) {
            long parent = make_folders(head, folder, text(step.text), 0755, resolve, true);
            if (parent < 0) return parent;
            // O_EXCL: never the file behind a link that appeared meanwhile.
            long made = raw(SYS_openat, parent, p(head->name), O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0755);
            if (made >= 0) raw(SYS_close, made);
            raw(SYS_close, parent);
            if (made < 0 && made != -EEXIST) return made;
            fd = open_in(folder, text(step.text), O_PATH, 0, resolve);
        }
        if (fd < 0) return fd;
        if ((step.flags & (kAllowProc | kNoSymlinks)) == 0) {
            struct statfs info;
            long error = raw(SYS_fstatfs, fd, p(&info));
            if (error < 0) return error;
            if (info.f_type == PROC_SUPER_MAGIC) return refuse(Detail::target_in_proc, -EPERM);
        }
        return fd;
    }

    /// A name directly in a folder that the plan holds open: the kernel does not follow it when it is a link.
    static bool direct(const Step& step, const char* path) {
        if ((step.flags & kNoSymlinks) == 0 || *path == 0) return false;
        for (; *path != 0; ++path)
            if (*path == '/') return false;
        return true;
    }

    long put(const Step& step, long tree) const {
        const char* path = text(step.text);
        if (direct(step, path)) {
            long error = raw(SYS_move_mount, tree, p(""), base(step), p(path), MOVE_MOUNT_F_EMPTY_PATH);
            if (error == -ENOENT && (step.flags & kMakeFolder) != 0 && raw(SYS_mkdirat, base(step), p(path), 0755) == 0)
                error = raw(SYS_move_mount, tree, p(""), base(step), p(path), MOVE_MOUNT_F_EMPTY_PATH);
            // A file to be made, or something odd: the long way makes it or finds the right errno.
            if (error == 0 || (error == -ENOENT && (step.flags & (kMakeFolder | kMakeFile)) == 0)) return error;
        }
        long where = target(step);
        if (where < 0) return where;
        long error = raw(SYS_move_mount, tree, p(""), where, p(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        raw(SYS_close, where);
        return error;
    }

    static long clone_tree(int folder, const char* path, uint64_t flags) {
        return raw(SYS_open_tree, folder, p(path), static_cast<long>(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
    }
    static long set_attributes(long tree, uint64_t set, uint64_t flags) {
        mount_attr attributes{};
        attributes.attr_set = set;
        return raw(SYS_mount_setattr, tree, p(""), static_cast<long>(AT_EMPTY_PATH | flags), p(&attributes), sizeof attributes);
    }

    static bool begins(const char* text, const char* with) {
        while (*with != 0 && *text == *with) text++, with++;
        return *with == 0;
    }

    long new_filesystem(const char* type, const char* options, uint64_t attributes) const {
        long context = raw(SYS_fsopen, p(type), FSOPEN_CLOEXEC);
        if (context < 0) return context;
        // What mount and df show in the first column: the type's name, as runc's mounts do, unless the options begin with another.
        if (!begins(options, "source"))
            if (long error = raw(SYS_fsconfig, context, FSCONFIG_SET_STRING, p("source"), p(type), 0); error < 0) return error;
        while (*options != 0) {
            const char* value = options + length(options) + 1;
            long error = *value != 0 ? raw(SYS_fsconfig, context, FSCONFIG_SET_STRING, p(options), p(value), 0)
                                     : raw(SYS_fsconfig, context, FSCONFIG_SET_FLAG, p(options), 0, 0);
            if (error < 0) return error;
            options = value + length(value) + 1;
        }
        long error = raw(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
        if (error < 0) return error;
        long tree = raw(SYS_fsmount, context, FSMOUNT_CLOEXEC, static_cast<long>(attributes));
        raw(SYS_close, context);
        return tree;
    }

    long mount_new(const Step& step) const {
        const char* type = text(step.more);
        long tree = new_filesystem(type, type + length(type) + 1, step.a);
        if (tree < 0) return tree;
        long error = put(step, tree);
        if (error < 0) return error;
        if (step.b != 0) {
            mount_attr attributes{};
            attributes.propagation = step.b;
            error = raw(SYS_mount_setattr, tree, p(""), static_cast<long>(AT_EMPTY_PATH), p(&attributes), sizeof attributes);
            if (error < 0) return error;
        }
        if (step.slot >= 0)
            keep(step, tree);
        else
            raw(SYS_close, tree);
        return 0;
    }

    long mount_host(const Step& step) const {
        long tree = clone_tree(AT_FDCWD, text(step.more), (step.flags & kRecursive) != 0 ? AT_RECURSIVE : 0);
        if (tree == -ENOENT && (step.flags & kOptional) != 0) return 0;
        if (tree < 0) return tree;
        if (step.a != 0)
            if (long error = set_attributes(tree, step.a, (step.flags & kRecursive) != 0 ? AT_RECURSIVE : 0); error < 0) return error;
        long error = put(step, tree);
        raw(SYS_close, tree);
        return error;
    }

    long mount_console(const Step& step) const {
        // From the fd, never by a path in /dev/pts (CVE-2025-52565).
        long tree = clone_tree(step.fd, "", AT_EMPTY_PATH);
        if (tree < 0) return tree;
        long error = put(step, tree);
        raw(SYS_close, tree);
        return error;
    }

    long borrow_mount(const Step& step) const {
        long error = raw(SYS_setns, step.fd, CLONE_NEWNS);
        if (error < 0) return error;
        long tree = clone_tree(AT_FDCWD, text(step.text), 0);
        error = raw(SYS_setns, static_cast<long>(step.a), CLONE_NEWNS);
        if (tree < 0) return tree;
        keep(step, tree);
        return error;
    }

    /// The folder in which the last name of `path` is to be made, and that name; the caller closes it when it is not base(step).
    long parent_of(const Step& step, const char*& name) const {
        bool nested = false;
        for (const char* c = name; *c != 0; ++c) nested = nested || *c == '/';
        if (!nested) return base(step);
        long parent = make_folders(head, base(step), name, 0755, how_to_resolve(step.flags), true);
        name = head->name;
        return parent;
    }

    long make_node(const Step& step) const {
        const char* name = text(step.text);
        long parent = parent_of(step, name);
        if (parent < 0) return parent;
        long mode = static_cast<long>(step.a), device = static_cast<long>(step.b);
        long error = raw(SYS_mknodat, parent, p(name), mode, device);
        if (error == -EEXIST && (step.flags & kReplace) != 0) {
            error = raw(SYS_unlinkat, parent, p(name), 0);
            if (error == 0) error = raw(SYS_mknodat, parent, p(name), mode, device);
        }
        if (error == 0 && step.c != 0)
            error = raw(SYS_fchownat, parent, p(name), static_cast<long>(step.c & 0xffffffff), static_cast<long>(step.c >> 32), AT_SYMLINK_NOFOLLOW);
        if (parent != base(step)) raw(SYS_close, parent);
        return error == -EEXIST && (step.flags & kKeep) != 0 ? 0 : error;
    }

    long make_link(const Step& step) const {
        const char* name = text(step.text);
        long parent = parent_of(step, name);
        if (parent < 0) return parent;
        long error = raw(SYS_symlinkat, p(text(step.more)), parent, p(name));
        if (error == -EEXIST && (step.flags & kReplace) != 0) {
            error = raw(SYS_unlinkat, parent, p(name), 0);
            if (error == 0) error = raw(SYS_symlinkat, p(text(step.more)), parent, p(name));
        }
        if (parent != base(step)) raw(SYS_close, parent);
        return error == -EEXIST && (step.flags & kKeep) != 0 ? 0 : error;
    }

    long make_file(const Step& step) const {
        long parent = make_folders(head, base(step), text(step.text), 0755, how_to_resolve(step.flags), true);
        if (parent < 0) return parent;
        long fd = raw(SYS_openat, parent, p(head->name), O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, static_cast<long>(step.b));
        raw(SYS_close, parent);
        if (fd == -EEXIST) return 0;
        if (fd >= 0) raw(SYS_close, fd);
        return fd < 0 ? fd : 0;
    }

    long cover(const Step& step, long tree) const {
        if (tree < 0) return tree;
        long error = put(step, tree);
        raw(SYS_close, tree);
        return error == -ENOENT ? 0 : error;
    }

    long mask_file(const Step& step) const {
        // The source is the node that this plan made, looked at through its fd: whatever an image or a racing container puts
        // at /dev/null cannot become the mask (CVE-2025-31133).
        long tree = clone_tree(head->slots[step.from], "null", AT_SYMLINK_NOFOLLOW);
        if (tree < 0) return tree;
        struct statx info;
        long error = raw(SYS_statx, tree, p(""), AT_EMPTY_PATH, STATX_TYPE, p(&info));
        if (error < 0) return error;
        if ((info.stx_mode & S_IFMT) != S_IFCHR || info.stx_rdev_major != 1 || info.stx_rdev_minor != 3)
            return refuse(Detail::not_null_device, -EPERM);
        return cover(step, tree);
    }

    /// Whatever kind `text` turns out to be: the cover is the host's null device, by its path before the root is changed.
    long mask(const Step& step) const {
        long tree = clone_tree(AT_FDCWD, "/dev/null", AT_SYMLINK_NOFOLLOW);
        if (tree < 0) return tree;
        struct statx info;
        long error = raw(SYS_statx, tree, p(""), AT_EMPTY_PATH, STATX_TYPE, p(&info));
        if (error < 0) return error;
        if ((info.stx_mode & S_IFMT) != S_IFCHR || info.stx_rdev_major != 1 || info.stx_rdev_minor != 3)
            return refuse(Detail::not_null_device, -EPERM);
        error = cover(step, tree);
        return error == -ENOTDIR || error == -EINVAL ? mask_folder(step) : error;  // EINVAL: move_mount's word for a file over a folder
    }

    long run_hook(const Step& step) const {
        // Offsets of the arguments and of the environment, each list after its length.
        const uint32_t* list = reinterpret_cast<const uint32_t*>(head->text + step.more);
        char* pointers[kMaxHookWords + 2];
        uint32_t count = *list++, used = 0;
        for (uint32_t i = 0; i < count; ++i) pointers[used++] = head->text + *list++;
        pointers[used++] = nullptr;
        char** environment = pointers + used;
        count = *list++;
        for (uint32_t i = 0; i < count; ++i) pointers[used++] = head->text + *list++;
        pointers[used] = nullptr;

        int pidfd = -1;
        clone_args args{};
        args.flags = CLONE_PIDFD;
        args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
        args.exit_signal = 17;  // SIGCHLD
        long pid = raw(SYS_clone3, p(&args), sizeof args);
        if (pid == 0) {
            uint64_t none = 0;
            raw(SYS_rt_sigprocmask, 2, p(&none), 0, 8);
            raw(SYS_lseek, step.fd, 0, 0);
            raw(SYS_dup3, step.fd, 0, 0);
            raw(SYS_close_range, 3, static_cast<long>(~0U), 0);
            raw(SYS_execve, p(text(step.text)), p(pointers), p(environment));
            raw(SYS_exit_group, 127);
        }
        if (pid < 0) return pid;
        struct {
            int fd;
            short events, revents;
        } wait{pidfd, 1, 0};
        int64_t limit[2] = {static_cast<int64_t>(step.a / 1000), static_cast<int64_t>(step.a % 1000 * 1000000)};
        long ended;
        do ended = raw(SYS_ppoll, p(&wait), 1, step.a != 0 ? p(limit) : 0, 0, 8);
        while (ended == -EINTR);
        if (ended == 0) raw(SYS_pidfd_send_signal, pidfd, 9, 0, 0);
        int status = 0;
        long got;
        do got = raw(SYS_wait4, pid, p(&status), 0x40000000 /* __WALL */, 0);
        while (got == -EINTR);
        raw(SYS_close, pidfd);
        if (ended == 0) return refuse(Detail::hook_timeout, -ETIMEDOUT);
        if (got < 0) return got;
        int code = (status & 0x7f) != 0 ? 128 + (status & 0x7f) : status >> 8 & 0xff;
        return code == 0 ? 0 : refuse(Detail::hook_failed, -code);
    }

    long find_program(const Step& step) const {
        long error = -ENOENT;
        for (const char* path = text(step.more); *path != 0; path += length(path) + 1) {
            struct statx info;
            long found = raw(SYS_statx, AT_FDCWD, p(path), 0, STATX_TYPE | STATX_MODE, p(&info));
            if (found == 0) {
                bool file = (info.stx_mode & S_IFMT) != S_IFDIR;
                if (file && raw(SYS_faccessat, AT_FDCWD, p(path), 1 /* X_OK */) == 0) return 0;
                error = file ? -EACCES : -EISDIR;
            } else if (error == -ENOENT && found != -ENOTDIR) {
                error = found;
            }
        }
        return refuse(error == -ENOENT ? Detail::not_found : Detail::not_executable, error);
    }

    long mask_folder(const Step& step) const {
        if (head->slots[step.slot] >= 0) return cover(step, clone_tree(head->slots[step.slot], "", AT_EMPTY_PATH));
        long tree = new_filesystem("tmpfs", "\0", MOUNT_ATTR_RDONLY);
        if (tree < 0) return tree;
        long error = put(step, tree);
        if (error == 0)
            head->slots[step.slot] = static_cast<int32_t>(tree);
        else
            raw(SYS_close, tree);
        return error == -ENOENT ? 0 : error;
    }

    long read_only(const Step& step) const {
        const char* path = text(step.text);
        if (direct(step, path)) {
            long tree = clone_tree(base(step), path, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
            if (tree < 0) return tree == -ENOENT ? 0 : tree;
            long error = set_attributes(tree, MOUNT_ATTR_RDONLY, AT_RECURSIVE);
            if (error == 0) error = raw(SYS_move_mount, tree, p(""), base(step), p(path), MOVE_MOUNT_F_EMPTY_PATH);
            raw(SYS_close, tree);
            return error;
        }
        long where = open_in(base(step), path, O_PATH, 0, how_to_resolve(step.flags));
        if (where == -ENOENT) return 0;
        if (where < 0) return where;
        long tree = clone_tree(static_cast<int>(where), "", AT_EMPTY_PATH | AT_RECURSIVE);
        if (tree < 0) return tree;
        long error = set_attributes(tree, MOUNT_ATTR_RDONLY, AT_RECURSIVE);
        if (error == 0) error = raw(SYS_move_mount, tree, p(""), where, p(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
        raw(SYS_close, tree);
        raw(SYS_close, where);
        return error;
    }

    long write_proc(const Step& step) const {
        // A file of the procfs in the slot and nothing mounted over it (CVE-2025-52881).
        long fd;
        if (step.at >= 0) {
            uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
            fd = open_in(head->slots[step.at], text(step.text), O_WRONLY | O_NOFOLLOW, 0, resolve);
        } else {
            fd = raw(SYS_openat, AT_FDCWD, p(text(step.text)), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        }
        if (fd == -ENOENT && (step.flags & kOptional) != 0) return 0;
        if (fd < 0) return fd;
        struct statfs info;
        long error = raw(SYS_fstatfs, fd, p(&info));
        if (error == 0 && info.f_type != PROC_SUPER_MAGIC) error = refuse(Detail::not_procfs, -EPERM);
        if (error == 0) {
            const char* value = text(step.more);
            long n = raw(SYS_write, fd, p(value), static_cast<long>(length(value)));
            error = n < 0 ? n : 0;
        }
        raw(SYS_close, fd);
        return error;
    }

    long pivot(const Step& step) const {
        long error = raw(SYS_fchdir, step.fd);
        if (error == 0) error = raw(SYS_pivot_root, p("."), p("."));
        if (error == 0) error = raw(SYS_umount2, p("."), 2 /* MNT_DETACH */);
        if (error == 0) error = raw(SYS_chdir, p("/"));
        return error;
    }

    long stdio(const Step& step) const {
        const long sources[3] = {step.fd, static_cast<long>(step.a), static_cast<long>(step.b)};
        for (int i = 0; i < 3; ++i)
            if (long error = raw(SYS_dup3, sources[i], i, 0); error < 0) return error;
        return 0;
    }

    long close_fds(const Step& step) const {
        // Really closed, not marked: what follows (chdir, exec) must not find a leaked folder in /proc/self/fd (CVE-2024-21626).
        long kept[6] = {head->report_fd, head->sealed_exec_fd, head->go_fd, head->late_fd, static_cast<long>(step.b) - 1, static_cast<long>(step.c) - 1};
        for (int i = 1; i < 6; ++i)
            for (int j = i; j > 0 && kept[j - 1] > kept[j]; --j) {
                long other = kept[j];
                kept[j] = kept[j - 1];
                kept[j - 1] = other;
            }
        long from = 3;
        for (uint64_t i = 0; i < step.a; ++i, ++from)
            if (long error = raw(SYS_fcntl, from, F_SETFD, 0); error < 0) return error;
        for (long fd : kept) {
            if (fd > from) raw(SYS_close_range, from, fd - 1, 0);
            if (fd >= from) from = fd + 1;
        }
        return raw(SYS_close_range, from, static_cast<long>(~0U), 0);
    }

    long work_dir(const Step& step) const {
        open_how how{};
        how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        how.resolve = RESOLVE_NO_MAGICLINKS;
        long fd = raw(SYS_openat2, AT_FDCWD, p(text(step.text)), p(&how), sizeof how);
        if (fd < 0) return fd;
        long error = raw(SYS_fchdir, fd);
        raw(SYS_close, fd);
        if (error < 0) return error;
        long n = raw(SYS_getcwd, p(head->path), sizeof head->path);
        if (n < 0) return n;
        return head->path[0] == '/' ? 0 : refuse(Detail::outside_root, -ENOENT);
    }

    long drop_bounding(const Step& step) const {
        for (uint64_t capability = 0; capability <= step.b; ++capability)
            if ((step.a >> capability & 1) == 0)
                if (long error = raw(SYS_prctl, PR_CAPBSET_DROP, static_cast<long>(capability), 0, 0, 0); error < 0) return error;
        return 0;
    }

    static long set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct data[2];
        data[0] = {static_cast<uint32_t>(effective), static_cast<uint32_t>(permitted), static_cast<uint32_t>(inheritable)};
        data[1] = {static_cast<uint32_t>(effective >> 32), static_cast<uint32_t>(permitted >> 32), static_cast<uint32_t>(inheritable >> 32)};
        return raw(SYS_capset, p(&header), p(&data));
    }

    long identity(const Step& step) const {
        if (step.a != 0)
            if (long error = raw(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0); error < 0) return error;
        long gid = static_cast<long>(step.b), uid = static_cast<long>(step.a);
        long error = raw(SYS_setresgid, gid, gid, gid);
        if (error == 0) error = raw(SYS_setresuid, uid, uid, uid);
        // Another uid loses the effective set; SYS_ADMIN is needed once more, for the filter.
        if (error == 0 && step.a != 0 && step.c != 0) error = set_capabilities(step.c, step.c, 0);
        return error;
    }

    long install_filter(const Step& step) const {
        sock_fprog program{static_cast<unsigned short>(step.a), reinterpret_cast<sock_filter*>(head->text + step.more)};
        long flags = static_cast<long>(step.b);
        long result = raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, p(&program));
        constexpr long kSpeed = static_cast<long>(SECCOMP_FILTER_FLAG_SPEC_ALLOW);  // an old kernel does without
        if (result == -EINVAL && (flags & kSpeed) != 0) result = raw(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags & ~kSpeed, p(&program));
        if (step.c != 0 && result >= 0) head->listener_fd = static_cast<int32_t>(result);
        return result < 0 ? result : 0;
    }

    long wait_for_go(const Step& step) const {
        // Siblings that are on their way hold copies of the other end, so its end of file may never come.
        pollfd both[2] = {{step.fd, POLLIN, 0}, {static_cast<int>(step.a) - 1, 0, 0}};
        long n;
        do n = raw(SYS_ppoll, p(both), 2, 0, 0, 8);
        while (n == -EINTR);
        if (n < 0) return n;
        char byte;
        n = (both[0].revents & POLLIN) != 0 ? raw(SYS_read, step.fd, p(&byte), 1) : 0;
        return n == 1 ? 0 : refuse(Detail::go_refused, n < 0 ? n : -ECANCELED);
    }

    long execute(const Step& step) const {
        // The sealed page goes on from here, with the report's fd (sealed_exec.h).
        long error = 0;
        if (head->go_fd >= 0) {
            error = raw(SYS_fcntl, head->go_fd, F_SETFD, 0);
            if (error == 0) error = raw(SYS_fcntl, head->late_fd, F_SETFD, 0);
        } else {
            error = raw(SYS_fcntl, head->report_fd, F_SETFD, 0);
        }
        if (error < 0) return error;
        head->reached_exec = 1;
        error = raw(SYS_execveat, head->sealed_exec_fd, p(""), p(head->argv), p(head->envp), AT_EMPTY_PATH);
        // A filter of the user's may know execve only.
        if (error == -EPERM || error == -EACCES || error == -ENOSYS) error = raw(SYS_execve, p(text(step.text)), p(head->argv), p(head->envp));
        head->reached_exec = 0;
        return error;
    }

    long run(const Step& step) const {
        switch (step.op) {
            case Op::enter_cgroup: {
                long n = raw(SYS_write, step.fd, p("0"), 1);
                return n < 0 ? n : 0;
            }
            case Op::join_namespace: return raw(SYS_setns, step.fd, static_cast<long>(step.a));
            case Op::new_namespace: return raw(SYS_unshare, static_cast<long>(step.a));
            case Op::borrow_mount: return borrow_mount(step);
            case Op::propagation: return raw(SYS_mount, 0, p("/"), 0, static_cast<long>(step.a), 0);
            case Op::attach_root: return raw(SYS_move_mount, step.fd, p(""), AT_FDCWD, p(step.text == 0 ? "/" : text(step.text)), MOVE_MOUNT_F_EMPTY_PATH);
            case Op::mount_new: return mount_new(step);
            case Op::mount_tree: {
                long error = put(step, source(step));
                if (error == 0) keep(step, source(step));
                return error;
            }
            case Op::mount_host: return mount_host(step);
            case Op::mount_console: return mount_console(step);
            case Op::make_dirs: {
                long fd = make_folders(head, base(step), text(step.text), static_cast<unsigned>(step.b), how_to_resolve(step.flags), false);
                if (fd >= 0) raw(SYS_close, fd);
                return fd < 0 ? fd : 0;
            }
            case Op::make_file: return make_file(step);
            case Op::make_node: return make_node(step);
            case Op::make_link: return make_link(step);
            case Op::mask_file: return mask_file(step);
            case Op::mask: return mask(step);
            case Op::mask_folder: return mask_folder(step);
            case Op::mount_attributes: return set_attributes(head->slots[step.from], step.a, 0);
            case Op::read_only: return read_only(step);
            case Op::label:
            case Op::write_proc: return write_proc(step);
            case Op::root_read_only: return set_attributes(step.fd, MOUNT_ATTR_RDONLY, 0);
            case Op::pivot: return pivot(step);
            case Op::host_name: return raw(SYS_sethostname, p(text(step.text)), static_cast<long>(length(text(step.text))));
            case Op::domain_name: return raw(SYS_setdomainname, p(text(step.text)), static_cast<long>(length(text(step.text))));
            case Op::resource_limit: {
                uint64_t limit[2] = {step.b, step.c};
                return raw(SYS_prlimit64, 0, static_cast<long>(step.a), p(limit), 0);
            }
            case Op::session_keyring: {
                long key = raw(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, p(text(step.text)));
                return key < 0 && key != -ENOSYS ? key : 0;
            }
            case Op::new_session: {
                long session = raw(SYS_setsid);
                return session < 0 ? session : 0;
            }
            case Op::stdio: return stdio(step);
            case Op::control_terminal: return raw(SYS_ioctl, 0, 0x540E /* TIOCSCTTY */, 0);
            case Op::close_fds: return close_fds(step);
            case Op::work_dir: return work_dir(step);
            case Op::drop_bounding: return drop_bounding(step);
            case Op::groups: return raw(SYS_setgroups, static_cast<long>(step.a), p(head->text + step.more));
            case Op::become_root: {
                long error = raw(SYS_setresgid, 0, 0, 0);
                return error < 0 ? error : raw(SYS_setresuid, 0, 0, 0);
            }
            case Op::identity: return identity(step);
            case Op::file_mask: raw(SYS_umask, static_cast<long>(step.a)); return 0;
            case Op::no_new_privileges: return raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            case Op::tell: {
                long n = raw(SYS_write, step.fd, p("r"), 1);
                return n < 0 ? n : 0;
            }
            case Op::run_hook: return run_hook(step);
            case Op::personality: {
                long before = raw(SYS_personality, static_cast<long>(step.a));
                return before < 0 ? before : 0;
            }
            case Op::io_priority: return raw(SYS_ioprio_set, 1, 0, static_cast<long>(step.a));
            case Op::find_program: return find_program(step);
            case Op::wait_for_go: return wait_for_go(step);
            case Op::seccomp: return install_filter(step);
            case Op::capabilities: return set_capabilities(step.a, step.b, step.c);
            case Op::ambient: {
                for (int capability = 0; capability < 64; ++capability)
                    if ((step.a >> capability & 1) != 0)
                        if (long error = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0); error < 0) return error;
                return 0;
            }
            case Op::signal_mask: {
                uint64_t none = 0;
                return raw(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, p(&none), 0, 8);
            }
            case Op::execute: return execute(step);
        }
        return -ENOSYS;
    }
};

[[noreturn]] void child_main(void* arena) {
    Child child{static_cast<ArenaHead*>(arena)};
    ArenaHead* head = child.head;
    for (uint32_t i = 0; i < head->step_count; ++i) {
        long error = child.run(head->steps[i]);
        if (error < 0) {
            head->error = static_cast<int32_t>(-error);
            __atomic_store_n(&head->failed_step, static_cast<int32_t>(i), __ATOMIC_RELEASE);
            break;
        }
    }
    leave();
}

}  // namespace

long clone_and_run(ArenaHead* head, void* clone_args, size_t clone_args_size) noexcept {
    long result;
#if defined(__x86_64__)
    register void (*entry)(void*) asm("r8") = child_main;
    register void* argument asm("r9") = head;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xorl %%ebp, %%ebp\n\t"
        "movq %%r9, %%rdi\n\t"
        "callq *%%r8\n\t"
        "ud2\n"
        "1:"
        : "=a"(result)
        : "a"(static_cast<long>(SYS_clone3)), "D"(clone_args), "S"(clone_args_size), "r"(entry), "r"(argument)
        : "rcx", "r11", "memory", "cc");
#else
    register long x8 asm("x8") = SYS_clone3;
    register long x0 asm("x0") = reinterpret_cast<long>(clone_args);
    register long x1 asm("x1") = static_cast<long>(clone_args_size);
    register void (*entry)(void*) asm("x10") = child_main;
    register void* argument asm("x11") = head;
    asm volatile(
        "svc 0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x0, x11\n\t"
        "blr x10\n\t"
        "brk #0\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(entry), "r"(argument)
        : "x30", "memory", "cc");
    result = x0;
#endif
    return result;
}

}  // namespace engine::runtime
