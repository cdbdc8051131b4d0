#pragma once
// Container Device Interface: what a device of a vendor adds to a container, read from the files that the vendor's tool writes to
// /etc/cdi and /var/run/cdi (cncf-tags/container-device-interface SPEC.md, 0.3 to 1.0).
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "runtime/hooks.h"

namespace engine::runtime {

/// `deviceNodes`: what is not said is the host's node's (type and number), 0666, and the container's user.
struct CdiNode {
    std::string path, host_path, permissions = "rwm";  ///< permissions "": none
    char type = 0;                                      ///< b, c, u, p; 0: the host's
    uint32_t major = 0, minor = 0;
    std::optional<uint32_t> mode, uid, gid;
    bool operator==(const CdiNode&) const = default;
};
struct CdiHook {
    std::string name;  ///< prestart, createRuntime, createContainer, startContainer, poststart, poststop
    Hook hook;
    bool operator==(const CdiHook&) const = default;
};
/// `containerEdits`: what is added to a container before it is planned.
struct CdiEdits {
    std::vector<std::string> env;
    std::vector<CdiNode> nodes;
    std::vector<Mount> mounts;
    std::vector<CdiHook> hooks;
    std::vector<uint32_t> groups;  ///< additionalGids, without 0
    void append(const CdiEdits& more);
};
struct CdiDevice {
    std::string name;
    CdiEdits edits;
    std::optional<base::Error> refused;  ///< what it needs is not there (intelRdt …): an error when it is asked for
};
/// One file.
struct CdiSpec {
    std::string path, kind;
    CdiEdits edits;  ///< of every device
    std::optional<base::Error> refused;
    std::vector<CdiDevice> devices;
};

/// Parses and checks one file; `path` tells YAML by its ending. invalid: the file as a whole is not used.
base::Result<CdiSpec> read_cdi_spec(std::string_view content, const std::string& path);

/// "vendor.com/class=name".
bool is_cdi_name(std::string_view text);
/// A device request or a device of that name.
bool wants_cdi(const ContainerSpec& spec);

/// The devices of the files in some folders. A file that cannot be used is kept as a sentence and hides no device of others.
class CdiRegistry {
public:
    /// `folders`: the devices of later ones win, as /var/run/cdi over /etc/cdi.
    explicit CdiRegistry(const std::vector<std::string>& folders = {"/etc/cdi", "/var/run/cdi"});
    /// The fully qualified names that a request means: its ids for driver "cdi"; for GPUs those of nvidia.com/gpu (amd.com/gpu,
    /// intel.com/gpu by the driver, or where only that vendor's are described): "all", ids, or the first `count`.
    base::Result<std::vector<std::string>> names(const DeviceRequest& request) const;
    /// The edits of devices, in order; those of their file first, once. not_found: no file describes it (with the files that could
    /// not be used); conflict: two files of one folder do; unsupported: it needs what is not there.
    base::Result<CdiEdits> edits(const std::vector<std::string>& names) const;
    const std::vector<std::string>& problems() const { return problems_; }

private:
    bool describes(const std::string& kind) const;
    std::vector<std::string> folders_, problems_;
    std::vector<std::pair<size_t, CdiSpec>> specs_;  ///< with the place of the folder
};

/// A container's spec with its device requests and CDI names taken out and what changes the spec put in; the rest.
struct WithCdi {
    ContainerSpec spec;
    CdiEdits rest;  ///< nodes, hooks, groups
};
base::Result<WithCdi> with_cdi(const ContainerSpec& spec);

/// A node with type, number and mode known: from the host's where the file does not say. uid and gid: the container's user.
base::Result<CdiNode> complete_node(const CdiNode& node, uint32_t uid, uint32_t gid);

}  // namespace engine::runtime
