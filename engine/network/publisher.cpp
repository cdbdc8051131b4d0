#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <mutex>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "network/conntrack.h"
#include "network/firewall.h"
#include "network/firewall_watch.h"
#include "network/holder.h"
#include "network/ports.h"
#include "network/proxy.h"

namespace engine::network {

using base::Code;
using base::Result;
using base::Status;

namespace {

struct Bound {
    PortMapping mapping;  ///< host_ip and host_port are what was bound
    Address host;
    uint8_t protocol = 0;
    base::UniqueFd fd;
    uint64_t proxy = 0;  ///< its entry there, once published
};

struct Entry {
    std::vector<Bound> bound;
    std::optional<Address> ipv4, ipv6;  ///< once published
};

std::string place(const Address& host, uint16_t port) {
    return host.v6 ? "[" + host.text() + "]:" + std::to_string(port) : host.text() + ":" + std::to_string(port);
}

Result<uint8_t> protocol_number(const std::string& name) {
    if (name.empty() || name == "tcp") return uint8_t{IPPROTO_TCP};
    if (name == "udp") return uint8_t{IPPROTO_UDP};
    if (name == "sctp") return uint8_t{IPPROTO_SCTP};
    return base::fail(Code::invalid, "protocol " + base::quote(name) + " is not one of tcp, udp, sctp");
}

/// The elements of the firewall's maps that lead a bound port to the container.
std::vector<std::pair<const NftSet*, NftElement>> elements_of(const Bound& bound, const Entry& entry) {
    const auto& target = bound.host.v6 ? entry.ipv6 : entry.ipv4;
    if (!target || (bound.host.v6 && bound.host.is_loopback())) return {};
    std::string key = nft_byte(bound.protocol) + nft_port(bound.mapping.host_port);
    std::string data = nft_bytes(*target) + nft_port(bound.mapping.container_port);
    std::pair<const NftSet*, NftElement> self{bound.host.v6 ? &kSelf6 : &kSelf4, {nft_bytes(*target) + key, {}}};
    if (bound.host.is_any()) return {self, {bound.host.v6 ? &kPublishAny6 : &kPublishAny4, {key, data}}};
    return {self, {bound.host.v6 ? &kPublish6 : &kPublish4, {nft_bytes(bound.host) + key, data}}};
}

class PublisherImpl : public Publisher {
public:
    explicit PublisherImpl(const std::string& table) : table_(engine_table(table)) {}
    ~PublisherImpl() override { watch_.reset(); }  // its thread uses what follows

    Result<std::vector<PortMapping>> reserve(const std::string& id, const std::vector<PortMapping>& ports) override {
        std::lock_guard lock(mutex_);
        if (entries_.contains(id))
            return base::fail(Code::conflict, "the ports of container " + id.substr(0, 12) + " are reserved already");
        Entry entry;
        for (const PortMapping& wanted : ports) TRY_VOID(reserve_one(wanted, entry));
        std::vector<PortMapping> mappings;
        for (const Bound& bound : entry.bound) mappings.push_back(bound.mapping);
        entries_[id] = std::move(entry);
        return mappings;
    }

    Status publish(const std::string& id, const std::string& ipv4, const std::string& ipv6) override {
        return publish_many({{id, ipv4, ipv6}});
    }

    Status publish_many(const std::vector<Target>& targets) override {
        std::lock_guard lock(mutex_);
        std::vector<Entry*> changed;
        for (const Target& target : targets) {
            auto found = entries_.find(target.container_id);
            if (found == entries_.end() || found->second.bound.empty()) continue;
            found->second.ipv4.reset(), found->second.ipv6.reset();
            if (!target.ipv4.empty()) found->second.ipv4 = TRY(Address::parse(target.ipv4));
            if (!target.ipv6.empty()) found->second.ipv6 = TRY(Address::parse(target.ipv6));
            changed.push_back(&found->second);
        }
        if (changed.empty()) return {};
        TRY_VOID(apply(changed));
        for (Entry* entry : changed)
            for (Bound& bound : entry->bound) TRY_VOID(start_proxy(bound, *entry));
        return {};
    }

