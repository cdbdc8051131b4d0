#include "oci/mount_words.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/text.h"

#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

namespace engine::oci {
namespace {
using base::Code;
using base::Result;

struct AttributeWord {
    uint64_t set, clear;
};
/// Each also with an "r" in front, for the mounts below.
const std::map<std::string_view, AttributeWord>& attribute_words() {
    static const std::map<std::string_view, AttributeWord> words{
        {"ro", {MOUNT_ATTR_RDONLY, 0}},           {"rw", {0, MOUNT_ATTR_RDONLY}},
        {"nosuid", {MOUNT_ATTR_NOSUID, 0}},       {"suid", {0, MOUNT_ATTR_NOSUID}},
        {"nodev", {MOUNT_ATTR_NODEV, 0}},         {"dev", {0, MOUNT_ATTR_NODEV}},
        {"noexec", {MOUNT_ATTR_NOEXEC, 0}},       {"exec", {0, MOUNT_ATTR_NOEXEC}},
        {"noatime", {MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME}},
        {"atime", {0, MOUNT_ATTR__ATIME}},
        {"relatime", {0, MOUNT_ATTR__ATIME}},
        {"norelatime", {0, 0}},
        {"strictatime", {MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME}},
        {"nostrictatime", {0, MOUNT_ATTR__ATIME}},
        {"nodiratime", {MOUNT_ATTR_NODIRATIME, 0}},
        {"diratime", {0, MOUNT_ATTR_NODIRATIME}},
        {"nosymfollow", {MOUNT_ATTR_NOSYMFOLLOW, 0}},
        {"symfollow", {0, MOUNT_ATTR_NOSYMFOLLOW}},
    };
    return words;
}
/// Of the superblock, or without a meaning to the kernel by now.
constexpr std::string_view kFilesystemFlags[] = {"sync", "dirsync", "lazytime", "mand"};
constexpr std::string_view kIgnored[] = {"defaults", "async", "nolazytime", "nomand", "silent", "loud", "iversion", "noiversion", "acl", "noacl", "remount"};
constexpr std::string_view kPropagation[] = {"private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"};

bool among(auto&& list, std::string_view word) { return std::find(std::begin(list), std::end(list), word) != std::end(list); }

base::Status set_tree(int tree, mount_attr attributes, bool recursive, const std::string& what) {
    if (::mount_setattr(tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes, sizeof attributes) != 0)
        return base::fail_errno("set the options of the mount of " + what);
    return {};
}

void merge(uint64_t& set, uint64_t& clear, const AttributeWord& word) {
    set = (set & ~word.clear) | word.set;
    clear = (clear & ~word.set) | word.clear;
    // The access-time modes are one field: it is cleared as a whole when one of them is set.
    if ((set & MOUNT_ATTR__ATIME) != 0) clear |= MOUNT_ATTR__ATIME;
}
}  // namespace

MountWords read_mount_words(const std::vector<std::string>& options) {
    MountWords out;
    for (const std::string& option : options) {
        const auto& attributes = attribute_words();
        if (auto word = attributes.find(option); word != attributes.end()) {
            merge(out.set, out.clear, word->second);
        } else if (auto below = option.starts_with("r") ? attributes.find(std::string_view(option).substr(1)) : attributes.end(); below != attributes.end()) {
            merge(out.recursive_set, out.recursive_clear, below->second);
        } else if (option == "bind") {
            out.bind = true;
        } else if (option == "rbind") {
            out.bind = out.recursive = true;
        } else if (option == "idmap") {
            out.idmap = true;
        } else if (option == "ridmap") {
            out.idmap = out.recursive_idmap = true;
        } else if (option == "tmpcopyup") {
            out.copy_up = true;
        } else if (among(kPropagation, option)) {
            out.propagation.push_back(propagation_of(option).value_or(0));
        } else if (among(kFilesystemFlags, option)) {
            out.data.push_back(option);
            out.data.emplace_back();
        } else if (!among(kIgnored, option) && !option.empty()) {
            auto [key, value] = base::cut(option, '=');
            out.data.push_back(key);
            out.data.push_back(value.value_or(""));
        }
    }
    return out;
}

std::vector<std::string> known_mount_words() {
    std::vector<std::string> out{"bind", "rbind", "idmap", "ridmap", "tmpcopyup"};
    for (const auto& [word, attribute] : attribute_words()) {
        out.emplace_back(word);
        out.push_back("r" + std::string(word));
    }
    for (std::string_view word : kFilesystemFlags) out.emplace_back(word);
    for (std::string_view word : kIgnored) out.emplace_back(word);
    for (std::string_view word : kPropagation) out.emplace_back(word);
    std::sort(out.begin(), out.end());
    return out;
}

Result<uint64_t> propagation_of(std::string_view name) {
    if (name.empty()) return uint64_t{0};
    uint64_t rec = name[0] == 'r' ? uint64_t{MS_REC} : 0;
    std::string_view plain = rec != 0 ? name.substr(1) : name;
    if (plain == "private") return MS_PRIVATE | rec;
    if (plain == "slave") return MS_SLAVE | rec;
    if (plain == "shared") return MS_SHARED | rec;
    if (plain == "unbindable") return MS_UNBINDABLE | rec;
    return base::fail(Code::invalid, "rootfsPropagation=" + base::printable(name) + " is not supported");
}

std::string map_text(std::span<const IdMapping> maps) {
    std::string out;
    for (const IdMapping& map : maps) out += std::to_string(map.container) + " " + std::to_string(map.host) + " " + std::to_string(map.size) + "\n";
    return out;
}

Result<base::UniqueFd> user_namespace_with(std::span<const IdMapping> uids, std::span<const IdMapping> gids) {
    // A child in the new namespace that does nothing until it is killed; a copy of this process, so it may not return.
    int pidfd = -1;
    clone_args args{};
    args.flags = CLONE_NEWUSER | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) ::pause();
    }
    if (pid < 0) return base::fail_errno("make a user namespace for an id-mapped mount");
    base::ChildGuard holder(base::PidFd(static_cast<pid_t>(pid), base::UniqueFd(pidfd)));
    std::string folder = "/proc/" + std::to_string(pid);
    TRY_VOID(base::write_file(folder + "/uid_map", map_text(uids)).context("write the uid map of a mount"));
    TRY_VOID(base::write_file(folder + "/gid_map", map_text(gids)).context("write the gid map of a mount"));
    return base::open_at(AT_FDCWD, folder + "/ns/user", O_RDONLY);
}

