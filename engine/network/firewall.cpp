#include "network/firewall.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/text.h"

namespace engine::network {

using base::Result;
using base::Status;

namespace {

// nft's numbers of data types (datatype.h), so that `nft list` shows elements as people write them.
constexpr uint32_t kIpv4 = 7, kIpv6 = 8, kProto = 12, kService = 13, kName = 41;
constexpr uint32_t concat(uint32_t a, uint32_t b) { return a << 6 | b; }
constexpr uint32_t concat(uint32_t a, uint32_t b, uint32_t c) { return concat(concat(a, b), c); }

const NftSet kBridges{"bridges", kName, 16, 0, 0};
const NftSet kInternal{"internal", kName, 16, 0, 0};
const NftSet kMasquerade{"masquerade", kName, 16, 0, 0};
const NftSet kSame{"same", concat(kName, kName), 32, 0, 0};

// Adjacent subnets share a key (the end of one is the start of the next): that is what interval sets are for.
const NftSet kSubnets4{"subnets4", kIpv4, 4, 0, 0, true};
const NftSet kSubnets6{"subnets6", kIpv6, 16, 0, 0, true};

constexpr const char* kChains[] = {"raw_prerouting", "prerouting", "output", "postrouting", "forward"};

// Byte offsets in the IPv4, IPv6 and TCP/UDP headers.
constexpr uint32_t kSource4 = 12, kDestination4 = 16, kSource6 = 8, kDestination6 = 24, kDestinationPort = 2;

template <class T>
std::string host_order(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

NftRule family(uint8_t number) {
    NftRule rule;
    rule.meta(NFT_META_NFPROTO, 0).compare_u8(0, number);
    return rule;
}

std::vector<NftRule> publish_rules(bool output) {
    std::vector<NftRule> rules;
    for (bool v6 : {false, true}) {
        uint8_t number = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
        unsigned words = v6 ? 4 : 1;
        if (!output) {
            NftRule self = family(number);
            self.payload(NFT_PAYLOAD_NETWORK_HEADER, v6 ? kSource6 : kSource4, v6 ? 16 : 4, 0);
            self.meta(NFT_META_L4PROTO, words).payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, words + 1);
            self.lookup(v6 ? "self6" : "self4", 0).verdict(NFT_RETURN);
            rules.push_back(std::move(self));
        }
        NftRule exact = family(number);
        exact.payload(NFT_PAYLOAD_NETWORK_HEADER, v6 ? kDestination6 : kDestination4, v6 ? 16 : 4, 0);
        exact.meta(NFT_META_L4PROTO, words).payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, words + 1);
        exact.lookup_map(v6 ? "publish6" : "publish4", 0, 8).dnat(number, 8, 8 + words);
        rules.push_back(std::move(exact));
        NftRule any = family(number);
        // There is no way out of the host with the source ::1: those connections are the proxy's.
        if (v6 && output) any.payload(NFT_PAYLOAD_NETWORK_HEADER, kDestination6, 16, 0).compare(0, std::string(15, '\0') + '\1', false);
        any.fib_destination_type(0).compare(0, host_order<uint32_t>(RTN_LOCAL));
        any.meta(NFT_META_L4PROTO, 0).payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, 1);
        any.lookup_map(v6 ? "publish_any6" : "publish_any4", 0, 8).dnat(number, 8, 8 + words);
        rules.push_back(std::move(any));
    }
    return rules;
}

