#include "image/http.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "image/curl_api.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::Status;

constexpr int kMostRedirects = 10;
constexpr size_t kMostHeaderBytes = 256u << 10;

std::unexpected<HttpError> http_error(base::Error error, bool retry = false, bool not_tls = false) {
    return std::unexpected(HttpError{std::move(error), retry, not_tls});
}

/// State of one transfer, for the callbacks.
struct Transfer {
    const CurlApi* api = nullptr;
    CURL* handle = nullptr;
    const HttpRequest* request = nullptr;
    HttpResponse response;
    std::optional<base::Error> error;
    size_t header_bytes = 0;
    uint64_t sent = 0;

    bool cancelled() const { return request->cancel && request->cancel->load(); }

    static size_t on_header(char* bytes, size_t size, size_t count, void* self_pointer) {
        auto* self = static_cast<Transfer*>(self_pointer);
        std::string_view line(bytes, size * count);
        self->header_bytes += line.size();
        if (self->header_bytes > kMostHeaderBytes) {
            self->error = fail(Code::corrupt, "the answer's head is larger than " + std::to_string(kMostHeaderBytes) + " bytes");
            return 0;
        }
        if (line.starts_with("HTTP/")) {  // also after 100 Continue
            self->response.headers.clear();
        } else if (size_t colon = line.find(':'); colon != std::string_view::npos) {
            self->response.headers.emplace(base::to_lower(line.substr(0, colon)), base::trim(line.substr(colon + 1)));
        }
        return line.size();
    }

    static size_t on_body(char* bytes, size_t size, size_t count, void* self_pointer) {
        auto* self = static_cast<Transfer*>(self_pointer);
        std::string_view part(bytes, size * count);
        if (self->response.status == 0) self->api->getinfo(self->handle, CURLINFO_RESPONSE_CODE, &self->response.status);
        if (self->request->sink && (self->response.status == 200 || self->response.status == 206)) {
            if (auto taken = self->request->sink(self->response, part); !taken) {
                self->error = std::move(taken.error());
                return 0;
            }
            return part.size();
        }
        if (self->response.body.size() + part.size() > self->request->limit) {
            self->error = fail(Code::corrupt, "the answer is larger than " + std::to_string(self->request->limit) + " bytes");
            return 0;
        }
        self->response.body += part;
        return part.size();
    }

    static size_t on_upload(char* bytes, size_t size, size_t count, void* self_pointer) {
        auto* self = static_cast<Transfer*>(self_pointer);
        const HttpRequest& request = *self->request;
        size_t room = size * count, n = 0;
        if (request.body_fd >= 0) {
            room = static_cast<size_t>(std::min<uint64_t>(room, request.body_size - self->sent));
            ssize_t got = room == 0 ? 0 : ::pread(request.body_fd, bytes, room, static_cast<off_t>(request.body_offset + self->sent));
            if (got < 0 || (got == 0 && room > 0)) {
                self->error = got < 0 ? base::fail_errno("read what is to be sent") : fail(Code::corrupt, "what is to be sent is shorter than its size");
                return CURL_READFUNC_ABORT;
            }
            n = static_cast<size_t>(got);
        } else {
            n = std::min(room, request.body.size() - static_cast<size_t>(self->sent));
            std::copy_n(request.body.data() + self->sent, n, bytes);
        }
        self->sent += n;
        if (request.uploaded) request.uploaded(self->sent);
        return n;
    }
    static int on_seek(void* self_pointer, curl_off_t offset, int origin) {
        if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
        static_cast<Transfer*>(self_pointer)->sent = static_cast<uint64_t>(offset);
        return CURL_SEEKFUNC_OK;
    }
    static int on_progress(void* self_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return static_cast<Transfer*>(self_pointer)->cancelled() ? 1 : 0;
    }
};

bool may_help_again(CURLcode code) {
    switch (code) {
        case CURLE_PARTIAL_FILE:
        case CURLE_OPERATION_TIMEDOUT:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM: return true;
        default: return false;
    }
}

std::string system_ca_bundle() {
    for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"})
        if (auto bundle = base::read_file(path)) return std::move(*bundle);
    return {};
}

}  // namespace

std::string HttpResponse::header(const std::string& lower_name) const {
    auto found = headers.find(lower_name);
    return found == headers.end() ? std::string() : found->second;
}

/// Idle handles, each with the connection it used last.
struct HttpClient::Pool {
    const CurlApi* api = nullptr;
    std::mutex mutex;
    std::vector<std::pair<std::string, CURL*>> idle;

