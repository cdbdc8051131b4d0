// The default filter's rows: what Docker Engine lets a container call (moby/profiles seccomp/default.json of 2026-05,
// Apache-2.0), as a table: call, action, condition. A call may have several rows: any that applies allows it.
#include "runtime/seccomp.h"

namespace engine::runtime {

std::string_view default_seccomp_rows() {
    static constexpr std::string_view kRows = R"rows(
_llseek	allow	
_newselect	allow	
accept	allow	
accept4	allow	
access	allow	
acct	allow	with CAP_SYS_PACCT
adjtimex	allow	
alarm	allow	
arch_prctl	allow	on amd64,x32
arm_fadvise64_64	allow	on arm,arm64
arm_sync_file_range	allow	on arm,arm64
bind	allow	
bpf	allow	with CAP_BPF
bpf	allow	with CAP_SYS_ADMIN
breakpoint	allow	on arm,arm64
brk	allow	
cacheflush	allow	on arm,arm64
cachestat	allow	
capget	allow	
capset	allow	
chdir	allow	
chmod	allow	
chown	allow	
chown32	allow	
chroot	allow	with CAP_SYS_CHROOT
clock_adjtime	allow	
clock_adjtime64	allow	
clock_getres	allow	
clock_getres_time64	allow	
clock_gettime	allow	
clock_gettime64	allow	
clock_nanosleep	allow	
clock_nanosleep_time64	allow	
clock_settime	allow	with CAP_SYS_TIME
clock_settime64	allow	with CAP_SYS_TIME
clone	allow	arg0 & 0x7e020000 == 0; without CAP_SYS_ADMIN; not on s390,s390x
clone	allow	arg1 & 0x7e020000 == 0; without CAP_SYS_ADMIN; on s390,s390x
clone	allow	with CAP_SYS_ADMIN
clone3	allow	with CAP_SYS_ADMIN
clone3	errno 38	without CAP_SYS_ADMIN
close	allow	
close_range	allow	
connect	allow	
copy_file_range	allow	
creat	allow	
delete_module	allow	with CAP_SYS_MODULE
dup	allow	
dup2	allow	
dup3	allow	
epoll_create	allow	
epoll_create1	allow	
epoll_ctl	allow	
epoll_ctl_old	allow	
epoll_pwait	allow	
epoll_pwait2	allow	
epoll_wait	allow	
epoll_wait_old	allow	
eventfd	allow	
eventfd2	allow	
execve	allow	
execveat	allow	
exit	allow	
exit_group	allow	
faccessat	allow	
faccessat2	allow	
fadvise64	allow	
fadvise64_64	allow	
fallocate	allow	
fanotify_init	allow	with CAP_SYS_ADMIN
fanotify_mark	allow	
fchdir	allow	
fchmod	allow	
fchmodat	allow	
fchmodat2	allow	
fchown	allow	
fchown32	allow	
fchownat	allow	
fcntl	allow	
fcntl64	allow	
fdatasync	allow	
fgetxattr	allow	
finit_module	allow	with CAP_SYS_MODULE
flistxattr	allow	
flock	allow	
fork	allow	
fremovexattr	allow	
fsconfig	allow	with CAP_SYS_ADMIN
fsetxattr	allow	
fsmount	allow	with CAP_SYS_ADMIN
fsopen	allow	with CAP_SYS_ADMIN
fspick	allow	with CAP_SYS_ADMIN
fstat	allow	
fstat64	allow	
fstatat64	allow	
fstatfs	allow	
fstatfs64	allow	
fsync	allow	
ftruncate	allow	
ftruncate64	allow	
futex	allow	
futex_requeue	allow	
futex_time64	allow	
futex_wait	allow	
futex_waitv	allow	
futex_wake	allow	
futimesat	allow	
get_mempolicy	allow	with CAP_SYS_NICE
get_robust_list	allow	
get_thread_area	allow	
getcpu	allow	
getcwd	allow	
getdents	allow	
getdents64	allow	
getegid	allow	
getegid32	allow	
geteuid	allow	
geteuid32	allow	
getgid	allow	
getgid32	allow	
getgroups	allow	
getgroups32	allow	
getitimer	allow	
getpeername	allow	
getpgid	allow	
getpgrp	allow	
getpid	allow	
getppid	allow	
getpriority	allow	
getrandom	allow	
getresgid	allow	
getresgid32	allow	
getresuid	allow	
getresuid32	allow	
getrlimit	allow	
getrusage	allow	
getsid	allow	
getsockname	allow	
getsockopt	allow	
gettid	allow	
gettimeofday	allow	
getuid	allow	
getuid32	allow	
getxattr	allow	
getxattrat	allow	
init_module	allow	with CAP_SYS_MODULE
inotify_add_watch	allow	
inotify_init	allow	
inotify_init1	allow	
inotify_rm_watch	allow	
io_cancel	allow	
io_destroy	allow	
io_getevents	allow	
io_pgetevents	allow	
io_pgetevents_time64	allow	
io_setup	allow	
io_submit	allow	
ioctl	allow	
ioperm	allow	with CAP_SYS_RAWIO
iopl	allow	with CAP_SYS_RAWIO
ioprio_get	allow	
ioprio_set	allow	
ipc	allow	
kcmp	allow	with CAP_SYS_PTRACE
kill	allow	
landlock_add_rule	allow	
landlock_create_ruleset	allow	
landlock_restrict_self	allow	
lchown	allow	
lchown32	allow	
lgetxattr	allow	
link	allow	
linkat	allow	
listen	allow	
listmount	allow	
listxattr	allow	
listxattrat	allow	
llistxattr	allow	
lookup_dcookie	allow	with CAP_SYS_ADMIN
lremovexattr	allow	
lseek	allow	
lsetxattr	allow	
lsm_get_self_attr	allow	with CAP_SYS_ADMIN
lsm_list_modules	allow	with CAP_SYS_ADMIN
lsm_set_self_attr	allow	with CAP_SYS_ADMIN
lstat	allow	
lstat64	allow	
madvise	allow	
map_shadow_stack	allow	
mbind	allow	with CAP_SYS_NICE
membarrier	allow	
memfd_create	allow	
memfd_secret	allow	
mincore	allow	
mkdir	allow	
mkdirat	allow	
mknod	allow	
mknodat	allow	
mlock	allow	
mlock2	allow	
mlockall	allow	
mmap	allow	
mmap2	allow	
modify_ldt	allow	on amd64,x32,x86
mount	allow	with CAP_SYS_ADMIN
mount_setattr	allow	with CAP_SYS_ADMIN
move_mount	allow	with CAP_SYS_ADMIN
mprotect	allow	
mq_getsetattr	allow	
mq_notify	allow	
mq_open	allow	
mq_timedreceive	allow	
mq_timedreceive_time64	allow	
mq_timedsend	allow	
mq_timedsend_time64	allow	
mq_unlink	allow	
mremap	allow	
mseal	allow	
msgctl	allow	
msgget	allow	
msgrcv	allow	
msgsnd	allow	
msync	allow	
munlock	allow	
munlockall	allow	
munmap	allow	
name_to_handle_at	allow	
nanosleep	allow	
newfstatat	allow	
open	allow	
open_by_handle_at	allow	with CAP_DAC_READ_SEARCH
open_tree	allow	with CAP_SYS_ADMIN
openat	allow	
openat2	allow	
pause	allow	
perf_event_open	allow	with CAP_PERFMON
perf_event_open	allow	with CAP_SYS_ADMIN
personality	allow	arg0 == 0
personality	allow	arg0 == 131072
personality	allow	arg0 == 131080
personality	allow	arg0 == 4294967295
personality	allow	arg0 == 8
pidfd_getfd	allow	with CAP_SYS_PTRACE
pidfd_open	allow	
pidfd_send_signal	allow	
pipe	allow	
pipe2	allow	
pkey_alloc	allow	
pkey_free	allow	
pkey_mprotect	allow	
poll	allow	
ppoll	allow	
ppoll_time64	allow	
prctl	allow	
pread64	allow	
preadv	allow	
preadv2	allow	
prlimit64	allow	
process_madvise	allow	with CAP_SYS_PTRACE
process_mrelease	allow	
process_vm_readv	allow	kernel >= 4.8
process_vm_readv	allow	with CAP_SYS_PTRACE
process_vm_writev	allow	kernel >= 4.8
process_vm_writev	allow	with CAP_SYS_PTRACE
pselect6	allow	
pselect6_time64	allow	
ptrace	allow	kernel >= 4.8
ptrace	allow	with CAP_SYS_PTRACE
pwrite64	allow	
pwritev	allow	
pwritev2	allow	
quotactl	allow	with CAP_SYS_ADMIN
quotactl_fd	allow	with CAP_SYS_ADMIN
read	allow	
readahead	allow	
readlink	allow	
readlinkat	allow	
readv	allow	
reboot	allow	with CAP_SYS_BOOT
recv	allow	
recvfrom	allow	
recvmmsg	allow	
recvmmsg_time64	allow	
recvmsg	allow	
remap_file_pages	allow	
removexattr	allow	
removexattrat	allow	
rename	allow	
renameat	allow	
renameat2	allow	
restart_syscall	allow	
riscv_flush_icache	allow	on riscv64
riscv_hwprobe	allow	
rmdir	allow	
rseq	allow	
rt_sigaction	allow	
rt_sigpending	allow	
rt_sigprocmask	allow	
rt_sigqueueinfo	allow	
rt_sigreturn	allow	
rt_sigsuspend	allow	
rt_sigtimedwait	allow	
rt_sigtimedwait_time64	allow	
rt_tgsigqueueinfo	allow	
s390_pci_mmio_read	allow	on s390,s390x
s390_pci_mmio_write	allow	on s390,s390x
s390_runtime_instr	allow	on s390,s390x
sched_get_priority_max	allow	
sched_get_priority_min	allow	
sched_getaffinity	allow	
sched_getattr	allow	
sched_getparam	allow	
sched_getscheduler	allow	
sched_rr_get_interval	allow	
sched_rr_get_interval_time64	allow	
sched_setaffinity	allow	
sched_setattr	allow	
sched_setparam	allow	
sched_setscheduler	allow	
sched_yield	allow	
seccomp	allow	
select	allow	
semctl	allow	
semget	allow	
semop	allow	
semtimedop	allow	
semtimedop_time64	allow	
send	allow	
sendfile	allow	
sendfile64	allow	
sendmmsg	allow	
sendmsg	allow	
sendto	allow	
set_mempolicy	allow	with CAP_SYS_NICE
set_mempolicy_home_node	allow	with CAP_SYS_NICE
set_robust_list	allow	
set_thread_area	allow	
set_tid_address	allow	
set_tls	allow	on arm,arm64
setdomainname	allow	with CAP_SYS_ADMIN
setfsgid	allow	
setfsgid32	allow	
setfsuid	allow	
setfsuid32	allow	
setgid	allow	
setgid32	allow	
setgroups	allow	
setgroups32	allow	
sethostname	allow	with CAP_SYS_ADMIN
setitimer	allow	
setns	allow	with CAP_SYS_ADMIN
setpgid	allow	
setpriority	allow	
setregid	allow	
setregid32	allow	
setresgid	allow	
setresgid32	allow	
setresuid	allow	
setresuid32	allow	
setreuid	allow	
setreuid32	allow	
setrlimit	allow	
setsid	allow	
setsockopt	allow	
settimeofday	allow	with CAP_SYS_TIME
setuid	allow	
setuid32	allow	
setxattr	allow	
setxattrat	allow	
shmat	allow	
shmctl	allow	
shmdt	allow	
shmget	allow	
shutdown	allow	
sigaltstack	allow	
signalfd	allow	
signalfd4	allow	
sigprocmask	allow	
sigreturn	allow	
socket	allow	arg0 < 38
socket	allow	arg0 == 39
socket	allow	arg0 > 40
socketcall	allow	
socketpair	allow	
splice	allow	
stat	allow	
stat64	allow	
statfs	allow	
statfs64	allow	
statmount	allow	
statx	allow	
stime	allow	with CAP_SYS_TIME
swapcontext	allow	on ppc64le
symlink	allow	
symlinkat	allow	
sync	allow	
sync_file_range	allow	
sync_file_range2	allow	on arm,arm64
sync_file_range2	allow	on ppc64le
syncfs	allow	
sysinfo	allow	
syslog	allow	with CAP_SYSLOG
syslog	allow	with CAP_SYS_ADMIN
tee	allow	
tgkill	allow	
time	allow	
timer_create	allow	
timer_delete	allow	
timer_getoverrun	allow	
timer_gettime	allow	
timer_gettime64	allow	
timer_settime	allow	
timer_settime64	allow	
timerfd_create	allow	
timerfd_gettime	allow	
timerfd_gettime64	allow	
timerfd_settime	allow	
timerfd_settime64	allow	
times	allow	
tkill	allow	
truncate	allow	
truncate64	allow	
ugetrlimit	allow	
umask	allow	
umount	allow	with CAP_SYS_ADMIN
umount2	allow	with CAP_SYS_ADMIN
uname	allow	
unlink	allow	
unlinkat	allow	
unshare	allow	with CAP_SYS_ADMIN
uretprobe	allow	
utime	allow	
utimensat	allow	
utimensat_time64	allow	
utimes	allow	
vfork	allow	
vhangup	allow	with CAP_SYS_TTY_CONFIG
vmsplice	allow	
wait4	allow	
waitid	allow	
waitpid	allow	
write	allow	
writev	allow	
)rows";
    return kRows;
}

}  // namespace engine::runtime