Result<BindSource> open_bind_source(const MountEntry& mount, const MountWords& words, const Spec& spec, const std::string& bundle) {
    std::string source = mount.source.empty() || mount.source[0] == '/' ? mount.source : bundle + "/" + mount.source;
    std::string shown = base::quote(source);
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (words.recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
    BindSource out;
    out.tree = base::MountFd(::open_tree(AT_FDCWD, source.c_str(), flags));
    if (!out.tree) return base::fail_errno("error mounting " + shown + " to rootfs at " + base::quote(mount.destination) + ": open the source");
    struct stat info{};
    if (::fstat(out.tree.get(), &info) != 0) return base::fail_errno("stat " + shown);
    out.is_folder = S_ISDIR(info.st_mode);
    struct statfs filesystem{};
    out.is_procfs = ::fstatfs(out.tree.get(), &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC;

    mount_attr attributes{};
    attributes.attr_set = words.set;
    attributes.attr_clr = words.clear;
    if (attributes.attr_set != 0 || attributes.attr_clr != 0) TRY_VOID(set_tree(out.tree.get(), attributes, false, shown));
    attributes.attr_set = words.recursive_set;
    attributes.attr_clr = words.recursive_clear;
    if (attributes.attr_set != 0 || attributes.attr_clr != 0) TRY_VOID(set_tree(out.tree.get(), attributes, true, shown));
    if (words.idmap || !mount.uid_mappings.empty() || !mount.gid_mappings.empty()) {
        bool own = !mount.uid_mappings.empty() || !mount.gid_mappings.empty();
        if (own && (mount.uid_mappings.empty() || mount.gid_mappings.empty()))
            return base::fail(Code::invalid, "mount " + shown + ": an id-mapped mount needs uidMappings and gidMappings");
        if (!own && spec.uid_mappings.empty()) return base::fail(Code::invalid, "mount " + shown + ": idmap needs mappings of its own or a user namespace to take them from");
        base::UniqueFd space = TRY(user_namespace_with(own ? mount.uid_mappings : spec.uid_mappings, own ? mount.gid_mappings : spec.gid_mappings));
        mount_attr map{};
        map.attr_set = MOUNT_ATTR_IDMAP;
        map.userns_fd = static_cast<uint64_t>(space.get());
        TRY_VOID(set_tree(out.tree.get(), map, words.recursive_idmap, shown));
    }
    // Without a word of the user's the mount follows the host's but sends nothing back.
    std::vector<uint64_t> propagation = words.propagation;
    if (propagation.empty()) propagation.push_back(MS_PRIVATE | MS_REC);
    for (uint64_t kind : propagation) {
        mount_attr change{};
        change.propagation = kind & ~uint64_t{MS_REC};
        TRY_VOID(set_tree(out.tree.get(), change, (kind & MS_REC) != 0, shown));
    }
    return out;
}

}  // namespace engine::oci
