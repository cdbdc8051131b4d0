#include "image/auth.h"

#include <algorithm>

#include "base/text.h"
#include "image/json_read.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::string_view kClient = "compose";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_token_char(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos; }

std::string url_encode(std::string_view text) {
    std::string result;
    for (unsigned char c : text) {
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain) {
            result += static_cast<char>(c);
        } else {
            result += '%';
            result += "0123456789ABCDEF"[c >> 4];
            result += "0123456789ABCDEF"[c & 15];
        }
    }
    return result;
}

base::Error refused(const std::string& domain, const std::string& why) {
    return fail(Code::permission, "registry " + domain + ": unauthorized: " + why + "; `compose login " + domain + "` gives a credential");
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
    std::string result;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; ++j) result += i + j <= bytes.size() ? kAlphabet[group >> (18 - 6 * j) & 63] : '=';
    }
    return result;
}

std::optional<std::string> base64_decode(std::string_view text) {
    std::string result;
    uint32_t group = 0;
    int bits = 0;
    while (!text.empty() && (text.back() == '=' || text.back() == '\n' || text.back() == '\0')) text.remove_suffix(1);
    for (char c : text) {
        if (c == '-') c = '+';
        if (c == '_') c = '/';
        size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        group = group << 6 | static_cast<uint32_t>(value);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            result += static_cast<char>(group >> bits & 255);
        }
    }
    return result;
}

std::vector<Challenge> parse_challenges(std::string_view header) {
    std::vector<Challenge> challenges;
    size_t i = 0;
    auto space = [&] {
        while (i < header.size() && (header[i] == ' ' || header[i] == '\t' || header[i] == ',')) ++i;
    };
    auto token = [&] {
        size_t start = i;
        while (i < header.size() && is_token_char(header[i])) ++i;
        return header.substr(start, i - start);
    };
    while (challenges.size() < 16) {
        space();
        std::string_view name = token();
        if (name.empty()) break;
        size_t after = i;
        while (i < header.size() && (header[i] == ' ' || header[i] == '\t')) ++i;
        bool is_parameter = i < header.size() && header[i] == '=' && !challenges.empty();
        if (!is_parameter) {
            if (after == i && i < header.size() && header[i] != ',') break;  // a token that runs into something else
            challenges.push_back({base::to_lower(name), {}});
            continue;
        }
        ++i;
        while (i < header.size() && (header[i] == ' ' || header[i] == '\t')) ++i;
        std::string value;
        if (i < header.size() && header[i] == '"') {
            ++i;
            while (i < header.size() && header[i] != '"') {
                if (header[i] == '\\' && i + 1 < header.size()) ++i;
                value += header[i++];
            }
            if (i < header.size()) ++i;
        } else {
            value = token();
        }
        challenges.back().parameters.emplace(base::to_lower(name), std::move(value));
    }
    return challenges;
}

std::string Authenticator::known(const std::string& host, const std::string& scope) {
    std::lock_guard lock(mutex_);
    for (const std::string& key : {scope, std::string()}) {
        auto found = known_.find({host, key});
        if (found != known_.end() && found->second.until > std::chrono::steady_clock::now()) return found->second.value;
    }
    return {};
}

std::string Authenticator::refresh_token() {
    std::lock_guard lock(mutex_);
    return refresh_token_;
}

Result<std::optional<Credential>> Authenticator::credential(const std::string& domain, const std::string& repository) {
    std::lock_guard lock(credential_mutex_);
    if (auto found = asked_.find({domain, repository}); found != asked_.end()) return found->second;
    auto credential = TRY(credentials_(domain, repository));
    asked_[{domain, repository}] = credential;
    return credential;
}

void Authenticator::forget(const std::string& host, const std::string& scope) {
    std::lock_guard lock(mutex_);
    known_.erase({host, scope});
    known_.erase({host, ""});
}

