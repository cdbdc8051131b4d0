// What our own start would do, as config.json.
#include <boost/json.hpp>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "oci/foreign.h"
#include "oci/spec.h"
#include "runtime/capability.h"
#include "runtime/cgroup.h"
#include "runtime/mount_options.h"
#include "runtime/mount_plan.h"
#include "runtime/apparmor.h"
#include "runtime/process_plan.h"
#include "runtime/seccomp.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;

json::array words_of(const std::vector<std::string>& list) {
    json::array out;
    for (const std::string& word : list) out.push_back(json::string(word));
    return out;
}

json::object mount_of(const std::string& target, const char* type, const std::string& source, std::initializer_list<const char*> options) {
    json::array words;
    for (const char* option : options) words.push_back(json::string(option));
    return {{"destination", target}, {"type", type}, {"source", source}, {"options", std::move(words)}};
}

Result<json::object> tmpfs_of(const Mount& mount) {
    runtime::MountOptions options = TRY(runtime::tmpfs_options(mount));
    json::array words;
    for (auto [bit, word] : {std::pair{MOUNT_ATTR_RDONLY, "ro"}, std::pair{MOUNT_ATTR_NOSUID, "nosuid"}, std::pair{MOUNT_ATTR_NODEV, "nodev"}, std::pair{MOUNT_ATTR_NOEXEC, "noexec"}})
        if ((options.attributes & static_cast<uint64_t>(bit)) != 0) words.push_back(json::string(word));
    for (size_t i = 0; i + 1 < options.filesystem.size(); i += 2)
        words.push_back(json::string(options.filesystem[i] + (options.filesystem[i + 1].empty() ? "" : "=" + options.filesystem[i + 1])));
    return json::object{{"destination", mount.target}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", std::move(words)}};
}

Result<json::object> seccomp_of(runtime::CapabilitySet capabilities) {
    json::array calls;
    for (const runtime::SeccompRule& rule : TRY(runtime::default_seccomp_rules(capabilities))) {
        json::object call{{"names", json::array{json::string(rule.call)}}, {"action", rule.allow ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO"}};
        if (!rule.allow) call["errnoRet"] = rule.action_errno;
        json::array arguments;
        for (const auto& argument : rule.arguments)
            arguments.push_back(json::object{{"index", argument.index}, {"value", argument.value}, {"valueTwo", argument.value_two}, {"op", argument.op}});
        if (!arguments.empty()) call["args"] = std::move(arguments);
        calls.push_back(std::move(call));
    }
    json::object out{{"defaultAction", "SCMP_ACT_ERRNO"}, {"defaultErrnoRet", EPERM}, {"syscalls", std::move(calls)}};
#if defined(__x86_64__)
    out["architectures"] = json::array{"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#else
    out["architectures"] = json::array{"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
    return out;
}

struct BundleWriter {
    const BundleInput& input;
    const ContainerSpec& spec = input.launch->container->spec;

    Result<json::object> process() {
        runtime::SecurityOptions security = TRY(runtime::parse_security_options(spec.security_opt));
        runtime::CapabilitySet set = TRY(runtime::container_capabilities(spec.cap_add, spec.cap_drop, false));
        json::array names;
        for (int number = 0; number <= runtime::last_capability(); ++number)
            if ((set >> number & 1) != 0) names.push_back(json::string(runtime::capability_name(number)));
        const runtime::Identity& identity = *input.identity;
        json::array groups, limits;
        for (uint32_t group : identity.groups) groups.push_back(group);
        for (const Ulimit& limit : spec.ulimits) {
            std::string name = "RLIMIT_";
            for (char c : limit.name) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            auto value = [](int64_t n) { return n < 0 ? UINT64_MAX : static_cast<uint64_t>(n); };
            limits.push_back(json::object{{"type", name}, {"soft", value(limit.soft)}, {"hard", value(limit.hard)}});
        }
        std::vector<std::string> argv = input.resolved->argv, env = input.resolved->env;
        if (spec.init) argv.insert(argv.begin(), {"/sbin/docker-init", "--"});
        if (!runtime::env_value(env, "HOME")) env.push_back("HOME=" + identity.home);
        json::object out;
        out["terminal"] = spec.tty;
        out["user"] = json::object{{"uid", identity.uid}, {"gid", identity.gid}, {"additionalGids", std::move(groups)}};
        out["args"] = words_of(argv);
        out["env"] = words_of(env);
        out["cwd"] = input.resolved->working_dir;
        out["capabilities"] = json::object{{"bounding", names}, {"effective", names}, {"permitted", names}};
        out["rlimits"] = std::move(limits);
        out["noNewPrivileges"] = security.no_new_privileges;
        out["oomScoreAdj"] = spec.oom_score_adj;
        if (std::string profile = TRY(runtime::apparmor_profile(spec)); !profile.empty()) out["apparmorProfile"] = profile;
        return out;
    }

    Result<json::array> mounts() {
        json::array out;
        out.push_back(mount_of("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
        out.push_back(mount_of("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}));
        out.push_back(mount_of("/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}));
        out.push_back(mount_of("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}));
        out.push_back(mount_of("/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid", "noexec", "nodev"}));
        out.push_back(mount_of("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}));
        if (input.launch->join.ipc_process >= 0)
            return base::fail(Code::unsupported, "ipc " + base::quote(spec.ipc_mode) + " with another runtime is not supported: /dev/shm could not be shared");
        if (spec.ipc_mode == "host") {
            out.push_back(mount_of("/dev/shm", "bind", "/dev/shm", {"rbind"}));
        } else if (spec.ipc_mode != "none") {
            std::string size = "size=" + std::to_string(spec.shm_size > 0 ? spec.shm_size / 1024 : 65536) + "k";
            out.push_back(mount_of("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", size.c_str()}));
        }
        for (size_t i = 0; i < input.launch->mounts.size(); ++i) {
            const Mount& mount = input.launch->mounts[i].mount;
            if (mount.type == Mount::Type::tmpfs)
                out.push_back(TRY(tmpfs_of(mount)));
            else
                out.push_back(mount_of(mount.target, "bind", input.places[i], {"rbind", mount.propagation.empty() ? "rprivate" : mount.propagation.c_str()}));
        }
        for (const auto& [target, options] : spec.tmpfs) {
            Mount mount;
            mount.type = Mount::Type::tmpfs;
            mount.target = target;
            mount.tmpfs_options = options;
            out.push_back(TRY(tmpfs_of(mount)));
        }
        for (const runtime::FileBind& file : input.launch->files)
            out.push_back(mount_of(file.target, "bind", file.host_path, {"rbind", "rprivate", file.read_only ? "ro" : "rw"}));
        if (spec.init) out.push_back(mount_of("/sbin/docker-init", "bind", input.init, {"bind", "ro"}));
        return out;
    }

    json::array namespaces() {
        const runtime::JoinFds& join = input.launch->join;
        json::array out;
        auto add = [&](const char* type, int fd, bool host) {
            if (host) return;
            json::object space{{"type", type}};
            // By our own fd: what it names cannot change under the path.
            if (fd >= 0) space["path"] = "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd);
            out.push_back(std::move(space));
        };
        add("mount", -1, false);
        add("pid", join.pid, spec.pid_mode == "host");
        add("ipc", join.ipc, spec.ipc_mode == "host");
        add("uts", join.uts, spec.uts_mode == "host");
        add("network", join.net, spec.network_mode == "host");
        add("cgroup", -1, !(spec.cgroup_mode == "private" || (spec.cgroup_mode.empty() && runtime::cgroup_version() == runtime::CgroupVersion::v2)));
        return out;
    }

    Result<json::object> linux_part() {
        json::object out;
        runtime::SecurityOptions security = TRY(runtime::parse_security_options(spec.security_opt));
        json::array rules, nodes;
        for (const runtime::DeviceRule& rule : TRY(runtime::device_rules(spec))) {
            json::object entry{{"allow", rule.allow}, {"access", rule.access}};
            if (rule.type != 'a') entry["type"] = std::string(1, rule.type);
            if (rule.major >= 0) entry["major"] = rule.major;
            if (rule.minor >= 0) entry["minor"] = rule.minor;
            rules.push_back(std::move(entry));
        }
        for (const Device& device : spec.devices) {
            struct stat info{};
            if (::stat(device.source.c_str(), &info) != 0 || !(S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)))
                return base::fail(Code::invalid, "device " + base::quote(device.source) + " with another runtime: not a device node");
            nodes.push_back(json::object{{"path", device.target.empty() ? device.source : device.target},
                                         {"type", S_ISBLK(info.st_mode) ? "b" : "c"},
                                         {"major", major(info.st_rdev)},
                                         {"minor", minor(info.st_rdev)},
                                         {"fileMode", info.st_mode & 07777},
                                         {"uid", info.st_uid},
                                         {"gid", info.st_gid}});
        }
        // The limits themselves are set by us, in the group that the runtime finds.
        out["resources"] = json::object{{"devices", std::move(rules)}};
        out["devices"] = std::move(nodes);
        out["cgroupsPath"] = input.launch->cgroup->path();
        out["namespaces"] = namespaces();
        json::object sysctls;
        if (spec.network_mode != "host" && !spec.network_mode.starts_with("container:")) {
            sysctls["net.ipv4.ip_unprivileged_port_start"] = "0";
            sysctls["net.ipv4.ping_group_range"] = "0 2147483647";
        }
        for (const auto& [name, value] : spec.sysctls) sysctls[name] = value;
        out["sysctl"] = std::move(sysctls);
        if (!security.unconfined_paths) {
            json::array masked;
            for (const runtime::MaskedPath& path : runtime::masked_paths()) masked.push_back(json::string(path.path));
            out["maskedPaths"] = std::move(masked);
            out["readonlyPaths"] = words_of(runtime::read_only_paths());
        }
        if (!security.seccomp_profile.empty())
            return base::fail(Code::unsupported, "security_opt seccomp=FILE with another runtime is not supported; the default filter or \"unconfined\" is");
        if (!security.unconfined_seccomp) out["seccomp"] = TRY(seccomp_of(TRY(runtime::container_capabilities(spec.cap_add, spec.cap_drop, false))));
        return out;
    }
};
}  // namespace

Result<json::object> bundle_config(const BundleInput& input) {
    BundleWriter writer{input};
    const ContainerSpec& spec = writer.spec;
    if (spec.privileged) return base::fail(Code::unsupported, "privileged with another runtime is not supported");
    if (!spec.device_requests.empty()) return base::fail(Code::unsupported, "gpus and CDI devices with another runtime are not supported");
    json::object out;
    out["ociVersion"] = "1.0.2";
    out["process"] = TRY(writer.process());
    out["root"] = json::object{{"path", "rootfs"}, {"readonly", spec.read_only}};
    if (spec.uts_mode != "host" && input.launch->join.uts < 0) {
        out["hostname"] = input.resolved->hostname;
        if (!spec.domainname.empty()) out["domainname"] = spec.domainname;
    }
    out["mounts"] = TRY(writer.mounts());
    json::object annotations;
    for (const auto& [name, value] : spec.annotations) annotations[name] = value;
    out["annotations"] = std::move(annotations);
    out["linux"] = TRY(writer.linux_part());
    return out;
}

}  // namespace engine::oci
