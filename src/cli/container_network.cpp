#include "cli/container_spec.h"
#include "model/short_forms.h"
#include "run/short_options.h"

namespace compose::cli {
namespace {

/// `NAME`, or `name=NAME,alias=…,ip=…` with the keys of docker's advanced form.
Result<engine::Endpoint> endpoint_asked(const std::string& text) {
    engine::Endpoint endpoint;
    if (text.find('=') == std::string::npos) {
        endpoint.network = text;
        return endpoint;
    }
    for (const std::string& field : TRY(csv_fields(text, "network"))) {
        auto [raw, value] = base::cut(field, '=');
        std::string key = base::to_lower(base::trim(raw));
        if (!value) return fail(Code::invalid, "--network " + base::quote(text) + ": invalid field " + base::quote(field) + " must be a key=value pair");
        if (key == "name") {
            endpoint.network = *value;
        } else if (key == "alias") {
            endpoint.aliases.push_back(*value);
        } else if (key == "ip") {
            endpoint.ipv4 = *value;
        } else if (key == "ip6") {
            endpoint.ipv6 = *value;
        } else if (key == "mac-address") {
            endpoint.mac = *value;
        } else if (key == "link-local-ip") {
            endpoint.link_local_ips.push_back(*value);
        } else if (key == "driver-opt") {
            auto [name, setting] = base::cut(*value, '=');
            endpoint.driver_options[name] = setting.value_or("");
        } else if (key == "gw-priority") {
            auto number = base::parse_int(*value);
            if (!number || *number < -1'000'000'000 || *number > 1'000'000'000) return fail(Code::invalid, "--network: invalid gw-priority " + base::quote(*value));
            endpoint.gateway_priority = static_cast<int>(*number);
        } else {
            return fail(Code::invalid, "--network " + base::quote(text) + ": invalid field key " + base::quote(key));
        }
    }
    if (endpoint.network.empty()) return fail(Code::invalid, "--network " + base::quote(text) + ": name= is missing");
    return endpoint;
}

bool is_network_mode(const std::string& network) { return network == "host" || network == "none" || network.starts_with("container:"); }
bool is_default_network(const std::string& network) { return network == "bridge" || network == "default"; }

/// --ip, --mac-address, --network-alias …: of the first network.
Status complete_first_endpoint(engine::ContainerSpec& spec, const Arguments& arguments) {
    std::vector<std::string> aliases = arguments.list("network-alias");
    for (const std::string& alias : arguments.list("net-alias")) aliases.push_back(alias);
    bool asked = !aliases.empty();
    for (std::string_view flag : {"ip", "ip6", "mac-address", "link-local-ip"}) asked = asked || arguments.given(flag);
    if (!asked) return {};
    if (is_network_mode(spec.network_mode))
        return fail(Code::invalid, "conflicting options: --ip, --ip6, --mac-address, --link-local-ip and --network-alias need a network; this container has --network " + spec.network_mode);
    if (spec.endpoints.empty()) spec.endpoints.emplace_back();
    engine::Endpoint& first = spec.endpoints.front();
    bool own = !first.network.empty() && !is_default_network(first.network);
    if (!aliases.empty() && !own) return fail(Code::invalid, "network-scoped alias is supported only for containers in user defined networks");
    if (!own && (arguments.given("ip") || arguments.given("ip6"))) return fail(Code::invalid, "user specified IP address is supported on user defined networks only");
    first.aliases.insert(first.aliases.end(), aliases.begin(), aliases.end());
    if (arguments.given("ip")) first.ipv4 = arguments.text("ip");
    if (arguments.given("ip6")) first.ipv6 = arguments.text("ip6");
    if (arguments.given("mac-address")) first.mac = arguments.text("mac-address");
    for (const std::string& address : arguments.list("link-local-ip")) first.link_local_ips.push_back(address);
    return {};
}

}  // namespace

Status add_network_flags(engine::ContainerSpec& spec, const Arguments& arguments) {
    std::vector<std::string> networks = arguments.list("network");
    for (const std::string& network : arguments.list("net")) networks.push_back(network);
    for (const std::string& text : networks) {
        engine::Endpoint endpoint = TRY(endpoint_asked(text));
        if (is_network_mode(endpoint.network)) {
            if (networks.size() > 1) return fail(Code::invalid, "conflicting options: cannot attach both user-defined and non-user-defined network-modes");
            spec.network_mode = endpoint.network;
            break;
        }
        if (is_default_network(endpoint.network)) {
            spec.network_mode = "bridge";
            if (networks.size() == 1 && text.find('=') == std::string::npos) break;
        }
        spec.endpoints.push_back(std::move(endpoint));
    }
    TRY_VOID(complete_first_endpoint(spec, arguments));
    if (spec.endpoints.size() == 1 && spec.endpoints.front().network.empty()) spec.network_mode = "bridge";
    for (const std::string& text : arguments.list("publish"))
        for (const auto& port : TRY(run::command_line_ports(text))) spec.ports.push_back(TRY(run::port_mapping(port)));
    if (spec.network_mode == "host" || spec.network_mode == "none") spec.ports.clear();  // as docker: discarded there
    spec.publish_all = arguments.on("publish-all");
    for (const std::string& text : arguments.list("expose")) {
        auto [range, protocol] = base::cut(text, '/');
        auto [first_text, last_text] = base::cut(range, '-');
        auto first = base::parse_int(first_text), last = last_text ? base::parse_int(*last_text) : first;
        if (!first || !last || *first < 1 || *last > 65535 || *first > *last) return fail(Code::invalid, "invalid range format for --expose: " + text);
        for (int64_t port = *first; port <= *last; ++port) spec.expose.push_back(std::to_string(port) + "/" + protocol.value_or("tcp"));
    }
    for (const std::string& host : arguments.list("add-host")) {
        size_t at = host.find_first_of(":=");
        if (at == std::string::npos || at == 0) return fail(Code::invalid, "invalid argument " + base::quote(host) + " for \"--add-host\" flag: bad format for add-host: " + base::quote(host));
        std::string address = host.substr(at + 1);
        if (address.starts_with("[") && address.ends_with("]")) address = address.substr(1, address.size() - 2);
        if (address != "host-gateway" && !model::is_ip_address(address))
            return fail(Code::invalid, "invalid argument " + base::quote(host) + " for \"--add-host\" flag: invalid IP address in add-host: " + base::quote(address));
        spec.extra_hosts.push_back(host.substr(0, at) + ":" + address);
    }
    spec.dns = arguments.list("dns");
    for (const std::string& server : spec.dns)
        if (!model::is_ip_address(server)) return fail(Code::invalid, "invalid argument " + base::quote(server) + " for \"--dns\" flag: " + server + " is not an ip address");
    spec.dns_search = arguments.list("dns-search");
    spec.dns_options = arguments.list("dns-option");
    for (const std::string& option : arguments.list("dns-opt")) spec.dns_options.push_back(option);
    return {};
}

}  // namespace compose::cli