std::vector<NftRule> postrouting_rules() {
    std::vector<NftRule> rules(4);
    // To a published port by way of the host, from a container: the answer must come back through the host. By source and
    // not by link: with br_netfilter, a packet that stays on its bridge has no incoming link here.
    for (bool v6 : {false, true}) {
        NftRule& rule = rules[v6];
        rule.ct(NFT_CT_STATUS, 0).mask(0, host_order<uint32_t>(IPS_DST_NAT)).compare(0, host_order<uint32_t>(0), false);
        rule.meta(NFT_META_NFPROTO, 0).compare_u8(0, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
        rule.payload(NFT_PAYLOAD_NETWORK_HEADER, v6 ? kSource6 : kSource4, v6 ? 16 : 4, 0).lookup(v6 ? "subnets6" : "subnets4", 0);
        rule.meta(NFT_META_OIFNAME, 0).lookup("bridges", 0).masquerade();
    }
    // The host's loopback clients of a published port.
    rules[2] = family(NFPROTO_IPV4);
    rules[2].payload(NFT_PAYLOAD_NETWORK_HEADER, kSource4, 1, 0).compare_u8(0, 127);
    rules[2].meta(NFT_META_OIFNAME, 0).lookup("bridges", 0).masquerade();
    rules[3].meta(NFT_META_IIFNAME, 0).lookup("masquerade", 0).meta(NFT_META_OIFNAME, 0).lookup("bridges", 0, false).masquerade();
    return rules;
}

std::vector<NftRule> forward_rules() {
    constexpr uint32_t kEstablished = 2, kRelated = 4;  // NF_CT_STATE_BIT
    std::vector<NftRule> rules(8);
    rules[0].ct(NFT_CT_STATE, 0).mask(0, host_order(kEstablished | kRelated)).compare(0, host_order<uint32_t>(0), false).verdict(NF_ACCEPT);
    rules[1].meta(NFT_META_IIFNAME, 0).meta(NFT_META_OIFNAME, 4).lookup("same", 0).verdict(NF_ACCEPT);
    rules[2].meta(NFT_META_IIFNAME, 0).lookup("internal", 0).verdict(NF_DROP);
    rules[3].meta(NFT_META_OIFNAME, 0).lookup("internal", 0).verdict(NF_DROP);
    rules[4].ct(NFT_CT_STATUS, 0).mask(0, host_order<uint32_t>(IPS_DST_NAT)).compare(0, host_order<uint32_t>(0), false).verdict(NF_ACCEPT);
    rules[5].meta(NFT_META_IIFNAME, 0).lookup("bridges", 0).meta(NFT_META_OIFNAME, 0).lookup("bridges", 0).verdict(NF_DROP);
    rules[6].meta(NFT_META_IIFNAME, 0).lookup("bridges", 0).verdict(NF_ACCEPT);
    rules[7].meta(NFT_META_OIFNAME, 0).lookup("bridges", 0).verdict(NF_DROP);
    return rules;
}

std::vector<NftRule> raw_rules() {
    std::vector<NftRule> rules;
    rules.push_back(family(NFPROTO_IPV4));
    rules[0].meta(NFT_META_IIFNAME, 0).compare(0, nft_name("lo"), false);
    rules[0].payload(NFT_PAYLOAD_NETWORK_HEADER, kDestination4, 1, 0).compare_u8(0, 127).verdict(NF_DROP);
    return rules;
}

std::vector<NftRule> rules_of(std::string_view chain) {
    if (chain == "raw_prerouting") return raw_rules();
    if (chain == "postrouting") return postrouting_rules();
    if (chain == "forward") return forward_rules();
    return publish_rules(chain == "output");
}

size_t rule_count(std::string_view chain) { return chain == "raw_prerouting" ? 1 : chain == "prerouting" ? 6 : chain == "forward" ? 8 : 4; }

/// Elements of one network.
std::vector<std::pair<const NftSet*, NftElement>> elements_of(const NetworkInfo& network) {
    std::string name = nft_name(network.bridge);
    std::vector<std::pair<const NftSet*, NftElement>> elements{{&kBridges, {name, {}}}, {&kSame, {name + name, {}}}};
    if (network.spec.internal) elements.push_back({&kInternal, {name, {}}});
    else if (option_on(network, "com.docker.network.bridge.enable_ip_masquerade", true)) elements.push_back({&kMasquerade, {name, {}}});
    for (const std::string& text : {network.subnet4, network.subnet6}) {
        auto subnet = Prefix::parse(text);
        if (!subnet || subnet->length == 0) continue;
        const NftSet* set = subnet->base.v6 ? &kSubnets6 : &kSubnets4;
        elements.push_back({set, {nft_bytes(subnet->base), {}}});
        elements.push_back({set, {nft_bytes(subnet->last().plus(1)), {}, true}});
    }
    return elements;
}

std::string foreign_comment(const NetworkInfo& network) { return "compose " + network.bridge; }

/// A chain of somebody else's that drops or rejects what is forwarded, where an accept of ours does not count: the accept must
/// stand in that chain.
struct Foreign {
    NftTable table;
    const char* chain;
    bool only_when_dropping;
};
// Docker's place for users' rules; ufw's and others' FORWARD; firewalld's. Native rules are fine in the tables of
// iptables-nft; iptables-legacy is out of reach of nftables.
const Foreign kForeign[] = {
    {{NFPROTO_IPV4, "filter"}, "DOCKER-USER", false},       {{NFPROTO_IPV4, "filter"}, "FORWARD", true},
    {{NFPROTO_IPV6, "filter"}, "DOCKER-USER", false},       {{NFPROTO_IPV6, "filter"}, "FORWARD", true},
    {{NFPROTO_INET, "firewalld"}, "filter_FORWARD", false},
};

Status open_foreign(Nft& nft, std::span<const NetworkInfo* const> networks) {
    for (const Foreign& foreign : kForeign) {
        auto chains = TRY(nft.chains(foreign.table, {foreign.chain, "DOCKER-USER"}));
        if (!chains[0] || (foreign.only_when_dropping && (!chains[0]->drops || chains[1]))) continue;
        auto rules = TRY(nft.rules(foreign.table, foreign.chain));
        NftBatch batch;
        for (const NetworkInfo* network : networks) {
            std::string comment = foreign_comment(*network);
            if (network->spec.internal ||
                std::any_of(rules.begin(), rules.end(), [&](const NftRuleInfo& rule) { return rule.comment == comment; }))
                continue;
            for (uint32_t key : {NFT_META_IIFNAME, NFT_META_OIFNAME}) {
                NftRule rule;
                rule.meta(key, 0).compare(0, nft_name(network->bridge)).verdict(NF_ACCEPT).comment(comment);
                batch.add_rule(foreign.table, foreign.chain, rule, true);
            }
        }
        // A table can belong to a process (firewalld since 2.1): then its own configuration has to let the bridge pass.
        if (auto done = nft.commit(batch, "let containers pass the firewall " + foreign.table.name + " " + foreign.chain); !done)
            base::log::warn(done.error().message() + ": traffic of containers to the outside may be dropped there");
    }
    return {};
}

void close_foreign(Nft& nft, const NetworkInfo& network) {
    for (const Foreign& foreign : kForeign) {
        auto rules = nft.rules(foreign.table, foreign.chain);
        if (!rules) continue;
        NftBatch batch;
        for (const NftRuleInfo& rule : *rules)
            if (rule.comment == foreign_comment(network)) batch.delete_rule(foreign.table, foreign.chain, rule.handle);
        if (auto done = nft.commit(batch, "remove the accept of " + network.bridge); !done)
            base::log::debug("ignored: " + done.error().message());
    }
}

}  // namespace

