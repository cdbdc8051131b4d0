// What containers are and do: state, list, ps, update, features.
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "oci/container_plan.h"
#include "oci/mount_words.h"
#include "oci/resources.h"
#include "oci/systemd_unit.h"
#include "oci/verbs.h"
#include "runtime/capability.h"
#include "runtime/process_table.h"
#include "runtime/seccomp_compile.h"

namespace engine::oci {
namespace json = boost::json;
namespace {
using base::Code;
using base::Result;

json::object state_of(const Store& store, const Record& record) {
    Status status = store.status(record);
    std::map<std::string, std::string> annotations;
    if (auto spec = read_spec(record.config)) annotations = spec->annotations;
    Record shown = record;
    if (status == Status::stopped) shown.pid = 0;
    json::object out = state_object(shown, to_text(status), annotations);
    out["rootfs"] = record.rootfs;
    out["created"] = base::format_time(record.created);
    std::string name;
    passwd entry{}, *found = nullptr;
    char buffer[4096];
    if (record.owner != 0 && ::getpwuid_r(record.owner, &entry, buffer, sizeof buffer, &found) == 0 && found != nullptr) name = found->pw_name;
    out["owner"] = name;
    return out;
}

std::string text_of(const json::object& object, std::string_view key) {
    const json::value& value = object.at(key);
    return value.is_string() ? std::string(value.get_string()) : std::to_string(value.to_number<int64_t>());
}

/// Columns as Go's tabwriter lays them out for runc: at least 12 wide, three spaces between.
std::string columns(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows)
        for (size_t i = 0; i < row.size(); ++i) {
            if (widths.size() <= i) widths.push_back(12);
            widths[i] = std::max(widths[i], row[i].size() + 3);
        }
    std::string out;
    for (const auto& row : rows) {
        for (size_t i = 0; i < row.size(); ++i) out += row[i] + (i + 1 < row.size() ? std::string(widths[i] - row[i].size(), ' ') : "");
        out += "\n";
    }
    return out;
}
}  // namespace

std::string pretty(const json::value& value, std::string_view indent) {
    struct Printer {
        std::string_view step;
        std::string out = {};
        void print(const json::value& node, size_t depth) {
            auto line = [&](size_t at) {
                out += "\n";
                for (size_t i = 0; i < at; ++i) out += step;
            };
            if (node.is_object() && !node.get_object().empty()) {
                out += "{";
                bool first = true;
                for (const auto& [key, member] : node.get_object()) {
                    if (!first) out += ",";
                    first = false;
                    line(depth + 1);
                    out += json::serialize(json::string(key)) + ": ";
                    print(member, depth + 1);
                }
                line(depth);
                out += "}";
            } else if (node.is_array() && !node.get_array().empty()) {
                out += "[";
                bool first = true;
                for (const json::value& member : node.get_array()) {
                    if (!first) out += ",";
                    first = false;
                    line(depth + 1);
                    print(member, depth + 1);
                }
                line(depth);
                out += "]";
            } else {
                out += json::serialize(node);
            }
        }
    } printer{indent};
    printer.print(value, 0);
    return std::move(printer.out);
}

Result<std::string> state(const Store& store, const std::string& id) { return pretty(state_of(store, TRY(store.load(id))), "  "); }

