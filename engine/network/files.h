#pragma once
// The text of /etc/hosts and /etc/resolv.conf of a container; pure.
#include <string>
#include <utility>
#include <vector>

namespace engine::network {

struct HostsInput {
    std::string hostname, domainname;
    std::vector<std::string> addresses;    ///< own addresses, IPv4 and IPv6 of every network, in order
    std::vector<std::string> extra_hosts;  ///< "name:address" or "name=address"; address "host-gateway" is replaced
    std::string gateway;                   ///< what host-gateway means
};
/// behaviour of Docker: loopback lines, extra_hosts, then `IP name[.domain name]` for each own address.
std::string make_hosts(const HostsInput& input);

struct ResolvInput {
    bool embedded = true;                           ///< nameserver 127.0.0.11; false: the upstreams themselves
    std::vector<std::string> dns, search, options;  ///< as given for the container
    std::string host_resolv_conf;                   ///< the host's file; its servers and search list where none are given
};
std::string make_resolv_conf(const ResolvInput& input);

}  // namespace engine::network
