#pragma once
// Who has which names on which network, as the resolver is told. Also containers of other groups on a shared network.
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/types.h"
#include "network/dns.h"

namespace engine::supervisor {

class DnsDirectory {
public:
    void put(const ContainerInfo& container, const std::vector<EndpointState>& endpoints);
    void remove(const std::string& container_id);
    /// Replaces all containers that are not of this group.
    void set_others(const std::vector<ContainerInfo>& running);
    std::shared_ptr<const network::DnsRecords> records() const;

private:
    struct Entry {
        std::string id, name, hostname;
        std::vector<EndpointState> endpoints;
        bool other = false;
    };
    static Entry entry_of(const ContainerInfo& container, const std::vector<EndpointState>& endpoints);
    mutable std::mutex mutex_;
    std::map<std::string, Entry> entries_;
};

}  // namespace engine::supervisor
