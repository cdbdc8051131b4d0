#include "network/nft.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace engine::network {

using base::Code;
using base::Result;
using base::Status;

namespace {

uint32_t reg(unsigned word) { return NFT_REG32_00 + word; }

void put_value(Attributes& to, uint16_t type, std::string_view bytes) {
    size_t nest = to.open(type);
    to.put(NFTA_DATA_VALUE, bytes.data(), bytes.size());
    to.close(nest);
}

uint16_t message_type(uint16_t type) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type); }

uint32_t be32(const uint8_t* data) {
    uint32_t value;
    std::memcpy(&value, data, sizeof value);
    return ntohl(value);
}

// libnftnl's user data of a rule: type 0 (comment), length, text with NUL; `nft list` shows it.
std::string comment_of(const uint8_t* data, size_t size) {
    while (size >= 2 && size >= size_t{2} + data[1]) {
        if (data[0] == 0 && data[1] > 0) return {reinterpret_cast<const char*>(data + 2), size_t{data[1]} - 1};
        size -= 2 + size_t{data[1]};
        data += 2 + size_t{data[1]};
    }
    return {};
}

}  // namespace

// ---- rules ------------------------------------------------------------------------------------------------------------

size_t NftRule::begin(const char* name) {
    outer_ = list_.open(NFTA_LIST_ELEM);
    list_.put_text(NFTA_EXPR_NAME, name);
    return list_.open(NFTA_EXPR_DATA);
}

void NftRule::end(size_t nest) {
    list_.close(nest);
    list_.close(outer_);
}

NftRule& NftRule::meta(uint32_t key, unsigned word) {
    size_t nest = begin("meta");
    list_.put_be32(NFTA_META_DREG, reg(word));
    list_.put_be32(NFTA_META_KEY, key);
    end(nest);
    return *this;
}

NftRule& NftRule::payload(uint32_t header, uint32_t offset, uint32_t size, unsigned word) {
    size_t nest = begin("payload");
    list_.put_be32(NFTA_PAYLOAD_DREG, reg(word));
    list_.put_be32(NFTA_PAYLOAD_BASE, header);
    list_.put_be32(NFTA_PAYLOAD_OFFSET, offset);
    list_.put_be32(NFTA_PAYLOAD_LEN, size);
    end(nest);
    return *this;
}

NftRule& NftRule::set_payload(uint32_t header, uint32_t offset, uint32_t size, unsigned word, uint32_t checksum_offset) {
    size_t nest = begin("payload");
    list_.put_be32(NFTA_PAYLOAD_SREG, reg(word));
    list_.put_be32(NFTA_PAYLOAD_BASE, header);
    list_.put_be32(NFTA_PAYLOAD_OFFSET, offset);
    list_.put_be32(NFTA_PAYLOAD_LEN, size);
    list_.put_be32(NFTA_PAYLOAD_CSUM_TYPE, NFT_PAYLOAD_CSUM_INET);
    list_.put_be32(NFTA_PAYLOAD_CSUM_OFFSET, checksum_offset);
    end(nest);
    return *this;
}

