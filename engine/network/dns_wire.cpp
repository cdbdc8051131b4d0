#include "network/dns_wire.h"

#include <cstring>

namespace engine::network::dns {

namespace {

uint16_t u16(Bytes packet, size_t at) { return static_cast<uint16_t>(packet[at] << 8 | packet[at + 1]); }
void put16(std::span<uint8_t> out, size_t at, uint16_t value) {
    out[at] = static_cast<uint8_t>(value >> 8);
    out[at + 1] = static_cast<uint8_t>(value);
}
char lower(uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); }

/// Reads a question's name; compression makes no sense there and is refused. Returns the offset behind it, 0 on error.
size_t read_name(Bytes packet, size_t at, Query& query) {
    size_t used = 0;
    query.labels = 0;
    for (;;) {
        if (at >= packet.size()) return 0;
        size_t length = packet[at];
        if (length == 0) break;
        if (length > 63 || at + 1 + length > packet.size() || used + 1 + length > kMaxName - 1) return 0;
        query.name_bytes[used++] = static_cast<char>(length);
        for (size_t i = 0; i < length; i++) query.name_bytes[used++] = lower(packet[at + 1 + i]);
        at += 1 + length;
        query.labels++;
    }
    query.name_size = static_cast<uint8_t>(used);
    return at + 1;
}

/// Offset behind any name, compressed or not; 0 on error.
size_t skip_name(Bytes packet, size_t at) {
    for (;;) {
        if (at >= packet.size()) return 0;
        uint8_t length = packet[at];
        if (length == 0) return at + 1;
        if ((length & 0xc0) == 0xc0) return at + 2 <= packet.size() ? at + 2 : 0;
        if (length > 63) return 0;
        at += 1 + size_t{length};
    }
}

/// Looks for the OPT record behind the question.
bool read_edns(Bytes packet, size_t at, unsigned records, Query& query) {
    for (unsigned i = 0; i < records; i++) {
        at = skip_name(packet, at);
        if (at == 0 || at + 10 > packet.size()) return false;
        uint16_t type = u16(packet, at), cls = u16(packet, at + 2);
        size_t size = u16(packet, at + 8);
        at += 10 + size;
        if (at > packet.size()) return false;
        if (type == kOpt) {
            query.edns = true;
            query.udp_size = std::max<uint16_t>(512, cls);
        }
    }
    return true;
}

}  // namespace

Verdict parse_query(Bytes packet, Query& query) {
    if (packet.size() < kHeader || (packet[2] & 0x80)) return Verdict::drop;
    query.id = u16(packet, 0);
    query.opcode = packet[2] >> 3 & 15;
    query.edns = false;
    query.udp_size = 512;
    query.question_end = kHeader;
    if (query.opcode != 0) return Verdict::refuse;
    unsigned questions = u16(packet, 4), answer_records = u16(packet, 6), authority = u16(packet, 8), additional = u16(packet, 10);
    if (questions != 1 || answer_records != 0) return Verdict::malformed;
    size_t at = read_name(packet, kHeader, query);
    if (at == 0 || at + 4 > packet.size()) return Verdict::malformed;
    query.type = u16(packet, at);
    query.cls = u16(packet, at + 2);
    query.question_end = at + 4;
    if (authority + additional > 16) return Verdict::malformed;
    if (authority + additional > 0 && !read_edns(packet, at + 4, authority + additional, query)) return Verdict::malformed;
    return Verdict::query;
}

std::optional<std::string> wire_name(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    std::string wire;
    while (!text.empty()) {
        size_t dot = text.find('.');
        std::string_view label = text.substr(0, dot);
        if (label.empty() || label.size() > 63) return std::nullopt;
        wire += static_cast<char>(label.size());
        for (char c : label) wire += lower(static_cast<uint8_t>(c));
        text = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
    }
    if (wire.empty() || wire.size() > kMaxName - 1) return std::nullopt;
    return wire;
}

std::string text_name(std::string_view wire) {
    std::string text;
    while (!wire.empty()) {
        auto length = static_cast<uint8_t>(wire[0]);
        if (length + 1u > wire.size()) break;
        if (!text.empty()) text += '.';
        text += wire.substr(1, length);
        wire.remove_prefix(length + 1u);
    }
    return text;
}

