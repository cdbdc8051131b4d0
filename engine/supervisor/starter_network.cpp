// The network half of a start: addresses, namespaces, resolver, published ports, the three files in /etc.
#include <fcntl.h>

#include "base/file.h"
#include "base/log.h"
#include "network/files.h"
#include "supervisor/starter.h"

namespace engine::supervisor {

using base::Code;
using base::fail;
using base::Result;
using base::Status;

Result<network::Publisher*> NetworkServices::publisher() {
    std::lock_guard lock(mutex_);
    if (!publisher_) publisher_ = TRY(network::Publisher::make(table_));
    return publisher_.get();
}

Result<network::DnsServer*> NetworkServices::dns() {
    std::lock_guard lock(mutex_);
    if (!dns_) dns_ = TRY(network::DnsServer::start());
    return dns_.get();
}

void NetworkServices::update_records() {
    if (dns_) dns_->set_records(directory_.records());
}

namespace {

std::vector<Endpoint> in_order(std::vector<Endpoint> endpoints) {
    std::stable_sort(endpoints.begin(), endpoints.end(), [](const Endpoint& a, const Endpoint& b) { return a.priority > b.priority; });
    return endpoints;
}

/// `net.` only: the rest belongs to other namespaces and is the runtime's.
std::map<std::string, std::string> network_sysctls(const ContainerSpec& spec) {
    std::map<std::string, std::string> sysctls;
    for (const auto& [name, value] : spec.sysctls)
        if (name.starts_with("net.")) sysctls[name] = value;
    return sysctls;
}

std::string host_resolv_conf() {
    for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
        auto text = base::read_file(path, 64 * 1024);
        // The stub of systemd-resolved can't be reached from a container.
        if (text && (text->find("127.0.0.53") == std::string::npos || !base::exists("/run/systemd/resolve/resolv.conf"))) return *text;
    }
    return {};
}

}  // namespace

Result<network::AttachRequest> Starter::attach_request(const ContainerInfo& container, const Endpoint& endpoint) {
    network::AttachRequest request;
    request.network = TRY(store_.network(endpoint.network));
    request.wanted = TRY(store_.lease_address(request.network, container.id, endpoint));
    if (request.wanted.mac.empty()) request.wanted.mac = endpoint.mac;
    if (request.wanted.interface_name.empty()) request.wanted.interface_name = endpoint.interface_name;
    request.gateway_priority = endpoint.gateway_priority;
    request.link_local_ips = endpoint.link_local_ips;
    return request;
}

Result<std::vector<network::AttachRequest>> Starter::attach_requests(const ContainerInfo& container) {
    std::vector<network::AttachRequest> requests;
    for (const auto& endpoint : in_order(container.spec.endpoints)) requests.push_back(TRY(attach_request(container, endpoint)));
    return requests;
}

network::DnsClient Starter::dns_client(const ContainerInfo& container, const std::vector<EndpointState>& endpoints) {
    network::DnsClient client;
    client.container_id = container.id;
    client.upstreams = container.spec.dns;
    client.forward = false;
    for (const auto& endpoint : endpoints) {
        client.networks.push_back(endpoint.network);
        auto network = store_.network(endpoint.network);
        if (!network || !network->spec.internal) client.forward = true;
    }
    for (const auto& link : container.spec.links) {
        auto [alias, name] = base::cut(link, '=');
        if (name) client.links.emplace_back(alias, *name);
    }
    return client;
}

