#include "runtime/process_plan.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/apparmor.h"
#include "runtime/clone.h"
#include "runtime/rlimit.h"
#include "runtime/seccomp.h"
#include "runtime/sealed_exec.h"

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr uint64_t kSysAdmin = uint64_t{1} << 21;

/// A stream of the process: -1 becomes /dev/null; one that would be overwritten by dup2 below 3 is moved up first.
Result<int> stream(PlanData& plan, int fd, int& null) {
    if (fd < 0) {
        if (null < 0) {
            auto opened = TRY(base::open_at(AT_FDCWD, "/dev/null", O_RDWR));
            null = plan.keep(TRY(above_streams(std::move(opened))));
        }
        return null;
    }
    if (fd > 2) return fd;
    int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (moved < 0) return base::fail_errno("duplicate stream " + std::to_string(fd));
    return plan.keep(base::UniqueFd(moved));
}

/// A user who opens /dev/stdout opens the pipe anew, so it must be theirs (runc's fixStdioPermissions); not /dev/null.
void give_streams(const std::array<int, 3>& fds, int null, uint32_t uid) {
    if (uid == 0) return;
    for (int fd : fds) {
        struct stat info{};
        if (fd == null || ::fstat(fd, &info) != 0 || S_ISREG(info.st_mode) || (S_ISCHR(info.st_mode) && info.st_rdev == 0x103)) continue;
        (void)::fchown(fd, uid, static_cast<gid_t>(-1));  // a socket or read-only device refuses: nothing is lost
    }
}

}  // namespace

Result<std::array<int, 3>> prepare_streams(PlanData& plan, const StreamSet& stdio, bool tty, uint32_t uid) {
    int null = -1;
    std::array<int, 3> out{};
    out[0] = TRY(stream(plan, stdio.in, null));
    out[1] = TRY(stream(plan, stdio.out, null));
    out[2] = TRY(stream(plan, stdio.err, null));
    if (!tty) give_streams(out, null, uid);
    return out;
}

Result<SecurityOptions> parse_security_options(const std::vector<std::string>& options) {
    SecurityOptions out;
    auto flag = [](const std::string& value) -> std::optional<bool> {
        for (const char* word : {"1", "t", "T", "true", "TRUE", "True"})  // Go's ParseBool
            if (value == word) return true;
        for (const char* word : {"0", "f", "F", "false", "FALSE", "False"})
            if (value == word) return false;
        return std::nullopt;
    };
    for (const std::string& option : options) {
        auto invalid = [&] { return base::fail(Code::invalid, "invalid --security-opt: " + base::quote(option)); };
        size_t at = option.find_first_of("=:");
        std::string key = option.substr(0, at), value = at == std::string::npos ? "" : option.substr(at + 1);
        if (option == "no-new-privileges") {
            out.no_new_privileges = true;
        } else if (at == std::string::npos) {
            return invalid();
        } else if (key == "no-new-privileges" || (key == "writable-cgroups" && option[at] == '=')) {
            auto yes = flag(value);
            if (!yes) return invalid();
            (key == "writable-cgroups" ? out.writable_cgroups : out.no_new_privileges) = *yes;
        } else if (key == "seccomp") {
            if (value.empty()) return invalid();
            out.unconfined_seccomp = value == "unconfined";
            out.seccomp_profile = value == "unconfined" || value == "builtin" ? "" : value;
        } else if (key == "apparmor") {
            out.apparmor = value;
        } else if (key == "label") {
            out.labels.push_back(value);
        } else if (option == "systempaths=unconfined") {
            out.unconfined_paths = true;
        } else {
            return invalid();
        }
    }
    return out;
}

