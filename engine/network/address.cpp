#include "network/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "base/text.h"

namespace engine::network {

using base::Code;

base::Result<Address> Address::parse(std::string_view text) {
    Address address;
    std::string copy(text);
    address.v6 = copy.find(':') != std::string::npos;
    if (copy.find('\0') != std::string::npos || inet_pton(address.v6 ? AF_INET6 : AF_INET, copy.c_str(), address.bytes.data()) != 1)
        return base::fail(Code::invalid, "invalid IP address " + base::quote(text));
    return address;
}

Address Address::v4(uint32_t host_order) {
    Address address;
    for (int i = 0; i < 4; i++) address.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
    return address;
}

std::string Address::text() const {
    char buffer[INET6_ADDRSTRLEN];
    inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), buffer, sizeof buffer);
    return buffer;
}

uint32_t Address::number4() const { return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3]; }

Address Address::plus(uint64_t offset) const {
    Address sum = *this;
    for (size_t i = size(); i-- > 0 && offset != 0;) {
        uint64_t digit = (offset & 0xff) + sum.bytes[i];
        sum.bytes[i] = static_cast<uint8_t>(digit);
        offset = (offset >> 8) + (digit >> 8);
    }
    return sum;
}

bool Address::is_any() const {
    for (size_t i = 0; i < size(); i++)
        if (bytes[i] != 0) return false;
    return true;
}

bool Address::is_loopback() const {
    if (!v6) return bytes[0] == 127;
    Address one;
    one.v6 = true;
    one.bytes[15] = 1;
    return *this == one;
}

namespace {
// Clears (or sets) the bits behind the prefix.
Address masked(Address address, int length, bool set) {
    for (size_t i = 0; i < address.size(); i++) {
        int keep = std::clamp(length - static_cast<int>(i) * 8, 0, 8);
        auto mask = static_cast<uint8_t>(0xff00 >> keep);
        address.bytes[i] =
            set ? static_cast<uint8_t>(address.bytes[i] | static_cast<uint8_t>(~mask)) : static_cast<uint8_t>(address.bytes[i] & mask);
    }
    return address;
}
}  // namespace

base::Result<Prefix> Prefix::parse(std::string_view text) {
    auto [base_text, length_text] = base::cut(text, '/');
    auto address = Address::parse(base_text);
    auto length = length_text ? base::parse_int(*length_text) : std::nullopt;
    if (!address || !length || *length < 0 || *length > (address->v6 ? 128 : 32))
        return base::fail(Code::invalid, "invalid subnet " + base::quote(text) + ": want ADDRESS/LENGTH, such as 10.5.0.0/16");
    return Prefix{masked(*address, static_cast<int>(*length), false), static_cast<int>(*length)};
}

std::string Prefix::text() const { return base.text() + "/" + std::to_string(length); }

bool Prefix::contains(const Address& address) const { return address.v6 == base.v6 && masked(address, length, false) == base; }

bool Prefix::overlaps(const Prefix& other) const { return length <= other.length ? contains(other.base) : other.contains(base); }

Address Prefix::last() const { return masked(base, length, true); }

base::Result<Mac> parse_mac(std::string_view text) {
    Mac mac{};
    auto wrong = [&] { return base::fail(Code::invalid, "invalid MAC address " + base::quote(text)); };
    if (text.size() != 17) return wrong();
    for (size_t i = 0; i < 6; i++) {
        int value = 0;
        for (char c : text.substr(i * 3, 2)) {
            int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
            if (digit < 0) return wrong();
            value = value * 16 + digit;
        }
        if (i < 5 && text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-') return wrong();
        mac[i] = static_cast<uint8_t>(value);
    }
    if (mac[0] & 1) return base::fail(Code::invalid, "MAC address " + base::quote(text) + " is a multicast address");
    return mac;
}

std::string mac_text(const Mac& mac) {
    std::string text;
    for (uint8_t byte : mac) {
        constexpr char kDigits[] = "0123456789abcdef";
        if (!text.empty()) text += ':';
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

Mac mac_from(const Address& address) {
    Mac mac{0x02, 0x42};
    std::memcpy(mac.data() + 2, address.bytes.data() + address.size() - 4, 4);
    return mac;
}

}  // namespace engine::network
