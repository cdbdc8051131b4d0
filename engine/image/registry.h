#pragma once
// One client of registries (OCI distribution-spec): documents, blobs and uploads, with mirrors, authentication, retries with
// back-off, and blobs that go on where a connection was cut. May be used from several threads.
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "image/auth.h"
#include "image/http.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/registry_config.h"

namespace engine::image {

struct RegistryOptions {
    RegistryAccess access;
    const std::atomic<bool>* cancel = nullptr;
    bool refresh_token = false;                 ///< ask token services for a refresh token (login)
    int attempts = 5;                           ///< of one request, without progress between
    std::chrono::milliseconds first_wait{250};  ///< back-off: doubles, with jitter
    std::chrono::milliseconds longest_wait{30000};
    std::chrono::milliseconds longest_asked{120000};  ///< a Retry-After beyond it is an error that says so
    CredentialSource credentials;               ///< nullptr: find_credential
};

class RegistryClient {
public:
    explicit RegistryClient(RegistryOptions options);

    struct Fetched {
        std::string bytes, digest, media_type;
    };
    /// A manifest or index by tag or digest. By digest the bytes are verified. not_found in Docker's words.
    base::Result<Fetched> manifest(const Reference& reference, const std::string& tag_or_digest);
    /// The digest of a tag: HEAD, else GET.
    base::Result<std::string> resolve(const Reference& reference);
    /// The bytes of a blob in order, into `sink`: never more than its size, resumed by range; verified at the end, so nothing
    /// may be believed before this returns.
    /// Without `mirrors` from the registry itself only.
    base::Status blob(const Reference& reference, const Descriptor& blob, const Sink& sink, bool mirrors = true);

    base::Result<bool> has_blob(const Reference& reference, const std::string& digest);
    /// Uploads `size` bytes of a file: mounted from another repository of the registry when it has it (`from`, may be empty),
    /// in one piece, in chunks where the registry wants those.
    base::Status upload(const Reference& reference, const Descriptor& blob, int fd, const std::string& from,
                        const std::function<void(uint64_t)>& progress);
    base::Status put_manifest(const Reference& reference, const std::string& tag_or_digest, const std::string& bytes, const std::string& media_type);
    /// GET /v2/ with authentication: whether a credential is good. Returns the refresh token that was asked for, if one came.
    base::Result<std::string> ping(const std::string& domain);

private:
    struct Call {
        std::string method = "GET", path, scope;  ///< path below /v2/, or a whole URL
        std::vector<std::string> headers;
        std::string body;
        int body_fd = -1;
        uint64_t body_offset = 0, body_size = 0;
        bool follow = true, retry = true;
        std::function<base::Status(const HttpResponse&, std::string_view)> sink;
        std::function<void(uint64_t)> uploaded;
        const std::function<bool()>* progressed = nullptr;  ///< bytes came since the last call: attempts start anew
    };
    base::Result<HttpResponse> call(const std::string& domain, const Endpoint& endpoint, const Call& call);
    std::expected<HttpResponse, HttpError> authorized(const std::string& domain, const Endpoint& endpoint, const Call& call);
    base::Result<std::string> scheme(const Endpoint& endpoint);
    base::Status wait(int attempt, const std::string& retry_after);
    base::Status blob_from(const Reference& reference, const Endpoint& endpoint, const Descriptor& blob, const Sink& sink, uint64_t& offset);
    base::Status upload_chunks(const Reference& reference, const Endpoint& endpoint, const Descriptor& blob, int fd, std::string location, uint64_t chunk,
                               const std::function<void(uint64_t)>& progress);

    RegistryOptions options_;
    HttpClient http_;
    Authenticator auth_;
    std::mutex mutex_;
    std::map<std::string, std::string> schemes_;  ///< host → "https" or "http"
};

/// What a registry's error body says, as Docker prints it: `manifest unknown: manifest unknown`.
std::string registry_error_text(const HttpResponse& response);

}  // namespace engine::image
