#include "network/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>

#include <cstring>

#include "network/netlink.h"

namespace engine::network {

namespace {

struct Tuple {
    Address source;
    uint8_t protocol = 0;
    std::string raw;  ///< the attribute's content, to name the entry with
};

Tuple parse_tuple(const uint8_t* data, size_t size) {
    Tuple tuple;
    tuple.raw.assign(reinterpret_cast<const char*>(data), size);
    each_attribute(data, size, [&](uint16_t type, const uint8_t* part, size_t part_size) {
        each_attribute(part, part_size, [&](uint16_t inner, const uint8_t* value, size_t value_size) {
            if (type == CTA_TUPLE_IP && (inner == CTA_IP_V4_SRC || inner == CTA_IP_V6_SRC)) {
                tuple.source.v6 = inner == CTA_IP_V6_SRC;
                if (value_size == tuple.source.size()) std::memcpy(tuple.source.bytes.data(), value, value_size);
            }
            if (type == CTA_TUPLE_PROTO && inner == CTA_PROTO_NUM && value_size == 1) tuple.protocol = *value;
        });
    });
    return tuple;
}

}  // namespace

base::Status forget_udp_flows(const std::vector<Address>& containers) {
    Netlink netlink = TRY(Netlink::open(NETLINK_NETFILTER));
    NetlinkBatch batch;
    for (uint8_t family : {uint8_t{AF_INET}, uint8_t{AF_INET6}}) {
        if (std::none_of(containers.begin(), containers.end(), [&](const Address& address) { return address.v6 == (family == AF_INET6); }))
            continue;
        nfgenmsg header{};
        header.nfgen_family = family;
        auto done = netlink.dump(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, &header, sizeof header, [&](const nlmsghdr& message) {
            Tuple original, reply;
            each_attribute(reinterpret_cast<const uint8_t*>(&message) + NLMSG_LENGTH(sizeof header),
                           message.nlmsg_len - NLMSG_LENGTH(sizeof header), [&](uint16_t type, const uint8_t* data, size_t size) {
                               if (type == CTA_TUPLE_ORIG) original = parse_tuple(data, size);
                               if (type == CTA_TUPLE_REPLY) reply = parse_tuple(data, size);
                           });
            if (reply.protocol != IPPROTO_UDP || std::find(containers.begin(), containers.end(), reply.source) == containers.end()) return;
            batch.begin(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, &header, sizeof header);
            batch.put(CTA_TUPLE_ORIG | NLA_F_NESTED, original.raw.data(), original.raw.size());
        });
        if (!done) return {};
    }
    if (!batch.empty()) TRY(netlink.run_whole(batch));
    return {};
}

}  // namespace engine::network
