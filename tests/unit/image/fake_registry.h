#pragma once
// A registry on 127.0.0.1 that misbehaves as it is told: cuts connections, refuses, asks for tokens, redirects, lies.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"
#include "image/digest.h"

namespace image_test {

struct Request {
    std::string method, path, query, body;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string header(const std::string& name) const {
        auto found = headers.find(name);
        return found == headers.end() ? "" : found->second;
    }
};
struct Response {
    int status = 200;
    std::map<std::string, std::string> headers;
    std::string body;
    size_t cut = std::string::npos;  ///< the connection ends after so many bytes of the body
};

/// HTTP/1.1 with keep-alive over a handler that may be called from several threads.
class HttpServer {
public:
    using Handler = std::function<Response(const Request&)>;
    explicit HttpServer(Handler handler) : handler_(std::move(handler)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0)
            abort();
        port_ = ntohs(address.sin_port);
        accepting_ = std::thread([this] { accept_loop(); });
    }
    ~HttpServer() {
        ::shutdown(listener_, SHUT_RDWR);
        accepting_.join();
        ::close(listener_);
        {
            std::lock_guard lock(mutex_);
            for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
        }
        for (std::thread& thread : threads_) thread.join();
    }
    std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
    int connections() const { return connections_; }

private:
    void accept_loop() {
        for (;;) {
            int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            std::lock_guard lock(mutex_);
            ++connections_;
            open_.insert(fd);
            threads_.emplace_back([this, fd] {
                serve(fd);
                std::lock_guard inner(mutex_);
                open_.erase(fd);
                ::close(fd);
            });
        }
    }
    static bool more(int fd, std::string& buffer) {
        char bytes[16384];
        ssize_t n = ::recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) return false;
        buffer.append(bytes, static_cast<size_t>(n));
        return true;
    }
    static bool send_all(int fd, std::string_view bytes) {
        while (!bytes.empty()) {
            ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }
    void serve(int fd) {
        std::string buffer;
        for (;;) {
            size_t end;
            while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
                if (!more(fd, buffer)) return;
            Request request;
            std::vector<std::string> lines = base::split(buffer.substr(0, end), '\n');
            buffer.erase(0, end + 4);
            std::vector<std::string> words = base::split(lines[0], ' ');
            if (words.size() < 2) return;
            request.method = words[0];
            auto [path, query] = base::cut(words[1], '?');
            request.path = path;
            request.query = query.value_or("");
            for (size_t i = 1; i < lines.size(); ++i) {
                auto [name, value] = base::cut(lines[i], ':');
                request.headers[base::to_lower(name)] = base::trim(value.value_or(""));
            }
            size_t length = static_cast<size_t>(base::parse_int(request.header("content-length")).value_or(0));
            while (buffer.size() < length)
                if (!more(fd, buffer)) return;
            request.body = buffer.substr(0, length);
            buffer.erase(0, length);
            Response response = handler_(request);
            std::string head = "HTTP/1.1 " + std::to_string(response.status) + " X\r\n";
            if (!response.headers.contains("Content-Length")) head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
            for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
            if (!send_all(fd, head + "\r\n")) return;
            if (request.method != "HEAD" && !send_all(fd, std::string_view(response.body).substr(0, response.cut))) return;
            if (response.cut < response.body.size()) {
                ::shutdown(fd, SHUT_RDWR);
                return;
            }
        }
    }

    Handler handler_;
    int listener_ = -1;
    uint16_t port_ = 0;
    int connections_ = 0;
    std::mutex mutex_;
    std::set<int> open_;
    std::vector<std::thread> threads_;
    std::thread accepting_;
};

class FakeRegistry {
public:
    FakeRegistry() : server_([this](const Request& request) { return answer(request); }) {}

    std::string host() const { return server_.host(); }

