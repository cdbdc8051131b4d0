#pragma once
// Authentication with registries: the challenge of a 401 (RFC 7235) and the token that answers it (distribution's
// auth/token and auth/oauth pages).
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/credentials.h"
#include "image/http.h"

namespace engine::image {

struct Challenge {
    std::string scheme;  ///< lower case: "basic", "bearer"
    std::map<std::string, std::string> parameters;
};
/// All challenges of one WWW-Authenticate value; what cannot be read is left out. Never fails, bounded in time and memory.
std::vector<Challenge> parse_challenges(std::string_view header);

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

/// Answers challenges; keeps tokens until shortly before they end. For one client, from any thread.
class Authenticator {
public:
    /// `want_refresh_token`: token services are asked for one.
    Authenticator(HttpClient& http, CredentialSource credentials, bool want_refresh_token = false)
        : http_(http), credentials_(std::move(credentials)), want_refresh_token_(want_refresh_token) {}

    /// What to send with the first request: a token or credential known to work, else empty.
    std::string known(const std::string& host, const std::string& scope);
    /// The Authorization value for a challenge. `secure`: the registry is spoken to over TLS or marked insecure.
    /// permission: no credential, or the realm refused it.
    base::Result<std::string> answer(const std::string& host, const std::string& domain, const std::vector<std::string>& headers,
                                     const std::string& scope, const TlsSettings& tls, const std::atomic<bool>* cancel);
    /// The token did not help: forget it.
    void forget(const std::string& host, const std::string& scope);
    /// The refresh token that came with the last token, if one did.
    std::string refresh_token();

private:
    struct Known {
        std::string value;
        std::chrono::steady_clock::time_point until{};
    };
    /// Asked once for each: a helper is a process, and may ask a person.
    base::Result<std::optional<Credential>> credential(const std::string& domain, const std::string& repository);

    HttpClient& http_;
    CredentialSource credentials_;
    bool want_refresh_token_;
    std::mutex mutex_, credential_mutex_;
    std::string refresh_token_;
    std::map<std::pair<std::string, std::string>, std::optional<Credential>> asked_;
    std::map<std::pair<std::string, std::string>, Known> known_;
};

}  // namespace engine::image
