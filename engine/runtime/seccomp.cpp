#include "runtime/seccomp.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>

#include "base/file.h"
#include "base/text.h"
#include "runtime/seccomp_compile.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

#if defined(__x86_64__)
constexpr std::string_view kArchitectures[] = {"amd64", "x86", "x32"};
#else
constexpr std::string_view kArchitectures[] = {"arm64", "arm"};
#endif

bool listed(std::string_view list, auto&& known) {
    for (const std::string& word : base::split(list, ','))
        if (known(word)) return true;
    return false;
}

/// One part of a condition: "with CAP_X", "without CAP_X", "on a,b", "not on a,b", "kernel >= 4.8", "arg0 & 0x… == 0".
/// false: the row does not apply.
Result<bool> apply_condition(std::string_view part, CapabilitySet capabilities, SeccompRule& rule) {
    auto has_capability = [&](std::string_view name) {
        auto number = capability_number(name);
        return number && (capabilities >> *number & 1) != 0;
    };
    auto here = [](const std::string& word) { return std::find(std::begin(kArchitectures), std::end(kArchitectures), word) != std::end(kArchitectures); };
    if (part.starts_with("with ")) return has_capability(part.substr(5));
    if (part.starts_with("without ")) return !has_capability(part.substr(8));
    if (part.starts_with("on ")) return listed(part.substr(3), here);
    if (part.starts_with("not on ")) return !listed(part.substr(7), here);
    if (part.starts_with("kernel >= ")) return kernel_at_least(part.substr(10));
    if (part.starts_with("arg") && part.size() > 5) {
        SeccompRule::Argument argument;
        argument.index = static_cast<unsigned>(part[3] - '0');
        std::vector<std::string> words = base::split(part.substr(5), ' ');
        auto number = [](const std::string& text) { return static_cast<uint64_t>(strtoull(text.c_str(), nullptr, 0)); };
        if (words.size() == 4 && words[0] == "&" && words[2] == "==") {
            argument.op = "SCMP_CMP_MASKED_EQ";
            argument.value = number(words[1]);
            argument.value_two = number(words[3]);
        } else if (words.size() == 2) {
            argument.op = words[0] == "==" ? "SCMP_CMP_EQ" : words[0] == "<" ? "SCMP_CMP_LT" : words[0] == ">" ? "SCMP_CMP_GT" : "";
            argument.value = number(words[1]);
        }
        if (!argument.op.empty()) {
            rule.arguments.push_back(argument);
            return true;
        }
    }
    return base::fail(Code::internal, "seccomp table: condition " + base::quote(part));
}

}  // namespace

bool kernel_at_least(std::string_view version) {
    struct utsname info{};
    ::uname(&info);
    int have_major = 0, have_minor = 0, major = 0, minor = 0;
    if (sscanf(info.release, "%d.%d", &have_major, &have_minor) != 2 || sscanf(std::string(version).c_str(), "%d.%d", &major, &minor) < 1) return true;
    return have_major > major || (have_major == major && have_minor >= minor);
}

Result<std::vector<SeccompRule>> default_seccomp_rules(CapabilitySet capabilities) {
    std::vector<SeccompRule> rules;
    for (const std::string& line : base::split(default_seccomp_rows(), '\n')) {
        if (line.empty()) continue;
        std::vector<std::string> fields = base::split(line, '\t');
        if (fields.size() < 2) return base::fail(Code::internal, "seccomp table: " + base::quote(line));
        SeccompRule rule;
        rule.call = fields[0];
        rule.allow = fields[1] == "allow";
        if (!rule.allow) rule.action_errno = static_cast<uint32_t>(base::parse_int(base::cut(fields[1], ' ').second.value_or("1")).value_or(1));
        bool applies = true;
        if (fields.size() > 2)
            for (const std::string& part : base::split(fields[2], ';'))
                if (std::string condition = base::trim(part); applies && !condition.empty()) applies = TRY(apply_condition(condition, capabilities, rule));
        if (applies) rules.push_back(std::move(rule));
    }
    return rules;
}

namespace {
/// The file's name holds all that its content depends on.
std::string cached_path(const std::string& cache_dir, const std::string& content) {
    if (cache_dir.empty()) return {};
    struct utsname info{};
    ::uname(&info);
    std::string key = content + "\n" + info.machine + info.release + "\n" + seccomp_library_version();
    return cache_dir + "/seccomp-" + base::sha256_hex(key).substr(0, 24) + ".bpf";
}

/// A filter with a wrong size or digest, or none, is made anew.
std::optional<std::vector<sock_filter>> read_cached(const std::string& path) {
    constexpr size_t kMaxProgram = BPF_MAXINSNS;
    if (path.empty()) return std::nullopt;
    // The last 64 bytes are the digest of the rest: a torn or foreign file never becomes a filter.
    auto bytes = base::read_file(path, kMaxProgram * sizeof(sock_filter) + 64);
    if (!bytes || bytes->size() <= 64) return std::nullopt;
    std::string_view code = std::string_view(*bytes).substr(0, bytes->size() - 64);
    if (code.size() % sizeof(sock_filter) != 0 || base::sha256_hex(code) != bytes->substr(code.size())) return std::nullopt;
    std::vector<sock_filter> program(code.size() / sizeof(sock_filter));
    memcpy(program.data(), code.data(), code.size());
    return program;
}

void write_cached(const std::string& path, const std::vector<sock_filter>& program) {
    if (path.empty()) return;
    std::string bytes(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter));
    bytes += base::sha256_hex(bytes);
    // A cache that cannot be written costs time only.
    if (auto made = base::make_dirs(path.substr(0, path.rfind('/')), 0700); made) (void)base::replace_file(path, bytes, 0600);
}
}  // namespace

Result<SeccompProgram> cached_profile(const std::string& json, const std::string& cache_dir) {
    std::string path = cached_path(cache_dir, json);
    if (auto program = read_cached(path)) return std::make_shared<const std::vector<sock_filter>>(std::move(*program));
    SeccompProgram compiled = TRY(seccomp_from_profile(json, 0, true));
    write_cached(path, *compiled);
    return compiled;
}

Result<SeccompProgram> default_seccomp(CapabilitySet capabilities, const std::string& cache_dir) {
    static std::mutex mutex;
    static std::map<CapabilitySet, SeccompProgram> known;
    std::lock_guard lock(mutex);
    if (auto found = known.find(capabilities); found != known.end()) return found->second;

    std::string path = cached_path(cache_dir, std::string(default_seccomp_rows()) + "\n" + std::to_string(capabilities));
    auto remember = [&](std::vector<sock_filter> program) {
        SeccompProgram shared = std::make_shared<const std::vector<sock_filter>>(std::move(program));
        known[capabilities] = shared;
        return shared;
    };
    if (auto program = read_cached(path)) return remember(std::move(*program));
    SeccompSettings settings;
    settings.default_errno = EPERM;
    std::vector<SeccompRule> rules = TRY(default_seccomp_rules(capabilities));
    std::vector<sock_filter> program = TRY(compile_seccomp(settings, rules));
    write_cached(path, program);
    return remember(std::move(program));
}

}  // namespace engine::runtime
