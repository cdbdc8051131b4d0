#pragma once
// From a stored container to a running process: the part of a start that may block. A wave of containers is set up together:
// one transaction for the addresses, one netlink batch, one firewall transaction, then the processes side by side.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"
#include "image/image_store.h"
#include "network/dns.h"
#include "network/network.h"
#include "network/ports.h"
#include "oci/foreign.h"
#include "runtime/launch.h"
#include "runtime/resolve.h"
#include "store/store.h"
#include "supervisor/dns_directory.h"

namespace engine::supervisor {

/// What a container's process speaks through, as the supervisor holds it.
struct Channels {
    base::UniqueFd in, out, err;              ///< pipes: write end, read ends
    base::UniqueFd terminal, terminal_pipe;   ///< pty master; write end of the pipe whose read end is `out`
};

/// A container that was cloned and waits for its go.
struct Launched {
    const base::PidFd& process;
    const Channels& channels;
    Time started = 0;
    uint64_t token = 0;
    int go = -1;  ///< a byte written here lets it run; -1: it does already
};

struct StartItem {
    ContainerInfo info;        ///< as stored
    uint64_t token = 0;        ///< of the request
    bool keep_network = false; ///< a restart: the namespace, addresses, ports and resolver are there

    // results
    base::Status status;
    ImageConfig image;
    runtime::Resolved resolved;
    base::PidFd process;
    uint64_t pid_start = 0;
    Channels channels;
    std::vector<EndpointState> endpoints;
    std::vector<PortMapping> ports;
    bool dns_served = false, published = false, sandbox = false;
    base::UniqueFd oom_events;
    Time started = 0;
};

/// The network services that all containers of the supervisor share; each is started by the first that needs it.
class NetworkServices {
public:
    explicit NetworkServices(std::string table) : table_(std::move(table)) {}
    base::Result<network::Publisher*> publisher();
    base::Result<network::DnsServer*> dns();
    /// nullptr when none was needed yet.
    network::Publisher* publisher_if_any() const { return publisher_.get(); }
    network::DnsServer* dns_if_any() const { return dns_.get(); }
    /// Tells the resolver what the directory holds.
    void update_records();
    DnsDirectory& directory() { return directory_; }
    const std::string& table() const { return table_; }

private:
    std::string table_;
    std::mutex mutex_;
    std::unique_ptr<network::Publisher> publisher_;
    std::unique_ptr<network::DnsServer> dns_;
    DnsDirectory directory_;
};

class Starter {
public:
    /// `keep` hands a cloned process with its fds to the guardian, which lets it run; called from several threads. `guardian` is
    /// a socket whose hang-up is the guardian's end: what waits for its go is given up then.
    using Keep = std::function<base::Status(const std::string& id, const Launched& launched)>;
    Starter(const store::Paths& paths, store::Store& store, NetworkServices& services, Keep keep, int guardian)
        : paths_(paths), store_(store), services_(services), keep_(std::move(keep)), guardian_(guardian) {}

    /// Fills in the results. Called from a worker thread, one call at a time or several.
    void run(std::vector<StartItem>& items);
    /// The namespace's resolver sockets and settings again, for a container that an earlier supervisor started.
    base::Status serve_dns(const ContainerInfo& container);
    /// The endpoint with the default route, where answers leave; nullptr when no network leads out.
    const EndpointState* published_endpoint(const ContainerSpec& spec, const std::vector<EndpointState>& endpoints);
    base::Result<ImageConfig> image_config(const std::string& image_id);
    /// Joins a running container to one more network; returns the endpoint.
    base::Result<EndpointState> connect(ContainerInfo& container, const Endpoint& endpoint);
    base::Status disconnect(ContainerInfo& container, const std::string& network);

private:
    struct ImageParts {
        ImageConfig config;
        std::vector<std::string> layers;  ///< the image's
        std::vector<std::string> lower;   ///< with the layer of mount points on top
    };
    base::Result<std::shared_ptr<const ImageParts>> image(const std::string& id);
    base::Result<image::ImageStore*> images();
    base::Result<network::AttachRequest> attach_request(const ContainerInfo& container, const Endpoint& endpoint);
    base::Result<std::vector<network::AttachRequest>> attach_requests(const ContainerInfo& container);
    void set_up_networks(std::vector<StartItem*>& items);
    base::Status reserve_ports(StartItem& item);
    void publish(const std::vector<StartItem*>& items);
    void store_endpoints(const std::vector<StartItem*>& items);
    /// The part of a start that needs no network: root, mounts, control group.
    struct Prepared {
        std::shared_ptr<const ImageParts> image;
        runtime::LaunchInput input;
        std::optional<runtime::Cgroup> cgroup;
    };
    base::Result<Prepared> prepare(StartItem& item);
    base::Result<std::optional<runtime::Starting>> begin(StartItem& item, Prepared prepared);
    /// By another OCI runtime; the process runs when this returns.
    base::Status begin_foreign(StartItem& item, const oci::ForeignRuntime& foreign, runtime::LaunchInput& input);
    base::Result<std::vector<runtime::ResolvedMount>> resolve_mounts(const ContainerInfo& container, int root_fd);
    base::Result<std::vector<runtime::FileBind>> write_network_files(const StartItem& item);
    base::Result<runtime::JoinFds> join_fds(const ContainerInfo& container, std::vector<base::UniqueFd>& held);
    network::DnsClient dns_client(const ContainerInfo& container, const std::vector<EndpointState>& endpoints);
    void undo(StartItem& item);

    store::Paths paths_;
    store::Store& store_;
    NetworkServices& services_;
    Keep keep_;
    int guardian_;
    std::mutex images_mutex_;
    std::unique_ptr<image::ImageStore> images_;
    std::map<std::string, std::shared_ptr<const ImageParts>> image_cache_;
};

/// Start time of /proc/PID/stat: tells a reused pid. 0: no such process.
uint64_t process_start_time(pid_t pid);
/// Whether a container gets a network namespace of its own.
bool has_own_network(const ContainerSpec& spec);
/// Whether its resolv.conf points to the embedded resolver.
bool has_embedded_dns(const ContainerSpec& spec);
/// The id after "container:", or empty.
std::string joined_container(const std::string& mode);
/// Where a container's log is: with the driver "none" in the run folder.
std::string log_folder(const store::Paths& paths, const ContainerInfo& container);

}  // namespace engine::supervisor
