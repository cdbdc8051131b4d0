#pragma once
// HTTP(S) requests with reused connections. One request at a time per call; calls from several threads run side by side.
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/archive.h"

namespace engine::image {

/// How a host is spoken to.
struct TlsSettings {
    bool verify = true;
    std::string ca_pem;              ///< CAs besides the system's
    std::string client_cert, client_key;  ///< paths
};

struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::string> headers;  ///< "Name: value"
    std::string authorization;         ///< dropped when a redirect leaves the host
    std::string body;
    int body_fd = -1;                  ///< instead of `body`: `body_size` bytes from `body_offset` of a file
    uint64_t body_offset = 0, body_size = 0;
    TlsSettings tls;
    size_t limit = 4u << 20;           ///< of a body kept in memory; more is `corrupt`
    bool follow = true;                ///< GET and HEAD: up to ten redirects, never from https to http
    const std::atomic<bool>* cancel = nullptr;
    /// Bodies of 200 and 206 go here instead of `HttpResponse::body`; asked for with the head of the response filled in.
    std::function<base::Status(const struct HttpResponse&, std::string_view)> sink;
    std::function<void(uint64_t)> uploaded;  ///< bytes of the body sent so far
};

struct HttpResponse {
    long status = 0;
    std::multimap<std::string, std::string> headers;  ///< names in lower case
    std::string body;
    std::string url;  ///< after redirects
    std::string header(const std::string& lower_name) const;
};

/// A failure of the transport: what was wrong, and whether trying again may help.
struct HttpError {
    base::Error error;
    bool retry = false;
    bool not_tls = false;  ///< https was spoken to something that does not
};

class HttpClient {
public:
    HttpClient();
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;
    /// Any status is a response; an HttpError is a failure below HTTP, a refused redirect, a sink's error.
    std::expected<HttpResponse, HttpError> perform(const HttpRequest& request);
    /// `location` against `base`, absolute.
    static base::Result<std::string> resolve_url(const std::string& base, const std::string& location);
    /// "scheme://host:port" of a URL, lower case, default port written out: what credentials belong to.
    static base::Result<std::string> origin(const std::string& url);

private:
    struct Pool;
    std::expected<HttpResponse, HttpError> once(const HttpRequest& request, const std::string& url, bool authorize);
    std::unique_ptr<Pool> pool_;
};

/// Whether a host (without port) is this machine's loopback: localhost, 127.0.0.0/8, ::1.
bool is_loopback_host(std::string_view host);
/// `example.com:5000` → `example.com`; `[::1]:5000` → `::1`.
std::string host_of(std::string_view domain);

}  // namespace engine::image
