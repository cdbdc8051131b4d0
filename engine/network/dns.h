#pragma once
// The resolver at 127.0.0.11 of every container: names of its networks are answered here, the rest is forwarded.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace engine::network {

/// The resolver's sockets in one namespace, bound at 127.0.0.11 on free ports; a stateless rule there maps port 53 to them, so
/// that a DNS server in the container can have port 53 of all its addresses.
struct DnsSockets {
    base::UniqueFd udp, tcp;
};
/// Opens them in the calling thread's namespace.
base::Result<DnsSockets> open_dns_sockets_here();
/// Opens them (lo must be up); again after a restart of the supervisor: the rules are replaced.
base::Result<DnsSockets> open_dns_sockets(int netns);

/// One running container on one network.
struct DnsMember {
    std::string container_id;          ///< 64 digits; its first 12 are a name
    std::string name;                  ///< container name, also the reverse name: `name.network`
    std::string hostname;              ///< empty: none of its own
    std::vector<std::string> aliases;  ///< service name and aliases
    std::string ipv4, ipv6;            ///< may be empty
};
struct DnsNetwork {
    std::string name;
    std::vector<DnsMember> members;
};

/// All names of some networks, compiled for quick answers; immutable, shared between threads.
class DnsRecords {
public:
    static std::shared_ptr<const DnsRecords> make(const std::vector<DnsNetwork>& networks);
    virtual ~DnsRecords() = default;

protected:
    DnsRecords() = default;
};

/// Whom a namespace's resolver answers and how.
struct DnsClient {
    std::string container_id;
    std::vector<std::string> networks;                       ///< names of its networks, in the order in which they are asked
    std::vector<std::pair<std::string, std::string>> links;  ///< alias → name it stands for, for this container only
    std::vector<std::string> upstreams;                      ///< `dns:`; empty: the host's resolv.conf
    bool forward = true;  ///< false on internal networks only: foreign names get SERVFAIL (CVE-2024-29018)
};

/// Nameservers of a resolv.conf text, at most three.
std::vector<std::string> nameservers(const std::string& resolv_conf);

/// A thread of its own; all methods may be called from any thread.
class DnsServer {
public:
    static base::Result<std::unique_ptr<DnsServer>> start();
    virtual ~DnsServer() = default;
    /// Serves a namespace. A second call with the same container_id replaces sockets and settings.
    virtual base::Status serve(DnsClient client, DnsSockets sockets) = 0;
    /// New networks or links of a container that is served (`network connect`).
    virtual base::Status update(DnsClient client) = 0;
    /// Closes its sockets; queries under way are dropped.
    virtual void forget(const std::string& container_id) = 0;
    /// Swaps all names at once.
    virtual void set_records(std::shared_ptr<const DnsRecords> records) = 0;

    struct Counters {
        uint64_t answered = 0, forwarded = 0, failed = 0, malformed = 0;
    };
    virtual Counters counters() const = 0;
};

}  // namespace engine::network
