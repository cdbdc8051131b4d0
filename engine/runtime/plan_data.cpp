#include "runtime/plan_data.h"

#include <linux/mount.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/text.h"
#include "runtime/capability.h"
#include "runtime/resolve.h"
#include "runtime/rlimit.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Error;
using base::quote;

constexpr size_t kStack = 32u << 10;
// from <sys/mount.h>, which does not go with <linux/mount.h> in one file
constexpr uint64_t kMsRec = 16384, kMsPrivate = 1u << 18, kMsSlave = 1u << 19, kMsShared = 1u << 20;

size_t align(size_t n, size_t to) { return (n + to - 1) / to * to; }

std::string attributes(uint64_t set) {
    std::string out;
    auto word = [&](uint64_t bit, const char* name) {
        if ((set & bit) != 0) out += (out.empty() ? " " : ",") + std::string(name);
    };
    word(MOUNT_ATTR_RDONLY, "ro");
    word(MOUNT_ATTR_NOSUID, "nosuid");
    word(MOUNT_ATTR_NODEV, "nodev");
    word(MOUNT_ATTR_NOEXEC, "noexec");
    return out;
}

std::string hex(uint64_t value) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

std::string octal(uint64_t mode) {
    char text[12];
    snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777));
    return text;
}

std::string namespace_name(uint64_t flags) {
    std::string out;
    auto word = [&](uint64_t bit, const char* name) {
        if ((flags & bit) != 0) out += (out.empty() ? "" : " ") + std::string(name);
    };
    word(CLONE_NEWNS, "mount");
    word(CLONE_NEWPID, "pid");
    word(CLONE_NEWNET, "network");
    word(CLONE_NEWIPC, "ipc");
    word(CLONE_NEWUTS, "uts");
    word(CLONE_NEWCGROUP, "cgroup");
    word(CLONE_NEWUSER, "user");
    return out;
}
}  // namespace

PlanData::~PlanData() {
    if (mapping_ != nullptr) ::munmap(mapping_, size_);
}

uint32_t PlanData::intern(std::string_view text) {
    if (text.empty()) return 0;
    auto offset = static_cast<uint32_t>(pool.size());
    pool.append(text);
    pool.push_back('\0');
    return offset;
}
uint32_t PlanData::intern_list(const std::vector<std::string>& list) {
    auto offset = static_cast<uint32_t>(pool.size());
    for (const std::string& text : list) {
        pool.append(text);
        pool.push_back('\0');
    }
    pool.append(2, '\0');
    return offset;
}
uint32_t PlanData::intern_bytes(const void* bytes, size_t size) {
    pool.resize(align(pool.size(), 8));
    auto offset = static_cast<uint32_t>(pool.size());
    pool.append(static_cast<const char*>(bytes), size);
    return offset;
}
int PlanData::keep(base::UniqueFd fd) {
    owned.push_back(std::move(fd));
    return owned.back().get();
}
Step& PlanData::add(Op op) {
    Step step{};
    step.op = op;
    step.at = step.slot = step.from = -1;
    step.fd = -1;
    steps.push_back(step);
    return steps.back();
}
Step& PlanData::add(Op op, std::string_view text, uint16_t flags) {
    uint32_t offset = intern(text);
    Step& step = add(op);
    step.text = offset;
    step.flags = flags;
    return step;
}

Step& PlanData::add_mount(std::string_view type, std::string_view target, uint64_t attributes, const std::vector<std::string>& options, uint16_t flags) {
    // An option without a value has an empty second string, so the list is laid out by hand.
    std::string bytes(type);
    bytes.push_back('\0');
    for (const std::string& part : options) {
        bytes += part;
        bytes.push_back('\0');
    }
    bytes.append(2, '\0');
    uint32_t more = intern_bytes(bytes.data(), bytes.size());
    Step& step = add(Op::mount_new, target, flags);
    step.more = more;
    step.a = attributes;
    return step;
}

