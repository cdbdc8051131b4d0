#include "runtime/hooks.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"
#include "base/text.h"
#include "runtime/exec.h"
#include "runtime/plan_data.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

Result<base::UniqueFd> hook_memory(const char* name, std::string_view content) {
    base::UniqueFd out(::memfd_create(name, MFD_CLOEXEC));
    if (!out) return base::fail_errno("memfd_create");
    TRY_VOID(base::write_all(out.get(), content));
    if (::lseek(out.get(), 0, SEEK_SET) != 0) return base::fail_errno("seek");
    return out;
}

std::vector<char*> hook_pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

base::Status run_hook(const Hook& hook, const std::string& name, const std::string& state) {
    base::UniqueFd input = TRY(hook_memory("hook-state", state)), output = TRY(hook_memory("hook-output", ""));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    base::Defer free_them([&] {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    });
    ::posix_spawn_file_actions_adddup2(&actions, input.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, output.get(), 1);
    ::posix_spawn_file_actions_adddup2(&actions, output.get(), 2);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    pid_t pid = -1;
    std::vector<char*> arguments = hook_pointers(hook.args), environment = hook_pointers(hook.env);
    int error = ::posix_spawn(&pid, hook.path.c_str(), &actions, &attributes, arguments.data(), environment.data());
    std::string what = "error running " + name + " hook " + base::quote(hook.path);
    if (error != 0) return base::fail_errno(what, error);
    base::PidFd process = TRY(base::PidFd::open(pid));
    pollfd wait{process.fd(), POLLIN, 0};
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(hook.timeout);
    int ended = 0;
    do {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        ended = ::poll(&wait, 1, hook.timeout > 0 ? static_cast<int>(std::max<long>(left, 0)) : -1);
    } while (ended < 0 && errno == EINTR);
    if (ended == 0) (void)process.signal(SIGKILL);
    int code = TRY(wait_exit(process));
    if (ended == 0) return base::fail(Code::timeout, what + ": hook ran past specified timeout of " + std::to_string(hook.timeout) + "s");
    if (code == 0) return {};
    ::lseek(output.get(), 0, SEEK_SET);
    std::string said = base::trim(base::read_all(output.get(), 1u << 20).value_or("")).substr(0, 4096);
    return base::fail(Code::invalid, what + ": exit status " + std::to_string(code) + (said.empty() ? "" : ", output: " + base::printable(said)));
}
}  // namespace

base::Status run_hooks(const std::vector<Hook>& hooks, const std::string& name, const std::string& state) {
    for (const Hook& hook : hooks) TRY_VOID(run_hook(hook, name, state));
    return {};
}

base::Status add_hook_step(PlanData& plan, const Hook& hook, int state_file) {
    if (hook.args.size() + hook.env.size() > static_cast<size_t>(kMaxHookWords))
        return base::fail(Code::invalid, "hook " + base::quote(hook.path) + ": more than " + std::to_string(kMaxHookWords) + " arguments and variables");
    std::vector<uint32_t> list;
    for (const std::vector<std::string>* words : {&hook.args, &hook.env}) {
        list.push_back(static_cast<uint32_t>(words->size()));
        for (const std::string& word : *words) list.push_back(plan.intern(word));
    }
    uint32_t more = plan.intern_bytes(list.data(), list.size() * sizeof(uint32_t));
    Step& step = plan.add(Op::run_hook, hook.path);
    step.more = more;
    step.fd = state_file;
    step.a = static_cast<uint64_t>(hook.timeout) * 1000;
    return {};
}

}  // namespace engine::runtime