    /// Adds a blob; returns its digest.
    std::string blob(const std::string& bytes) {
        std::string digest = engine::image::digest_of(bytes);
        std::lock_guard lock(mutex_);
        blobs_[digest] = bytes;
        return digest;
    }
    /// Adds a manifest under its digest and a tag; returns the digest.
    std::string manifest(const std::string& repository, const std::string& tag, const std::string& bytes,
                         const std::string& type = "application/vnd.oci.image.manifest.v1+json") {
        std::string digest = engine::image::digest_of(bytes);
        std::lock_guard lock(mutex_);
        manifests_[repository + "@" + digest] = {bytes, type};
        if (!tag.empty()) manifests_[repository + ":" + tag] = {bytes, type};
        return digest;
    }
    /// An image of these layers as they are on the wire; `diffs` are the unpacked ones.
    std::string image(const std::string& repository, const std::string& tag, const std::vector<std::string>& layers, const std::vector<std::string>& diffs,
                      const std::string& architecture = "", const std::string& config_part = R"("Cmd":["sh"])") {
        std::string machine = architecture.empty() ? this_machine() : architecture, diff_ids, descriptors;
        for (const std::string& diff : diffs) diff_ids += (diff_ids.empty() ? "\"" : ",\"") + engine::image::digest_of(diff) + "\"";
        std::string config = R"({"architecture":")" + machine + R"(","os":"linux","config":{)" + config_part + R"(},"rootfs":{"type":"layers","diff_ids":[)" + diff_ids + "]}}";
        for (const std::string& layer : layers)
            descriptors += (descriptors.empty() ? "" : ",") + describe("application/vnd.oci.image.layer.v1.tar+gzip", blob(layer), layer.size());
        return manifest(repository, tag,
                        R"({"schemaVersion":2,"config":)" + describe("application/vnd.oci.image.config.v1+json", blob(config), config.size()) + R"(,"layers":[)" + descriptors + "]}");
    }
    static std::string describe(const std::string& type, const std::string& digest, size_t size, const std::string& more = "") {
        return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" + std::to_string(size) + more + "}";
    }
    static std::string this_machine();

    /// Called first; an answer of status 0 means: as usual.
    std::function<Response(const Request&)> first;
    /// Called last, to spoil what would be answered.
    std::function<void(const Request&, Response&)> spoil;

    std::vector<Request> requests() {
        std::lock_guard lock(mutex_);
        return requests_;
    }
    int count(const std::string& method, const std::string& part) {
        int number = 0;
        for (const Request& request : requests())
            if (request.method == method && (request.path + "?" + request.query).find(part) != std::string::npos) ++number;
        return number;
    }
    std::string stored_blob(const std::string& digest) {
        std::lock_guard lock(mutex_);
        return blobs_[digest];
    }
    std::string stored_manifest(const std::string& repository, const std::string& tag) {
        std::lock_guard lock(mutex_);
        return manifests_[repository + ":" + tag].first;
    }

private:
    Response answer(const Request& request) {
        {
            std::lock_guard lock(mutex_);
            requests_.push_back(request);
        }
        if (first)
            if (Response response = first(request); response.status != 0) return response;
        Response response = usual(request);
        if (spoil) spoil(request, response);
        return response;
    }
    static Response error(int status, const std::string& code, const std::string& message) {
        Response response;
        response.status = status;
        response.body = R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"("}]})";
        return response;
    }
    Response usual(const Request& request) {
        std::lock_guard lock(mutex_);
        Response response;
        if (request.path == "/v2/") return response;
        if (size_t at = request.path.find("/manifests/"); at != std::string::npos) {
            std::string repository = request.path.substr(4, at - 4), name = request.path.substr(at + 11);
            std::string key = repository + (name.find(':') == std::string::npos ? ":" : "@") + name;
            if (request.method == "PUT") {
                manifests_[key] = {request.body, request.header("content-type")};
                manifests_[repository + "@" + engine::image::digest_of(request.body)] = manifests_[key];
                response.status = 201;
                return response;
            }
            auto found = manifests_.find(key);
            if (found == manifests_.end()) return error(404, "MANIFEST_UNKNOWN", "manifest unknown");
            response.body = found->second.first;
            response.headers["Content-Type"] = found->second.second;
            response.headers["Docker-Content-Digest"] = engine::image::digest_of(response.body);
            return response;
        }
        if (request.path.find("/blobs/uploads/") != std::string::npos) return upload(request);
        if (size_t at = request.path.find("/blobs/"); at != std::string::npos) {
            auto found = blobs_.find(request.path.substr(at + 7));
            if (found == blobs_.end()) return error(404, "BLOB_UNKNOWN", "blob unknown");
            response.body = found->second;
            std::string range = request.header("range");
            if (range.starts_with("bytes=")) {
                size_t from = static_cast<size_t>(base::parse_int(range.substr(6, range.size() - 7)).value_or(0));
                if (from >= response.body.size()) return error(416, "RANGE", "nothing there");
                response.status = 206;
                response.headers["Content-Range"] = "bytes " + std::to_string(from) + "-" + std::to_string(response.body.size() - 1) + "/" + std::to_string(response.body.size());
                response.body = response.body.substr(from);
            }
            return response;
        }
        return error(404, "NAME_UNKNOWN", "no such path");
    }
    Response upload(const Request& request) {
        Response response;
        if (request.method == "POST") {
            for (const std::string& part : base::split(request.query, '&'))
                if (part.starts_with("mount=") && blobs_.contains(part.substr(6))) {
                    response.status = 201;
                    return response;
                }
            response.status = 202;
            response.headers["Location"] = request.path + "session" + std::to_string(++sessions_);
            return response;
        }
        std::string& session = uploads_[request.path];
        session += request.body;
        if (request.method == "PATCH") {
            response.status = 202;
            response.headers["Location"] = request.path;
            return response;
        }
        for (const std::string& part : base::split(request.query, '&')) {
            if (!part.starts_with("digest=")) continue;
            if (engine::image::digest_of(session) != part.substr(7)) return error(400, "DIGEST_INVALID", "wrong digest");
            blobs_[part.substr(7)] = session;
            response.status = 201;
        }
        return response;
    }

    std::mutex mutex_;
    std::map<std::string, std::string> blobs_, uploads_;
    std::map<std::string, std::pair<std::string, std::string>> manifests_;
    std::vector<Request> requests_;
    int sessions_ = 0;
    HttpServer server_;  // last: it stops before what it uses goes
};

}  // namespace image_test

#include "image/image_store.h"

inline std::string image_test::FakeRegistry::this_machine() { return engine::image::host_platform().architecture; }
