#pragma once
// What is known of each container between two calls of the runtime: a folder ROOT/ID with state.json and two named pipes.
#include <boost/json/object.hpp>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "engine/types.h"
#include "oci/spec.h"

namespace engine::oci {

struct Record {
    std::string id, bundle, rootfs, cgroup;
    std::string unit;        ///< systemd's, whose group it is; empty: none
    pid_t pid = 0;           ///< 0: it was never started
    uint64_t pid_start = 0;  ///< tells a reused pid
    Time created = 0;
    unsigned owner = 0;      ///< uid of who made it
    boost::json::object config;
};

enum class Status : uint8_t { creating, created, running, paused, stopped };
const char* to_text(Status status);  ///< the specification's words, and runc's "paused"

class Store {
public:
    explicit Store(std::string root) : root_(std::move(root)) {}
    /// /run/compose-runtime as root, below XDG_RUNTIME_DIR otherwise.
    static std::string default_root();

    /// Makes the folder of a new container; conflict: `container with given ID already exists`.
    base::Status claim(const std::string& id) const;
    base::Status save(const Record& record) const;
    /// not_found: `container does not exist`.
    base::Result<Record> load(const std::string& id) const;
    /// Those whose state can be read, by id.
    base::Result<std::vector<Record>> list() const;
    void remove(const std::string& id) const;
    /// One call at a time changes a container.
    base::Result<base::FileLock> lock(const std::string& id) const;

    std::string folder(const std::string& id) const { return root_ + "/" + id; }
    /// A byte written to it lets the program start.
    std::string go_path(const std::string& id) const { return folder(id) + "/exec.fifo"; }
    /// Why it could not be executed; end of file when it was.
    std::string report_path(const std::string& id) const { return folder(id) + "/report.fifo"; }
    std::string cache_folder() const { return root_ + "/.filters"; }

    Status status(const Record& record) const;
    /// The first process while it lives; not_running otherwise.
    base::Result<base::PidFd> process(const Record& record) const;

private:
    std::string root_;
};

/// runc's rule: letters, digits, `_ + - .`, at most 1024; not "." or "..".
base::Status check_id(const std::string& id);
/// What hooks read and `state` prints (runtime-spec runtime.md#state).
boost::json::object state_object(const Record& record, const char* status, const std::map<std::string, std::string>& annotations);

}  // namespace engine::oci
