#include "runtime/cgroup_folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "runtime/cgroup_limits.h"

namespace engine::runtime {
using base::Code;

base::Status check_cgroup_path(const std::string& path) {
    if (path.size() < 2 || path[0] != '/') return base::fail(Code::invalid, "control group " + base::quote(path) + ": not an absolute path");
    for (const std::string& part : base::split(std::string_view(path).substr(1), '/'))
        if (part.empty() || part == "." || part == ".." || part.find_first_of(std::string_view("\n\0", 2)) != std::string::npos)
            return base::fail(Code::invalid, "control group " + base::quote(path) + ": not a clean path");
    return {};
}

std::string cgroup_folder(const std::string& path, std::string_view controller) {
    if (cgroup_version() == CgroupVersion::v2) {
        for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
            if (hierarchy.unified) return hierarchy.mount_point + path;
        return {};
    }
    const CgroupHierarchy* hierarchy = cgroup_hierarchy(controller);
    return hierarchy != nullptr ? hierarchy->mount_point + path : std::string();
}

std::vector<std::string> existing_folders(const std::string& path) {
    std::vector<std::string> out;
    bool v2 = cgroup_version() == CgroupVersion::v2;
    for (const CgroupHierarchy& hierarchy : cgroup_hierarchies())
        if (hierarchy.unified == v2 && base::exists(hierarchy.mount_point + path)) out.push_back(hierarchy.mount_point + path);
    return out;
}

namespace {
/// A new v1 cpuset is empty and takes no process (ENOSPC). Its parent can be as new: made at this moment by another
/// container that has not filled it yet, so the values come from the nearest group above that has some.
base::Status fill_cpuset(const CgroupHierarchy& hierarchy, const std::string& path) {
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
        if (!base::trim(read_cgroup_file(hierarchy.mount_point + path + file)).empty()) continue;
        if (size_t slash = path.rfind('/'); slash != 0) TRY_VOID(fill_cpuset(hierarchy, path.substr(0, slash)));
        TRY_VOID(write_cgroup_file(hierarchy.mount_point + path + file, base::trim(read_cgroup_file(hierarchy.mount_point + path.substr(0, path.rfind('/')) + file))));
    }
    return {};
}

constexpr std::string_view kWantedControllers[] = {"cpu", "cpuset", "io", "memory", "pids"};

/// v2: children get a controller only when their parent hands it down.
void hand_down(const std::string& folder) {
    std::string have = read_cgroup_file(folder + "/cgroup.controllers"), given = read_cgroup_file(folder + "/cgroup.subtree_control");
    for (const std::string& controller : base::split(base::trim(have), ' ')) {
        if (std::find(std::begin(kWantedControllers), std::end(kWantedControllers), controller) == std::end(kWantedControllers)) continue;
        if ((" " + base::trim(given) + " ").find(" " + controller + " ") != std::string::npos) continue;
        // A group that has processes of its own cannot hand down (EBUSY); a limit that is set later says what lacks.
        (void)write_cgroup_file(folder + "/cgroup.subtree_control", "+" + controller);
    }
}
}  // namespace

namespace {
/// v2: what a group lacks is handed down all the way, also through groups that others have made (a parent of the user's choice).
void hand_down_to(const CgroupHierarchy& hierarchy, const std::string& path) {
    std::string have = " " + base::trim(read_cgroup_file(hierarchy.mount_point + path + "/cgroup.controllers")) + " ";
    if (std::all_of(std::begin(kWantedControllers), std::end(kWantedControllers), [&](std::string_view controller) { return have.find(" " + std::string(controller) + " ") != std::string::npos; })) return;
    hand_down(hierarchy.mount_point);
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) hand_down(hierarchy.mount_point + path.substr(0, slash));
}
}  // namespace

base::Status make_cgroup_folder(const CgroupHierarchy& hierarchy, const std::string& path) {
    std::string folder = hierarchy.mount_point + path;
    if (::mkdir(folder.c_str(), 0755) != 0) {
        if (errno != EEXIST && errno != ENOENT) return base::fail_errno("make control group " + base::quote(folder));
        if (errno == ENOENT) {
            size_t slash = path.rfind('/');
            if (slash == 0 || slash == std::string::npos) return base::fail_errno("make control group " + base::quote(folder));
            // The parent may be removed again by whoever ends its last container: then both are made once more.
            int made = -1;
            for (int attempt = 0; attempt < 16 && made != 0; ++attempt) {
                TRY_VOID(make_cgroup_folder(hierarchy, path.substr(0, slash)));
                made = ::mkdir(folder.c_str(), 0755);
                if (made != 0 && errno == EEXIST) made = 0;
                if (made != 0 && errno != ENOENT) break;
            }
            if (made != 0) return base::fail_errno("make control group " + base::quote(folder));
        }
    }
    if (hierarchy.unified) hand_down_to(hierarchy, path);
    return hierarchy.has("cpuset") ? fill_cpuset(hierarchy, path) : base::Status{};
}

base::Status write_cgroup_file(const std::string& path, std::string_view value) {
    base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd || ::write(fd.get(), value.data(), value.size()) < 0)
        return base::fail_errno("write " + base::quote(value) + " to " + path);
    return {};
}

std::string read_cgroup_file(const std::string& path) { return base::read_file(path, 16u << 20).value_or(""); }

uint64_t keyed_value(std::string_view content, std::string_view key) {
    for (const std::string& line : base::split(content, '\n'))
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ')
            return static_cast<uint64_t>(base::parse_int(std::string_view(line).substr(key.size() + 1)).value_or(0));
    return 0;
}

std::vector<std::string> folders_below(const std::string& folder) {
    std::vector<std::string> out;
    DIR* list = ::opendir(folder.c_str());
    if (list == nullptr) return out;
    while (dirent* entry = ::readdir(list)) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        std::string below = folder + "/" + entry->d_name;
        for (std::string& deeper : folders_below(below)) out.push_back(std::move(deeper));
        out.push_back(std::move(below));
    }
    ::closedir(list);
    return out;
}

std::string process_folder(const std::string& path) {
    for (const char* controller : {"freezer", "devices", "memory"}) {
        std::string folder = cgroup_folder(path, controller);
        if (!folder.empty() && base::exists(folder)) return folder;
    }
    return {};
}

base::Status attach_device_filter(int folder, const std::vector<DeviceRule>& rules) {
    std::vector<uint64_t> program = device_program(rules);
    union bpf_attr load;
    memset(&load, 0, sizeof load);
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insn_cnt = static_cast<uint32_t>(program.size());
    load.insns = reinterpret_cast<uint64_t>(program.data());
    load.license = reinterpret_cast<uint64_t>("Apache-2.0");
    base::UniqueFd loaded(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load)));
    if (!loaded) return base::fail_errno("load the device filter");
    union bpf_attr attach;
    memset(&attach, 0, sizeof attach);
    attach.target_fd = static_cast<uint32_t>(folder);
    attach.attach_bpf_fd = static_cast<uint32_t>(loaded.get());
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0) return base::fail_errno("attach the device filter");
    return {};
}

}  // namespace engine::runtime
