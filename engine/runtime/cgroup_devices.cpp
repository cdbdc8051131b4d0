// Which devices a container may use: rules as text and as v2's BPF program.
#include <linux/bpf.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cdi.h"
#include "runtime/cgroup_limits.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

base::Status add_host_devices(std::vector<DeviceRule>& rules, const std::string& path, const std::string& access, int depth) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return base::fail_errno("error gathering device information while adding custom device " + base::quote(path));
    if (S_ISDIR(info.st_mode)) {
        if (depth > 8) return {};
        for (const std::string& name : TRY(base::list_dir(path))) {
            struct stat entry{};
            std::string below = path + "/" + name;
            if (::lstat(below.c_str(), &entry) == 0 && (S_ISDIR(entry.st_mode) || S_ISCHR(entry.st_mode) || S_ISBLK(entry.st_mode)))
                TRY_VOID(add_host_devices(rules, below, access, depth + 1));
        }
        return {};
    }
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode))
        rules.push_back({true, S_ISBLK(info.st_mode) ? 'b' : 'c', major(info.st_rdev), minor(info.st_rdev), access});
    return {};
}
}  // namespace

std::string DeviceRule::text() const {
    auto number = [](int64_t n) { return n < 0 ? std::string("*") : std::to_string(n); };
    return std::string(1, type) + " " + number(major) + ":" + number(minor) + " " + access;
}

Result<DeviceRule> parse_device_rule(std::string_view text) {
    auto invalid = [&] { return base::fail(Code::invalid, "invalid device cgroup rule format: " + base::quote(text)); };
    std::vector<std::string> fields = base::split(text, ' ');
    if (fields.size() != 3 || fields[0].size() != 1 || std::string_view("abc").find(fields[0][0]) == std::string_view::npos) return invalid();
    auto [major_text, minor_text] = base::cut(fields[1], ':');
    auto number = [](const std::string& digits) -> std::optional<int64_t> {
        if (digits == "*") return -1;
        auto value = base::parse_int(digits);
        return value && *value >= 0 && *value <= UINT32_MAX ? value : std::nullopt;
    };
    auto major_number = number(major_text), minor_number = number(minor_text.value_or(""));
    if (!major_number || !minor_number || fields[2].empty() || fields[2].size() > 3 || fields[2].find_first_not_of("rwm") != std::string::npos) return invalid();
    return DeviceRule{true, fields[0][0], *major_number, *minor_number, fields[2]};
}

std::vector<DeviceRule> default_device_rules() {
    std::vector<DeviceRule> rules;
    // Making nodes is harmless without access; then the standard ones, terminals and ptmx (runc's defaults).
    rules.push_back({true, 'c', -1, -1, "m"});
    rules.push_back({true, 'b', -1, -1, "m"});
    constexpr std::pair<int, int> kStandard[] = {{1, 3}, {1, 8}, {1, 7}, {5, 0}, {1, 5}, {1, 9}, {5, 1}, {5, 2}};
    for (auto [major_number, minor_number] : kStandard) rules.push_back({true, 'c', major_number, minor_number, "rwm"});
    rules.push_back({true, 'c', 136, -1, "rwm"});
    return rules;
}

Result<std::vector<DeviceRule>> device_rules(const ContainerSpec& spec) {
    if (spec.privileged) return std::vector<DeviceRule>{{true, 'a', -1, -1, "rwm"}};
    std::vector<DeviceRule> rules{{false, 'a', -1, -1, "rwm"}};
    for (DeviceRule& rule : default_device_rules()) rules.push_back(std::move(rule));
    WithCdi found = TRY(with_cdi(spec));
    for (const CdiNode& asked : found.rest.nodes) {
        CdiNode node = TRY(complete_node(asked, 0, 0));
        if (node.type != 'p' && !node.permissions.empty()) rules.push_back({true, node.type, node.major, node.minor, node.permissions});
    }
    for (const Device& device : found.spec.devices) {
        std::string access = device.permissions.empty() ? "rwm" : device.permissions;
        if (access.find_first_not_of("rwm") != std::string::npos) return base::fail(Code::invalid, "invalid device mode: " + base::printable(access));
        TRY_VOID(add_host_devices(rules, device.source, access, 0));
    }
    for (const std::string& rule : spec.device_cgroup_rules) rules.push_back(TRY(parse_device_rule(rule)));
    return rules;
}

