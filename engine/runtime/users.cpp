// Users and groups of an image. The files are hostile: bounded, parsed line by line, numbers parsed strictly, never through
// the host's NSS (CVE-2019-14271). A number is never looked up as a name (containerd CVE-2024-40635, crun CVE-2026-30892).
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"
#include "runtime/launch.h"
#include "runtime/resolve.h"

namespace engine::runtime {
namespace {
using base::Code;
using base::Result;

constexpr size_t kFileLimit = 8u << 20;  // containerd CVE-2026-47262: a huge /etc/group must not eat the engine's memory
constexpr size_t kMaxGroups = 65536;     // NGROUPS_MAX
constexpr uint32_t kMaxId = 0x7fffffff;  // Docker: "uids and gids must be in range 0-2147483647"

bool is_number(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

Result<uint32_t> parse_id(std::string_view text) {
    auto number = base::parse_int(text);
    if (!is_number(text) || !number || *number > kMaxId)
        return base::fail(Code::invalid, "uids and gids must be in range 0-2147483647: " + base::quote(text));
    return static_cast<uint32_t>(*number);
}

std::optional<uint32_t> lenient_id(std::string_view text) {
    auto number = base::parse_int(text);
    if (!is_number(text) || !number || *number > UINT32_MAX - 1) return std::nullopt;
    return static_cast<uint32_t>(*number);
}

/// The next line without its newline; false at the end.
bool next_line(std::string_view& rest, std::string_view& line) {
    if (rest.empty()) return false;
    size_t end = rest.find('\n');
    line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return true;
}

/// Fields of a line without copying; missing ones are empty. More than the array holds: the rest stays in the last.
template <size_t N>
std::array<std::string_view, N> fields(std::string_view line, size_t& count) {
    std::array<std::string_view, N> out;
    for (count = 0; count < N; ++count) {
        size_t colon = count + 1 < N ? line.find(':') : std::string_view::npos;
        out[count] = line.substr(0, colon);
        if (colon == std::string_view::npos) {
            ++count;
            break;
        }
        line.remove_prefix(colon + 1);
    }
    return out;
}

struct PasswdEntry {
    std::string_view name, home;
    uint32_t uid, gid;
};
std::optional<PasswdEntry> passwd_entry(std::string_view line) {
    size_t count = 0;
    auto field = fields<7>(line, count);
    if (count < 4 || field[0].empty() || field[0].front() == '#') return std::nullopt;
    auto uid = lenient_id(field[2]);
    auto gid = lenient_id(field[3]);
    if (!uid || !gid) return std::nullopt;
    return PasswdEntry{field[0], count > 5 ? field[5] : std::string_view{}, *uid, *gid};
}
template <class Match>
std::optional<PasswdEntry> find_passwd(std::string_view passwd, Match match) {
    std::string_view line;
    while (next_line(passwd, line))
        if (auto entry = passwd_entry(line); entry && match(*entry)) return entry;
    return std::nullopt;
}

struct GroupEntry {
    std::string_view name, members;
    uint32_t gid;
};
std::optional<GroupEntry> group_entry(std::string_view line) {
    size_t count = 0;
    auto field = fields<4>(line, count);
    if (count < 3 || field[0].empty() || field[0].front() == '#') return std::nullopt;
    auto gid = lenient_id(field[2]);
    if (!gid) return std::nullopt;
    return GroupEntry{field[0], field[3], *gid};
}
bool is_member(std::string_view members, std::string_view name) {
    while (!members.empty()) {
        size_t comma = members.find(',');
        if (members.substr(0, comma) == name) return true;
        members.remove_prefix(comma == std::string_view::npos ? members.size() : comma + 1);
    }
    return false;
}

Result<uint32_t> find_group(std::string_view wanted, std::string_view group) {
    if (is_number(wanted)) return parse_id(wanted);
    std::string_view line;
    while (next_line(group, line))
        if (auto entry = group_entry(line); entry && entry->name == wanted) return entry->gid;
    return base::fail(Code::invalid, "unable to find group " + base::printable(wanted) + ": no matching entries in group file");
}

void add_group(std::vector<uint32_t>& groups, uint32_t gid) {
    if (std::find(groups.begin(), groups.end(), gid) == groups.end() && groups.size() < kMaxGroups) groups.push_back(gid);
}

/// A small regular file of the root, or nothing when it is absent. Looked at before it is opened: a FIFO or device
/// in its place must neither hang nor do anything (podman CVE-2024-9676); a link is followed inside the root only.
Result<std::string> read_small(int root, const char* path) {
    auto probe = base::open_in_root(root, path, O_PATH);
    if (!probe) {
        int why = probe.error().sys_errno;
        if (why == ENOENT || why == ENOTDIR || why == ELOOP) return std::string{};
        return std::move(probe.error());
    }
    struct stat info{};
    if (::fstat(probe->get(), &info) != 0) return base::fail_errno(std::string("stat /") + path);
    if (!S_ISREG(info.st_mode)) return base::fail(Code::invalid, std::string("/") + path + " of the image is not a regular file");
    auto file = TRY(base::open_at(AT_FDCWD, base::proc_path(probe->get()), O_RDONLY | O_NONBLOCK));
    return base::read_all(file.get(), kFileLimit).context(std::string("read /") + path + " of the image");
}
}  // namespace

Result<Identity> find_user(std::string_view user, const std::vector<std::string>& group_add, std::string_view passwd,
                           std::string_view group) {
    size_t colon = user.find(':');
    std::string_view name = user.substr(0, colon);
    std::string_view group_name = colon == std::string_view::npos ? std::string_view{} : user.substr(colon + 1);
    // A line break or colon in a name could match across or beside the fields it is compared with.
    if (user.find_first_of(std::string_view("\n\r\0", 3)) != std::string_view::npos || group_name.find(':') != std::string_view::npos)
        return base::fail(Code::invalid, "invalid user " + base::quote(user));

    Identity out;
    std::optional<PasswdEntry> entry;
    if (name.empty() || is_number(name)) {
        out.uid = name.empty() ? 0 : TRY(parse_id(name));
        entry = find_passwd(passwd, [&](const PasswdEntry& candidate) { return candidate.uid == out.uid; });
    } else {
        entry = find_passwd(passwd, [&](const PasswdEntry& candidate) { return candidate.name == name; });
        if (!entry)
            return base::fail(Code::invalid, "unable to find user " + base::printable(name) + ": no matching entries in passwd file");
        out.uid = entry->uid;
    }
    if (entry) out.gid = entry->gid;
    if (entry && !entry->home.empty()) out.home = std::string(entry->home);
    if (out.uid == 0 && (!entry || entry->home.empty())) out.home = "/root";

    if (!group_name.empty()) {
        // With a group named, no supplementary ones (behaviour.md §2).
        out.gid = TRY(find_group(group_name, group));
    } else if (entry) {
        std::string_view rest = group, line;
        while (next_line(rest, line))
            if (auto candidate = group_entry(line); candidate && is_member(candidate->members, entry->name))
                add_group(out.groups, candidate->gid);
    }
    for (const std::string& extra : group_add) add_group(out.groups, TRY(find_group(extra, group)));
    // Docker always sets the primary group among the supplementary ones, so that dropping it is a no-op (moby CVE-2022-36109).
    if (std::find(out.groups.begin(), out.groups.end(), out.gid) == out.groups.end()) out.groups.insert(out.groups.begin(), out.gid);
    return out;
}

Result<std::optional<std::string>> mounted_home(const std::vector<ResolvedMount>& mounts, uint32_t uid) {
    std::optional<std::string> passwd;
    bool file_itself = false;
    for (const ResolvedMount& each : mounts) {
        const bool is_file = each.mount.target == "/etc/passwd";
        if ((!is_file && (each.mount.target != "/etc" || file_itself)) || (is_file && each.mount.type == Mount::Type::tmpfs)) continue;
        file_itself = is_file;
        passwd.emplace();
        if (each.mount.type == Mount::Type::tmpfs || (!each.tree && !each.mount.subpath.empty())) continue;
        base::UniqueFd opened;
        if (!each.tree) opened = TRY(base::open_at(AT_FDCWD, each.host_path, O_PATH));
        const int tree = each.tree ? each.tree.get() : opened.get();
        if (!is_file) {
            passwd = TRY(read_small(tree, "passwd"));
            continue;
        }
        struct stat info{};
        if (::fstat(tree, &info) != 0) return base::fail_errno("stat the mount of /etc/passwd");
        if (!S_ISREG(info.st_mode)) continue;
        auto file = TRY(base::open_at(AT_FDCWD, base::proc_path(tree), O_RDONLY | O_NONBLOCK));
        passwd = TRY(base::read_all(file.get(), kFileLimit).context("read the mount of /etc/passwd"));
    }
    if (!passwd) return std::optional<std::string>();
    auto entry = find_passwd(*passwd, [&](const PasswdEntry& candidate) { return candidate.uid == uid; });
    return std::optional<std::string>(entry && !entry->home.empty() ? std::string(entry->home) : "/");
}

Result<Identity> find_user_in_root(int root, std::string_view user, const std::vector<std::string>& group_add) {
    std::string passwd = TRY(read_small(root, "etc/passwd"));
    std::string group = TRY(read_small(root, "etc/group"));
    return find_user(user, group_add, passwd, group);
}

}  // namespace engine::runtime