    Status unpublish(const std::string& id) override { return unpublish_many({id}); }

    Status unpublish_many(const std::vector<std::string>& ids) override {
        std::lock_guard lock(mutex_);
        NftBatch batch;
        std::vector<Address> udp_targets;
        for (const std::string& id : ids) {
            auto found = entries_.find(id);
            if (found == entries_.end()) continue;
            for (Bound& bound : found->second.bound) {
                for (const auto& [set, element] : elements_of(bound, found->second)) {
                    batch.delete_element(table_, *set, element);
                    if (bound.protocol == IPPROTO_UDP) udp_targets.push_back(bound.host.v6 ? *found->second.ipv6 : *found->second.ipv4);
                }
                if (bound.proxy) proxy_->remove(bound.proxy);
                // A child that is just being made may hold a copy until its exec: the port must be free nevertheless.
                if (bound.protocol == IPPROTO_TCP) shutdown(bound.fd.get(), SHUT_RDWR);
            }
            // The sockets go last: nobody else can have the port while the firewall still leads it to this container.
            if (!batch.empty() && firewall_) {
                auto done = remove_elements(batch);
                batch = {};
                if (!done) base::log::warn("ignored: " + done.error().message());
            }
            entries_.erase(found);
        }
        if (!udp_targets.empty()) return forget_udp_flows(udp_targets);
        return {};
    }

    Status verify() override {
        std::lock_guard lock(mutex_);
        std::vector<Entry*> all;
        for (auto& [id, entry] : entries_)
            if (entry.ipv4 || entry.ipv6) all.push_back(&entry);
        if (all.empty() || !firewall_) return {};
        Nft nft = TRY(Nft::open());
        std::vector<std::pair<std::string, std::string>> keys;
        for (Entry* entry : all)
            for (const Bound& bound : entry->bound)
                for (const auto& [set, element] : elements_of(bound, *entry)) keys.emplace_back(set->name, element.key);
        if (TRY(base_if_missing(nft, table_)).empty() && TRY(nft.has_elements(table_, keys))) return {};
        return apply(all);
    }

    Status guard(std::vector<NetworkInfo> networks) override {
        std::lock_guard lock(mutex_);
        networks_ = std::move(networks);
        if (watch_ || networks_.empty()) return {};
        watch_ = TRY(FirewallWatch::start(table_.name, [this] { restore(); }));
        return {};
    }

private:
    void restore() {
        std::vector<NetworkInfo> networks;
        {
            std::lock_guard lock(mutex_);
            networks = networks_;
        }
        auto all = [&]() -> Status {
            Netlink netlink = TRY(Netlink::open());
            std::vector<const NetworkInfo*> alive;
            for (const NetworkInfo& network : networks)
                if (netlink.index(network.bridge)) alive.push_back(&network);
            if (alive.empty()) return {};
            TRY_VOID(open_networks(table_.name, alive));
            // A network that was removed meanwhile: its link goes first, so either this sees it or its own end comes later.
            Nft nft = TRY(Nft::open());
            for (const NetworkInfo* network : alive)
                if (!netlink.index(network->bridge)) TRY_VOID(close_network(nft, table_.name, *network));
            return verify();
        };
        if (auto done = all(); !done) base::log::warn("restore the firewall: " + done.error().message());
    }

