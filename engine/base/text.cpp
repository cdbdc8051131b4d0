#include "base/text.h"

// Not the EVP interface: it reads a configuration file and fetches providers first, which takes longer than the digests.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

namespace base {

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (size_t start = 0;;) {
        size_t end = text.find(separator, start);
        parts.emplace_back(text.substr(start, end == std::string_view::npos ? end : end - start));
        if (end == std::string_view::npos) return parts;
        start = end + 1;
    }
}

std::pair<std::string, std::optional<std::string>> cut(std::string_view text, char separator) {
    size_t at = text.find(separator);
    if (at == std::string_view::npos) return {std::string(text), std::nullopt};
    return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    std::string text;
    for (size_t i = 0; i < parts.size(); ++i) {
        if (i) text += separator;
        text += parts[i];
    }
    return text;
}

std::string trim(std::string_view text) {
    size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

std::string printable(std::string_view text) {
    std::string out;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '\n') out += "\\n";
        else if (c == '\t') out += "\\t";
        else if (c == '\r') out += "\\r";
        else if (byte < 0x20 || byte == 0x7f) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\x%02x", byte);
            out += escape;
        } else out += c;
    }
    return out;
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\', out += c;
        else out += printable(std::string_view(&c, 1));
    }
    return out + "\"";
}

std::optional<int64_t> parse_int(std::string_view text) {
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<int64_t> parse_bytes(std::string_view text) {
    std::string t = to_lower(trim(text));
    size_t digits = t.find_first_not_of("0123456789.");
    std::string number = t.substr(0, digits), unit = digits == std::string::npos ? "" : trim(t.substr(digits));
    if (number.empty() || std::count(number.begin(), number.end(), '.') > 1) return std::nullopt;
    double value = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error != std::errc() || end != number.data() + number.size()) return std::nullopt;
    static constexpr std::string_view kUnits = "bkmgtp";
    int power = 0;
    if (!unit.empty()) {
        size_t at = kUnits.find(unit[0]);
        if (at == std::string_view::npos) return std::nullopt;
        if (at == 0 ? unit != "b" : unit.size() > 1 && unit.substr(1) != "b" && unit.substr(1) != "ib") return std::nullopt;
        power = static_cast<int>(at);
    }
    value *= std::pow(1024.0, power);
    if (value >= 9.2e18) return std::nullopt;
    return static_cast<int64_t>(value);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    if (text == "0") return std::chrono::nanoseconds(0);
    if (text.empty()) return std::nullopt;
    long double total = 0;
    while (!text.empty()) {
        size_t digits = text.find_first_not_of("0123456789.");
        if (digits == 0 || digits == std::string_view::npos) return std::nullopt;
        std::string number(text.substr(0, digits));
        if (std::count(number.begin(), number.end(), '.') > 1 || number == ".") return std::nullopt;
        text.remove_prefix(digits);
        size_t letters = text.find_first_of("0123456789.");
        std::string_view unit = text.substr(0, letters);
        text.remove_prefix(unit.size());
        long double scale;
        if (unit == "h") scale = 3600e9L;
        else if (unit == "m") scale = 60e9L;
        else if (unit == "s") scale = 1e9L;
        else if (unit == "ms") scale = 1e6L;
        else if (unit == "us" || unit == "µs" || unit == "μs") scale = 1e3L;
        else if (unit == "ns") scale = 1;
        else return std::nullopt;
        size_t point = number.find('.');
        long double value = 0;
        for (char c : number.substr(0, point)) value = value * 10 + (c - '0');
        if (point != std::string::npos) {
            long double place = 1;
            for (char c : number.substr(point + 1)) value += (c - '0') * (place /= 10);
        }
        total += value * scale;
        if (total > 9.2e18L) return std::nullopt;
    }
    return std::chrono::nanoseconds(static_cast<int64_t>(std::llround(negative ? -total : total)));
}

std::string format_duration(std::chrono::nanoseconds value) {
    int64_t ns = value.count();
    if (ns == 0) return "0s";
    std::string sign = ns < 0 ? "-" : "";
    uint64_t rest = ns < 0 ? 0 - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
    auto fraction = [](uint64_t amount, uint64_t unit) {
        std::string text = std::to_string(amount / unit);
        if (uint64_t part = amount % unit) {
            std::string digits = std::to_string(unit + part).substr(1);
            digits.erase(digits.find_last_not_of('0') + 1);
            text += "." + digits;
        }
        return text;
    };
    if (rest < 1000) return sign + std::to_string(rest) + "ns";
    if (rest < 1000000) return sign + fraction(rest, 1000) + "µs";
    if (rest < 1000000000) return sign + fraction(rest, 1000000) + "ms";
    uint64_t hours = rest / 3600000000000u, minutes = rest / 60000000000u % 60;
    std::string text = sign;
    if (hours) text += std::to_string(hours) + "h";
    if (hours || minutes) text += std::to_string(minutes) + "m";
    return text + fraction(rest % 60000000000u, 1000000000u) + "s";
}

