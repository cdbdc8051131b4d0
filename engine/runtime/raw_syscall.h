#pragma once
// System calls without libc: no errno, no TLS. For code that runs in the child and in the sealed page only.
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace engine::runtime::raw_calls {

#define COMPOSE_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__)
COMPOSE_INLINE long raw(long n, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    long result;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    asm volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
COMPOSE_INLINE long raw(long n, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    register long x8 asm("x8") = n;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
#else
#error "the child's system calls are written for x86_64 and aarch64"
#endif
template <class A>
COMPOSE_INLINE long p(A* pointer) {
    return reinterpret_cast<long>(pointer);
}

}  // namespace engine::runtime::raw_calls