std::string PlanData::describe(const Step& step) const {
    auto string_at = [&](uint32_t offset) { return std::string(pool.c_str() + offset); };
    // Names may come from images: shown so that a terminal cannot be driven by them.
    std::string text = base::printable(string_at(step.text));
    switch (step.op) {
        case Op::enter_cgroup: return "enter the control group";
        case Op::join_namespace: return "join the " + namespace_name(step.a) + " namespace";
        case Op::new_namespace: return "make a new " + namespace_name(step.a) + " namespace";
        case Op::borrow_mount: return "share " + quote(text) + " of the other container";
        case Op::propagation:
            return std::string("make all mounts ") + ((step.a & kMsPrivate) != 0 ? "private" : (step.a & kMsSlave) != 0 ? "slave" : (step.a & kMsShared) != 0 ? "shared" : "?") +
                   ((step.a & kMsRec) != 0 ? ", recursively" : "");
        case Op::attach_root: return text.empty() ? "mount the root" : "mount the root at " + quote(text);
        case Op::mount_new: {
            std::string type = string_at(step.more), out = "mount " + type + " on " + quote(text) + attributes(step.a);
            const char* option = pool.c_str() + step.more + type.size() + 1;
            while (*option != 0) {
                const char* value = option + strlen(option) + 1;
                out += std::string(" ") + option + (*value != 0 ? "=" : "") + value;
                option = value + strlen(value) + 1;
            }
            return out;
        }
        case Op::mount_tree: return "mount on " + quote(text);
        case Op::mount_host: return "mount " + quote(string_at(step.more)) + " on " + quote(text) + attributes(step.a);
        case Op::mount_console: return "mount the terminal on " + quote(text);
        case Op::make_dirs: return "make folder " + quote(text);
        case Op::make_file: return "make file " + quote(text);
        case Op::make_node: {
            auto device = static_cast<dev_t>(step.b);
            return "make device " + quote(text) + " " + ((step.a & S_IFMT) == S_IFBLK ? "b " : (step.a & S_IFMT) == S_IFIFO ? "p " : "c ") +
                   std::to_string(device >> 8 & 0xfff) + ":" + std::to_string((device & 0xff) | (device >> 12 & 0xfff00)) + " " + octal(step.a);
        }
        case Op::make_link: return "link " + quote(text) + " to " + quote(string_at(step.more));
        case Op::mount_attributes: return "make a mount" + attributes(step.a);
        case Op::mask:
        case Op::mask_file:
        case Op::mask_folder: return "mask " + quote(text);
        case Op::read_only: return "make " + quote(text) + " read-only";
        case Op::write_proc: return "write " + quote(string_at(step.more)) + " to " + quote(text);
        case Op::root_read_only: return "make the root read-only";
        case Op::pivot: return "change the root";
        case Op::host_name: return "set the host name " + quote(text);
        case Op::domain_name: return "set the domain name " + quote(text);
        case Op::resource_limit: {
            auto value = [](uint64_t limit) { return limit == UINT64_MAX ? std::string("unlimited") : std::to_string(limit); };
            return "set limit " + rlimit_name(static_cast<int>(step.a)) + " to " + value(step.b) + ":" + value(step.c);
        }
        case Op::session_keyring: return "make a session keyring";
        case Op::new_session: return "start a session";
        case Op::stdio: return "set up stdin, stdout and stderr";
        case Op::control_terminal: return "take the terminal";
        case Op::close_fds: return "close other files" + (step.a != 0 ? " from " + std::to_string(3 + step.a) + " on" : std::string());
        case Op::work_dir: return "change to the working directory " + quote(text);
        case Op::drop_bounding: return "bound capabilities to " + hex(step.a);
        case Op::groups: {
            std::string out = "set groups";
            for (uint64_t i = 0; i < step.a && i < 32; ++i) {
                uint32_t gid;
                memcpy(&gid, pool.data() + step.more + i * sizeof gid, sizeof gid);
                out += " " + std::to_string(gid);
            }
            return out;
        }
        case Op::become_root: return "become root of the user namespace";
        case Op::identity: return "become user " + std::to_string(step.a) + ":" + std::to_string(step.b);
        case Op::file_mask: return "set umask " + octal(step.a);
        case Op::no_new_privileges: return "set no-new-privileges";
        case Op::label: return "set the security label " + quote(string_at(step.more));
        case Op::tell: return "tell the runtime";
        case Op::run_hook: return "run hook " + quote(text);
        case Op::personality: return "set the execution domain to " + hex(step.a);
        case Op::io_priority: return "set the I/O priority to " + std::to_string(step.a);
        case Op::find_program: return "find the program";
        case Op::wait_for_go: return "wait for the start";
        case Op::seccomp: return "install the seccomp filter, " + std::to_string(step.a) + " instructions";
        case Op::capabilities:
            return "set capabilities to " + hex(step.a) + (step.b != step.a ? " of " + hex(step.b) : "") + (step.c != 0 ? ", inheritable " + hex(step.c) : "");
        case Op::ambient: return "raise ambient capabilities " + hex(step.a);
        case Op::signal_mask: return "unblock signals";
        case Op::execute: {
            std::string out = "execute";
            for (const std::string& path : candidates) out += " " + quote(path);
            return out;
        }
    }
    return "step";
}

