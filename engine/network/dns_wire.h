#pragma once
// DNS messages on the wire, as far as a stub resolver's server needs them (RFC 1035, 6891). Written by hand: this is the hot
// path and what containers can send garbage to; every read is checked against the end. Internal to network/.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "network/address.h"

namespace engine::network::dns {

using Bytes = std::span<const uint8_t>;

enum Type : uint16_t { kA = 1, kPtr = 12, kAaaa = 28, kOpt = 41, kAny = 255 };
enum Rcode : uint8_t { kNoError = 0, kFormatError = 1, kServerFailure = 2, kNxDomain = 3, kNotImplemented = 4, kRefused = 5 };

constexpr size_t kHeader = 12;
constexpr size_t kMaxName = 255;
constexpr uint32_t kTtl = 600;  // as Docker

/// A query taken apart. `name` is lower case, in wire form without the final root label: "\3www\7example".
struct Query {
    uint16_t id = 0;
    uint16_t type = 0, cls = 0;
    uint8_t opcode = 0;
    bool edns = false;
    uint16_t udp_size = 512;        ///< what the sender takes by UDP
    size_t question_end = kHeader;  ///< offset behind the question
    unsigned labels = 0;
    uint8_t name_size = 0;
    std::array<char, kMaxName> name_bytes;
    std::string_view name() const { return {name_bytes.data(), name_size}; }
};

/// What to do with a packet that came in.
enum class Verdict : uint8_t {
    query,      ///< a well-formed question
    drop,       ///< too short to answer, or an answer itself
    malformed,  ///< FORMERR
    refuse,     ///< an opcode that is not QUERY: NOTIMP
};
Verdict parse_query(Bytes packet, Query& query);

/// A textual name ("Web.p_n1", trailing dot or not) in the form of Query::name; nullopt when it cannot be a DNS name.
std::optional<std::string> wire_name(std::string_view text);
std::string text_name(std::string_view wire);
/// The address in a name below in-addr.arpa or ip6.arpa.
std::optional<Address> reverse_address(std::string_view wire_name);

/// Writes answers into a buffer: header and question of the query, then records up to a size limit.
class Answer {
public:
    /// `packet` is the query's; `out` at least 512 bytes.
    Answer(Bytes packet, const Query& query, std::span<uint8_t> out, size_t limit);
    void address(const Address& address);
    void name(std::string_view wire);  ///< a PTR record
    /// Returns the length.
    size_t finish(Rcode rcode);

private:
    bool room(size_t size);
    void head(uint16_t type, uint16_t size);
    const Query& query_;
    std::span<uint8_t> out_;
    size_t limit_, used_;
    uint16_t count_ = 0;
    bool truncated_ = false;
};
/// An error for what could not be parsed: the header alone.
size_t header_only(Bytes packet, Rcode rcode, std::span<uint8_t> out);

/// Whether `packet` answers `query` (same id, a response, the same question).
bool answers(Bytes packet, Bytes query);
uint8_t rcode_of(Bytes packet);
/// Cuts an answer that is too long for the client to its question, with TC set.
void truncate(std::vector<uint8_t>& packet);

}  // namespace engine::network::dns
