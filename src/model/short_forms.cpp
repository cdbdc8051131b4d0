#include "model/short_forms.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"

namespace compose::model {

namespace {

struct Range {
    uint32_t first = 0, last = 0;
};

std::optional<uint32_t> port_number(std::string_view text) {
    uint16_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<Range> port_range(std::string_view text) {
    size_t dash = text.find('-');
    if (dash == std::string_view::npos) {
        auto one = port_number(text);
        if (!one) return std::nullopt;
        return Range{*one, *one};
    }
    std::string_view rest = text.substr(dash + 1);
    auto first = port_number(text.substr(0, dash)), last = port_number(rest.substr(0, rest.find('-')));
    if (!first || !last || *last < *first) return std::nullopt;
    return Range{*first, *last};
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Docker reads `x:` at the start of a section as a Windows drive.
bool is_drive(std::string_view section, char next) { return next == ':' && section.size() == 1 && is_letter(section[0]); }

void set_option(Node& volume, std::string_view part, std::string_view key, Node value) {
    Node& inner = volume.at(part);
    if (!inner.is_mapping()) inner = Node::mapping();
    inner.set(key, std::move(value));
}

void apply_volume_option(Node& volume, std::string_view option) {
    static constexpr std::string_view kPropagations[] = {"rprivate", "private", "rshared", "shared", "rslave", "slave"};
    if (option == "ro") volume.set("read_only", true);
    if (option == "rw") volume.erase("read_only");
    if (option == "nocopy") set_option(volume, "volume", "nocopy", true);
    if (option == "z" || option == "Z") set_option(volume, "bind", "selinux", option);
    if (std::find(std::begin(kPropagations), std::end(kPropagations), option) != std::end(kPropagations)) {
        set_option(volume, "bind", "propagation", option);
    }
}

}  // namespace

std::string clean_path(std::string_view path) {
    if (path.empty()) return "";
    bool rooted = path.front() == '/';
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (part.empty() || part == ".") continue;
        if (part == ".." && !parts.empty() && parts.back() != "..") parts.pop_back();
        else if (part != ".." || !rooted) parts.push_back(part);
    }
    std::string out = rooted ? "/" : "";
    for (size_t at = 0; at < parts.size(); ++at) out += (at > 0 ? "/" : "") + std::string(parts[at]);
    return out.empty() ? "." : out;
}

bool is_ip_address(std::string_view text) {
    std::string copy(text.substr(0, text.find('%')));
    unsigned char buffer[16];
    return inet_pton(AF_INET, copy.c_str(), buffer) == 1 || inet_pton(AF_INET6, copy.c_str(), buffer) == 1;
}

std::expected<std::vector<Node>, std::string> parse_port(std::string_view text) {
    std::string ip, host, container;
    std::vector<std::string> parts = base::split(text, ':');
    if (parts.size() > 2) {
        std::vector<std::string> front(parts.begin(), parts.end() - 2);
        ip = base::join(front, ":");
    }
    if (parts.size() > 1) host = parts[parts.size() - 2];
    container = parts.back();
    std::string protocol = "tcp";
    if (size_t slash = container.find('/'); slash != std::string::npos) {
        std::string rest = container.substr(slash + 1);
        rest = rest.substr(0, rest.find('/'));
        if (!rest.empty()) protocol = rest;
        container.resize(slash);
        if (container.empty()) protocol.clear();
    }
    if (!ip.empty() && ip.front() == '[') {
        if (ip.back() != ']') return std::unexpected("Invalid ip address " + ip);
        ip = ip.substr(1, ip.size() - 2);
    }
    if (!ip.empty() && !is_ip_address(ip)) return std::unexpected("Invalid ip address: " + ip);
    if (container.empty()) return std::unexpected("No port specified: " + std::string(text) + "<empty>");
    auto target = port_range(container);
    if (!target) return std::unexpected("Invalid containerPort: " + container);
    Range published;
    if (!host.empty()) {
        auto range = port_range(host);
        if (!range) return std::unexpected("Invalid hostPort: " + host);
        published = *range;
        if (target->last - target->first != published.last - published.first && target->first != target->last) {
            return std::unexpected("Invalid ranges specified for container and host Ports: " + container + " and " + host);
        }
    }
    std::string lower = base::to_lower(protocol);
    if (lower != "tcp" && lower != "udp" && lower != "sctp") return std::unexpected("Invalid proto: " + protocol);

    std::vector<std::pair<std::string, Node>> ports;
    for (uint32_t offset = 0; offset <= target->last - target->first; ++offset) {
        Node port = Node::mapping();
        port.set("mode", "ingress");
        if (!ip.empty()) port.set("host_ip", ip);
        port.set("target", static_cast<int64_t>(target->first + offset));
        if (!host.empty()) {
            std::string value = std::to_string(published.first + offset);
            if (target->first == target->last && published.first != published.last) value += "-" + std::to_string(published.last);
            port.set("published", value);
        }
        port.set("protocol", lower);
        ports.emplace_back(std::to_string(target->first + offset), std::move(port));
    }
    // Docker Compose sorts the ports of a range as text.
    std::sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Node> out;
    for (auto& [key, port] : ports) out.push_back(std::move(port));
    return out;
}

bool is_file_path(std::string_view source) {
    if (source.empty()) return false;
    if (source[0] == '.' || source[0] == '/' || source[0] == '~' || source.starts_with("\\\\")) return true;
    return source.size() > 1 && is_drive(source.substr(0, 1), source[1]);
}

std::expected<Node, std::string> parse_volume(std::string_view text) {
    Node volume = Node::mapping();
    if (text.empty()) return std::unexpected("invalid empty volume spec");
    if (text.size() <= 2) {
        volume.set("type", "volume");
        volume.set("target", text);
        return volume;
    }
    std::string source, target;
    auto section = [&](std::string_view part, bool last) -> std::string {
        if (part.empty()) return "empty section between colons";
        if (source.empty() && last) {
            target = part;
        } else if (source.empty()) {
            source = part;
        } else if (target.empty()) {
            target = part;
        } else if (!last) {
            return "too many colons";
        } else {
            for (const std::string& option : base::split(part, ',')) apply_volume_option(volume, option);
        }
        return {};
    };
    size_t start = 0;
    int variable = 0;  // depth of `${…}` in text that is not interpolated: its colons separate nothing
    for (size_t at = 0; at <= text.size(); ++at) {
        bool last = at == text.size();
        if (text.substr(at).starts_with("${")) ++variable;
        if (!last && text[at] == '}' && variable > 0) --variable;
        if (!last && variable > 0) continue;
        if (!last && (text[at] != ':' || is_drive(text.substr(start, at - start), text[at]))) continue;
        std::string problem = section(text.substr(start, at - start), last);
        if (!problem.empty()) return std::unexpected("invalid spec: " + std::string(text) + ": " + problem);
        start = at + 1;
    }
    if (is_file_path(source)) {
        volume.set("type", "bind");
        set_option(volume, "bind", "create_host_path", true);
    } else {
        volume.set("type", "volume");
        Node& inner = volume.at("volume");
        if (!inner.is_mapping()) inner = Node::mapping();
    }
    if (!source.empty()) volume.set("source", source);
    volume.set("target", clean_path(target));
    return volume;
}

std::optional<std::vector<std::string>> split_command(std::string_view line) {
    // As go-shellwords: an operator outside of quotes ends the line, a parenthesis without $ is an error.
    std::vector<std::string> words;
    std::string word;
    bool open = false, single = false, twice = false, back = false, dollar = false, escape = false;
    for (char c : line) {
        if (escape) {
            word += c;
            escape = false;
            open = true;
            continue;
        }
        if (c == '\\') {
            if (single) word += c;
            else escape = true;
            continue;
        }
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            if (single || twice || back || dollar) {
                word += c;
            } else if (open) {
                words.push_back(std::move(word));
                word.clear();
                open = false;
            }
            continue;
        }
        if (c == '`' && !single && !twice && !dollar) back = !back;
        if (c == ')' && !single && !twice && !back) dollar = !dollar;
        if (c == '(' && !single && !twice && !back) {
            if (dollar || !word.ends_with('$')) return std::nullopt;
            dollar = true;
            word += c;
            continue;
        }
        if (c == '"' && !single && !dollar) {
            open = open || twice;
            twice = !twice;
            continue;
        }
        if (c == '\'' && !twice && !dollar) {
            open = open || single;
            single = !single;
            continue;
        }
        if (std::string_view(";&|<>").find(c) != std::string_view::npos && !single && !twice && !back && !dollar) {
            if (c == '>' && !word.empty() && word[0] >= '0' && word[0] <= '9') open = false;
            break;
        }
        open = true;
        word += c;
    }
    if (single || twice || back || dollar || escape) return std::nullopt;
    if (open) words.push_back(std::move(word));
    return words;
}

std::optional<std::chrono::nanoseconds> parse_compose_duration(std::string_view text) {
    std::string_view rest = text;
    bool negative = false;
    if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
        negative = rest[0] == '-';
        rest.remove_prefix(1);
    }
    if (rest == "0") return std::chrono::nanoseconds(0);
    if (rest.empty()) return std::nullopt;
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"ns", 1}, {"us", 1e3}, {"\xC2\xB5s", 1e3}, {"\xCE\xBCs", 1e3}, {"ms", 1e6}, {"s", 1e9},
        {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {"w", 7 * 86400e9}};
    long double total = 0;
    while (!rest.empty()) {
        size_t digits = 0;
        while (digits < rest.size() && ((rest[digits] >= '0' && rest[digits] <= '9') || rest[digits] == '.')) ++digits;
        std::string number(rest.substr(0, digits));
        if (number.empty() || number == "." || std::count(number.begin(), number.end(), '.') > 1 || number.size() > 40) return std::nullopt;
        rest.remove_prefix(digits);
        const std::pair<std::string_view, double>* best = nullptr;
        for (const auto& unit : kUnits) {
            if (rest.starts_with(unit.first) && (best == nullptr || unit.first.size() > best->first.size())) best = &unit;
        }
        if (best == nullptr) return std::nullopt;
        rest.remove_prefix(best->first.size());
        total += std::strtold(number.c_str(), nullptr) * static_cast<long double>(best->second);
        if (total >= 9223372036854775807.0L) return std::nullopt;
    }
    auto value = static_cast<int64_t>(std::llroundl(total));
    return std::chrono::nanoseconds(negative ? -value : value);
}

