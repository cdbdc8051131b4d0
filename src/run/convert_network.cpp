#include <algorithm>

#include "plan/names.h"
#include "plan/planner.h"
#include "run/convert.h"
#include "run/short_options.h"

namespace compose::run {
namespace {

engine::Endpoint endpoint_of(const model::Project& project, const model::Service& service, const std::string& key, const Target& target) {
    engine::Endpoint endpoint;
    endpoint.network = plan::network_name(project, key);
    if (target.network_aliases) endpoint.aliases.push_back(service.name);
    auto found = service.networks.find(key);
    if (found == service.networks.end() || !found->second) return endpoint;
    const model::ServiceNetwork& asked = *found->second;
    if (target.network_aliases)
        for (const auto& alias : asked.aliases)
            if (std::find(endpoint.aliases.begin(), endpoint.aliases.end(), alias) == endpoint.aliases.end()) endpoint.aliases.push_back(alias);
    endpoint.ipv4 = asked.ipv4_address;
    endpoint.ipv6 = asked.ipv6_address;
    endpoint.link_local_ips = asked.link_local_ips;
    endpoint.mac = asked.mac_address;
    endpoint.interface_name = asked.interface_name;
    endpoint.priority = static_cast<int>(asked.priority);
    endpoint.gateway_priority = static_cast<int>(asked.gw_priority);
    endpoint.driver_options = asked.driver_opts;
    return endpoint;
}

/// The service's own mac_address goes to the network of highest priority (compose-spec 05-services.md mac_address).
void give_mac(engine::ContainerSpec& spec, const std::string& mac) {
    if (mac.empty() || spec.endpoints.empty()) return;
    auto first = std::max_element(spec.endpoints.begin(), spec.endpoints.end(),
                                  [](const auto& a, const auto& b) { return a.priority < b.priority; });
    if (first->mac.empty()) first->mac = mac;
}

/// `80`, `80/udp`, `3000-3005`
void add_expose(engine::ContainerSpec& spec, const std::string& text) {
    auto [ports, protocol] = base::cut(text, '/');
    auto [first, last] = base::cut(ports, '-');
    auto from = base::parse_int(first), to = base::parse_int(last.value_or(first));
    if (!from || !to || *from < 1 || *to > 65535) return;  // the model has refused what is no port
    for (int64_t port = *from; port <= *to; ++port) spec.expose.push_back(std::to_string(port) + "/" + protocol.value_or("tcp"));
}

/// `db` and `db:database`: names in this container only, for the containers of the other service (behaviour.md §4 links).
void add_link(engine::ContainerSpec& spec, const model::Project& project, const std::string& link) {
    auto [name, alias] = base::cut(link, ':');
    auto other = project.services.find(name);
    if (other == project.services.end()) return;
    std::string container = plan::container_name(project, other->second, 1);
    std::vector<std::string> aliases{alias.value_or(name), name + "-1", container};
    for (const auto& own : aliases)
        if (own != name && own != container) spec.links.push_back(own + "=" + (own == alias ? name : container));
}

}  // namespace

base::Status add_network(engine::ContainerSpec& spec, const model::Project& project, const model::Service& service, const Target& target,
                         const Peers& peers) {
    spec.network_mode = TRY(namespace_mode(service.network_mode, service, "network_mode", peers));
    for (const auto& key : plan::networks_of(service)) spec.endpoints.push_back(endpoint_of(project, service, key, target));
    give_mac(spec, service.mac_address);
    // Without a network of its own a container publishes nothing (behaviour.md §4).
    if (service.network_mode.empty() || service.network_mode == "bridge")
        for (const auto& port : service.ports) spec.ports.push_back(TRY(port_mapping(port).context("service " + base::quote(service.name))));
    for (const auto& port : service.expose) add_expose(spec, port);
    for (const auto& link : service.links) add_link(spec, project, link);
    for (const auto& [name, addresses] : service.extra_hosts)
        for (const auto& address : addresses) spec.extra_hosts.push_back(name + ":" + address);
    spec.dns = service.dns;
    spec.dns_search = service.dns_search;
    spec.dns_options = service.dns_opt;
    return {};
}

}  // namespace compose::run
