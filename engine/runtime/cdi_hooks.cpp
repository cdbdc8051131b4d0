#include "runtime/cdi_hooks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/log.h"
#include "runtime/cdi.h"
#include "runtime/clone.h"
#include "runtime/plan_data.h"
#include "runtime/launch.h"
#include "runtime/resolve.h"

namespace engine::runtime {
namespace {
namespace json = boost::json;
using base::Code;
using base::Result;

constexpr const char* kHookSpecVersion = "1.2.0";

base::Status hook_pipe(base::UniqueFd& reading, base::UniqueFd& writing) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("make a pipe");
    base::UniqueFd first(ends[0]), second(ends[1]);
    reading = TRY(above_streams(std::move(first)));
    writing = TRY(above_streams(std::move(second)));
    return {};
}

std::string hook_state(const HookExchange& hooks, const char* status, int pid) {
    return json::serialize(json::object{{"ociVersion", kHookSpecVersion}, {"id", hooks.id}, {"status", status}, {"pid", pid}, {"bundle", hooks.bundle}, {"annotations", json::object{}}});
}

/// What hooks look for in a bundle: where the root is, and what runs in it.
base::Status write_bundle(const std::string& bundle, const ContainerSpec& spec, const Resolved& resolved) {
    TRY_VOID(base::make_dirs(bundle + "/rootfs", 0700));
    json::array args, env;
    for (const std::string& word : resolved.argv) args.push_back(json::string(word));
    for (const std::string& entry : resolved.env) env.push_back(json::string(entry));
    json::object config{{"ociVersion", kHookSpecVersion},
                        {"hostname", resolved.hostname},
                        {"root", json::object{{"path", bundle + "/rootfs"}, {"readonly", spec.read_only}}},
                        {"process", json::object{{"args", std::move(args)}, {"env", std::move(env)}, {"cwd", resolved.working_dir}}},
                        {"mounts", json::array{}},
                        {"linux", json::object{}}};
    return base::write_file(bundle + "/config.json", json::serialize(config), 0600);
}
}  // namespace

Result<std::string> prepare_hooks(PlanData& plan, const std::vector<CdiHook>& hooks, const LaunchInput& input, const Resolved& resolved) {
    if (hooks.empty()) return std::string();
    if (input.bundle_dir.empty()) return base::fail(Code::unsupported, "a CDI device with hooks cannot be used here");
    auto exchange = std::make_unique<HookExchange>();
    for (const CdiHook& asked : hooks) {
        if (asked.name == "prestart")
            exchange->prestart.push_back(asked.hook);
        else if (asked.name == "createRuntime")
            exchange->create_runtime.push_back(asked.hook);
        else if (asked.name == "createContainer")
            exchange->create_container.push_back(asked.hook);
        else if (asked.name == "poststart")
            exchange->poststart.push_back(asked.hook);
        else  // it would run the container's files with rights that the container has not
            return base::fail(Code::unsupported, "CDI hook " + base::quote(asked.hook.path) + ": " + asked.name + " hooks are not run by this engine");
    }
    exchange->id = input.container->id;
    exchange->bundle = input.bundle_dir;
    TRY_VOID(write_bundle(exchange->bundle, input.container->spec, resolved));
    TRY_VOID(hook_pipe(exchange->go_read, exchange->go_write));
    TRY_VOID(hook_pipe(exchange->told_read, exchange->told_write));
    base::UniqueFd state(::memfd_create("hook-state", MFD_CLOEXEC));
    if (!state) return base::fail_errno("memfd_create");
    exchange->state = TRY(above_streams(std::move(state)));
    std::string root_at = exchange->bundle + "/rootfs";
    plan.hooks = std::move(exchange);
    return root_at;
}

base::Status add_hooks(PlanData& plan, int keeper) {
    if (!plan.hooks) return {};
    plan.add(Op::tell).fd = plan.hooks->told_write.get();
    Step& wait = plan.add(Op::wait_for_go);
    wait.fd = plan.hooks->go_read.get();
    wait.a = static_cast<uint64_t>(keeper + 1);
    for (const Hook& hook : plan.hooks->create_container) TRY_VOID(add_hook_step(plan, hook, plan.hooks->state.get()));
    return {};
}

base::Status meet_hooks(HookExchange& hooks, int pid) {
    hooks.go_read.reset();
    hooks.told_write.reset();
    std::string state = hook_state(hooks, "creating", pid);
    TRY_VOID(base::write_all(hooks.state.get(), state));
    char byte;
    ssize_t n;
    do n = ::read(hooks.told_read.get(), &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1) return {};  // it has failed before: its report says at what
    TRY_VOID(run_hooks(hooks.prestart, "prestart", state));
    TRY_VOID(run_hooks(hooks.create_runtime, "createRuntime", state));
    return base::write_all(hooks.go_write.get(), "g");
}

void run_last_hooks(const HookExchange& hooks, int pid) {
    if (auto ran = run_hooks(hooks.poststart, "poststart", hook_state(hooks, "running", pid)); !ran) base::log::warn(ran.error().message());
}

}  // namespace engine::runtime