std::string format_bytes(uint64_t bytes, bool decimal) {
    static constexpr std::array kDecimal = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    static constexpr std::array kBinary = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes), step = decimal ? 1000 : 1024;
    size_t unit = 0;
    while (value >= step && unit + 1 < kDecimal.size()) value /= step, ++unit;
    char text[48];
    std::snprintf(text, sizeof text, "%.4g%s", value, (decimal ? kDecimal : kBinary)[unit]);
    return text;
}

std::string format_age(std::chrono::nanoseconds age) {
    int64_t seconds = age.count() / 1000000000;
    if (seconds < 1) return "Less than a second";
    if (seconds == 1) return "1 second";
    if (seconds < 60) return std::to_string(seconds) + " seconds";
    int64_t minutes = seconds / 60;
    if (minutes == 1) return "About a minute";
    if (minutes < 60) return std::to_string(minutes) + " minutes";
    int64_t hours = (seconds + 1800) / 3600;
    if (hours == 1) return "About an hour";
    if (hours < 48) return std::to_string(hours) + " hours";
    if (hours < 24 * 7 * 2) return std::to_string(hours / 24) + " days";
    if (hours < 24 * 30 * 2) return std::to_string(hours / 24 / 7) + " weeks";
    if (hours < 24 * 365 * 2) return std::to_string(hours / 24 / 30) + " months";
    return std::to_string(hours / 24 / 365) + " years";
}

Time now() {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return static_cast<Time>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

std::string format_time(Time time) {
    time_t seconds = time / 1000000000;
    int64_t ns = time % 1000000000;
    if (ns < 0) ns += 1000000000, --seconds;
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                  parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<long>(ns));
    return text;
}

std::optional<Time> parse_time(std::string_view text) {
    auto number = [&](size_t at, size_t length) -> int {
        if (at + length > text.size()) return -1;
        int value = 0;
        for (char c : text.substr(at, length)) {
            if (c < '0' || c > '9') return -1;
            value = value * 10 + (c - '0');
        }
        return value;
    };
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
        return std::nullopt;
    int year = number(0, 4), month = number(5, 2), day = number(8, 2), hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
    if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return std::nullopt;
    size_t at = 19;
    int64_t ns = 0;
    if (text[at] == '.') {
        int64_t scale = 100000000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) ns += (text[at] - '0') * scale;
    }
    int64_t zone = 0;
    if (at >= text.size()) return std::nullopt;
    if (text[at] == 'Z' || text[at] == 'z') {
        if (at + 1 != text.size()) return std::nullopt;
    } else {
        if ((text[at] != '+' && text[at] != '-') || text.size() != at + 6 || text[at + 3] != ':') return std::nullopt;
        int zh = number(at + 1, 2), zm = number(at + 4, 2);
        if (zh < 0 || zh > 23 || zm < 0 || zm > 59) return std::nullopt;
        zone = (zh * 3600 + zm * 60) * (text[at] == '-' ? -1 : 1);
    }
    tm parts{};
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    parts.tm_hour = hour;
    parts.tm_min = minute;
    parts.tm_sec = second;
    return (static_cast<Time>(::timegm(&parts)) - zone) * 1000000000 + ns;
}

std::string random_hex(size_t digits) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text(digits, '0');
    for (size_t done = 0; done < digits;) {
        unsigned char bytes[64];
        ssize_t n = ::getrandom(bytes, sizeof bytes, 0);
        for (ssize_t i = 0; i < n && done < digits; ++i) {
            text[done++] = kHex[bytes[i] >> 4];
            if (done < digits) text[done++] = kHex[bytes[i] & 15];
        }
    }
    return text;
}

std::string sha256_hex(std::string_view bytes) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes.data(), bytes.size());
    SHA256_Final(digest, &context);
    static constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    for (unsigned char byte : digest) text += kHex[byte >> 4], text += kHex[byte & 15];
    return text;
}

std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& known) {
    std::optional<std::string> best;
    size_t best_distance = std::max<size_t>(1, std::min<size_t>(word.size(), 64) / 3) + 1;
    for (const auto& candidate : known) {
        if (word.size() > 64 || candidate.size() > 64) continue;
        std::array<size_t, 66> before{}, row{};
        for (size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
        for (size_t i = 1; i <= word.size(); ++i) {
            std::array<size_t, 66> next{};
            next[0] = i;
            for (size_t j = 1; j <= candidate.size(); ++j) {
                next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (word[i - 1] != candidate[j - 1])});
                // Two letters exchanged are one slip.
                bool exchanged = i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1];
                if (exchanged) next[j] = std::min(next[j], before[j - 2] + 1);
            }
            before = row;
            row = next;
        }
        if (row[candidate.size()] < best_distance) best_distance = row[candidate.size()], best = candidate;
    }
    return best;
}

}  // namespace base