Result<std::string> list(const Store& store, const std::string& format, bool quiet) {
    std::vector<Record> records = TRY(store.list());
    std::string out;
    if (quiet) {
        for (const Record& record : records) out += record.id + "\n";
        return out;
    }
    if (format == "json") {
        json::array all;
        for (const Record& record : records) all.push_back(state_of(store, record));
        return (records.empty() ? std::string("null") : json::serialize(all)) + "\n";
    }
    if (format != "table") return base::fail(Code::invalid, "invalid format option");
    std::vector<std::vector<std::string>> rows{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
    for (const Record& record : records) {
        json::object state = state_of(store, record);
        std::string owner = record.owner == 0 ? "root" : text_of(state, "owner");
        rows.push_back({record.id, text_of(state, "pid"), text_of(state, "status"), base::printable(record.bundle), text_of(state, "created"), owner});
    }
    return columns(rows);
}

Result<std::string> ps(const Store& store, const std::string& id, const std::string& format) {
    Record record = TRY(store.load(id));
    if (store.status(record) == Status::stopped) return base::fail(Code::not_running, "container not running");
    std::vector<pid_t> pids;
    if (auto group = runtime::Cgroup::open(record.cgroup)) pids = TRY(group->pids());
    std::sort(pids.begin(), pids.end());
    if (format == "json") {
        json::array out;
        for (pid_t pid : pids) out.push_back(pid);
        return json::serialize(out) + "\n";
    }
    if (format != "table") return base::fail(Code::invalid, "invalid format option");
    std::string out = "UID        PID  PPID  C STIME TTY          TIME CMD\n";
    for (const ProcessRow& row : runtime::process_rows(pids)) {
        char line[256];
        snprintf(line, sizeof line, "%-8s %5s %5s %2s %5s %-8s %8s ", row.uid.c_str(), row.pid.c_str(), row.ppid.c_str(), row.c.c_str(), row.stime.c_str(), row.tty.c_str(), row.time.c_str());
        out += line + row.command + "\n";
    }
    return out;
}

base::Status update(const Store& store, const std::string& id, const json::object& resources) {
    base::FileLock lock = TRY(store.lock(id));
    Record record = TRY(store.load(id));
    auto writes = TRY(resource_writes(resources, runtime::cgroup_version()));
    auto group = TRY(runtime::Cgroup::open(record.cgroup));
    if (!record.unit.empty()) TRY_VOID(update_unit(record.unit, writes, runtime::cgroup_version()));
    TRY_VOID(group.update(writes));
    // What is set now is the configuration from here on.
    json::object& part = record.config["linux"].is_object() ? record.config["linux"].get_object() : record.config["linux"].emplace_object();
    json::object& known = part["resources"].is_object() ? part["resources"].get_object() : part["resources"].emplace_object();
    for (const auto& [name, value] : resources) {
        if (!value.is_object() || !known[name].is_object()) {
            known[name] = value;
            continue;
        }
        for (const auto& [key, member] : value.get_object()) known[name].get_object()[key] = member;
    }
    return store.save(record);
}

std::string features() {
    auto words = [](std::initializer_list<const char*> list) {
        json::array out;
        for (const char* word : list) out.push_back(json::string(word));
        return out;
    };
    json::object out;
    out["ociVersionMin"] = "1.0.0";
    out["ociVersionMax"] = kSpecVersion;
    out["hooks"] = words({"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"});
    json::array mounts;
    for (const std::string& word : known_mount_words()) mounts.push_back(json::string(word));
    out["mountOptions"] = std::move(mounts);
    json::object linux_part;
    linux_part["namespaces"] = words({"cgroup", "ipc", "mount", "network", "pid", "user", "uts"});
    json::array capabilities;
    for (int number = 0; number <= runtime::last_capability(); ++number) capabilities.push_back(json::string(runtime::capability_name(number)));
    linux_part["capabilities"] = std::move(capabilities);
    linux_part["cgroup"] = json::object{{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", false}, {"rdma", true}};
    json::object seccomp;
    seccomp["enabled"] = true;
    seccomp["actions"] = words({"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
                                "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"});
    seccomp["operators"] = words({"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"});
#if defined(__x86_64__)
    seccomp["archs"] = words({"SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"});
#else
    seccomp["archs"] = words({"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"});
#endif
    seccomp["knownFlags"] = words({"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"});
    seccomp["supportedFlags"] = seccomp["knownFlags"];
    linux_part["seccomp"] = std::move(seccomp);
    linux_part["apparmor"] = json::object{{"enabled", base::exists("/sys/module/apparmor/parameters/enabled")}};
    linux_part["selinux"] = json::object{{"enabled", base::exists("/sys/fs/selinux/enforce")}};
    linux_part["intelRdt"] = json::object{{"enabled", false}};
    linux_part["mountExtensions"] = json::object{{"idmap", json::object{{"enabled", true}}}};
    out["linux"] = std::move(linux_part);
    out["annotations"] = json::object{{"io.github.seccomp.libseccomp.version", runtime::seccomp_library_version()}};
    out["potentiallyUnsafeConfigAnnotations"] = json::array();
    return pretty(out, "    ") + "\n";
}

}  // namespace engine::oci
