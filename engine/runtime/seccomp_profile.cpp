// Docker's profile files: {"defaultAction", "defaultErrnoRet", "archMap" or "architectures", "syscalls": [{"names", "action",
// "errnoRet", "args", "includes": {"caps", "arches", "minKernel"}, "excludes"}]}.
#include <boost/json.hpp>

#include "base/text.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_compile.h"

namespace engine::runtime {
namespace {
namespace json = boost::json;
using base::Code;
using base::Result;

#if defined(__x86_64__)
constexpr std::string_view kMachine = "amd64", kMainArchitecture = "SCMP_ARCH_X86_64";
#else
constexpr std::string_view kMachine = "arm64", kMainArchitecture = "SCMP_ARCH_AARCH64";
#endif

std::vector<std::string> strings(const json::object& object, std::string_view key) {
    std::vector<std::string> out;
    if (const json::value* value = object.if_contains(key); value != nullptr && value->is_array())
        for (const json::value& entry : value->get_array())
            if (entry.is_string()) out.emplace_back(entry.get_string());
    return out;
}
std::string string_of(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
uint64_t number_of(const json::object& object, std::string_view key, uint64_t otherwise) {
    const json::value* value = object.if_contains(key);
    if (value == nullptr) return otherwise;
    if (value->is_uint64()) return value->get_uint64();
    if (value->is_int64() && value->get_int64() >= 0) return static_cast<uint64_t>(value->get_int64());
    return otherwise;
}

/// moby/profiles: includes need all of caps, any of arches, minKernel; excludes any of caps, any of arches.
bool included(const json::object& call, CapabilitySet capabilities) {
    auto has = [&](const std::string& name) {
        auto number = capability_number(name);
        return number && (capabilities >> *number & 1) != 0;
    };
    auto arch = [](const std::string& name) { return name == kMachine; };
    if (const json::value* value = call.if_contains("includes"); value != nullptr && value->is_object()) {
        const json::object& includes = value->get_object();
        auto arches = strings(includes, "arches");
        auto caps = strings(includes, "caps");
        if (!arches.empty() && std::none_of(arches.begin(), arches.end(), arch)) return false;
        if (!std::all_of(caps.begin(), caps.end(), has)) return false;
        if (std::string kernel = string_of(includes, "minKernel"); !kernel.empty() && !kernel_at_least(kernel)) return false;
    }
    if (const json::value* value = call.if_contains("excludes"); value != nullptr && value->is_object()) {
        const json::object& excludes = value->get_object();
        auto arches = strings(excludes, "arches");
        auto caps = strings(excludes, "caps");
        if (std::any_of(arches.begin(), arches.end(), arch) || std::any_of(caps.begin(), caps.end(), has)) return false;
        if (std::string kernel = string_of(excludes, "minKernel"); !kernel.empty() && kernel_at_least(kernel)) return false;
    }
    return true;
}

std::vector<std::string> architectures_of(const json::object& profile) {
    std::vector<std::string> out = strings(profile, "architectures");
    if (const json::value* map = profile.if_contains("archMap"); map != nullptr && map->is_array())
        for (const json::value& entry : map->get_array())
            if (entry.is_object() && string_of(entry.get_object(), "architecture") == kMainArchitecture) {
                out = strings(entry.get_object(), "subArchitectures");
                out.emplace_back(kMainArchitecture);
            }
    if (out.empty()) out.emplace_back(kMainArchitecture);
    return out;
}
}  // namespace

Result<SeccompProgram> seccomp_from_profile(const std::string& text, CapabilitySet capabilities, bool notify) {
    boost::system::error_code error;
    json::value document = json::parse(text, error);
    if (error || !document.is_object()) return base::fail(Code::invalid, "decoding seccomp profile failed: " + (error ? error.message() : "not a JSON object"));
    const json::object& profile = document.get_object();

    SeccompSettings settings;
    settings.notify = notify;
    settings.default_action = string_of(profile, "defaultAction");
    if (settings.default_action.empty()) return base::fail(Code::invalid, "seccomp profile: no defaultAction");
    settings.default_errno = static_cast<uint32_t>(number_of(profile, "defaultErrnoRet", 1));
    settings.architectures = architectures_of(profile);

    std::vector<SeccompRule> rules;
    const json::value* calls = profile.if_contains("syscalls");
    if (calls != nullptr && calls->is_array())
        for (const json::value& entry : calls->get_array()) {
            if (!entry.is_object() || !included(entry.get_object(), capabilities)) continue;
            const json::object& call = entry.get_object();
            SeccompRule rule;
            rule.action = string_of(call, "action");
            rule.allow = rule.action == "SCMP_ACT_ALLOW";
            rule.action_errno = static_cast<uint32_t>(number_of(call, "errnoRet", 1));
            if (const json::value* arguments = call.if_contains("args"); arguments != nullptr && arguments->is_array())
                for (const json::value& argument : arguments->get_array())
                    if (argument.is_object()) {
                        const json::object& object = argument.get_object();
                        rule.arguments.push_back({static_cast<unsigned>(number_of(object, "index", 9)), string_of(object, "op"),
                                                  number_of(object, "value", 0), number_of(object, "valueTwo", 0)});
                    }
            std::vector<std::string> names = strings(call, "names");
            if (std::string name = string_of(call, "name"); !name.empty()) names.push_back(name);
            for (const std::string& name : names) {
                rule.call = name;
                rules.push_back(rule);
            }
        }
    auto program = TRY(compile_seccomp(settings, rules));
    return std::make_shared<const std::vector<sock_filter>>(std::move(program));
}

}  // namespace engine::runtime
