#include <boost/json.hpp>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <limits>

#include "base/text.h"
#include "oci/json_reader.h"
#include "oci/spec.h"
#include "runtime/rlimit.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;

constexpr int64_t kMostId = std::numeric_limits<uint32_t>::max() - 1, kMost = std::numeric_limits<int64_t>::max();

runtime::CapabilitySet capability_set(JsonReader& reader, const json::object& object, std::string_view key) {
    runtime::CapabilitySet out = 0;
    for (const std::string& name : reader.texts(object, key, "process.capabilities")) {
        auto number = runtime::capability_number(name);
        // As runc: a newer configuration may name what this kernel does not know, and it cannot be given then.
        if (number && *number <= runtime::last_capability()) out |= runtime::CapabilitySet{1} << *number;
    }
    return out;
}

std::optional<uint64_t> io_priority(JsonReader& reader, const json::object& process) {
    const json::object& object = reader.object(process, "ioPriority", "process");
    if (object.empty()) return std::nullopt;
    std::string name = reader.text(object, "class", "process.ioPriority");
    int kind = name == "IOPRIO_CLASS_RT" ? 1 : name == "IOPRIO_CLASS_BE" ? 2 : name == "IOPRIO_CLASS_IDLE" ? 3 : -1;
    if (kind < 0) reader.complain("process.ioPriority.class", "must be IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE");
    return static_cast<uint64_t>(kind) << 13 | static_cast<uint64_t>(reader.number(object, "priority", "process.ioPriority", 0, 7).value_or(0));
}

Process process_of(JsonReader& reader, const json::object& object) {
    Process out;
    out.terminal = reader.flag(object, "terminal", "process");
    const json::object& size = reader.object(object, "consoleSize", "process");
    out.rows = static_cast<uint16_t>(reader.number(size, "height", "process.consoleSize", 0, 65535).value_or(0));
    out.columns = static_cast<uint16_t>(reader.number(size, "width", "process.consoleSize", 0, 65535).value_or(0));
    const json::object& user = reader.object(object, "user", "process");
    out.user.uid = static_cast<uint32_t>(reader.number(user, "uid", "process.user", 0, kMostId).value_or(0));
    out.user.gid = static_cast<uint32_t>(reader.number(user, "gid", "process.user", 0, kMostId).value_or(0));
    if (auto mask = reader.number(user, "umask", "process.user", 0, 0777)) out.umask = static_cast<uint32_t>(*mask);
    if (const json::value* groups = user.if_contains("additionalGids"); groups != nullptr && groups->is_array())
        for (const json::value& group : groups->get_array()) {
            if (group.is_int64() && group.get_int64() >= 0 && group.get_int64() <= kMostId)
                out.user.groups.push_back(static_cast<uint32_t>(group.get_int64()));
            else
                reader.complain("process.user.additionalGids", "must be a list of group numbers");
        }
    out.args = reader.texts(object, "args", "process");
    out.env = reader.texts(object, "env", "process");
    out.cwd = reader.text(object, "cwd", "process");
    const json::object& sets = reader.object(object, "capabilities", "process");
    out.capabilities = {capability_set(reader, sets, "bounding"), capability_set(reader, sets, "effective"), capability_set(reader, sets, "inheritable"),
                        capability_set(reader, sets, "permitted"), capability_set(reader, sets, "ambient")};
    for (const json::object* entry : reader.objects(object, "rlimits", "process")) {
        Rlimit limit;
        limit.type = reader.text(*entry, "type", "process.rlimits");
        limit.soft = static_cast<uint64_t>(reader.number(*entry, "soft", "process.rlimits", 0, kMost).value_or(0));
        limit.hard = static_cast<uint64_t>(reader.number(*entry, "hard", "process.rlimits", 0, kMost).value_or(0));
        for (uint64_t* value : {&limit.soft, &limit.hard})
            if (*value == static_cast<uint64_t>(kMost)) *value = UINT64_MAX;
        if (!limit.type.starts_with("RLIMIT_") || !runtime::rlimit_number(base::to_lower(limit.type.substr(7))))
            reader.complain("process.rlimits", "invalid rlimit type: " + base::printable(limit.type));
        for (const Rlimit& other : out.rlimits)
            if (other.type == limit.type) reader.complain("process.rlimits", base::printable(limit.type) + " is there twice");
        out.rlimits.push_back(std::move(limit));
    }
    out.no_new_privileges = reader.flag(object, "noNewPrivileges", "process");
    out.apparmor_profile = reader.text(object, "apparmorProfile", "process");
    out.selinux_label = reader.text(object, "selinuxLabel", "process");
    if (auto adjust = reader.number(object, "oomScoreAdj", "process", -1000, 1000)) out.oom_score_adj = static_cast<int>(*adjust);
    out.io_priority = io_priority(reader, object);
    for (const char* key : {"scheduler", "execCPUAffinity"})
        if (!reader.object(object, key, "process").empty()) reader.complain("process." + std::string(key), "this runtime does not set it");
    if (out.args.empty() || out.args[0].empty()) reader.complain("process.args", "must have at least one entry");
    if (out.cwd.empty())
        reader.complain("process.cwd", "Cwd property must not be empty");
    else if (out.cwd[0] != '/')
        reader.complain("process.cwd", "Cwd must be an absolute path");
    return out;
}