NftRule& NftRule::compare(unsigned word, std::string_view bytes, bool equal) {
    size_t nest = begin("cmp");
    list_.put_be32(NFTA_CMP_SREG, reg(word));
    list_.put_be32(NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
    put_value(list_, NFTA_CMP_DATA, bytes);
    end(nest);
    return *this;
}

NftRule& NftRule::mask(unsigned word, std::string_view bits) {
    size_t nest = begin("bitwise");
    list_.put_be32(NFTA_BITWISE_SREG, reg(word));
    list_.put_be32(NFTA_BITWISE_DREG, reg(word));
    list_.put_be32(NFTA_BITWISE_LEN, static_cast<uint32_t>(bits.size()));
    put_value(list_, NFTA_BITWISE_MASK, bits);
    put_value(list_, NFTA_BITWISE_XOR, std::string(bits.size(), '\0'));
    end(nest);
    return *this;
}

NftRule& NftRule::lookup(std::string_view set, unsigned word, bool in) {
    size_t nest = begin("lookup");
    list_.put_text(NFTA_LOOKUP_SET, set);
    list_.put_be32(NFTA_LOOKUP_SREG, reg(word));
    if (!in) list_.put_be32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    end(nest);
    return *this;
}

NftRule& NftRule::lookup_map(std::string_view map, unsigned word, unsigned out) {
    size_t nest = begin("lookup");
    list_.put_text(NFTA_LOOKUP_SET, map);
    list_.put_be32(NFTA_LOOKUP_SREG, reg(word));
    list_.put_be32(NFTA_LOOKUP_DREG, reg(out));
    end(nest);
    return *this;
}

NftRule& NftRule::ct(uint32_t key, unsigned word) {
    size_t nest = begin("ct");
    list_.put_be32(NFTA_CT_DREG, reg(word));
    list_.put_be32(NFTA_CT_KEY, key);
    end(nest);
    return *this;
}

NftRule& NftRule::fib_destination_type(unsigned word) {
    size_t nest = begin("fib");
    list_.put_be32(NFTA_FIB_DREG, reg(word));
    list_.put_be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    list_.put_be32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
    end(nest);
    return *this;
}

NftRule& NftRule::verdict(int code) {
    size_t nest = begin("immediate");
    list_.put_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = list_.open(NFTA_IMMEDIATE_DATA);
    size_t inner = list_.open(NFTA_DATA_VERDICT);
    list_.put_be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
    list_.close(inner);
    list_.close(data);
    end(nest);
    return *this;
}

NftRule& NftRule::immediate(unsigned word, std::string_view bytes) {
    size_t nest = begin("immediate");
    list_.put_be32(NFTA_IMMEDIATE_DREG, reg(word));
    put_value(list_, NFTA_IMMEDIATE_DATA, bytes);
    end(nest);
    return *this;
}

NftRule& NftRule::dnat(uint32_t family, unsigned address_word, unsigned port_word) {
    size_t nest = begin("nat");
    list_.put_be32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
    list_.put_be32(NFTA_NAT_FAMILY, family);
    list_.put_be32(NFTA_NAT_REG_ADDR_MIN, reg(address_word));
    list_.put_be32(NFTA_NAT_REG_PROTO_MIN, reg(port_word));
    end(nest);
    return *this;
}

NftRule& NftRule::masquerade() {
    end(begin("masq"));
    return *this;
}

NftRule& NftRule::comment(std::string_view text) {
    comment_ = text;
    return *this;
}

// ---- batches ----------------------------------------------------------------------------------------------------------

NftBatch::Message& NftBatch::message(uint16_t type, uint16_t flags, const NftTable& table, std::string about) {
    Message& made = messages_.emplace_back();
    made.type = type;
    made.flags = flags;
    made.family = table.family;
    made.about = std::move(about);
    return made;
}

void NftBatch::add_table(const NftTable& table) {
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, table, "table " + table.name).body.put_text(NFTA_TABLE_NAME, table.name);
}

void NftBatch::delete_table(const NftTable& table) {
    message(NFT_MSG_DELTABLE, 0, table, "table " + table.name).body.put_text(NFTA_TABLE_NAME, table.name);
}

void NftBatch::add_chain(const NftTable& table, std::string_view chain, const char* type, uint32_t hook, int priority) {
    Attributes& body = message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, table, "chain " + std::string(chain)).body;
    body.put_text(NFTA_CHAIN_TABLE, table.name);
    body.put_text(NFTA_CHAIN_NAME, chain);
    size_t nest = body.open(NFTA_CHAIN_HOOK);
    body.put_be32(NFTA_HOOK_HOOKNUM, hook);
    body.put_be32(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(priority));
    body.close(nest);
    body.put_text(NFTA_CHAIN_TYPE, type);
    body.put_be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
}

void NftBatch::flush_chain(const NftTable& table, std::string_view chain) {
    Attributes& body = message(NFT_MSG_DELRULE, 0, table, "chain " + std::string(chain)).body;
    body.put_text(NFTA_RULE_TABLE, table.name);
    body.put_text(NFTA_RULE_CHAIN, chain);
}

void NftBatch::add_rule(const NftTable& table, std::string_view chain, const NftRule& rule, bool at_front) {
    Attributes& body =
        message(NFT_MSG_NEWRULE, at_front ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_APPEND, table, "rule in chain " + std::string(chain)).body;
    body.put_text(NFTA_RULE_TABLE, table.name);
    body.put_text(NFTA_RULE_CHAIN, chain);
    size_t nest = body.open(NFTA_RULE_EXPRESSIONS);
    body.raw(rule.list_.bytes().data(), rule.list_.bytes().size());
    body.close(nest);
    if (!rule.comment_.empty()) {
        std::string data{'\0', static_cast<char>(rule.comment_.size() + 1)};
        data += rule.comment_;
        data += '\0';
        body.put(NFTA_RULE_USERDATA, data.data(), data.size());
    }
}