const NftSet kPublish4{"publish4", concat(kIpv4, kProto, kService), 12, concat(kIpv4, kService), 8};
const NftSet kPublish6{"publish6", concat(kIpv6, kProto, kService), 24, concat(kIpv6, kService), 20};
const NftSet kSelf4{"self4", concat(kIpv4, kProto, kService), 12, 0, 0};
const NftSet kSelf6{"self6", concat(kIpv6, kProto, kService), 24, 0, 0};
const NftSet kPublishAny4{"publish_any4", concat(kProto, kService), 8, concat(kIpv4, kService), 8};
const NftSet kPublishAny6{"publish_any6", concat(kProto, kService), 8, concat(kIpv6, kService), 20};

NftTable engine_table(const std::string& table) { return {NFPROTO_INET, table}; }

bool option_on(const NetworkInfo& network, const std::string& name, bool otherwise) {
    auto found = network.spec.driver_options.find(name);
    if (found == network.spec.driver_options.end() || found->second.empty()) return otherwise;
    std::string value = base::to_lower(found->second);
    return value != "false" && value != "0" && value != "f";
}

Result<NftBatch> base_if_missing(Nft& nft, const NftTable& table) {
    NftBatch batch;
    auto found = TRY(nft.chains(table, {std::begin(kChains), std::end(kChains)}));
    bool whole = true;
    for (size_t i = 0; i < found.size(); i++) whole = whole && found[i] && found[i]->rules == rule_count(kChains[i]);
    if (whole) return batch;
    // Two processes can do this at once: flushing and filling in one batch gives the same rules whoever comes last.
    batch.add_table(table);
    for (const NftSet* set : {&kBridges, &kInternal, &kMasquerade, &kSame, &kSubnets4, &kSubnets6, &kPublish4, &kPublish6, &kPublishAny4,
                              &kPublishAny6, &kSelf4, &kSelf6})
        batch.add_set(table, *set);
    constexpr int kRaw = -300, kDstNat = -100, kFilter = 0, kSrcNat = 100;
    batch.add_chain(table, "raw_prerouting", "filter", NF_INET_PRE_ROUTING, kRaw);
    batch.add_chain(table, "prerouting", "nat", NF_INET_PRE_ROUTING, kDstNat);
    batch.add_chain(table, "output", "nat", NF_INET_LOCAL_OUT, kDstNat);
    batch.add_chain(table, "postrouting", "nat", NF_INET_POST_ROUTING, kSrcNat);
    batch.add_chain(table, "forward", "filter", NF_INET_FORWARD, kFilter);
    for (const char* chain : kChains) {
        batch.flush_chain(table, chain);
        for (const NftRule& rule : rules_of(chain)) batch.add_rule(table, chain, rule);
    }
    return batch;
}