std::optional<Address> reverse_address(std::string_view wire) {
    static constexpr std::string_view kFour = "\7in-addr\4arpa", kSix = "\3ip6\4arpa";
    std::vector<std::string_view> labels;
    bool six = wire.ends_with(kSix);
    if (!six && !wire.ends_with(kFour)) return std::nullopt;
    wire.remove_suffix(six ? kSix.size() : kFour.size());
    while (!wire.empty()) {
        auto length = static_cast<uint8_t>(wire[0]);
        if (length + 1u > wire.size() || labels.size() == 32) return std::nullopt;
        labels.push_back(wire.substr(1, length));
        wire.remove_prefix(length + 1u);
    }
    if (labels.size() != (six ? 32u : 4u)) return std::nullopt;
    Address address;
    address.v6 = six;
    for (size_t i = 0; i < labels.size(); i++) {
        unsigned value = 0;
        if (labels[i].empty() || labels[i].size() > (six ? 1u : 3u)) return std::nullopt;
        for (char c : labels[i]) {
            bool hex = six && c >= 'a' && c <= 'f';
            if (!hex && (c < '0' || c > '9')) return std::nullopt;
            value = value * (six ? 16 : 10) + static_cast<unsigned>(hex ? c - 'a' + 10 : c - '0');
        }
        if (value > 255) return std::nullopt;
        if (six) address.bytes[15 - i / 2] = static_cast<uint8_t>(address.bytes[15 - i / 2] | value << (i % 2 * 4));
        else address.bytes[3 - i] = static_cast<uint8_t>(value);
    }
    return address;
}

Answer::Answer(Bytes packet, const Query& query, std::span<uint8_t> out, size_t limit)
    : query_(query), out_(out), limit_(std::min(limit, out.size())), used_(query.question_end) {
    std::memcpy(out.data(), packet.data(), query.question_end);
    // An OPT record goes behind the answers when the client sent one.
    if (query.edns) limit_ -= 11;
}

bool Answer::room(size_t size) {
    if (truncated_ || used_ + size > limit_) {
        truncated_ = true;
        return false;
    }
    return true;
}

void Answer::head(uint16_t type, uint16_t size) {
    put16(out_, used_, 0xc000 | kHeader);  // the question's name
    put16(out_, used_ + 2, type);
    put16(out_, used_ + 4, 1);
    put16(out_, used_ + 6, kTtl >> 16);
    put16(out_, used_ + 8, kTtl & 0xffff);
    put16(out_, used_ + 10, size);
    used_ += 12;
    count_++;
}

void Answer::address(const Address& address) {
    if (!room(12 + address.size())) return;
    head(address.v6 ? kAaaa : kA, static_cast<uint16_t>(address.size()));
    std::memcpy(out_.data() + used_, address.bytes.data(), address.size());
    used_ += address.size();
}

void Answer::name(std::string_view wire) {
    if (!room(12 + wire.size() + 1)) return;
    head(kPtr, static_cast<uint16_t>(wire.size() + 1));
    std::memcpy(out_.data() + used_, wire.data(), wire.size());
    used_ += wire.size();
    out_[used_++] = 0;
}

size_t Answer::finish(Rcode rcode) {
    // Response, the query's opcode and RD, RA; not authoritative.
    out_[2] = static_cast<uint8_t>(0x80 | (out_[2] & 0x79) | (truncated_ ? 2 : 0));
    out_[3] = static_cast<uint8_t>(0x80 | rcode);
    put16(out_, 4, 1);
    put16(out_, 6, count_);
    put16(out_, 8, 0);
    put16(out_, 10, query_.edns ? 1 : 0);
    if (query_.edns) {
        const uint8_t opt[11] = {0, 0, kOpt, 1232 >> 8, 1232 & 0xff};
        std::memcpy(out_.data() + used_, opt, sizeof opt);
        used_ += sizeof opt;
    }
    return used_;
}

size_t header_only(Bytes packet, Rcode rcode, std::span<uint8_t> out) {
    std::memset(out.data(), 0, kHeader);
    out[0] = packet[0];
    out[1] = packet[1];
    out[2] = static_cast<uint8_t>(0x80 | (packet[2] & 0x79));
    out[3] = static_cast<uint8_t>(0x80 | rcode);
    return kHeader;
}

bool answers(Bytes packet, Bytes query) {
    if (packet.size() < kHeader || query.size() < kHeader || !(packet[2] & 0x80) || packet[0] != query[0] || packet[1] != query[1])
        return false;
    // Some servers leave the question out of an error.
    if (u16(packet, 4) == 0) return (packet[3] & 15) != kNoError;
    size_t end = skip_name(query, kHeader);
    if (end == 0 || end + 4 > query.size() || end + 4 > packet.size()) return false;
    for (size_t i = kHeader; i < end + 4; i++)
        if (lower(packet[i]) != lower(query[i])) return false;
    return true;
}

uint8_t rcode_of(Bytes packet) { return packet.size() < kHeader ? uint8_t{kServerFailure} : packet[3] & 15; }

void truncate(std::vector<uint8_t>& packet) {
    if (packet.size() < kHeader) return;
    size_t end = u16(packet, 4) == 1 ? skip_name(packet, kHeader) : 0;
    bool question = end != 0 && end + 4 <= packet.size();
    packet.resize(question ? end + 4 : kHeader);
    packet[2] |= 2;
    std::span<uint8_t> out(packet);
    put16(out, 4, question ? 1 : 0);
    for (size_t at : {6, 8, 10}) put16(out, at, 0);
}

}  // namespace engine::network::dns