    Status reserve_one(const PortMapping& wanted, Entry& entry) {
        uint8_t protocol = TRY(protocol_number(wanted.protocol));
        std::string ip = wanted.host_ip;
        if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
        std::vector<Address> hosts;
        if (ip.empty()) hosts = {TRY(Address::parse("0.0.0.0")), TRY(Address::parse("::"))};
        else hosts = {TRY(Address::parse(ip))};
        if (wanted.container_port == 0) return base::fail(Code::invalid, "publish: the container's port is 0");

        // What the kernel chooses for the first address must be free for the second as well: some tries.
        int tries = wanted.host_port == 0 ? 64 : std::max(wanted.host_port_last, wanted.host_port) - wanted.host_port + 1;
        Status last;
        for (int n = 0; n < tries; n++) {
            auto port = static_cast<uint16_t>(wanted.host_port == 0 ? 0 : wanted.host_port + n);
            std::vector<Bound> made;
            last = bind_all(wanted, protocol, hosts, ip.empty(), port, made);
            if (last) {
                for (Bound& bound : made) entry.bound.push_back(std::move(bound));
                return {};
            }
            if (last.error().code != Code::conflict) return last;
        }
        if (tries > 1 && wanted.host_port != 0)
            return base::fail(Code::conflict, "publish " + place(hosts[0], wanted.host_port) + "-" + std::to_string(wanted.host_port_last) +
                                                  ": all ports of the range are allocated; the last one: " + last.error().message());
        return last;
    }

    Status bind_all(const PortMapping& wanted, uint8_t protocol, const std::vector<Address>& hosts, bool second_optional, uint16_t port,
                    std::vector<Bound>& made) {
        for (size_t i = 0; i < hosts.size(); i++) {
            Bound bound;
            bound.host = hosts[i];
            bound.protocol = protocol;
            auto fd = bind_one(hosts[i], port, protocol);
            if (!fd) {
                // A host without IPv6 has no [::]: the port is an IPv4 one, then.
                int error = fd.error().sys_errno;
                if (i > 0 && second_optional && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) break;
                return fd.error();
            }
            bound.fd = std::move(*fd);
            if (port == 0) {
                SocketAddress address;
                address.size = sizeof address.storage;
                if (getsockname(bound.fd.get(), address.get(), &address.size) != 0) return base::fail_errno("read the chosen port");
                port = address.port();
            }
            bound.mapping = wanted;
            bound.mapping.host_ip = hosts[i].text();
            bound.mapping.host_port = port;
            bound.mapping.host_port_last = 0;
            if (bound.mapping.protocol.empty()) bound.mapping.protocol = "tcp";
            made.push_back(std::move(bound));
        }
        return {};
    }

    /// A socket that holds the port: listening for TCP, so that it is seen by `ss` and clashes with any other listener.
    Result<base::UniqueFd> bind_one(const Address& host, uint16_t port, uint8_t protocol) {
        const bool udp = protocol == IPPROTO_UDP;
        const std::string doing = "publish " + place(host, port);
        base::UniqueFd fd(socket(host.v6 ? AF_INET6 : AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                 protocol == IPPROTO_SCTP ? IPPROTO_SCTP : 0));
        if (!fd && protocol == IPPROTO_SCTP && (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT))
            return base::fail(Code::unsupported_kernel, doing + ": the kernel has no SCTP (module sctp)");
        if (!fd) return base::fail_errno(doing);
        int on = 1;
        if (host.v6) setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        // For TCP the option only passes over connections that are ending: a listener in the way is still an error.
        if (!udp) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        SocketAddress address(host, port);
        if (bind(fd.get(), address.get(), address.size) != 0 || (!udp && listen(fd.get(), 4096) != 0)) {
            int error = errno;
            if (error == EADDRINUSE) {
                std::string holder = holder_of(host, port, protocol);
                Error clash = base::fail(Code::conflict,
                                         doing + ": port is already allocated: address in use" + (holder.empty() ? "" : " by " + holder));
                clash.sys_errno = error;
                return clash;
            }
            Error failed = base::fail_errno(doing, error);
            if (error == EACCES || error == EPERM)
                failed.what += ": ports below 1024 need root, or sysctl net.ipv4.ip_unprivileged_port_start=" + std::to_string(port);
            if (error == EADDRNOTAVAIL) failed.what += ": this host has no address " + host.text();
            return failed;
        }
        return fd;
    }

