// Pushing: blobs that the registry lacks, then the configuration, then the manifest under its tag.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "image/digest.h"
#include "image/registry.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::Error;
using base::fail;
using base::UniqueFd;
using Phase = PullProgress::Phase;

constexpr size_t kMostUploads = 5;

/// Bytes as a file without a name, to be uploaded like any blob.
Result<UniqueFd> in_memory(const std::string& bytes) {
    UniqueFd fd(::memfd_create("blob", MFD_CLOEXEC));
    if (!fd) return base::fail_errno("make a memory file");
    TRY_VOID(base::write_all(fd.get(), bytes));
    return fd;
}

}  // namespace

Result<std::pair<std::string, std::string>> ImageStore::Impl::manifest_of(const ImageRow& row, const std::vector<LayerRow>& layers) {
    if (!row.manifest.empty()) {
        auto document = parse_document(row.manifest, row.manifest_type);
        bool same = document && document->manifest && document->manifest->layers.size() == layers.size() && document->manifest->config.digest == row.id;
        for (size_t i = 0; same && i < layers.size(); ++i) same = document->manifest->layers[i].digest == layers[i].blob;
        if (same) return std::pair(row.manifest, document->media_type);
    }
    Manifest manifest;
    manifest.media_type = std::string(media::kManifest);
    manifest.config = {.media_type = std::string(media::kConfig), .digest = row.id, .size = row.config.size(), .platform = {}, .annotations = {}, .urls = {}};
    for (const LayerRow& layer : layers) {
        std::string type = layer.media_type;
        if (type.find("nondistributable") != std::string::npos || type.find("foreign") != std::string::npos || !type.starts_with("application/vnd.oci.image.layer."))
            type = std::string(type.find("zstd") != std::string::npos ? media::kLayerZstd : type.find("gzip") != std::string::npos ? media::kLayerGzip : media::kLayer);
        manifest.layers.push_back({.media_type = type, .digest = layer.blob, .size = layer.blob_size, .platform = {}, .annotations = {}, .urls = {}});
    }
    return std::pair(manifest_to_json(manifest), manifest.media_type);
}

Status ImageStore::push(const std::string& text, const PushOptions& options) {
    Reference reference = TRY(Reference::parse(text));
    if (reference.tag.empty()) return fail(Code::invalid, "push " + text + ": a tag is needed, not a digest");
    auto id = impl_->id_of(text);
    if (!id) return fail(Code::not_found, "An image does not exist locally with the tag: " + reference.familiar_name());
    auto row = TRY(impl_->tables.image(*id));
    if (!row) return fail(Code::not_found, "No such image: " + text);
    auto layers = TRY(impl_->tables.layers_of(*id));
    ByteLock guard = TRY(impl_->files.guard());
    auto [manifest, type] = TRY(impl_->manifest_of(*row, layers));
    RegistryClient client(RegistryOptions{.access = impl_->access_for(options.tls_verify), .cancel = options.cancel});
    auto tell = [&](Phase phase, const std::string& layer, uint64_t current, uint64_t total) {
        if (options.progress) options.progress({text, layer, phase, current, total});
    };
    tell(Phase::resolving, "", 0, 0);

    // The same blob once; the first failure ends the others.
    std::vector<LayerRow> todo;
    for (const LayerRow& layer : layers)
        if (std::none_of(todo.begin(), todo.end(), [&](const LayerRow& other) { return other.blob == layer.blob; })) todo.push_back(layer);
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::optional<Error> failed;
    auto send = [&](const LayerRow& layer) -> Status {
        std::string name = hex_of(layer.blob).substr(0, 12);
        if (TRY(client.has_blob(reference, layer.blob))) {
            tell(Phase::exists, name, layer.blob_size, layer.blob_size);
            return {};
        }
        auto fd = base::open_at(AT_FDCWD, impl_->files.blob_path(layer.blob), O_RDONLY);
        if (!fd) return std::move(fd.error()).with("the packed form of layer " + layer.diff_id + " is lost; `compose image verify --repair` fetches it again");
        auto from = TRY(impl_->tables.source(layer.blob, reference.domain));
        std::atomic<int64_t> told{0};
        TRY_VOID(client.upload(reference, {.media_type = layer.media_type, .digest = layer.blob, .size = layer.blob_size, .platform = {}, .annotations = {}, .urls = {}}, fd->get(),
                               from.value_or(""), [&](uint64_t sent) {
            int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
            if (now - told.load() < 100'000'000) return;
            told = now;
            tell(Phase::downloading, name, sent, layer.blob_size);
        }));
        tell(Phase::done, name, layer.blob_size, layer.blob_size);
        return {};
    };
    auto work = [&] {
        for (size_t i; (i = next++) < todo.size();) {
            {
                std::lock_guard lock(mutex);
                if (failed) return;
            }
            if (auto sent = send(todo[i]); !sent) {
                std::lock_guard lock(mutex);
                if (!failed) failed = std::move(sent.error());
                return;
            }
        }
    };
    std::vector<std::thread> workers;
    for (size_t i = 1; i < std::min(kMostUploads, todo.size()); ++i) workers.emplace_back(work);
    work();
    for (std::thread& worker : workers) worker.join();
    std::string doing = "push " + reference.familiar();
    if (failed) return std::move(*failed).with(doing);

    Descriptor config{.media_type = std::string(media::kConfig), .digest = row->id, .size = row->config.size(), .platform = {}, .annotations = {}, .urls = {}};
    if (!TRY(client.has_blob(reference, config.digest).context(doing))) {
        UniqueFd bytes = TRY(in_memory(row->config));
        TRY_VOID(client.upload(reference, config, bytes.get(), "", {}).context(doing));
    }
    TRY_VOID(client.put_manifest(reference, reference.tag, manifest, type).context(doing));
    for (const LayerRow& layer : todo) TRY_VOID(impl_->tables.put_source(layer.blob, reference.domain, reference.path));
    TRY_VOID(impl_->tables.put_digest({reference.name(), digest_of(manifest), row->id}));
    tell(Phase::done, "", 0, 0);
    return {};
}

}  // namespace engine::image
