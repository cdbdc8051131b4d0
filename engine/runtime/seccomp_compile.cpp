#include "runtime/seccomp_compile.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "base/text.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

struct Filter {
    scmp_filter_ctx context;
    ~Filter() { seccomp_release(context); }
};

std::optional<uint32_t> action_of(std::string_view name, uint32_t error) {
    if (name.empty() || name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(error);
    if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
    if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
    if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
    if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
    if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
    if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(error);
    if (name == "SCMP_ACT_NOTIFY") return SCMP_ACT_NOTIFY;
    return std::nullopt;
}

std::optional<scmp_compare> compare_of(std::string_view name) {
    if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
    if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
    if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
    if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
    if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
    if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
    if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
    return std::nullopt;
}

std::optional<uint32_t> architecture_of(std::string_view name) {
    if (name == "SCMP_ARCH_X86_64") return SCMP_ARCH_X86_64;
    if (name == "SCMP_ARCH_X86") return SCMP_ARCH_X86;
    if (name == "SCMP_ARCH_X32") return SCMP_ARCH_X32;
    if (name == "SCMP_ARCH_AARCH64") return SCMP_ARCH_AARCH64;
    if (name == "SCMP_ARCH_ARM") return SCMP_ARCH_ARM;
    return std::nullopt;
}

base::Status check(int result, const std::string& what) {
    if (result < 0) return base::fail_errno("seccomp filter: " + what, -result);
    return {};
}
}  // namespace

std::string seccomp_library_version() {
    const scmp_version* version = seccomp_version();
    return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->micro);
}

Result<std::vector<sock_filter>> compile_seccomp(const SeccompSettings& settings, const std::vector<SeccompRule>& rules) {
    auto default_action = action_of(settings.default_action, settings.default_errno);
    if (!default_action) return base::fail(Code::invalid, "seccomp profile: unknown action " + base::quote(settings.default_action));
    Filter filter{seccomp_init(*default_action)};
    if (filter.context == nullptr) return base::fail(Code::internal, "seccomp filter: libseccomp cannot start one");

    std::vector<std::string> architectures = settings.architectures;
    if (architectures.empty()) {
#if defined(__x86_64__)
        architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#else
        architectures = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
    }
    for (const std::string& name : architectures) {
        auto architecture = architecture_of(name);
        if (!architecture) continue;  // profiles list every machine's
        int result = seccomp_arch_add(filter.context, *architecture);
        if (result != -EEXIST) TRY_VOID(check(result, "architecture " + name));
    }
    // NoNewPrivs is the plan's business; a binary tree keeps the cost of a call flat.
    TRY_VOID(check(seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_NNP, 0), "no-new-privileges"));
    (void)seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);

    for (const SeccompRule& rule : rules) {
        int call = seccomp_syscall_resolve_name(rule.call.c_str());
        if (call == __NR_SCMP_ERROR) continue;  // newer than the library: refused by default, as runc does
        auto action = rule.allow ? std::optional<uint32_t>(SCMP_ACT_ALLOW) : action_of(rule.action, rule.action_errno);
        if (action == SCMP_ACT_NOTIFY && !settings.notify) action.reset();
        if (!action) return base::fail(Code::unsupported, "seccomp profile: action " + base::quote(rule.action) + " is not one that this engine knows");
        if (*action == *default_action) continue;
        std::vector<scmp_arg_cmp> arguments;
        for (const SeccompRule::Argument& argument : rule.arguments) {
            auto compare = compare_of(argument.op);
            if (!compare || argument.index > 5) return base::fail(Code::invalid, "seccomp profile: unknown comparison " + base::quote(argument.op));
            arguments.push_back({argument.index, *compare, argument.value, argument.value_two});
        }
        // libseccomp takes one condition an argument; more on the same one are alternatives, as runc reads them.
        bool repeated = false;
        for (size_t i = 0; i < arguments.size(); ++i)
            for (size_t j = 0; j < i; ++j) repeated = repeated || arguments[i].arg == arguments[j].arg;
        size_t step = repeated ? 1 : std::max<size_t>(arguments.size(), 1);
        for (size_t i = 0; i < std::max<size_t>(arguments.size(), 1); i += step) {
            auto count = static_cast<unsigned>(arguments.empty() ? 0 : step);
            int result = seccomp_rule_add_array(filter.context, *action, call, count, arguments.data() + i);
            if (result != -EEXIST) TRY_VOID(check(result, "rule for " + rule.call));
        }
    }
    base::UniqueFd memory(::memfd_create("seccomp", MFD_CLOEXEC));
    if (!memory) return base::fail_errno("seccomp filter: memfd_create");
    TRY_VOID(check(seccomp_export_bpf(filter.context, memory.get()), "export"));
    if (::lseek(memory.get(), 0, SEEK_SET) != 0) return base::fail_errno("seccomp filter: seek");
    std::string bytes = TRY(base::read_all(memory.get()));
    std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
    if (program.empty() || program.size() > BPF_MAXINSNS)
        return base::fail(Code::invalid, "seccomp filter: " + std::to_string(program.size()) + " instructions, the kernel takes 1 to 4096");
    memcpy(program.data(), bytes.data(), program.size() * sizeof(sock_filter));
    return program;
}

}  // namespace engine::runtime