std::expected<int64_t, std::string> parse_size(std::string_view text) {
    auto invalid_size = [&] { return std::unexpected("invalid size: '" + std::string(text) + "'"); };
    size_t end = text.find_last_of("0123456789. ");
    if (end == std::string_view::npos) return invalid_size();
    std::string_view number, suffix;
    if (text[end] != ' ') {
        number = text.substr(0, end + 1);
        suffix = text.substr(end + 1);
    } else {
        number = text.substr(0, end);
        suffix = text.substr(end + 1);
    }
    std::string digits(number);
    char* stop = nullptr;
    double size = std::strtod(digits.c_str(), &stop);
    bool hexadecimal = digits.find_first_of("xXpPnN") != std::string::npos;
    if (digits.empty() || stop != digits.c_str() + digits.size() || hexadecimal || digits.front() == ' ') return invalid_size();
    if (size < 0) return std::unexpected("invalid size: '" + std::string(text) + "'");
    if (!suffix.empty()) {
        std::string unit = base::to_lower(suffix);
        if (unit.size() > 3) return std::unexpected("invalid suffix: '" + std::string(suffix) + "'");
        static constexpr std::string_view kPrefixes = "bkmgtpezy";
        size_t power = kPrefixes.find(unit[0]);
        bool fits = power != std::string_view::npos &&
                    (unit.size() == 1 || (unit.size() == 2 && unit[1] == 'b' && power > 0) || (unit == std::string(1, unit[0]) + "ib" && power > 0));
        if (!fits) return std::unexpected("invalid suffix: '" + std::string(suffix) + "'");
        size *= std::pow(1024.0, static_cast<double>(power));
    }
    if (size >= 9223372036854775807.0) return invalid_size();
    return static_cast<int64_t>(size);
}

}  // namespace compose::model
