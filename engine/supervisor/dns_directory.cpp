#include "supervisor/dns_directory.h"

namespace engine::supervisor {

DnsDirectory::Entry DnsDirectory::entry_of(const ContainerInfo& container, const std::vector<EndpointState>& endpoints) {
    return {container.id, container.spec.name, container.spec.hostname, endpoints, false};
}

void DnsDirectory::put(const ContainerInfo& container, const std::vector<EndpointState>& endpoints) {
    std::lock_guard lock(mutex_);
    entries_[container.id] = entry_of(container, endpoints);
}

void DnsDirectory::remove(const std::string& container_id) {
    std::lock_guard lock(mutex_);
    entries_.erase(container_id);
}

void DnsDirectory::set_others(const std::vector<ContainerInfo>& running) {
    std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& entry) { return entry.second.other; });
    for (const auto& container : running) {
        auto entry = entry_of(container, container.endpoints);
        entry.other = true;
        entries_.try_emplace(container.id, std::move(entry));
    }
}

std::shared_ptr<const network::DnsRecords> DnsDirectory::records() const {
    std::lock_guard lock(mutex_);
    std::map<std::string, network::DnsNetwork> networks;
    for (const auto& [id, entry] : entries_) {
        for (const auto& endpoint : entry.endpoints) {
            auto& network = networks[endpoint.network];
            network.name = endpoint.network;
            network.members.push_back({id, entry.name, entry.hostname, endpoint.aliases, endpoint.ipv4, endpoint.ipv6});
        }
    }
    std::vector<network::DnsNetwork> list;
    for (auto& [name, network] : networks) list.push_back(std::move(network));
    return network::DnsRecords::make(list);
}

}  // namespace engine::supervisor