void Starter::set_up_networks(std::vector<StartItem*>& items) {
    std::vector<network::SandboxRequest> requests;
    std::vector<StartItem*> owners;
    // Addresses of the whole wave in one commit; one that can't have its own fails alone.
    auto leased = store_.transaction([&]() -> Status {
        for (auto* item : items) {
            if (item->keep_network) {
                item->endpoints = item->info.endpoints;
                item->ports = item->info.ports;
                continue;
            }
            if (!has_own_network(item->info.spec)) continue;
            auto networks = attach_requests(item->info);
            if (!networks) {
                item->status = std::move(networks.error());
                continue;
            }
            network::SandboxRequest request;
            request.pin_path = paths_.netns(item->info.id);
            request.networks = std::move(*networks);
            request.sysctls = network_sysctls(item->info.spec);
            request.dns = has_embedded_dns(item->info.spec);
            requests.push_back(std::move(request));
            owners.push_back(item);
        }
        return {};
    });
    if (!leased) {
        for (auto* item : items)
            if (item->status) item->status = base::Error(leased.error());
        return;
    }
    if (owners.empty()) return;
    auto sandboxes = network::create_sandboxes(requests, services_.table());
    bool names = false;
    for (size_t i = 0; i < owners.size(); i++) {
        StartItem& item = *owners[i];
        if (!sandboxes[i]) {
            item.status = std::move(sandboxes[i].error());
            continue;
        }
        item.sandbox = true;
        item.endpoints = std::move(sandboxes[i]->endpoints);
        if (!has_embedded_dns(item.info.spec)) continue;
        auto serve = [&]() -> Status {
            auto* dns = TRY(services_.dns());
            return dns->serve(dns_client(item.info, item.endpoints), std::move(sandboxes[i]->dns));
        };
        item.status = serve();
        if (!item.status) continue;
        item.dns_served = true;
        services_.directory().put(item.info, item.endpoints);
        names = true;
    }
    if (names) services_.update_records();
}

Status Starter::reserve_ports(StartItem& item) {
    if (item.info.spec.ports.empty() || item.endpoints.empty()) return {};
    // A container on internal networks only has no way in (behaviour.md §4).
    if (!published_endpoint(item.info.spec, item.endpoints)) return {};
    auto* publisher = TRY(services_.publisher());
    item.ports = TRY(publisher->reserve(item.info.id, item.info.spec.ports));
    item.published = true;
    return {};
}

const EndpointState* Starter::published_endpoint(const ContainerSpec& spec, const std::vector<EndpointState>& endpoints) {
    const EndpointState* chosen = nullptr;
    int best = 0;
    for (const auto& endpoint : endpoints) {
        auto network = store_.network(endpoint.network);
        if (!network || network->spec.internal || (endpoint.gateway4.empty() && endpoint.gateway6.empty())) continue;
        int priority = 0;
        for (const auto& asked : spec.endpoints)
            if (asked.network == endpoint.network) priority = asked.gateway_priority;
        if (!chosen || priority > best) {
            chosen = &endpoint;
            best = priority;
        }
    }
    return chosen;
}

void Starter::publish(const std::vector<StartItem*>& items) {
    std::vector<network::Publisher::Target> targets;
    for (auto* item : items) {
        if (!item->status || !item->published) continue;
        if (const auto* chosen = published_endpoint(item->info.spec, item->endpoints)) targets.push_back({item->info.id, chosen->ipv4, chosen->ipv6});
    }
    if (targets.empty()) return;
    auto* publisher = services_.publisher_if_any();
    auto published = publisher->publish_many(targets);
    if (published) return;
    for (auto* item : items)
        if (item->status && item->published) item->status = base::Error(published.error());
}

/// Before anything runs, so that a supervisor that takes over a container which this one could no longer store knows them.
void Starter::store_endpoints(const std::vector<StartItem*>& items) {
    auto needed = [](const StartItem* item) { return item->status && !item->keep_network && !item->endpoints.empty(); };
    if (std::none_of(items.begin(), items.end(), needed)) return;
    auto stored = store_.transaction([&]() -> Status {
        for (const auto* item : items)
            if (needed(item)) TRY_VOID(store_.set_runtime(item->info.id, item->endpoints, item->ports));
        return {};
    });
    for (auto* item : items)
        if (!stored && needed(item)) item->status = base::Error(stored.error());
}

