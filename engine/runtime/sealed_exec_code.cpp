// The sealed page: argv is REPORT_FD or "REPORT_FD,GO_FD", paths to try …, "", the program's argv. It executes the first path that works or reports why
// none does. Compiled as the child is; the code is copied out of its section, so it may use no data and no other function.
#include <fcntl.h>

#include <cerrno>

#include "runtime/plan.h"
#include "runtime/raw_syscall.h"
#include "runtime/sealed_exec.h"

namespace engine::runtime {
using namespace raw_calls;

extern "C" __attribute__((section("compose_sealed"), used, noreturn)) void compose_sealed_main(long* stack) {
    long count = stack[0];
    char** argv = reinterpret_cast<char**>(stack + 1);
    char** environment = argv + count + 1;
    long report = 0, go = -1;
    long error_out = ENOENT, detail_out = static_cast<long>(Detail::not_found);  // scalars: a struct's constants would be data
    const char* digits = count > 0 ? argv[0] : nullptr;
    bool good = digits != nullptr && *digits != 0;
    for (; good && *digits != 0; ++digits) {
        if (*digits == ',' && go < 0) {
            go = 0;
            continue;
        }
        long& number = go < 0 ? report : go;
        good = *digits >= '0' && *digits <= '9' && number < 1'000'000;
        number = number * 10 + (*digits - '0');
    }
    long program = 1;
    while (good && program < count && argv[program][0] != 0) ++program;
    if (good && program + 1 < count) {
        raw(SYS_fcntl, report, F_SETFD, FD_CLOEXEC);
        if (go >= 0) {
            // Created, not yet started: until somebody writes a byte.
            char byte;
            long n;
            do n = raw(SYS_read, go, p(&byte), 1);
            while (n == -EINTR);
            if (n != 1) raw(SYS_exit_group, 126);
            raw(SYS_close, go);
        }
        long denied = 0;
        for (long i = 1; i < program; ++i) {
            long error = raw(SYS_execve, p(argv[i]), p(argv + program + 1), p(environment));
            if (error == -ENOENT && raw(SYS_faccessat, AT_FDCWD, p(argv[i]), 0) == 0) {
                denied = 0;
                detail_out = static_cast<long>(Detail::no_interpreter);
                break;
            }
            if (error == -EACCES || error == -EPERM) {
                denied = error;
            } else if (error != -ENOENT && error != -ENOTDIR) {
                denied = error;
                break;
            }
        }
        if (denied != 0) {
            error_out = -denied;
            detail_out = 0;
        }
        SealedExecReport out;
        out.error = static_cast<int32_t>(error_out);
        out.detail = static_cast<int32_t>(detail_out);
        raw(SYS_write, report, p(&out), sizeof out);
    }
    for (;;) {
        raw(SYS_exit_group, 126);
        __builtin_trap();
    }
}

#if defined(__x86_64__)
asm(".section compose_sealed,\"ax\",@progbits\n"
    ".globl compose_sealed_entry\n.hidden compose_sealed_entry\n.type compose_sealed_entry,@function\n"
    "compose_sealed_entry:\n\txorl %ebp, %ebp\n\tmovq %rsp, %rdi\n\tandq $-16, %rsp\n\tcall compose_sealed_main\n\tud2\n"
    ".size compose_sealed_entry, .-compose_sealed_entry\n.previous\n");
#else
asm(".section compose_sealed,\"ax\",%progbits\n"
    ".globl compose_sealed_entry\n.hidden compose_sealed_entry\n.type compose_sealed_entry,%function\n"
    "compose_sealed_entry:\n\tmov x0, sp\n\tmov x29, xzr\n\tbl compose_sealed_main\n\tbrk #0\n"
    ".size compose_sealed_entry, .-compose_sealed_entry\n.previous\n");
#endif

}  // namespace engine::runtime