void NftBatch::delete_rule(const NftTable& table, std::string_view chain, uint64_t handle) {
    Attributes& body = message(NFT_MSG_DELRULE, 0, table, "rule in chain " + std::string(chain)).body;
    body.put_text(NFTA_RULE_TABLE, table.name);
    body.put_text(NFTA_RULE_CHAIN, chain);
    body.put_be64(NFTA_RULE_HANDLE, handle);
}

void NftBatch::add_set(const NftTable& table, const NftSet& set) {
    Attributes& body = message(NFT_MSG_NEWSET, NLM_F_CREATE, table, "set " + set.name).body;
    body.put_text(NFTA_SET_TABLE, table.name);
    body.put_text(NFTA_SET_NAME, set.name);
    body.put_be32(NFTA_SET_FLAGS, (set.data_size ? NFT_SET_MAP : 0) | (set.intervals ? NFT_SET_INTERVAL : 0));
    body.put_be32(NFTA_SET_KEY_TYPE, set.key_type);
    body.put_be32(NFTA_SET_KEY_LEN, set.key_size);
    if (set.data_size) {
        body.put_be32(NFTA_SET_DATA_TYPE, set.data_type);
        body.put_be32(NFTA_SET_DATA_LEN, set.data_size);
    }
    body.put_be32(NFTA_SET_ID, next_id_++);
    // libnftnl's user data: byte order of the key. Link names are the host's; without it `nft list` shows them empty.
    constexpr uint32_t kIfname = 41;
    const char host_endian[] = {0, 4, 1, 0, 0, 0};
    if (set.key_type == kIfname) body.put(NFTA_SET_USERDATA, host_endian, sizeof host_endian);
}

void NftBatch::element(uint16_t type, uint16_t flags, const NftTable& table, const NftSet& set, const NftElement& element) {
    Message& made = message(type, flags, table, "element of " + set.name);
    made.kind = type == NFT_MSG_NEWSETELEM ? Message::Kind::add_element : Message::Kind::delete_element;
    Attributes& body = made.body;
    body.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    body.put_text(NFTA_SET_ELEM_LIST_SET, set.name);
    size_t list = body.open(NFTA_SET_ELEM_LIST_ELEMENTS);
    size_t one = body.open(NFTA_LIST_ELEM);
    if (element.end) body.put_be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    put_value(body, NFTA_SET_ELEM_KEY, element.key);
    if (!element.data.empty() && type == NFT_MSG_NEWSETELEM) put_value(body, NFTA_SET_ELEM_DATA, element.data);
    body.close(one);
    body.close(list);
}

void NftBatch::add_element(const NftTable& table, const NftSet& set, const NftElement& one) {
    element(NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, set, one);
}

void NftBatch::delete_element(const NftTable& table, const NftSet& set, const NftElement& one) {
    element(NFT_MSG_DELSETELEM, 0, table, set, one);
}

void NftBatch::append(const NftBatch& other) { messages_.insert(messages_.end(), other.messages_.begin(), other.messages_.end()); }

// ---- the socket -------------------------------------------------------------------------------------------------------

Result<Nft> Nft::open() { return Nft(TRY(Netlink::open(NETLINK_NETFILTER))); }

Result<std::vector<std::pair<const NftBatch::Message*, int>>> Nft::send(const std::vector<const NftBatch::Message*>& messages,
                                                                        std::optional<uint32_t> generation, int& whole) {
    NetlinkBatch batch;
    nfgenmsg header{};
    header.version = NFNETLINK_V0;
    header.res_id = htons(NFNL_SUBSYS_NFTABLES);
    batch.begin(NFNL_MSG_BATCH_BEGIN, 0, &header, sizeof header);
    if (generation) batch.put_be32(NFNL_BATCH_GENID, *generation);
    for (const auto* message : messages) {
        nfgenmsg each{};
        each.nfgen_family = message->family;
        each.version = NFNETLINK_V0;
        batch.begin(message_type(message->type), message->flags, &each, sizeof each);
        batch.raw(message->body.bytes().data(), message->body.bytes().size());
    }
    batch.begin(NFNL_MSG_BATCH_END, 0, &header, sizeof header);
    std::vector<int> errors = TRY(netlink_.run_whole(batch));
    std::vector<std::pair<const NftBatch::Message*, int>> failed;
    for (size_t i = 0; i < messages.size(); i++)
        if (errors[i + 1] != 0) failed.emplace_back(messages[i], errors[i + 1]);
    whole = errors.front() ? errors.front() : errors.back();
    return failed;
}

