#include "store/address.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace engine::store {

std::optional<Address> Address::parse(const std::string& text) {
    unsigned char bytes[16];
    Address address;
    if (inet_pton(AF_INET, text.c_str(), bytes) == 1) {
        for (int i = 0; i < 4; ++i) address.value = address.value << 8 | bytes[i];
        return address;
    }
    if (inet_pton(AF_INET6, text.c_str(), bytes) == 1) {
        address.is_v6 = true;
        for (unsigned char byte : bytes) address.value = address.value << 8 | byte;
        return address;
    }
    return std::nullopt;
}

std::string Address::text() const {
    unsigned char bytes[16];
    int length = is_v6 ? 16 : 4;
    for (int i = 0; i < length; ++i) bytes[i] = static_cast<unsigned char>(value >> (8 * (length - 1 - i)));
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
    return text;
}

std::string Address::key() const {
    int digits = is_v6 ? 32 : 8;
    std::string key(static_cast<size_t>(digits), '0');
    for (int i = 0; i < digits; ++i) key[static_cast<size_t>(i)] = "0123456789abcdef"[static_cast<int>(value >> (4 * (digits - 1 - i))) & 15];
    return key;
}

Address Address::from_key(const std::string& key) {
    Address address;
    address.is_v6 = key.size() == 32;
    for (char c : key) address.value = address.value << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
    return address;
}

namespace {
Address::Number host_mask(bool is_v6, int prefix) {
    int bits = (is_v6 ? 128 : 32) - prefix;
    return bits >= 128 ? ~Address::Number{0} : (Address::Number{1} << bits) - 1;
}
}  // namespace

std::optional<Subnet> Subnet::parse(const std::string& text) {
    auto [address_text, prefix_text] = base::cut(text, '/');
    if (!prefix_text) return std::nullopt;
    auto address = Address::parse(address_text);
    auto prefix = base::parse_int(*prefix_text);
    if (!address || !prefix || *prefix < 0 || *prefix > (address->is_v6 ? 128 : 32)) return std::nullopt;
    Subnet subnet{*address, static_cast<int>(*prefix)};
    subnet.network.value &= ~host_mask(address->is_v6, subnet.prefix);
    return subnet;
}

Address Subnet::last() const {
    Address address = network;
    address.value |= host_mask(network.is_v6, prefix);
    return address;
}

bool Subnet::contains(const Address& address) const {
    return address.is_v6 == network.is_v6 && (address.value & ~host_mask(network.is_v6, prefix)) == network.value;
}

std::optional<Address> lowest_free(const Subnet& range, const std::vector<Address>& taken) {
    Address candidate = range.first();
    for (const Address& used : taken) {
        if (used < candidate || used.is_v6 != candidate.is_v6) continue;
        if (candidate < used) break;
        if (candidate == range.last()) return std::nullopt;
        ++candidate.value;
    }
    if (!range.contains(candidate)) return std::nullopt;
    return candidate;
}

}  // namespace engine::store
