// The resolver's sockets in a container's namespace and the stateless rules that give them port 53.
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/socket.h>

#include <cerrno>

#include "network/dns.h"
#include "network/network.h"
#include "network/nft.h"

namespace engine::network {

namespace {

constexpr uint32_t kResolver = 127u << 24 | 11;

Result<std::pair<base::UniqueFd, uint16_t>> bound_socket(int type) {
    base::UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return base::fail_errno("open the resolver's socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(kResolver);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return base::fail_errno("bind the resolver at 127.0.0.11");
    if (type == SOCK_STREAM && listen(fd.get(), 64) != 0) return base::fail_errno("listen at 127.0.0.11");
    socklen_t size = sizeof address;
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return base::fail_errno("read the resolver's port");
    return std::pair{std::move(fd), ntohs(address.sin_port)};
}

/// In the output hook, what goes to 127.0.0.11:53 is sent to our port, and what comes from there says 53. Header rewriting
/// without connection tracking: that would cost every packet of the container.
void put_rewrite(NftBatch& batch, const NftTable& table, uint8_t protocol, uint16_t port, uint32_t checksum_offset) {
    constexpr uint32_t kSource4 = 12, kDestination4 = 16;
    const std::string resolver = nft_bytes(Address::v4(kResolver)), dns_port = nft_port(53).substr(0, 2),
                      own_port = nft_port(port).substr(0, 2);
    for (bool request : {true, false}) {
        NftRule rule;
        rule.payload(NFT_PAYLOAD_NETWORK_HEADER, request ? kDestination4 : kSource4, 4, 0).compare(0, resolver);
        rule.meta(NFT_META_L4PROTO, 0).compare_u8(0, protocol);
        rule.payload(NFT_PAYLOAD_TRANSPORT_HEADER, request ? 2 : 0, 2, 0).compare(0, request ? dns_port : own_port);
        rule.immediate(0, request ? own_port : dns_port).set_payload(NFT_PAYLOAD_TRANSPORT_HEADER, request ? 2 : 0, 2, 0, checksum_offset);
        batch.add_rule(table, "output", rule);
    }
}

}  // namespace

Result<DnsSockets> open_dns_sockets_here() {
    auto [udp, udp_port] = TRY(bound_socket(SOCK_DGRAM));
    auto [tcp, tcp_port] = TRY(bound_socket(SOCK_STREAM));
    // Bursts wait here while a new supervisor takes over.
    int size = 1 << 20;
    if (setsockopt(udp.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(udp.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    Nft nft = TRY(Nft::open());
    NftTable table{NFPROTO_IPV4, "compose_dns"};
    NftBatch batch;
    batch.add_table(table);
    constexpr int kRaw = -300;
    batch.add_chain(table, "output", "filter", NF_INET_LOCAL_OUT, kRaw);
    batch.flush_chain(table, "output");
    put_rewrite(batch, table, IPPROTO_UDP, udp_port, 6);
    put_rewrite(batch, table, IPPROTO_TCP, tcp_port, 16);
    TRY_VOID(nft.commit(batch, "lead 127.0.0.11:53 to the resolver"));
    return DnsSockets{std::move(udp), std::move(tcp)};
}

Result<DnsSockets> open_dns_sockets(int netns) {
    DnsSockets sockets;
    TRY_VOID(in_netns(netns, [&]() -> Status {
        sockets = TRY(open_dns_sockets_here());
        return {};
    }));
    return sockets;
}

}  // namespace engine::network