    CURL* take(const std::string& origin) {
        std::lock_guard lock(mutex);
        auto found = std::find_if(idle.rbegin(), idle.rend(), [&](const auto& item) { return item.first == origin; });
        if (found == idle.rend()) return api->easy_init();
        CURL* handle = found->second;
        idle.erase(std::next(found).base());
        return handle;
    }
    void give(const std::string& origin, CURL* handle) {
        std::lock_guard lock(mutex);
        idle.emplace_back(origin, handle);
        if (idle.size() <= 32) return;
        api->cleanup(idle.front().second);
        idle.erase(idle.begin());
    }
};

HttpClient::HttpClient() : pool_(std::make_unique<Pool>()) {}
HttpClient::~HttpClient() {
    for (auto& [origin, handle] : pool_->idle) pool_->api->cleanup(handle);
}

std::expected<HttpResponse, HttpError> HttpClient::perform(const HttpRequest& request) {
    auto api = CurlApi::load();
    if (!api) return http_error(std::move(api.error()));
    {
        std::lock_guard lock(pool_->mutex);
        pool_->api = *api;
    }
    std::string url = request.url;
    auto first_origin = origin(url);
    if (!first_origin) return http_error(std::move(first_origin.error()));
    bool authorize = true;
    for (int hop = 0;; ++hop) {
        auto response = once(request, url, authorize);
        if (!response) return response;
        long status = response->status;
        bool redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
        if (!redirect || !request.follow || (request.method != "GET" && request.method != "HEAD")) return response;
        std::string location = response->header("location");
        if (location.empty()) return http_error(fail(Code::corrupt, url + ": a redirect that names no place"));
        if (hop >= kMostRedirects) return http_error(fail(Code::unavailable, request.url + ": more than " + std::to_string(kMostRedirects) + " redirects"));
        auto next = resolve_url(url, location);
        if (!next) return http_error(std::move(next.error()));
        auto next_origin = origin(*next);
        if (!next_origin) return http_error(std::move(next_origin.error()));
        if (url.starts_with("https://") && !next->starts_with("https://"))
            return http_error(fail(Code::permission, url + ": a redirect from https to " + *next_origin + " is refused"));
        if (*next_origin != *first_origin) authorize = false;  // tokens only to their host (containerd 2020-15157)
        url = *next;
    }
}