Status open_networks(const std::string& table_name, std::span<const NetworkInfo* const> networks) {
    if (networks.empty()) return {};
    Nft nft = TRY(Nft::open());
    NftTable table = engine_table(table_name);
    std::vector<std::pair<std::string, std::string>> keys;
    for (const NetworkInfo* network : networks)
        for (const auto& [set, element] : elements_of(*network))
            if (!set->intervals) keys.emplace_back(set->name, element.key);
    // Another process can take the table along with the last of its networks between the look and the change: again, then.
    for (int attempt = 0;; attempt++) {
        NftBatch batch = TRY(base_if_missing(nft, table));
        if (!batch.empty() || !TRY(nft.has_elements(table, keys)))
            for (const NetworkInfo* network : networks)
                for (const auto& [set, element] : elements_of(*network)) batch.add_element(table, *set, element);
        auto done = nft.commit(batch, "open the firewall for network " + base::quote(networks.front()->spec.name));
        if (done) return open_foreign(nft, networks);
        if (done.error().sys_errno != ENOENT || attempt == 4) return done;
    }
}

Status close_network(Nft& nft, const std::string& table_name, const NetworkInfo& network) {
    if (network.bridge.empty()) return {};
    close_foreign(nft, network);
    NftTable table = engine_table(table_name);
    auto chains = TRY(nft.chains(table, {"forward"}));
    if (!chains[0]) return {};
    NftBatch batch;
    for (const auto& [set, element] : elements_of(network)) batch.delete_element(table, *set, element);
    TRY_VOID(nft.commit(batch, "close the firewall of network " + base::quote(network.spec.name)));
    // The last one takes the table along, unless anything changed since the look.
    for (int attempt = 0; attempt < 8; attempt++) {
        uint32_t generation = TRY(nft.generation());
        auto left = nft.elements(table, kBridges.name);
        if (!left || !left->empty()) return {};
        NftBatch whole;
        whole.delete_table(table);
        auto done = nft.commit(whole, "remove the table", generation);
        if (done || done.error().sys_errno == ENOENT) return {};
        if (done.error().sys_errno != ERESTART) return done;
    }
    return {};
}

}  // namespace engine::network