Result<std::vector<runtime::FileBind>> Starter::write_network_files(const StartItem& item) {
    const ContainerSpec& spec = item.info.spec;
    const std::string folder = paths_.container_run(item.info.id);
    std::string source = folder;
    const std::string joined = joined_container(spec.network_mode);
    if (!joined.empty()) {
        // One network, one set of files.
        source = paths_.container_run(TRY(store_.container_id(joined)));
    } else {
        network::ResolvInput resolv;
        resolv.embedded = has_embedded_dns(spec);
        resolv.dns = spec.dns;
        resolv.search = spec.dns_search;
        resolv.options = spec.dns_options;
        resolv.host_resolv_conf = host_resolv_conf();
        TRY_VOID(base::write_file(folder + "/resolv.conf", network::make_resolv_conf(resolv)));

        std::string hosts;
        if (spec.network_mode == "host") {
            hosts = base::read_file("/etc/hosts", 1u << 20).value_or("");
            for (const auto& entry : spec.extra_hosts) {
                size_t at = entry.find_first_of(":=");
                if (at != std::string::npos) hosts += entry.substr(at + 1) + "\t" + entry.substr(0, at) + "\n";
            }
        } else {
            network::HostsInput input;
            input.hostname = item.resolved.hostname;
            input.domainname = spec.domainname;
            input.extra_hosts = spec.extra_hosts;
            std::vector<NetworkInfo> networks;
            for (const auto& endpoint : item.endpoints) {
                if (!endpoint.ipv4.empty()) input.addresses.push_back(endpoint.ipv4);
                if (!endpoint.ipv6.empty()) input.addresses.push_back(endpoint.ipv6);
                if (auto network = store_.network(endpoint.network)) networks.push_back(std::move(*network));
            }
            input.gateway = network::host_gateway(networks);
            hosts = network::make_hosts(input);
        }
        TRY_VOID(base::write_file(folder + "/hosts", hosts));
    }
    TRY_VOID(base::write_file(folder + "/hostname", item.resolved.hostname + "\n"));
    return std::vector<runtime::FileBind>{{"/etc/resolv.conf", source + "/resolv.conf", false},
                                          {"/etc/hostname", folder + "/hostname", false},
                                          {"/etc/hosts", source + "/hosts", false}};
}

Status Starter::serve_dns(const ContainerInfo& container) {
    auto netns = TRY(network::open_netns(paths_.netns(container.id)));
    auto sockets = TRY(network::open_dns_sockets(netns.get()));
    auto* dns = TRY(services_.dns());
    return dns->serve(dns_client(container, container.endpoints), std::move(sockets));
}

Result<EndpointState> Starter::connect(ContainerInfo& container, const Endpoint& endpoint) {
    for (const auto& there : container.endpoints)
        if (there.network == endpoint.network)
            return fail(Code::conflict, "endpoint with name " + container.spec.name + " already exists in network " + endpoint.network);
    network::AttachRequest request = TRY(attach_request(container, endpoint));
    auto netns = TRY(network::open_netns(paths_.netns(container.id)));
    auto attached = TRY(network::attach(netns.get(), {request}, services_.table()));
    if (attached.empty()) return fail(Code::internal, "attach to network " + endpoint.network + ": no endpoint");
    container.endpoints.push_back(attached.front());
    if (has_embedded_dns(container.spec)) {
        services_.directory().put(container, container.endpoints);
        if (auto* dns = services_.dns_if_any()) TRY_VOID(dns->update(dns_client(container, container.endpoints)));
        services_.update_records();
    }
    return attached.front();
}

Status Starter::disconnect(ContainerInfo& container, const std::string& network_name) {
    std::vector<EndpointState> gone, remaining;
    for (const auto& endpoint : container.endpoints) (endpoint.network == network_name ? gone : remaining).push_back(endpoint);
    if (gone.empty()) return fail(Code::not_found, "container " + container.spec.name + " is not connected to network " + network_name);
    auto netns = TRY(network::open_netns(paths_.netns(container.id)));
    TRY_VOID(network::detach(netns.get(), gone, remaining));
    container.endpoints = remaining;
    if (has_embedded_dns(container.spec)) {
        services_.directory().put(container, container.endpoints);
        if (auto* dns = services_.dns_if_any()) TRY_VOID(dns->update(dns_client(container, container.endpoints)));
        services_.update_records();
    }
    return {};
}

}  // namespace engine::supervisor
