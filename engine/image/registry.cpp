#include "image/registry.h"

#include <fcntl.h>

#include <algorithm>
#include <condition_variable>
#include <random>

#include "base/log.h"
#include "base/text.h"
#include "image/curl_api.h"
#include "image/credential_file.h"
#include "image/digest.h"
#include "image/json_read.h"

namespace engine::image {
namespace {

using base::Code;
using base::Error;
using base::fail;
using base::Result;
using base::Status;

const std::vector<std::string>& accept_headers() {
    static const std::vector<std::string> headers{
        "Accept: " + std::string(media::kIndex) + ", " + std::string(media::kDockerIndex) + ", " + std::string(media::kManifest) + ", " +
        std::string(media::kDockerManifest) + ", */*;q=0.1"};
    return headers;
}

bool retry_status(long status) { return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504; }

std::string pull_scope(const std::string& repository) { return "repository:" + repository + ":pull"; }
std::string push_scope(const std::string& repository) { return "repository:" + repository + ":pull,push"; }

Error status_error(const Endpoint& endpoint, const HttpResponse& response, const std::string& what) {
    Code code = Code::unavailable;
    if (response.status == 401 || response.status == 403) code = Code::permission;
    if (response.status == 404) code = Code::not_found;
    std::string said = registry_error_text(response);
    std::string quota;
    if (response.status == 429 && !response.header("ratelimit-limit").empty())
        quota = "; its limit is " + base::printable(response.header("ratelimit-limit")) + ", left: " + base::printable(response.header("ratelimit-remaining"));
    return fail(code, what + ": registry " + endpoint.host + " answers " + std::to_string(response.status) + (said.empty() ? "" : " (" + said + ")") + quota);
}

/// The upstream's name for a mirror that serves several (distribution-spec, registry proxying).
std::string namespace_query(const Endpoint& endpoint, const std::string& domain) { return endpoint.mirror ? "?ns=" + domain : ""; }

/// The registry's `Warning: 299 - "text"` (distribution-spec, warnings).
void pass_on_warnings(const Endpoint& endpoint, const HttpResponse& response) {
    auto [first, last] = response.headers.equal_range("warning");
    for (auto it = first; it != last; ++it)
        if (it->second.starts_with("299 ")) base::log::info("registry " + endpoint.host + ": " + base::printable(it->second.substr(4, 500)));
}

}  // namespace

std::string registry_error_text(const HttpResponse& response) {
    auto value = parse_json(response.body, 1u << 20, "the error");
    if (!value || !value->is_object()) return {};
    std::string text;
    JsonObject object(*value, "error");
    for (const auto& item : object.list("errors")) {
        JsonObject error(item, "error");
        std::string code = base::to_lower(error.text("code")), message = error.text("message");
        std::replace(code.begin(), code.end(), '_', ' ');
        text += (text.empty() ? "" : "; ") + base::printable(code + (message.empty() ? "" : ": " + message));
        if (text.size() > 600) break;
    }
    if (text.empty()) text = base::printable(object.text("details").substr(0, 300));
    return text.substr(0, 900);
}

RegistryClient::RegistryClient(RegistryOptions options)
    : options_(std::move(options)), auth_(http_, options_.credentials ? options_.credentials : CredentialSource(find_credential), options_.refresh_token) {}

Status RegistryClient::wait(int attempt, const std::string& retry_after) {
    using namespace std::chrono;
    milliseconds delay = std::min(options_.first_wait * (1 << std::min(attempt, 10)), options_.longest_wait);
    thread_local std::minstd_rand random(std::random_device{}());
    delay += milliseconds(random() % (static_cast<unsigned long>(delay.count()) / 2 + 1));
    std::optional<int64_t> asked;  // seconds, or a date
    if (auto seconds_text = base::parse_int(retry_after); seconds_text && *seconds_text >= 0) {
        asked = std::min<int64_t>(*seconds_text, 1'000'000);
    } else if (!retry_after.empty()) {
        if (auto api = CurlApi::load()) {
            time_t until = (*api)->getdate(retry_after.c_str(), nullptr);
            if (until > 0) asked = std::clamp<int64_t>(until - base::now() / 1'000'000'000, 0, 1'000'000);
        }
    }
    if (asked && milliseconds(*asked * 1000) > options_.longest_asked)
        return fail(Code::unavailable, "the registry asks to wait " + std::to_string(*asked) + " s before the next request: try again then");
    if (asked) delay = milliseconds(*asked * 1000);
    // An atomic flag wakes nobody: looked at while waiting.
    auto deadline = steady_clock::now() + delay;
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock(mutex);
    while (steady_clock::now() < deadline) {
        if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
        never.wait_until(lock, std::min(deadline, steady_clock::now() + milliseconds(100)));
    }
    return {};
}

/// https, or http for insecure hosts that speak only that. Asked once per host, without credentials.
Result<std::string> RegistryClient::scheme(const Endpoint& endpoint) {
    if (!endpoint.insecure) return std::string("https");
    std::lock_guard lock(mutex_);
    if (auto found = schemes_.find(endpoint.host); found != schemes_.end()) return found->second;
    std::vector<std::string> order{"https", "http"};
    if (endpoint.plain_first) std::swap(order[0], order[1]);
    std::optional<Error> first;
    for (const std::string& name : order) {
        HttpRequest request;
        request.url = name + "://" + endpoint.host + "/v2/";
        request.tls = endpoint.tls;
        request.cancel = options_.cancel;
        request.follow = false;
        auto response = http_.perform(request);
        // A TLS server answers plain HTTP with 400; anything else is a registry, or will say so itself.
        if (response && response->status != 400) return schemes_[endpoint.host] = name;
        if (!response && response.error().error.code == Code::interrupted) return std::move(response.error().error);
        if (!response && !first) first = std::move(response.error().error);
    }
    if (first) return std::move(*first);
    return schemes_[endpoint.host] = order[0];
}

std::expected<HttpResponse, HttpError> RegistryClient::authorized(const std::string& domain, const Endpoint& endpoint, const Call& call) {
    auto protocol = scheme(endpoint);
    if (!protocol) {
        bool again = protocol.error().code == Code::timeout;
        return std::unexpected(HttpError{std::move(protocol.error()), again, false});
    }
    HttpRequest request;
    request.method = call.method;
    std::string home = *protocol + "://" + endpoint.host;
    request.url = call.path.find("://") != std::string::npos ? call.path : home + "/v2/" + call.path;
    request.headers = call.headers;
    request.body = call.body;
    request.body_fd = call.body_fd;
    request.body_offset = call.body_offset;
    request.body_size = call.body_size;
    request.follow = call.follow;
    request.tls = endpoint.tls;
    request.cancel = options_.cancel;
    request.sink = call.sink;
    request.uploaded = call.uploaded;
    request.limit = kManifestLimit;
    // An upload's address may be on another host: no token for that.
    auto own = HttpClient::origin(home), there = HttpClient::origin(request.url);
    if (!own || !there) return std::unexpected(HttpError{std::move(!own ? own.error() : there.error()), false, false});
    bool ours = *own == *there;
    if (ours) request.authorization = auth_.known(endpoint.host, call.scope);
    auto response = http_.perform(request);
    for (int round = 0; response && response->status == 401 && ours && round < 2; ++round) {
        bool had_token = !request.authorization.empty();
        if (round > 0 || (had_token && round > 0)) break;
        if (had_token) auth_.forget(endpoint.host, call.scope);
        std::vector<std::string> challenges;
        auto [first, last] = response->headers.equal_range("www-authenticate");
        for (auto it = first; it != last; ++it) challenges.push_back(it->second);
        auto answer = auth_.answer(endpoint.host, endpoint.mirror ? endpoint.host : domain, challenges, call.scope, endpoint.tls, options_.cancel);
        if (!answer) return std::unexpected(HttpError{std::move(answer.error()), answer.error().code == Code::unavailable, false});
        request.authorization = *answer;
        response = http_.perform(request);
    }
    return response;
}

Result<HttpResponse> RegistryClient::call(const std::string& domain, const Endpoint& endpoint, const Call& request) {
    for (int attempt = 0;; ++attempt) {
        if (options_.cancel && options_.cancel->load()) return fail(Code::interrupted, "interrupted");
        auto response = authorized(domain, endpoint, request);
        if (request.progressed && (*request.progressed)()) attempt = 0;
        bool last = !request.retry || attempt + 1 >= options_.attempts;
        if (response) {
            if (!retry_status(response->status) || last) return std::move(*response);
            base::log::debug("registry " + endpoint.host + " answers " + std::to_string(response->status) + ": trying again");
            TRY_VOID(wait(attempt, response->header("retry-after")).context("registry " + endpoint.host + " answers " + std::to_string(response->status)));
            continue;
        }
        if (!response.error().retry || last) return std::move(response.error().error);
        base::log::debug(response.error().error.message() + ": trying again");
        TRY_VOID(wait(attempt, ""));
    }
}

Result<RegistryClient::Fetched> RegistryClient::manifest(const Reference& reference, const std::string& tag_or_digest) {
    bool by_digest = tag_or_digest.find(':') != std::string::npos;
    std::optional<Error> last;
    for (const Endpoint& endpoint : TRY(endpoints_for(reference, options_.access, false))) {
        Call request;
        request.path = endpoint.repository + "/manifests/" + tag_or_digest;
        request.scope = pull_scope(endpoint.repository);
        request.headers = accept_headers();
        request.path += namespace_query(endpoint, reference.domain);
        auto response = call(reference.domain, endpoint, request);
        if (!response) {
            if (response.error().code == Code::interrupted) return std::move(response.error());
            last = std::move(response.error());
            continue;
        }
        if (response->status == 404) {
            std::string said = registry_error_text(*response);
            last = fail(Code::not_found, "manifest for " + reference.familiar() + " not found: " + (said.empty() ? "manifest unknown: manifest unknown" : said));
            continue;
        }
        if (response->status != 200) {
            last = status_error(endpoint, *response, "get the manifest");
            continue;
        }
        pass_on_warnings(endpoint, *response);
        Fetched fetched;
        fetched.digest = digest_of(response->body, by_digest ? algorithm_of(tag_or_digest) : "sha256");
        fetched.media_type = base::trim(base::cut(response->header("content-type"), ';').first);
        fetched.bytes = std::move(response->body);
        if (by_digest && fetched.digest != tag_or_digest) {
            last = fail(Code::corrupt, "the manifest that " + endpoint.host + " gave hashes to " + fetched.digest + ", not to " + tag_or_digest);
            continue;
        }
        return fetched;
    }
    return std::move(*last);
}

Result<std::string> RegistryClient::resolve(const Reference& reference) {
    if (!reference.digest.empty()) return reference.digest;
    Endpoint endpoint = TRY(endpoints_for(reference, options_.access, false)).back();
    Call request;
    request.method = "HEAD";
    request.path = endpoint.repository + "/manifests/" + reference.tag;
    request.scope = pull_scope(endpoint.repository);
    request.headers = accept_headers();
    auto response = call(reference.domain, endpoint, request);
    if (response && response->status == 200)
        if (std::string digest = response->header("docker-content-digest"); valid_digest(digest)) return digest;
    if (!response && response.error().code == Code::interrupted) return std::move(response.error());
    return TRY(manifest(reference, reference.tag)).digest;  // some registries refuse HEAD, or leave the digest out
}

Status RegistryClient::blob_from(const Reference& reference, const Endpoint& endpoint, const Descriptor& blob, const Sink& sink, uint64_t& offset) {
    uint64_t before = offset, skip = 0;
    bool begun = false;
    std::function<bool()> progressed = [&] {
        bool more = offset > before;
        before = offset;
        return more;
    };
    for (int attempt = 0;; ++attempt) {
        Call request;
        request.path = endpoint.repository + "/blobs/" + blob.digest + namespace_query(endpoint, reference.domain);
        request.scope = pull_scope(endpoint.repository);
        request.retry = false;  // each attempt asks for another range
        if (offset > 0) request.headers.push_back("Range: bytes=" + std::to_string(offset) + "-");
        begun = false;
        request.sink = [&](const HttpResponse& head, std::string_view bytes) -> Status {
            if (!begun) {
                begun = true;
                skip = head.status == 200 ? offset : 0;  // the registry ignores ranges: what is known is passed over
                if (head.status == 206) {
                    std::string range = head.header("content-range");
                    if (!range.starts_with("bytes " + std::to_string(offset) + "-"))
                        return fail(Code::corrupt, "the registry gives another range than asked for: " + base::printable(range.substr(0, 100)));
                }
            }
            if (skip > 0) {
                size_t n = static_cast<size_t>(std::min<uint64_t>(skip, bytes.size()));
                skip -= n;
                bytes.remove_prefix(n);
                if (bytes.empty()) return {};
            }
            if (bytes.size() > blob.size - offset) return fail(Code::corrupt, "the registry gives more than the " + std::to_string(blob.size) + " bytes that the manifest promises");
            offset += bytes.size();
            return sink(bytes);
        };
        auto response = authorized(reference.domain, endpoint, request);
        if (progressed()) attempt = 0;
        bool last = attempt + 1 >= options_.attempts;
        if (response) {
            if (response->status == 200 || response->status == 206) {
                if (offset == blob.size) return {};
                if (last) return fail(Code::corrupt, "the registry gives " + std::to_string(offset) + " bytes, the manifest promises " + std::to_string(blob.size));
                TRY_VOID(wait(attempt, ""));  // cut without an error: asked for the rest
                continue;
            }
            if (response->status == 416 && offset == blob.size) return {};
            if (!retry_status(response->status) || last) return status_error(endpoint, *response, "get blob " + blob.digest);
            TRY_VOID(wait(attempt, response->header("retry-after")).context("registry " + endpoint.host + " answers " + std::to_string(response->status)));
            continue;
        }
        if (!response.error().retry || last) return std::move(response.error().error);
        base::log::debug(response.error().error.message() + ": going on at byte " + std::to_string(offset));
        TRY_VOID(wait(attempt, ""));
    }
}

Status RegistryClient::blob(const Reference& reference, const Descriptor& blob, const Sink& sink, bool mirrors) {
    Hasher hasher(algorithm_of(blob.digest));
    uint64_t offset = 0;
    Sink hashing = [&](std::string_view bytes) {
        hasher.update(bytes);
        return sink(bytes);
    };
    std::optional<Error> last;
    bool fetched = false;
    for (const Endpoint& endpoint : TRY(endpoints_for(reference, options_.access, false))) {
        if (endpoint.mirror && !mirrors) continue;
        auto done = blob_from(reference, endpoint, blob, hashing, offset);
        if (done) {
            fetched = true;
            break;
        }
        last = std::move(done.error());
        if (last->code == Code::interrupted) break;
    }
    if (!fetched) return std::move(*last);
    std::string got = hasher.digest();
    if (got != blob.digest) return fail(Code::corrupt, "blob " + blob.digest + " arrived as " + got + ": damaged on the way, or the registry's copy is");
    return {};
}

Result<bool> RegistryClient::has_blob(const Reference& reference, const std::string& digest) {
    Endpoint endpoint = TRY(endpoints_for(reference, options_.access, true)).back();
    Call request;
    request.method = "HEAD";
    request.path = endpoint.repository + "/blobs/" + digest;
    request.scope = push_scope(endpoint.repository);
    auto response = TRY(call(reference.domain, endpoint, request));
    if (response.status == 200) return true;
    if (response.status == 404) return false;
    return status_error(endpoint, response, "ask for blob " + digest);
}

Status RegistryClient::upload(const Reference& reference, const Descriptor& blob, int fd, const std::string& from,
                              const std::function<void(uint64_t)>& progress) {
    Endpoint endpoint = TRY(endpoints_for(reference, options_.access, true)).back();
    for (int attempt = 0;; ++attempt) {
        Call start;
        start.method = "POST";
        start.path = endpoint.repository + "/blobs/uploads/";
        start.scope = push_scope(endpoint.repository);
        if (!from.empty() && from != endpoint.repository) {
            start.path += "?mount=" + blob.digest + "&from=" + from;
            start.scope += " " + pull_scope(from);
        }
        auto session = TRY(call(reference.domain, endpoint, start));
        if (session.status == 201) return {};  // mounted
        if (session.status != 202) return status_error(endpoint, session, "start the upload of " + blob.digest);
        std::string location = TRY(HttpClient::resolve_url(session.url, session.header("location")));
        if (auto chunk = base::parse_int(session.header("oci-chunk-max-length")); chunk && *chunk > 0 && static_cast<uint64_t>(*chunk) < blob.size)
            return upload_chunks(reference, endpoint, blob, fd, location, static_cast<uint64_t>(*chunk), progress);
        Call put;
        put.method = "PUT";
        put.path = location + (location.find('?') == std::string::npos ? "?" : "&") + "digest=" + blob.digest;
        put.scope = start.scope;
        put.headers = {"Content-Type: application/octet-stream"};
        put.body_fd = fd;
        put.body_size = blob.size;
        put.uploaded = progress;
        put.retry = false;  // a session that broke is begun anew
        put.follow = false;
        auto done = call(reference.domain, endpoint, put);
        if (done && done->status == 201) return {};
        bool last = attempt + 1 >= options_.attempts;
        if (done && (done->status == 413 || done->status == 416)) {
            auto again = TRY(call(reference.domain, endpoint, start));
            if (again.status == 201) return {};
            std::string place = TRY(HttpClient::resolve_url(again.url, again.header("location")));
            uint64_t least = static_cast<uint64_t>(std::clamp<int64_t>(base::parse_int(again.header("oci-chunk-min-length")).value_or(0), 0, int64_t{1} << 40));
            return upload_chunks(reference, endpoint, blob, fd, place, std::max<uint64_t>(8u << 20, least), progress);
        }
        bool again = done ? retry_status(done->status) || done->status == 404 : done.error().code == Code::unavailable || done.error().code == Code::timeout;
        if (!again || last) {
            if (!done) return std::move(done.error());
            return status_error(endpoint, *done, "upload " + blob.digest);
        }
        TRY_VOID(wait(attempt, done ? done->header("retry-after") : ""));
    }
}

Status RegistryClient::upload_chunks(const Reference& reference, const Endpoint& endpoint, const Descriptor& blob, int fd, std::string location, uint64_t chunk,
                                     const std::function<void(uint64_t)>& progress) {
    int misses = 0;
    for (uint64_t offset = 0; offset < blob.size;) {
        uint64_t size = std::min(chunk, blob.size - offset);
        Call patch;
        patch.method = "PATCH";
        patch.path = location;
        patch.scope = push_scope(endpoint.repository);
        patch.headers = {"Content-Type: application/octet-stream", "Content-Range: " + std::to_string(offset) + "-" + std::to_string(offset + size - 1)};
        patch.body_fd = fd;
        patch.body_offset = offset;
        patch.body_size = size;
        patch.follow = false;
        patch.uploaded = [&](uint64_t sent) {
            if (progress) progress(offset + sent);
        };
        auto done = TRY(call(reference.domain, endpoint, patch));
        if (done.status == 416 && ++misses < options_.attempts) {  // out of order: the session says where it stands
            Call ask;
            ask.path = location;
            ask.scope = push_scope(endpoint.repository);
            ask.follow = false;
            auto state = TRY(call(reference.domain, endpoint, ask));
            auto end = base::parse_int(base::cut(state.header("range"), '-').second.value_or(""));
            if (state.status != 204 || !end || *end < 0 || static_cast<uint64_t>(*end) >= blob.size) return status_error(endpoint, done, "upload a chunk of " + blob.digest);
            offset = static_cast<uint64_t>(*end) + 1;
            continue;
        }
        if (done.status != 202) return status_error(endpoint, done, "upload a chunk of " + blob.digest);
        location = TRY(HttpClient::resolve_url(done.url, done.header("location")));
        offset += size;
    }
    Call put;
    put.method = "PUT";
    put.path = location + (location.find('?') == std::string::npos ? "?" : "&") + "digest=" + blob.digest;
    put.scope = push_scope(endpoint.repository);
    put.follow = false;
    auto done = TRY(call(reference.domain, endpoint, put));
    if (done.status != 201) return status_error(endpoint, done, "finish the upload of " + blob.digest);
    return {};
}

Status RegistryClient::put_manifest(const Reference& reference, const std::string& tag_or_digest, const std::string& bytes, const std::string& media_type) {
    Endpoint endpoint = TRY(endpoints_for(reference, options_.access, true)).back();
    Call put;
    put.method = "PUT";
    put.path = endpoint.repository + "/manifests/" + tag_or_digest;
    put.scope = push_scope(endpoint.repository);
    put.headers = {"Content-Type: " + media_type};
    put.body = bytes;
    put.follow = false;
    auto done = TRY(call(reference.domain, endpoint, put));
    if (done.status != 201 && done.status != 200 && done.status != 202) return status_error(endpoint, done, "push the manifest of " + reference.familiar());
    return {};
}

Result<std::string> RegistryClient::ping(const std::string& domain) {
    Reference reference;
    reference.domain = domain;
    reference.path = "library/ping";
    Endpoint endpoint = TRY(endpoints_for(reference, options_.access, true)).back();
    Call request;
    auto response = TRY(call(domain, endpoint, request));
    if (response.status == 200) return auth_.refresh_token();
    if (response.status == 404) return fail(Code::unsupported, "registry " + domain + " does not speak the distribution API (/v2/)");
    return status_error(endpoint, response, "log in");
}

Status login(const std::string& domain, const Credential& credential, const RegistryAccess& access, const std::atomic<bool>* cancel) {
    RegistryOptions options;
    options.access = access;
    options.cancel = cancel;
    options.refresh_token = credential.identity_token.empty();
    options.credentials = [&](const std::string&, const std::string&) -> Result<std::optional<Credential>> { return std::optional<Credential>(credential); };
    RegistryClient client(std::move(options));
    Credential kept = credential;
    if (std::string token = TRY(client.ping(domain).context("log in to " + domain)); !token.empty()) {
        kept.identity_token = token;  // as Docker: the token service's word instead of the password
        kept.password.clear();
    }
    return store_credential(domain, kept);
}

}  // namespace engine::image
