#include "image/registry_config.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "image/json_read.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::Result;

/// A value of TOML: a string, true/false or anything else (ignored).
std::string toml_string(std::string_view value) {
    if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'')) {
        size_t end = value.find(value[0], 1);
        if (end != std::string_view::npos) return std::string(value.substr(1, end - 1));
    }
    return {};
}

/// Mirrors in the inline form: mirror = [{location = "a", insecure = true}, …].
std::vector<RegistryRule::Mirror> inline_mirrors(std::string_view value) {
    std::vector<RegistryRule::Mirror> mirrors;
    while (true) {
        size_t open = value.find('{');
        if (open == std::string_view::npos) return mirrors;
        size_t close = value.find('}', open);
        if (close == std::string_view::npos) return mirrors;
        RegistryRule::Mirror mirror;
        for (const std::string& part : base::split(value.substr(open + 1, close - open - 1), ',')) {
            auto [key, text] = base::cut(part, '=');
            if (base::trim(key) == "location") mirror.location = toml_string(base::trim(text.value_or("")));
            if (base::trim(key) == "insecure") mirror.insecure = base::trim(text.value_or("")) == "true";
        }
        if (!mirror.location.empty()) mirrors.push_back(mirror);
        value = value.substr(close + 1);
    }
}

struct DaemonConfig {
    std::vector<std::string> mirrors, insecure;
};

DaemonConfig read_daemon_json() {
    DaemonConfig config;
    auto text = base::read_file("/etc/docker/daemon.json", 1u << 20);
    if (!text) return config;
    auto value = parse_json(*text, 1u << 20, "/etc/docker/daemon.json");
    if (!value) {
        base::log::warn(value.error().message() + ": ignored");
        return config;
    }
    JsonObject object(*value, "daemon.json");
    config.mirrors = object.texts("registry-mirrors");
    config.insecure = object.texts("insecure-registries");
    return config;
}

bool in_network(const std::string& host, const std::string& network) {
    auto [address, bits] = base::cut(network, '/');
    if (!bits) return false;
    auto length = base::parse_int(*bits);
    for (int family : {AF_INET, AF_INET6}) {
        unsigned char a[16], b[16];
        if (::inet_pton(family, host.c_str(), a) != 1 || ::inet_pton(family, address.c_str(), b) != 1) continue;
        int most = family == AF_INET ? 32 : 128;
        if (!length || *length < 0 || *length > most) return false;
        for (int i = 0; i < *length; ++i)
            if (((a[i / 8] ^ b[i / 8]) >> (7 - i % 8)) & 1) return false;
        return true;
    }
    return false;
}

std::vector<RegistryRule> read_registries_conf() {
    std::vector<std::string> files{"/etc/containers/registries.conf"};
    if (auto names = base::list_dir("/etc/containers/registries.conf.d"))
        for (const std::string& name : *names)
            if (name.ends_with(".conf")) files.push_back("/etc/containers/registries.conf.d/" + name);
    std::vector<RegistryRule> rules;
    for (const std::string& file : files) {
        auto text = base::read_file(file, 1u << 20);
        if (!text) continue;
        auto read = parse_registries_conf(*text, file);
        if (!read) {
            base::log::warn(read.error().message() + ": the file is ignored");
            continue;
        }
        rules.insert(rules.end(), read->begin(), read->end());
    }
    return rules;
}

TlsSettings tls_for(const std::string& host) {
    TlsSettings tls;
    for (const char* place : {"/etc/docker/certs.d/", "/etc/containers/certs.d/"}) {
        std::string folder = place + host;
        auto names = base::list_dir(folder);
        if (!names) continue;
        for (const std::string& name : *names) {
            std::string path = folder + "/" + name;
            if (name.ends_with(".crt")) {
                if (auto pem = base::read_file(path, 4u << 20)) tls.ca_pem += *pem + "\n";
            } else if (name.ends_with(".cert") && base::exists(path.substr(0, path.size() - 5) + ".key")) {
                tls.client_cert = path;
                tls.client_key = path.substr(0, path.size() - 5) + ".key";
            }
        }
    }
    return tls;
}

}  // namespace

