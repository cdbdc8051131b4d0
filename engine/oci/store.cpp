#include "oci/store.h"

#include <boost/json.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "oci/json_reader.h"
#include "runtime/cgroup.h"
#include "runtime/exec.h"

namespace engine::oci {
namespace json = boost::json;
using base::Code;
using base::Result;

const char* to_text(Status status) {
    switch (status) {
        case Status::creating: return "creating";
        case Status::created: return "created";
        case Status::running: return "running";
        case Status::paused: return "paused";
        case Status::stopped: return "stopped";
    }
    return "unknown";
}

base::Status check_id(const std::string& id) {
    auto good = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("_+-.").find(c) != std::string_view::npos; };
    if (id.empty()) return base::fail(Code::invalid, "container id cannot be empty");
    if (id == "." || id == ".." || id[0] == '.' || id.size() > 250 || !std::all_of(id.begin(), id.end(), good))
        return base::fail(Code::invalid, "invalid container ID format: " + base::quote(id));
    return {};
}

std::string Store::default_root() {
    const char* runtime_dir = ::geteuid() != 0 ? getenv("XDG_RUNTIME_DIR") : nullptr;  // NOLINT(concurrency-mt-unsafe)
    return (runtime_dir != nullptr && *runtime_dir != '\0' ? std::string(runtime_dir) : std::string("/run")) + "/compose-runtime";
}

base::Status Store::claim(const std::string& id) const {
    TRY_VOID(check_id(id));
    TRY_VOID(base::make_dirs(root_, 0700));
    if (::mkdir(folder(id).c_str(), 0700) == 0) return {};
    if (errno == EEXIST) return base::fail(Code::conflict, "container with given ID already exists");
    return base::fail_errno("make " + base::quote(folder(id)));
}

base::Status Store::save(const Record& record) const {
    json::object out;
    out["id"] = record.id;
    out["bundle"] = record.bundle;
    out["rootfs"] = record.rootfs;
    out["cgroup"] = record.cgroup;
    if (!record.unit.empty()) out["unit"] = record.unit;
    out["pid"] = record.pid;
    out["pidStart"] = record.pid_start;
    out["created"] = record.created;
    out["owner"] = record.owner;
    out["config"] = record.config;
    return base::replace_file(folder(record.id) + "/state.json", json::serialize(out), 0600);
}

Result<Record> Store::load(const std::string& id) const {
    TRY_VOID(check_id(id));
    auto text = base::read_file(folder(id) + "/state.json");
    if (!text && text.error().sys_errno == ENOENT) return base::fail(Code::not_found, "container does not exist");
    if (!text) return std::move(text.error());
    json::object object = TRY(parse_object(*text, folder(id) + "/state.json"));
    JsonReader reader("state.json");
    Record out;
    out.id = id;
    out.bundle = reader.text(object, "bundle", "");
    out.rootfs = reader.text(object, "rootfs", "");
    out.cgroup = reader.text(object, "cgroup", "");
    out.unit = reader.text(object, "unit", "");
    out.pid = static_cast<pid_t>(reader.number(object, "pid", "", 0, INT32_MAX).value_or(0));
    out.pid_start = static_cast<uint64_t>(reader.number(object, "pidStart", "", 0, INT64_MAX).value_or(0));
    out.created = reader.number(object, "created", "", 0, INT64_MAX).value_or(0);
    out.owner = static_cast<unsigned>(reader.number(object, "owner", "", 0, UINT32_MAX).value_or(0));
    out.config = reader.object(object, "config", "");
    if (reader.failed()) return reader.take_error();
    return out;
}

Result<std::vector<Record>> Store::list() const {
    std::vector<Record> out;
    if (!base::exists(root_)) return out;
    for (const std::string& id : TRY(base::list_dir(root_))) {
        if (!check_id(id)) continue;
        // One that is being made or removed this very moment is not there.
        if (auto record = load(id)) out.push_back(std::move(*record));
    }
    return out;
}

void Store::remove(const std::string& id) const { (void)base::remove_tree(folder(id)); }

Result<base::FileLock> Store::lock(const std::string& id) const {
    TRY_VOID(check_id(id));
    if (!base::exists(folder(id))) return base::fail(Code::not_found, "container does not exist");
    base::FileLock lock = TRY(base::FileLock::acquire(folder(id) + "/lock"));
    return lock;
}

Result<base::PidFd> Store::process(const Record& record) const {
    auto not_running = [] { return base::fail(Code::not_running, "container not running"); };
    if (record.pid <= 0) return not_running();
    auto process = base::PidFd::open(record.pid);
    if (!process) return not_running();
    // Looked at while the pidfd holds the number.
    if (runtime::process_start_time(record.pid) != record.pid_start || !process->alive()) return not_running();
    return std::move(*process);
}

Status Store::status(const Record& record) const {
    if (record.pid <= 0) return Status::stopped;
    if (!process(record)) return Status::stopped;
    // Only a container that waits for its start reads from the pipe.
    base::UniqueFd go(::open(go_path(record.id).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (go) return Status::created;
    auto group = runtime::Cgroup::open(record.cgroup);
    return group && group->frozen() ? Status::paused : Status::running;
}

json::object state_object(const Record& record, const char* status, const std::map<std::string, std::string>& annotations) {
    json::object out;
    out["ociVersion"] = kSpecVersion;
    out["id"] = record.id;
    out["pid"] = record.pid;
    out["status"] = status;
    out["bundle"] = record.bundle;
    if (!annotations.empty()) {
        json::object map;
        for (const auto& [name, value] : annotations) map[name] = value;
        out["annotations"] = std::move(map);
    }
    return out;
}

}  // namespace engine::oci