namespace {
uint64_t instruction(unsigned code, unsigned destination, unsigned source, int16_t offset, int32_t immediate) {
    bpf_insn out{};
    out.code = static_cast<uint8_t>(code);
    out.dst_reg = destination & 15;
    out.src_reg = source & 15;
    out.off = offset;
    out.imm = immediate;
    uint64_t bits;
    __builtin_memcpy(&bits, &out, sizeof bits);
    return bits;
}
}  // namespace

std::vector<uint64_t> device_program(const std::vector<DeviceRule>& rules) {
    // struct bpf_cgroup_dev_ctx { u32 access_type (type | access << 16), major, minor }. Rules are looked at from the last to the
    // first, so the first match decides.
    std::vector<uint64_t> out;
    out.push_back(instruction(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0));           // r2 = access_type
    out.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, 3, 2, 0, 0));         // r3 = r2
    out.push_back(instruction(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff));      // r2 = type
    out.push_back(instruction(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16));          // r3 = access
    out.push_back(instruction(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0));           // r4 = major
    out.push_back(instruction(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0));           // r5 = minor
    bool decided = false;
    for (auto rule = rules.rbegin(); rule != rules.rend() && !decided; ++rule) {
        int32_t access = 0;
        for (char c : rule->access) access |= c == 'm' ? BPF_DEVCG_ACC_MKNOD : c == 'r' ? BPF_DEVCG_ACC_READ : BPF_DEVCG_ACC_WRITE;
        std::vector<uint64_t> body;
        std::vector<size_t> jumps;  // to the end of this rule when it does not match
        auto unless = [&](unsigned code, unsigned reg, unsigned source, int32_t value) {
            jumps.push_back(body.size());
            body.push_back(instruction(BPF_JMP | code, reg, source, 0, value));
        };
        bool all = rule->type == 'a' && rule->major < 0 && rule->minor < 0 && access == 7;
        if (rule->type != 'a') unless(BPF_JNE | BPF_K, 2, 0, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
        if (access != 7) {
            if (rule->allow) {
                // Allowed only when all that is asked for is in the rule: r1 = r3 & access; r1 == r3?
                body.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, 1, 3, 0, 0));
                body.push_back(instruction(BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, access));
                unless(BPF_JNE | BPF_X, 1, 3, 0);
            } else {
                // Denied when any of it is.
                body.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_X, 1, 3, 0, 0));
                body.push_back(instruction(BPF_ALU | BPF_AND | BPF_K, 1, 0, 0, access));
                unless(BPF_JEQ | BPF_K, 1, 0, 0);
            }
        }
        if (rule->major >= 0) unless(BPF_JNE | BPF_K, 4, 0, static_cast<int32_t>(rule->major));
        if (rule->minor >= 0) unless(BPF_JNE | BPF_K, 5, 0, static_cast<int32_t>(rule->minor));
        body.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, rule->allow ? 1 : 0));
        body.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
        for (size_t jump : jumps) {
            auto distance = static_cast<int16_t>(body.size() - jump - 1);
            bpf_insn edit;
            __builtin_memcpy(&edit, &body[jump], sizeof edit);
            edit.off = distance;
            __builtin_memcpy(&body[jump], &edit, sizeof edit);
        }
        out.insert(out.end(), body.begin(), body.end());
        decided = all;
    }
    if (!decided) {
        out.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0));
        out.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    }
    return out;
}

}  // namespace engine::runtime