Status Nft::commit(const NftBatch& batch, std::string_view doing, std::optional<uint32_t> generation) {
    std::vector<const NftBatch::Message*> messages;
    for (const auto& message : batch.messages_) messages.push_back(&message);
    std::vector<NftBatch::Message> made;
    made.reserve(messages.size());
    // Each pass leaves out deletions of what is absent and puts a deletion before what is there with another value; two
    // processes that change the same elements can make a pass stale, so there are some.
    for (int pass = 0; pass < 8; pass++) {
        if (messages.empty()) return {};
        int whole = 0;
        auto failed = TRY(send(messages, generation, whole));
        if (failed.empty() && whole == 0) return {};
        if (whole == ERESTART) return base::fail_errno(std::string(doing) + ": nftables", ERESTART);
        if (whole == EINTR || whole == EAGAIN) continue;
        if (whole == EPERM) return base::fail_errno(std::string(doing) + ": nftables", EPERM);
        bool mended = false;
        for (const auto& [message, error] : failed) {
            auto at = std::find(messages.begin(), messages.end(), message);
            if (message->kind == NftBatch::Message::Kind::delete_element && error == ENOENT) {
                messages.erase(at);
                mended = true;
            } else if (message->kind == NftBatch::Message::Kind::add_element && (error == EEXIST || error == EBUSY) &&
                       made.size() < made.capacity()) {
                NftBatch::Message& removal = made.emplace_back(*message);
                removal.kind = NftBatch::Message::Kind::delete_element;
                removal.type = NFT_MSG_DELSETELEM;
                removal.flags = 0;
                messages.insert(at, &removal);
                mended = true;
            }
        }
        if (!mended) {
            auto [message, error] = failed.empty() ? std::pair<const NftBatch::Message*, int>{nullptr, whole} : failed.front();
            std::string text = std::string(doing) + ": nftables" + (message ? ": " + message->about : "");
            if (error == EOPNOTSUPP || error == EPROTONOSUPPORT)
                return base::fail(Code::unsupported_kernel,
                                  text + ": " + base::errno_text(error) +
                                      ": the kernel lacks nf_tables or one of its parts (nft_nat, nft_masq, nft_fib_inet)");
            return base::fail_errno(text, error);
        }
    }
    return base::fail(Code::unavailable, std::string(doing) + ": nftables: the ruleset kept changing");
}

Result<uint32_t> Nft::generation() {
    NetlinkBatch batch;
    nfgenmsg header{};
    batch.begin(message_type(NFT_MSG_GETGEN), 0, &header, sizeof header);
    uint32_t generation = 0;
    auto errors = TRY(netlink_.run_whole(batch, [&](size_t, const nlmsghdr& message) {
        each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg),
                       message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)), [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type == NFTA_GEN_ID && size == 4) generation = be32(data);
                       });
    }));
    if (errors[0] != 0) return base::fail_errno("read the generation of the nftables ruleset", errors[0]);
    return generation;
}

Result<std::vector<std::optional<NftChainInfo>>> Nft::chains(const NftTable& table, const std::vector<std::string>& names) {
    NetlinkBatch batch;
    nfgenmsg header{};
    header.nfgen_family = table.family;
    for (const std::string& name : names) {
        batch.begin(message_type(NFT_MSG_GETCHAIN), 0, &header, sizeof header);
        batch.put_text(NFTA_CHAIN_TABLE, table.name);
        batch.put_text(NFTA_CHAIN_NAME, name);
    }
    std::vector<std::optional<NftChainInfo>> found(names.size());
    auto errors = TRY(netlink_.run_whole(batch, [&](size_t at, const nlmsghdr& message) {
        NftChainInfo info;
        each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg),
                       message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)), [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type == NFTA_CHAIN_USE && size == 4) info.rules = be32(data);
                           if (type == NFTA_CHAIN_HOOK) info.base = true;
                           if (type == NFTA_CHAIN_POLICY && size == 4) info.drops = be32(data) == NF_DROP;
                       });
        found[at] = info;
    }));
    for (int error : errors)
        if (error != 0 && error != ENOENT) return base::fail_errno("read nftables chains", error);
    return found;
}