std::vector<IdMapping> mappings(JsonReader& reader, const json::object& object, std::string_view key, const std::string& path) {
    std::vector<IdMapping> out;
    for (const json::object* entry : reader.objects(object, key, path)) {
        IdMapping map;
        std::string where = path + "." + std::string(key);
        map.container = static_cast<uint32_t>(reader.number(*entry, "containerID", where, 0, kMostId).value_or(0));
        map.host = static_cast<uint32_t>(reader.number(*entry, "hostID", where, 0, kMostId).value_or(0));
        map.size = static_cast<uint32_t>(reader.number(*entry, "size", where, 1, kMostId + 1).value_or(0));
        out.push_back(map);
    }
    return out;
}

std::vector<Hook> hook_list(JsonReader& reader, const json::object& hooks, std::string_view key) {
    std::vector<Hook> out;
    std::string path = "hooks." + std::string(key);
    for (const json::object* entry : reader.objects(hooks, key, "hooks")) {
        Hook hook;
        hook.path = reader.text(*entry, "path", path);
        hook.args = reader.texts(*entry, "args", path);
        hook.env = reader.texts(*entry, "env", path);
        hook.timeout = static_cast<int>(reader.number(*entry, "timeout", path, 1, 1'000'000).value_or(0));
        if (hook.path.empty() || hook.path[0] != '/') reader.complain(path + ".path", "must be an absolute path");
        if (hook.args.empty()) hook.args.push_back(hook.path);
        out.push_back(std::move(hook));
    }
    return out;
}

constexpr std::pair<std::string_view, uint64_t> kNamespaces[] = {{"pid", CLONE_NEWPID}, {"network", CLONE_NEWNET}, {"mount", CLONE_NEWNS}, {"ipc", CLONE_NEWIPC},
                                                                 {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER},   {"cgroup", CLONE_NEWCGROUP}};

void read_namespaces(JsonReader& reader, const json::object& linux_part, Spec& out) {
    for (const json::object* entry : reader.objects(linux_part, "namespaces", "linux")) {
        Namespace space;
        space.name = reader.text(*entry, "type", "linux.namespaces");
        space.path = reader.text(*entry, "path", "linux.namespaces");
        for (auto [name, flag] : kNamespaces)
            if (name == space.name) space.type = flag;
        if (space.type == 0) reader.complain("linux.namespaces", "namespace " + base::quote(space.name) + " does not exist or is not one that this runtime makes");
        if (!space.path.empty() && space.path[0] != '/') reader.complain("linux.namespaces", "the path of the " + space.name + " namespace must be absolute");
        if (out.find(space.type) != nullptr) reader.complain("linux.namespaces", "malformed spec file: duplicated ns " + base::quote(space.name));
        out.namespaces.push_back(std::move(space));
    }
}

