#pragma once
// nftables by raw nfnetlink: rules built of expressions and one atomic batch per change. Internal to network/.
// libnftables would cost 2 to 10 ms a transaction whatever is in it, and a library to load at every start.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "network/netlink.h"

namespace engine::network {

/// The expressions of one rule, in nft's order. Registers are 32-bit words counted from 0 (NFT_REG32_00 + n).
class NftRule {
public:
    NftRule& meta(uint32_t key, unsigned word);
    NftRule& payload(uint32_t header, uint32_t offset, uint32_t size, unsigned word);
    NftRule& compare(unsigned word, std::string_view bytes, bool equal = true);
    NftRule& compare_u8(unsigned word, uint8_t value, bool equal = true) {
        return compare(word, {reinterpret_cast<char*>(&value), 1}, equal);
    }
    NftRule& mask(unsigned word, std::string_view bits);  ///< bitwise and, in place
    NftRule& lookup(std::string_view set, unsigned word, bool in = true);
    NftRule& lookup_map(std::string_view map, unsigned word, unsigned out);
    NftRule& ct(uint32_t key, unsigned word);
    NftRule& fib_destination_type(unsigned word);
    NftRule& verdict(int code);
    NftRule& dnat(uint32_t family, unsigned address_word, unsigned port_word);
    NftRule& masquerade();
    /// Sets a header field from a register, with the checksum at `checksum_offset` mended.
    NftRule& set_payload(uint32_t header, uint32_t offset, uint32_t size, unsigned word, uint32_t checksum_offset);
    NftRule& immediate(unsigned word, std::string_view bytes);
    NftRule& comment(std::string_view text);

private:
    friend class NftBatch;
    size_t begin(const char* name);
    void end(size_t nest);
    Attributes list_;
    size_t outer_ = 0;
    std::string comment_;
};

/// A set or map of a table; types are nft's numbers, a concatenation is (a << 6 | b).
struct NftSet {
    std::string name;
    uint32_t key_type = 0, key_size = 0;
    uint32_t data_type = 0, data_size = 0;  ///< 0: a set
    bool intervals = false;                 ///< elements are the first of an interval and the first behind it (`end`)
};

/// Raw bytes, each part of a concatenation padded to 4.
struct NftElement {
    std::string key, data;
    bool end = false;
    auto operator<=>(const NftElement&) const = default;
};

/// A table of a family (NFPROTO_INET, NFPROTO_IPV4 …).
struct NftTable {
    uint8_t family = 0;
    std::string name;
};

/// A batch is applied whole or not at all.
class NftBatch {
public:
    void add_table(const NftTable& table);
    void delete_table(const NftTable& table);
    /// A base chain at a hook (NF_INET_…) of a type (filter, nat, route).
    void add_chain(const NftTable& table, std::string_view chain, const char* type, uint32_t hook, int priority);
    void flush_chain(const NftTable& table, std::string_view chain);
    void add_rule(const NftTable& table, std::string_view chain, const NftRule& rule, bool at_front = false);
    void delete_rule(const NftTable& table, std::string_view chain, uint64_t handle);
    void add_set(const NftTable& table, const NftSet& set);
    void add_element(const NftTable& table, const NftSet& set, const NftElement& element);
    void delete_element(const NftTable& table, const NftSet& set, const NftElement& element);
    void append(const NftBatch& other);
    bool empty() const { return messages_.empty(); }

private:
    friend class Nft;
    struct Message {
        enum class Kind : uint8_t { other, add_element, delete_element } kind = Kind::other;
        uint16_t type = 0, flags = 0;
        uint8_t family = 0;
        std::string about;  ///< for error texts: `chain forward`
        Attributes body;
    };
    Message& message(uint16_t type, uint16_t flags, const NftTable& table, std::string about);
    void element(uint16_t type, uint16_t flags, const NftTable& table, const NftSet& set, const NftElement& element);
    std::vector<Message> messages_;
    uint32_t next_id_ = 1;
};

struct NftRuleInfo {
    uint64_t handle = 0;
    std::string comment;
};
struct NftChainInfo {
    uint32_t rules = 0;  ///< how many
    bool base = false;   ///< hooked
    bool drops = false;  ///< policy drop
};

/// A netfilter socket in the namespace in which it was opened.
class Nft {
public:
    static base::Result<Nft> open();
    /// Sends the batch. An element that is to go and is absent is no error (the batch is sent again without it); one that is
    /// to come and is there with another value is replaced.
    /// With a `generation`, only if nothing in the ruleset changed since: ERESTART otherwise.
    base::Status commit(const NftBatch& batch, std::string_view doing, std::optional<uint32_t> generation = {});
    /// Number of the ruleset's present state.
    base::Result<uint32_t> generation();
    /// What is known of these chains; nullopt where there is none. One round trip.
    base::Result<std::vector<std::optional<NftChainInfo>>> chains(const NftTable& table, const std::vector<std::string>& names);
    base::Result<std::vector<NftRuleInfo>> rules(const NftTable& table, std::string_view chain);
    base::Result<std::vector<NftElement>> elements(const NftTable& table, std::string_view set);
    base::Result<bool> has_elements(const NftTable& table, const std::vector<std::pair<std::string, std::string>>& set_and_key);
    /// Names of the tables of a family.
    base::Result<std::vector<std::string>> tables(uint8_t family);
    int fd() const { return netlink_.fd(); }

private:
    explicit Nft(Netlink netlink) : netlink_(std::move(netlink)) {}
    base::Result<std::vector<std::pair<const NftBatch::Message*, int>>> send(const std::vector<const NftBatch::Message*>& messages,
                                                                             std::optional<uint32_t> generation, int& whole);
    Netlink netlink_;
};

/// Raw bytes of a part of a key or value.
std::string nft_bytes(const Address& address);
std::string nft_port(uint16_t port);          ///< network order, padded to 4
std::string nft_byte(uint8_t value);          ///< padded to 4
std::string nft_name(std::string_view link);  ///< 16 bytes

}  // namespace engine::network