base::Status add_proc_settings(PlanData& plan, const ContainerSpec& spec, bool exec) {
    auto at = [&](Step& step) {
        if (!exec) step.at = static_cast<int16_t>(plan.proc_slot);
    };
    std::string prefix = exec ? "/proc/self/" : "self/";
    static const int own = static_cast<int>(base::parse_int(base::trim(base::read_file("/proc/self/oom_score_adj").value_or("0"))).value_or(0));
    if (spec.oom_score_adj < -1000 || spec.oom_score_adj > 1000)
        return base::fail(Code::invalid, "invalid value " + std::to_string(spec.oom_score_adj) + ", range for oom score adj is [-1000, 1000]");
    if (spec.oom_score_adj != own) {
        uint32_t value = plan.intern(std::to_string(spec.oom_score_adj));
        Step& step = plan.add(Op::write_proc, prefix + "oom_score_adj");
        step.more = value;
        at(step);
    }
    if (std::string profile = TRY(apparmor_profile(spec)); !profile.empty()) {
        uint32_t value = plan.intern("exec " + profile);
        Step& step = plan.add(Op::label, prefix + apparmor_file());
        step.more = value;
        at(step);
    }
    return {};
}

base::Status add_process(PlanData& plan, const ProcessSettings& settings) {
    const ContainerSpec& spec = *settings.spec;
    const Identity& identity = *settings.identity;
    SecurityOptions options = TRY(parse_security_options(spec.security_opt));
    bool privileged = settings.privileged || spec.privileged;
    CapabilitySet capabilities = TRY(container_capabilities(spec.cap_add, spec.cap_drop, privileged));

    TRY_VOID(add_rlimits(plan, spec.ulimits));
    if (!settings.keyring.empty()) plan.add(Op::session_keyring, settings.keyring);
    plan.add(Op::new_session);

    std::array<int, 3> streams = TRY(prepare_streams(plan, settings.stdio, settings.tty, identity.uid));
    Step& stdio = plan.add(Op::stdio);
    stdio.fd = streams[0];
    stdio.a = static_cast<uint64_t>(streams[1]);
    stdio.b = static_cast<uint64_t>(streams[2]);
    if (settings.tty) plan.add(Op::control_terminal);
    plan.add(Op::close_fds);
    plan.add(Op::file_mask).a = 022;
    plan.add(Op::work_dir, settings.working_dir);

    Step& bounding = plan.add(Op::drop_bounding);
    bounding.a = capabilities;
    bounding.b = static_cast<uint64_t>(last_capability());
    uint32_t numbers = plan.intern_bytes(identity.groups.data(), identity.groups.size() * sizeof(uint32_t));
    Step& groups = plan.add(Op::groups);
    groups.more = numbers;
    groups.a = identity.groups.size();

    // `exec --privileged` keeps the filter, but one for all capabilities.
    // A profile that was asked for holds for a privileged container too.
    bool filter = !options.unconfined_seccomp && (!spec.privileged || !options.seccomp_profile.empty());
    Step& user = plan.add(Op::identity);
    user.a = identity.uid;
    user.b = identity.gid;
    user.c = (capabilities | kSysAdmin) & own_capabilities();
    if (options.no_new_privileges) plan.add(Op::no_new_privileges);
    if (filter) {
        SeccompProgram program;
        if (options.seccomp_profile.empty()) {
            program = TRY(default_seccomp(capabilities, settings.cache_dir));
        } else {
            // The front end passes the file's content (Docker's API) or its path.
            std::string profile = options.seccomp_profile;
            if (profile[0] != '{') profile = TRY(base::read_file(profile, 4u << 20).context("opening seccomp profile (" + profile + ") failed"));
            program = TRY(seccomp_from_profile(profile, capabilities));
        }
        uint32_t code = plan.intern_bytes(program->data(), program->size() * sizeof(sock_filter));
        Step& step = plan.add(Op::seccomp);
        step.more = code;
        step.a = program->size();
        step.b = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    }
    // For a user other than root execve clears permitted and effective; set now, so that nothing runs with more.
    Step& sets = plan.add(Op::capabilities);
    sets.a = sets.b = identity.uid == 0 ? capabilities : 0;
    plan.add(Op::signal_mask);
    plan.candidates = exec_candidates(plan.argv.empty() ? "" : plan.argv[0], plan.env);
    plan.sealed_exec_fd = TRY(sealed_exec_file());
    plan.add(Op::execute, base::proc_path(plan.sealed_exec_fd));
    return {};
}

}  // namespace engine::runtime