std::string PlanData::text() const {
    std::string out = "clone with new namespaces: " + namespace_name(clone_flags) + "\n";
    for (const Step& step : steps) {
        out += describe(step);
        if ((step.flags & kOptional) != 0) out += " (if there)";
        out += "\n";
    }
    return out;
}

base::Status PlanData::seal() {
    size_t strings = 0;
    for (auto* list : {&candidates, &argv, &env})
        for (const std::string& entry : *list) {
            if (entry.find('\0') != std::string::npos) return base::fail(Code::invalid, quote(entry) + " has a zero byte in it");
            strings += entry.size() + 1;
        }
    if (next_slot > kSlots) return base::fail(Code::internal, "the launch plan has too many slots");
    size_t at_steps = align(sizeof(ArenaHead), 16), at_pointers = align(at_steps + steps.size() * sizeof(Step), 16);
    size_t at_pool = align(at_pointers + (candidates.size() + argv.size() + env.size() + 4) * sizeof(char*), 16);
    size_t at_strings = at_pool + pool.size();
    stack_offset_ = align(at_strings + strings, 4096);
    size_ = stack_offset_ + kStack;
    mapping_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) {
        mapping_ = nullptr;
        return base::fail_errno("allocate the launch plan");
    }
    char* start = static_cast<char*>(mapping_);
    ArenaHead* arena = head();
    arena->failed_step = -1;
    arena->root_fd = root_fd;
    arena->proc_slot = proc_slot;
    arena->report_fd = -1;
    arena->go_fd = go_fd;
    arena->late_fd = late_fd;
    arena->listener_fd = -1;
    arena->step_count = static_cast<uint32_t>(steps.size());
    arena->steps = reinterpret_cast<Step*>(start + at_steps);
    arena->text = start + at_pool;
    for (int& slot : arena->slots) slot = -1;
    if (!steps.empty()) memcpy(arena->steps, steps.data(), steps.size() * sizeof(Step));
    memcpy(arena->text, pool.data(), pool.size());
    char* string = start + at_strings;
    char** pointer = reinterpret_cast<char**>(start + at_pointers);
    auto copy = [&](const std::vector<std::string>& list) {
        for (const std::string& entry : list) {
            memcpy(string, entry.c_str(), entry.size() + 1);
            *pointer++ = string;
            string += entry.size() + 1;
        }
    };
    arena->argv = pointer;
    *pointer++ = arena->report_text;
    copy(candidates);
    *pointer++ = arena->text;  // offset 0 is ""
    copy(argv);
    *pointer++ = nullptr;
    arena->envp = pointer;
    copy(env);
    *pointer++ = nullptr;
    arena->sealed_exec_fd = sealed_exec_fd;
    return {};
}