    using Error = base::Error;

    std::string holder_of(const Address& host, uint16_t port, uint8_t protocol) {
        for (const auto& [id, entry] : entries_)
            for (const Bound& bound : entry.bound)
                if (bound.protocol == protocol && bound.mapping.host_port == port &&
                    (bound.host == host || (bound.host.v6 == host.v6 && (bound.host.is_any() || host.is_any()))))
                    return "container " + id.substr(0, 12) + " of this project";
        return port_holder(host, port, protocol == IPPROTO_UDP);
    }

    /// Puts all elements of these containers into the firewall. Where nftables is not to be had, the proxies do it all.
    Status apply(const std::vector<Entry*>& entries) {
        if (!firewall_) return {};
        Nft nft = TRY(Nft::open());
        for (int attempt = 0;; attempt++) {
            NftBatch batch = TRY(base_if_missing(nft, table_));
            for (Entry* entry : entries)
                for (const Bound& bound : entry->bound)
                    for (const auto& [set, element] : elements_of(bound, *entry)) batch.add_element(table_, *set, element);
            auto done = nft.commit(batch, "publish ports");
            if (done) return {};
            if (done.error().sys_errno == ENOENT && attempt < 4) continue;  // the table went with another project's last network
            if (done.error().code != Code::unsupported_kernel && done.error().code != Code::permission) return done;
            base::log::debug(done.error().message() + ": published ports go through the proxy only");
            firewall_ = false;
            return {};
        }
    }

    Status remove_elements(const NftBatch& batch) {
        Nft nft = TRY(Nft::open());
        auto chains = TRY(nft.chains(table_, {"prerouting"}));
        if (!chains[0]) return {};
        return nft.commit(batch, "unpublish ports");
    }

    Status start_proxy(Bound& bound, const Entry& entry) {
        if (bound.protocol == IPPROTO_SCTP) return {};
        const auto& same = bound.host.v6 ? entry.ipv6 : entry.ipv4;
        const auto& other = bound.host.v6 ? entry.ipv4 : entry.ipv6;
        if (!same && !other) return {};
        if (!proxy_) proxy_ = TRY(Proxy::start());
        if (bound.proxy) proxy_->remove(bound.proxy);
        bound.proxy = TRY(
            proxy_->add(bound.fd.get(), bound.protocol == IPPROTO_UDP, SocketAddress(same ? *same : *other, bound.mapping.container_port)));
        return {};
    }

    NftTable table_;
    std::mutex mutex_;
    bool firewall_ = true;
    std::map<std::string, Entry> entries_;
    std::unique_ptr<Proxy> proxy_;  // ends before the sockets close
    std::vector<NetworkInfo> networks_;
    std::unique_ptr<FirewallWatch> watch_;
};

}  // namespace

Result<std::unique_ptr<Publisher>> Publisher::make(const std::string& table) {
    return std::unique_ptr<Publisher>(std::make_unique<PublisherImpl>(table));
}

Status forget_published(const std::string& table_name, const std::string& ipv4, const std::string& ipv6) {
    Nft nft = TRY(Nft::open());
    NftTable table = engine_table(table_name);
    auto chains = TRY(nft.chains(table, {"prerouting"}));
    if (!chains[0]) return {};
    NftBatch batch;
    for (const NftSet* set : {&kPublish4, &kPublishAny4, &kSelf4, &kPublish6, &kPublishAny6, &kSelf6}) {
        bool v6 = set == &kPublish6 || set == &kPublishAny6 || set == &kSelf6;
        auto address = Address::parse(v6 ? ipv6 : ipv4);
        if (!address) continue;
        auto elements = TRY(nft.elements(table, set->name));
        for (const NftElement& element : elements)
            if ((set->data_size ? element.data : element.key).starts_with(nft_bytes(*address))) batch.delete_element(table, *set, element);
    }
    return nft.commit(batch, "remove ports of a container that is gone");
}

}  // namespace engine::network