void read_devices(JsonReader& reader, const json::object& linux_part, Spec& out) {
    for (const json::object* entry : reader.objects(linux_part, "devices", "linux")) {
        DeviceNode device;
        device.path = reader.text(*entry, "path", "linux.devices");
        std::string type = reader.text(*entry, "type", "linux.devices");
        if (type.size() != 1 || std::string_view("cubp").find(type[0]) == std::string_view::npos) reader.complain("linux.devices", "type must be c, u, b or p");
        if (!type.empty()) device.type = type[0];
        device.major = reader.number(*entry, "major", "linux.devices", 0, 0xfff).value_or(0);
        device.minor = reader.number(*entry, "minor", "linux.devices", 0, 0xfffff).value_or(0);
        device.mode = static_cast<uint32_t>(reader.number(*entry, "fileMode", "linux.devices", 0, 0xffff).value_or(0666)) & 07777;
        device.uid = static_cast<uint32_t>(reader.number(*entry, "uid", "linux.devices", 0, kMostId).value_or(0));
        device.gid = static_cast<uint32_t>(reader.number(*entry, "gid", "linux.devices", 0, kMostId).value_or(0));
        if (device.path.empty() || device.path[0] != '/') reader.complain("linux.devices", "the path must be absolute");
        out.devices.push_back(std::move(device));
    }
}

void read_linux(JsonReader& reader, const json::object& config, Spec& out) {
    const json::object& part = reader.object(config, "linux", "");
    read_namespaces(reader, part, out);
    out.uid_mappings = mappings(reader, part, "uidMappings", "linux");
    out.gid_mappings = mappings(reader, part, "gidMappings", "linux");
    read_devices(reader, part, out);
    for (const auto& [name, value] : reader.object(part, "sysctl", "linux")) {
        if (value.is_string())
            out.sysctl[std::string(name)] = std::string(value.get_string());
        else
            reader.complain("linux.sysctl", "values must be strings");
    }
    out.cgroups_path = reader.text(part, "cgroupsPath", "linux");
    out.resources = reader.object(part, "resources", "linux");
    if (const json::object& filter = reader.object(part, "seccomp", "linux"); !filter.empty()) out.seccomp = filter;
    out.rootfs_propagation = reader.text(part, "rootfsPropagation", "linux");
    out.masked_paths = reader.texts(part, "maskedPaths", "linux");
    out.readonly_paths = reader.texts(part, "readonlyPaths", "linux");
    out.mount_label = reader.text(part, "mountLabel", "linux");
    if (const json::object& domain = reader.object(part, "personality", "linux"); !domain.empty()) {
        std::string name = reader.text(domain, "domain", "linux.personality");
        if (name != "LINUX" && name != "LINUX32") reader.complain("linux.personality.domain", "must be LINUX or LINUX32");
        if (!reader.texts(domain, "flags", "linux.personality").empty()) reader.complain("linux.personality.flags", "personality flags are not supported");
        out.personality = name == "LINUX32" ? 8 : 0;
    }
}

/// What would be left out without a word otherwise.
base::Status refuse_what_is_not_there(const json::object& config, const Spec& spec) {
    if (const json::value* part = config.if_contains("linux"); part != nullptr && part->is_object()) {
        const json::object& object = part->get_object();
        if (const json::value* rdt = object.if_contains("intelRdt"); rdt != nullptr && !rdt->is_null())
            return base::fail(Code::unsupported, "linux.intelRdt: this runtime does not set Intel Resource Director Technology (cache and memory bandwidth); remove it from config.json");
        for (const char* key : {"timeOffsets", "netDevices", "memoryPolicy"})
            if (const json::value* value = object.if_contains(key); value != nullptr && value->is_object() && !value->get_object().empty())
                return base::fail(Code::unsupported, "linux." + std::string(key) + ": this runtime does not set it; remove it from config.json");
    }
    for (const char* platform : {"windows", "solaris", "vm", "zos"})
        if (const json::value* value = config.if_contains(platform); value != nullptr && !value->is_null() && config.if_contains("linux") == nullptr)
            return base::fail(Code::unsupported, "config.json is for " + std::string(platform) + ", not for Linux");
    if (!spec.has(CLONE_NEWNS)) return base::fail(Code::unsupported, "linux.namespaces: a container without a mount namespace of its own is not supported");
    if (!spec.find(CLONE_NEWNS)->path.empty()) return base::fail(Code::unsupported, "linux.namespaces: joining a mount namespace is not supported");
    if (spec.has(CLONE_NEWUSER) && spec.find(CLONE_NEWUSER)->path.empty() && (spec.uid_mappings.empty() || spec.gid_mappings.empty()))
        return base::fail(Code::invalid, "user namespaces enabled, but no uid or gid mappings found (linux.uidMappings, linux.gidMappings)");
    if (!spec.has(CLONE_NEWUSER) && (!spec.uid_mappings.empty() || !spec.gid_mappings.empty()))
        return base::fail(Code::invalid, "user namespace mappings specified, but user namespace isn't enabled in the config");
    if (!spec.hostname.empty() && !spec.has(CLONE_NEWUTS)) return base::fail(Code::invalid, "unable to set hostname without a private UTS namespace");
    if (!spec.domainname.empty() && !spec.has(CLONE_NEWUTS)) return base::fail(Code::invalid, "unable to set domainname without a private UTS namespace");
    return {};
}
}  // namespace