void* PlanData::stack_bottom() const { return static_cast<char*>(mapping_) + stack_offset_; }
size_t PlanData::stack_size() const { return kStack; }

Error PlanData::exec_failure(int error, Detail detail) const {
    const std::string& program = argv.front();
    bool has_slash = program.find('/') != std::string::npos;
    Error out;
    out.sys_errno = error;
    if (detail == Detail::not_found || (error == ENOENT && detail != Detail::no_interpreter)) {
        out.code = Code::no_such_command;
        out.what = "exec: " + quote(program) +
                   (has_slash ? ": stat " + base::printable(program) + ": no such file or directory" : ": executable file not found in $PATH");
    } else if (detail == Detail::no_interpreter) {
        out.code = Code::no_such_command;
        out.what = "exec " + base::printable(program) + ": no such file or directory (the file is there; the interpreter or loader that it names is not)";
    } else if (error == ENOEXEC) {
        out.code = Code::cannot_execute;
        out.what = "exec " + base::printable(program) + ": exec format error";
    } else {
        out.code = Code::cannot_execute;
        out.what = "exec: " + quote(program) + ": " + base::errno_text(error);
    }
    return out;
}

Error PlanData::failure() const {
    const ArenaHead* arena = head();
    const Step& step = arena->steps[arena->failed_step];
    int error = arena->error;
    if (step.op == Op::execute) return base::fail_errno("execute the start of the container", error);
    std::string what = describe(step);
    if (step.op == Op::find_program) return exec_failure(error, arena->detail);
    switch (arena->detail) {
        case Detail::hook_failed: return base::fail(Code::invalid, "error running hook: " + what + ": exit status " + std::to_string(error));
        case Detail::hook_timeout: return base::fail(Code::timeout, "error running hook: " + what + ": hook ran past specified timeout of " + std::to_string(static_cast<double>(step.a) / 1000) + "s");
        case Detail::target_in_proc:
            return base::fail(Code::permission, what + ": it leads into /proc, where only a few files may be mounted over");
        case Detail::outside_root: return base::fail(Code::permission, what + ": it is outside of the container's root");
        case Detail::not_null_device: return base::fail(Code::permission, what + ": its cover is not the null device");
        case Detail::not_procfs: return base::fail(Code::permission, what + ": that file is not one of procfs");
        case Detail::go_refused: return base::fail(Code::interrupted, "the start was given up");
        default: break;
    }
    Error out = base::fail_errno(std::move(what), error);
    if (step.op == Op::work_dir && error != ENOSPC) {
        // Docker's exec: an absent -w folder is 127, one that cannot be entered 126.
        out.what = "chdir to cwd (" + quote(base::printable(pool.c_str() + step.text)) + ") set in config.json failed: " + base::errno_text(error);
        out.code = error == ENOENT ? Code::no_such_command : Code::cannot_execute;
    }
    bool is_mount = step.op == Op::mount_tree || step.op == Op::mount_new || step.op == Op::mount_host;
    if (is_mount && (error == ENOTDIR || (error == EINVAL && step.op != Op::mount_new)))
        out.what += ": are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";
    if (is_mount && error == ELOOP && (step.flags & kNoSymlinks) != 0)
        out.what += ": the image has a symbolic link there, which is not followed";
    if (step.op == Op::resource_limit && error == EPERM) out.what += ": it is above the engine's own hard limit, and raising that needs CAP_SYS_RESOURCE";
    if (error == ENOSYS || (error == ENODEV && step.op == Op::mount_new)) out.code = Code::unsupported_kernel;
    return out;
}

std::vector<std::string> exec_candidates(const std::string& argv0, const std::vector<std::string>& env) {
    if (argv0.find('/') != std::string::npos) return {argv0};
    std::vector<std::string> out;
    if (argv0.empty()) return out;
    for (const std::string& folder : base::split(env_value(env, "PATH").value_or(""), ':'))
        if (!folder.empty()) out.push_back(folder + (folder.back() == '/' ? "" : "/") + argv0);
    return out;
}

}  // namespace engine::runtime