std::expected<HttpResponse, HttpError> HttpClient::once(const HttpRequest& request, const std::string& url, bool authorize) {
    const CurlApi& api = *pool_->api;
    auto where = origin(url);
    if (!where) return http_error(std::move(where.error()));
    std::string shown = url.substr(0, url.find('?'));
    CURL* handle = pool_->take(*where);
    if (!handle) return http_error(fail(Code::internal, "libcurl does not start"));
    Transfer transfer;
    transfer.api = &api;
    transfer.handle = handle;
    transfer.request = &request;
    transfer.response.url = url;

    char message[CURL_ERROR_SIZE] = "";
    auto set = [&](CURLoption option, auto value) { api.setopt(handle, option, value); };
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_ERRORBUFFER, message);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_USERAGENT, "compose/0.1 (libcurl)");
    set(CURLOPT_CONNECTTIMEOUT, 20L);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);  // a stalled transfer is given up, and resumed by the caller
    set(CURLOPT_LOW_SPEED_TIME, 40L);
    set(CURLOPT_BUFFERSIZE, 512L << 10);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#pragma GCC diagnostic pop
    std::string host = host_of(where->substr(where->find("//") + 2));
    if (is_loopback_host(host))
        set(CURLOPT_NOPROXY, "*");
    else if (const char* proxy = ::getenv("HTTP_PROXY"); proxy && url.starts_with("http://") && !::getenv("http_proxy"))
        set(CURLOPT_PROXY, proxy);  // libcurl reads the others, in both cases, by itself
    std::string bundle;
    if (url.starts_with("https://")) {
        if (!request.tls.verify) {
            set(CURLOPT_SSL_VERIFYPEER, 0L);
            set(CURLOPT_SSL_VERIFYHOST, 0L);
        } else if (!request.tls.ca_pem.empty()) {
            bundle = system_ca_bundle() + "\n" + request.tls.ca_pem;
            curl_blob blob{bundle.data(), bundle.size(), CURL_BLOB_NOCOPY};
            set(CURLOPT_CAINFO_BLOB, &blob);
        }
        if (!request.tls.client_cert.empty()) set(CURLOPT_SSLCERT, request.tls.client_cert.c_str());
        if (!request.tls.client_key.empty()) set(CURLOPT_SSLKEY, request.tls.client_key.c_str());
    }
    curl_slist* headers = nullptr;
    for (const std::string& line : request.headers) headers = api.slist_append(headers, line.c_str());
    if (authorize && !request.authorization.empty()) headers = api.slist_append(headers, ("Authorization: " + request.authorization).c_str());
    uint64_t size = request.body_fd >= 0 ? request.body_size : request.body.size();
    if (request.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    } else if (request.method != "GET") {
        set(CURLOPT_UPLOAD, 1L);
        set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
        set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
        set(CURLOPT_READFUNCTION, &Transfer::on_upload);
        set(CURLOPT_READDATA, &transfer);
        set(CURLOPT_SEEKFUNCTION, &Transfer::on_seek);
        set(CURLOPT_SEEKDATA, &transfer);
        headers = api.slist_append(headers, "Expect:");
    }
    set(CURLOPT_HTTPHEADER, headers);
    set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
    set(CURLOPT_HEADERDATA, &transfer);
    set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
    set(CURLOPT_WRITEDATA, &transfer);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
    set(CURLOPT_XFERINFODATA, &transfer);

    CURLcode code = api.perform(handle);
    api.getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.response.status);
    api.slist_free_all(headers);
    double connect_time = 0;
    api.getinfo(handle, CURLINFO_PRETRANSFER_TIME, &connect_time);
    bool connected = connect_time > 0;
    long http_version = 0, new_connections = 0;
    api.getinfo(handle, CURLINFO_HTTP_VERSION, &http_version);
    api.getinfo(handle, CURLINFO_NUM_CONNECTS, &new_connections);
    api.reset(handle);  // options only: the connection stays; nothing may point at this stack when it is closed
    pool_->give(*where, handle);
    if (transfer.cancelled()) return http_error(fail(Code::interrupted, "interrupted"));
    if (transfer.error) return http_error(std::move(*transfer.error));
    if (code == CURLE_OK) {
        base::log::debug(request.method + " " + shown + ": " + std::to_string(transfer.response.status) + (http_version >= CURL_HTTP_VERSION_2_0 ? " (HTTP/2" : " (HTTP/1.1") +
                         (new_connections == 0 ? ", connection reused)" : ")"));
        return std::move(transfer.response);
    }
    std::string why = message[0] ? message : api.strerror(code);
    bool not_tls = code == CURLE_SSL_CONNECT_ERROR;
    if (code == CURLE_PEER_FAILED_VERIFICATION) why += "; give the registry's CA in /etc/docker/certs.d, or say that TLS is not to be verified";
    // A host that never answered will not answer the next time; one that stalled may.
    if (code == CURLE_OPERATION_TIMEDOUT) return http_error(fail(Code::timeout, shown + ": " + base::printable(why)), connected);
    return http_error(fail(Code::unavailable, shown + ": " + base::printable(why)), may_help_again(code), not_tls);
}

Result<std::string> HttpClient::resolve_url(const std::string& base_url, const std::string& location) {
    const CurlApi& api = *TRY(CurlApi::load());
    std::unique_ptr<CURLU, decltype(api.url_cleanup)> url(api.url(), api.url_cleanup);
    char* text = nullptr;
    if (api.url_set(url.get(), CURLUPART_URL, base_url.c_str(), 0) != CURLUE_OK || api.url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK ||
        api.url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK)
        return fail(Code::corrupt, "the address " + base::quote(location.substr(0, 300)) + " that the registry names is not a URL");
    std::string result = text;
    api.free(text);
    if (!result.starts_with("http://") && !result.starts_with("https://"))
        return fail(Code::corrupt, "the address " + base::quote(result.substr(0, 300)) + " that the registry names is not http or https");
    return result;
}

Result<std::string> HttpClient::origin(const std::string& text) {
    const CurlApi& api = *TRY(CurlApi::load());
    std::unique_ptr<CURLU, decltype(api.url_cleanup)> url(api.url(), api.url_cleanup);
    if (api.url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return fail(Code::invalid, base::quote(text.substr(0, 300)) + " is not a URL");
    std::string result;
    for (auto [part, before] : {std::pair(CURLUPART_SCHEME, ""), std::pair(CURLUPART_HOST, "://"), std::pair(CURLUPART_PORT, ":")}) {
        char* value = nullptr;
        if (api.url_get(url.get(), part, &value, CURLU_DEFAULT_PORT) != CURLUE_OK) return fail(Code::invalid, base::quote(text.substr(0, 300)) + " is not a URL");
        result += before + base::to_lower(value);
        api.free(value);
    }
    return result;
}

bool is_loopback_host(std::string_view host) {
    if (host == "localhost" || host.ends_with(".localhost") || host == "::1") return true;
    if (!host.starts_with("127.")) return false;
    return std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

std::string host_of(std::string_view domain) {
    if (domain.starts_with('[')) return std::string(domain.substr(1, domain.find(']') - 1));
    return std::string(domain.substr(0, domain.find(':')));
}

}  // namespace engine::image