const Namespace* Spec::find(uint64_t type) const {
    for (const Namespace& space : namespaces)
        if (space.type == type && type != 0) return &space;
    return nullptr;
}

Result<json::object> parse_object(std::string_view text, const std::string& file) {
    boost::system::error_code error;
    json::parse_options options;
    options.max_depth = 64;
    json::value document = json::parse(text, error, {}, options);
    if (error) return base::fail(Code::invalid, file + ": not JSON: " + error.message());
    if (!document.is_object()) return base::fail(Code::invalid, file + ": not a JSON object");
    return std::move(document.get_object());
}

Result<Process> read_process(const json::object& process) {
    JsonReader reader("process.json");
    Process out = process_of(reader, process);
    if (reader.failed()) return reader.take_error();
    return out;
}

Result<Spec> read_spec(const json::object& config) {
    JsonReader reader("config.json");
    Spec out;
    out.version = reader.text(config, "ociVersion", "");
    std::vector<std::string> parts = base::split(out.version, '.');
    if (!reader.failed() && (parts.size() < 3 || parts[0] != "1")) reader.complain("ociVersion", base::quote(out.version) + " is not a version 1 of the specification");
    if (const json::object& process = reader.object(config, "process", ""); !process.empty()) out.process = process_of(reader, process);
    const json::object& root = reader.object(config, "root", "");
    out.root = reader.text(root, "path", "root");
    out.root_read_only = reader.flag(root, "readonly", "root");
    if (out.root.empty()) reader.complain("root.path", "root filesystem must be specified");
    out.hostname = reader.text(config, "hostname", "");
    out.domainname = reader.text(config, "domainname", "");
    for (const json::object* entry : reader.objects(config, "mounts", "")) {
        MountEntry mount;
        mount.destination = reader.text(*entry, "destination", "mounts");
        mount.type = reader.text(*entry, "type", "mounts");
        mount.source = reader.text(*entry, "source", "mounts");
        mount.options = reader.texts(*entry, "options", "mounts");
        mount.uid_mappings = mappings(reader, *entry, "uidMappings", "mounts");
        mount.gid_mappings = mappings(reader, *entry, "gidMappings", "mounts");
        if (mount.destination.empty()) reader.complain("mounts.destination", "must not be empty");
        if (mount.destination[0] != '/') mount.destination.insert(0, "/");  // spec 1.0.0 allowed it
        out.mounts.push_back(std::move(mount));
    }
    const json::object& hooks = reader.object(config, "hooks", "");
    out.hooks.prestart = hook_list(reader, hooks, "prestart");
    out.hooks.create_runtime = hook_list(reader, hooks, "createRuntime");
    out.hooks.create_container = hook_list(reader, hooks, "createContainer");
    out.hooks.start_container = hook_list(reader, hooks, "startContainer");
    out.hooks.poststart = hook_list(reader, hooks, "poststart");
    out.hooks.poststop = hook_list(reader, hooks, "poststop");
    for (const auto& [name, value] : reader.object(config, "annotations", "")) {
        if (value.is_string())
            out.annotations[std::string(name)] = std::string(value.get_string());
        else
            reader.complain("annotations", "values must be strings");
    }
    read_linux(reader, config, out);
    if (reader.failed()) return reader.take_error();
    TRY_VOID(refuse_what_is_not_there(config, out));
    return out;
}

}  // namespace engine::oci