Result<std::string> Authenticator::answer(const std::string& host, const std::string& domain, const std::vector<std::string>& headers,
                                          const std::string& scope, const TlsSettings& tls, const std::atomic<bool>* cancel) {
    std::vector<Challenge> challenges;
    for (const std::string& header : headers)
        for (Challenge& challenge : parse_challenges(header)) challenges.push_back(std::move(challenge));
    auto of = [&](const char* scheme) { return std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& c) { return c.scheme == scheme; }); };
    // "repository:NAME:pull": a credential may be of one repository (podman's auth.json).
    std::string repository = scope.starts_with("repository:") ? scope.substr(11, scope.find(':', 11) - 11) : "";
    auto credential = TRY(this->credential(domain, repository));
    auto keep = [&](const std::string& key, std::string value, int64_t seconds) {
        std::lock_guard lock(mutex_);
        known_[{host, key}] = {value, std::chrono::steady_clock::now() + std::chrono::seconds(seconds)};
        return value;
    };

    auto bearer = of("bearer");
    if (bearer != challenges.end()) {
        if (credential && !credential->registry_token.empty()) return keep(scope, "Bearer " + credential->registry_token, 3600);
        std::string realm = bearer->parameters["realm"];
        if (!realm.starts_with("https://") && !realm.starts_with("http://")) return refused(domain, "the challenge names no realm");
        auto realm_origin = TRY(HttpClient::origin(realm));
        bool loopback_realm = is_loopback_host(host_of(realm_origin.substr(realm_origin.find("//") + 2)));
        if (realm.starts_with("http://") && tls.verify && !loopback_realm)
            return fail(Code::permission, "registry " + domain + ": its token service " + realm_origin + " is not https: refused");
        std::string service = bearer->parameters["service"];
        HttpRequest request;
        request.tls = realm.find("://" + host) != std::string::npos ? tls : TlsSettings{.verify = tls.verify, .ca_pem = tls.ca_pem, .client_cert = "", .client_key = ""};
        request.cancel = cancel;
        request.limit = 1u << 20;
        std::expected<HttpResponse, HttpError> response;
        auto by_get = [&] {
            request.method = "GET";
            request.body.clear();
            request.headers.clear();
            request.url = realm + (realm.find('?') == std::string::npos ? "?" : "&") + "client_id=" + std::string(kClient);
            if (!service.empty()) request.url += "&service=" + url_encode(service);
            if (want_refresh_token_) request.url += "&offline_token=true";
            for (const std::string& part : base::split(scope, ' '))
                if (!part.empty()) request.url += "&scope=" + url_encode(part);
            if (credential && !credential->user.empty() && credential->identity_token.empty())
                request.authorization = "Basic " + base64_encode(credential->user + ":" + credential->password);
            return http_.perform(request);
        };
        if (credential && !credential->identity_token.empty()) {
            request.method = "POST";
            request.url = realm;
            request.headers = {"Content-Type: application/x-www-form-urlencoded"};
            request.body = "grant_type=refresh_token&service=" + url_encode(service) + "&client_id=" + std::string(kClient) + "&scope=" + url_encode(scope) +
                           "&refresh_token=" + url_encode(credential->identity_token);
            response = http_.perform(request);
            if (response && (response->status == 404 || response->status == 405)) response = by_get();
        } else {
            response = by_get();
        }
        if (!response) return std::move(response.error().error).with("ask " + realm_origin + " for a token");
        if (response->status == 429 || response->status >= 500)
            return fail(Code::unavailable, "token service " + realm_origin + " answers " + std::to_string(response->status));
        if (response->status != 200)
            return refused(domain, credential ? "the token service refuses the credential (" + std::to_string(response->status) + ")"
                                              : "authentication required (" + std::to_string(response->status) + ")");
        auto value = parse_json(response->body, 1u << 20, "the token service's answer");
        if (!value) return std::move(value.error()).with(realm_origin);
        JsonObject object(*value, "token");
        std::string token = object.text("token");
        if (token.empty()) token = object.text("access_token");
        int64_t seconds = std::clamp<int64_t>(object.number("expires_in", 60), 60, 86400);
        TRY_VOID(object.status());
        if (token.empty() || token.find_first_of("\r\n") != std::string::npos) return refused(domain, "the token service's answer holds no token");
        if (std::string refresh = object.text("refresh_token"); !refresh.empty()) {
            std::lock_guard lock(mutex_);
            refresh_token_ = refresh;
        }
        return keep(scope, "Bearer " + token, seconds - 10);
    }
    if (of("basic") != challenges.end()) {
        if (!credential || credential->user.empty()) return refused(domain, "authentication required");
        return keep(scope, "Basic " + base64_encode(credential->user + ":" + credential->password), 86400);
    }
    return refused(domain, challenges.empty() ? "the registry's challenge cannot be read" : "authentication by " + base::quote(challenges[0].scheme) + " is not known");
}

}  // namespace engine::image