Result<std::vector<RegistryRule>> parse_registries_conf(std::string_view text, const std::string& file) {
    std::vector<RegistryRule> rules;
    enum class In { other, registry, mirror } section = In::other;
    int number = 0;
    std::string pending;  // a list that goes on over lines
    for (const std::string& raw : base::split(text, '\n')) {
        ++number;
        std::string line;
        char quote = 0;
        for (char c : raw) {
            if (quote == 0 && c == '#') break;
            if (quote == 0 && (c == '"' || c == '\'')) quote = c;
            else if (c == quote) quote = 0;
            line += c;
        }
        line = base::trim(line);
        if (!pending.empty()) line = pending + " " + line, pending.clear();
        if (line.empty()) continue;
        if (line == "[[registry]]") {
            rules.emplace_back();
            section = In::registry;
            continue;
        }
        if (line == "[[registry.mirror]]") {
            if (rules.empty()) return fail(Code::corrupt, file + ":" + std::to_string(number) + ": a mirror before any [[registry]]");
            rules.back().mirrors.emplace_back();
            section = In::mirror;
            continue;
        }
        if (line[0] == '[') {
            section = In::other;
            continue;
        }
        auto [key_text, value_text] = base::cut(line, '=');
        if (!value_text) return fail(Code::corrupt, file + ":" + std::to_string(number) + ": neither a section nor `key = value`");
        std::string key = base::trim(key_text), value = base::trim(*value_text);
        if (value.starts_with('[') && std::count(value.begin(), value.end(), '[') > std::count(value.begin(), value.end(), ']')) {
            pending = line;
            continue;
        }
        if (section == In::registry) {
            RegistryRule& rule = rules.back();
            if (key == "prefix") rule.prefix = toml_string(value);
            if (key == "location") rule.location = toml_string(value);
            if (key == "insecure") rule.insecure = value == "true";
            if (key == "blocked") rule.blocked = value == "true";
            if (key == "mirror") rule.mirrors = inline_mirrors(value);
        } else if (section == In::mirror) {
            RegistryRule::Mirror& mirror = rules.back().mirrors.back();
            if (key == "location") mirror.location = toml_string(value);
            if (key == "insecure") mirror.insecure = value == "true";
        }
    }
    for (RegistryRule& rule : rules) {
        if (rule.prefix.empty()) rule.prefix = rule.location;
        if (rule.location.empty()) rule.location = rule.prefix;
    }
    std::erase_if(rules, [](const RegistryRule& rule) { return rule.prefix.empty(); });
    return rules;
}

namespace {

/// `host[:port]/path` cut at the first slash.
Endpoint endpoint_at(const std::string& location, bool insecure, bool tls_verify) {
    auto [host, path] = base::cut(location, '/');
    Endpoint endpoint;
    endpoint.host = host == "docker.io" ? "registry-1.docker.io" : host;
    endpoint.repository = path.value_or("");
    endpoint.plain_first = is_loopback_host(host_of(host));
    endpoint.insecure = insecure || endpoint.plain_first || !tls_verify;
    endpoint.tls = tls_for(host);
    if (!endpoint.tls.ca_pem.empty() && !insecure && tls_verify && !endpoint.plain_first) endpoint.insecure = false;
    if (endpoint.insecure) endpoint.tls.verify = false;
    return endpoint;
}

/// The longest prefix that matches; `*.domain` matches its subdomains.
const RegistryRule* rule_for(const std::vector<RegistryRule>& rules, const Reference& reference) {
    std::string name = reference.name();
    const RegistryRule* best = nullptr;
    for (const RegistryRule& rule : rules) {
        bool matches = false;
        if (rule.prefix.starts_with("*.")) {
            matches = reference.domain.ends_with(rule.prefix.substr(1));
        } else if (name.starts_with(rule.prefix)) {
            char next = name.size() > rule.prefix.size() ? name[rule.prefix.size()] : '/';
            matches = next == '/' || next == ':' || next == '@';
        }
        if (matches && (!best || rule.prefix.size() > best->prefix.size())) best = &rule;
    }
    return best;
}

}  // namespace

Result<std::vector<Endpoint>> endpoints_for(const Reference& reference, const RegistryAccess& access, bool for_push) {
    bool tls_verify = access.tls_verify;
    static const std::vector<RegistryRule> rules = read_registries_conf();
    static const DaemonConfig daemon = read_daemon_json();
    std::vector<Endpoint> endpoints;
    std::string name = reference.name(), location = name;
    bool insecure = false;
    std::string host = host_of(reference.domain);
    for (const auto* list : {&daemon.insecure, &access.insecure})
        for (const std::string& entry : *list)
            if (entry == reference.domain || entry == host || in_network(host, entry)) insecure = true;
    if (const RegistryRule* rule = rule_for(rules, reference)) {
        if (rule->blocked) return fail(Code::permission, "registry " + reference.domain + " is blocked in /etc/containers/registries.conf");
        bool wildcard = rule->prefix.starts_with("*.");
        std::string rest = wildcard ? "" : name.substr(rule->prefix.size());
        if (!wildcard) location = rule->location + rest;
        insecure |= rule->insecure;
        if (!for_push)
            for (const RegistryRule::Mirror& mirror : rule->mirrors) {
                endpoints.push_back(endpoint_at(mirror.location + (wildcard ? "/" + reference.path : rest), mirror.insecure, tls_verify));
                endpoints.back().mirror = true;
            }
    }
    if (!for_push && reference.domain == "docker.io")
        for (std::string mirror : daemon.mirrors) {
            bool plain = mirror.starts_with("http://");
            if (size_t scheme = mirror.find("://"); scheme != std::string::npos) mirror = mirror.substr(scheme + 3);
            while (mirror.ends_with('/')) mirror.pop_back();
            endpoints.push_back(endpoint_at(mirror + "/" + reference.path, plain, tls_verify));
            endpoints.back().mirror = true;
        }
    endpoints.push_back(endpoint_at(location, insecure, tls_verify));
    return endpoints;
}

}  // namespace engine::image