Result<std::vector<NftRuleInfo>> Nft::rules(const NftTable& table, std::string_view chain) {
    std::vector<NftRuleInfo> rules;
    Attributes request;
    nfgenmsg header{};
    header.nfgen_family = table.family;
    request.raw(&header, sizeof header);
    request.put_text(NFTA_RULE_TABLE, table.name);
    request.put_text(NFTA_RULE_CHAIN, chain);
    TRY_VOID(netlink_.dump(message_type(NFT_MSG_GETRULE), request.bytes().data(), request.bytes().size(), [&](const nlmsghdr& message) {
        NftRuleInfo rule;
        std::string of_chain;
        each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg),
                       message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)), [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type == NFTA_RULE_HANDLE && size == 8) rule.handle = uint64_t{be32(data)} << 32 | be32(data + 4);
                           if (type == NFTA_RULE_CHAIN && size > 0) of_chain.assign(reinterpret_cast<const char*>(data), size - 1);
                           if (type == NFTA_RULE_USERDATA) rule.comment = comment_of(data, size);
                       });
        if (of_chain == chain) rules.push_back(rule);
    }));
    return rules;
}

Result<std::vector<NftElement>> Nft::elements(const NftTable& table, std::string_view set) {
    std::vector<NftElement> elements;
    Attributes request;
    nfgenmsg header{};
    header.nfgen_family = table.family;
    request.raw(&header, sizeof header);
    request.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
    request.put_text(NFTA_SET_ELEM_LIST_SET, set);
    auto value = [](const uint8_t* data, size_t size) {
        std::string bytes;
        each_attribute(data, size, [&](uint16_t type, const uint8_t* inner, size_t inner_size) {
            if (type == NFTA_DATA_VALUE) bytes.assign(reinterpret_cast<const char*>(inner), inner_size);
        });
        return bytes;
    };
    TRY_VOID(netlink_.dump(message_type(NFT_MSG_GETSETELEM), request.bytes().data(), request.bytes().size(), [&](const nlmsghdr& message) {
        each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg),
                       message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)), [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type != NFTA_SET_ELEM_LIST_ELEMENTS) return;
                           each_attribute(data, size, [&](uint16_t, const uint8_t* one, size_t one_size) {
                               NftElement element;
                               each_attribute(one, one_size, [&](uint16_t part, const uint8_t* inner, size_t inner_size) {
                                   if (part == NFTA_SET_ELEM_KEY) element.key = value(inner, inner_size);
                                   if (part == NFTA_SET_ELEM_DATA) element.data = value(inner, inner_size);
                               });
                               elements.push_back(std::move(element));
                           });
                       });
    }));
    return elements;
}

Result<bool> Nft::has_elements(const NftTable& table, const std::vector<std::pair<std::string, std::string>>& set_and_key) {
    NetlinkBatch batch;
    nfgenmsg header{};
    header.nfgen_family = table.family;
    for (const auto& [set, key] : set_and_key) {
        batch.begin(message_type(NFT_MSG_GETSETELEM), 0, &header, sizeof header);
        batch.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
        batch.put_text(NFTA_SET_ELEM_LIST_SET, set);
        size_t list = batch.open(NFTA_SET_ELEM_LIST_ELEMENTS);
        size_t one = batch.open(NFTA_LIST_ELEM);
        put_value(batch, NFTA_SET_ELEM_KEY, key);
        batch.close(one);
        batch.close(list);
    }
    auto errors = TRY(netlink_.run_whole(batch));
    return std::all_of(errors.begin(), errors.end(), [](int error) { return error == 0; });
}

Result<std::vector<std::string>> Nft::tables(uint8_t family) {
    std::vector<std::string> names;
    nfgenmsg header{};
    header.nfgen_family = family;
    TRY_VOID(netlink_.dump(message_type(NFT_MSG_GETTABLE), &header, sizeof header, [&](const nlmsghdr& message) {
        each_attribute(static_cast<const uint8_t*>(NLMSG_DATA(&message)) + sizeof(nfgenmsg),
                       message.nlmsg_len - NLMSG_LENGTH(sizeof(nfgenmsg)), [&](uint16_t type, const uint8_t* data, size_t size) {
                           if (type == NFTA_TABLE_NAME && size > 0) names.emplace_back(reinterpret_cast<const char*>(data), size - 1);
                       });
    }));
    return names;
}

std::string nft_bytes(const Address& address) { return {reinterpret_cast<const char*>(address.bytes.data()), address.size()}; }
std::string nft_port(uint16_t port) { return {static_cast<char>(port >> 8), static_cast<char>(port & 0xff), '\0', '\0'}; }
std::string nft_byte(uint8_t value) { return {static_cast<char>(value), '\0', '\0', '\0'}; }
std::string nft_name(std::string_view link) {
    std::string bytes(link.substr(0, IFNAMSIZ - 1));
    bytes.resize(IFNAMSIZ, '\0');
    return bytes;
}

}  // namespace engine::network
