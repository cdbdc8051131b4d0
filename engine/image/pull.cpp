// Pulling: all layers of all images of one call under one bound, each layer once, unpacked while it arrives.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "image/digest.h"
#include "image/registry.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::Error;
using base::fail;

constexpr size_t kMostWorkers = 6;
constexpr int kMostNestedIndexes = 4;
using Phase = PullProgress::Phase;

struct ImageJob;

struct LayerJob {
    std::string key, diff_id, short_id;
    Descriptor descriptor;
    Reference reference;  ///< where it is fetched from
    std::vector<ImageJob*> waiters;
    std::atomic<bool> unwanted{false};  ///< every image that wanted it has failed
    std::atomic<uint64_t> downloaded{0};
    std::atomic<int64_t> told{0};       ///< when progress was last told
    std::optional<Result<LayerRow>> result;
    // A layer with hard links into layers below is kept when those are there.
    std::unique_ptr<Staging> staging;
    UnpackedLayer unpacked;
};

struct ImageJob {
    std::vector<size_t> requests;  ///< indexes that ask for the same
    std::string asked;             ///< as the first request wrote it
    Reference reference;
    Platform platform;
    bool platform_asked = false;
    std::string top_digest, manifest, manifest_type, config;
    ImageInfo info;
    std::vector<LayerJob*> layers;
    size_t missing = 0;
    std::optional<Result<ImageInfo>> result;
};

class Puller {
public:
    Puller(ImageStore::Impl& store, const PullOptions& options)
        : store_(store), options_(options), client_(RegistryOptions{.access = store.access_for(options.tls_verify), .cancel = options.cancel}) {}

    std::vector<Result<ImageInfo>> run(const std::vector<PullRequest>& requests);

private:
    // ---- tasks; the lock is held only around the lists
    void work();
    void resolve(ImageJob& image);
    Result<bool> resolve_image(ImageJob& image);
    Result<std::pair<std::string, std::string>> platform_manifest(ImageJob& image, RegistryClient::Fetched top);
    Result<std::string> fetch_config(const ImageJob& image, const Descriptor& config);
    void fetch(LayerJob& layer);
    Result<LayerRow> fetch_layer(LayerJob& layer);
    Result<LayerRow> fetch_once(LayerJob& layer, bool mirrors);
    void finish(ImageJob& image);
    Result<ImageInfo> finish_image(ImageJob& image);
    void fail_image(ImageJob& image, Error error);

    void tell(const ImageJob& image, Phase phase, const std::string& layer = {}, uint64_t current = 0, uint64_t total = 0) const {
        if (options_.progress) options_.progress({image.asked, layer, phase, current, total});
    }
    void tell(LayerJob& layer, Phase phase, uint64_t current, bool always) {
        if (!options_.progress) return;
        int64_t now = std::chrono::steady_clock::now().time_since_epoch().count(), before = layer.told.load();
        if (!always && now - before < 100'000'000) return;
        layer.told = now;
        std::vector<ImageJob*> waiters;
        {
            std::lock_guard lock(mutex_);
            waiters = layer.waiters;
        }
        for (ImageJob* image : waiters) tell(*image, phase, layer.short_id, current, layer.descriptor.size);
    }

    ImageStore::Impl& store_;
    const PullOptions& options_;
    RegistryClient client_;
    std::deque<ImageJob> images_;
    std::map<std::string, std::unique_ptr<LayerJob>> layers_;  ///< by key
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<ImageJob*> to_resolve_;
    std::vector<LayerJob*> to_fetch_;
    size_t open_images_ = 0;
};

std::vector<Result<ImageInfo>> Puller::run(const std::vector<PullRequest>& requests) {
    std::vector<Result<ImageInfo>> results(requests.size(), fail(Code::internal, "not pulled"));
    std::map<std::pair<std::string, std::string>, ImageJob*> known;
    for (size_t i = 0; i < requests.size(); ++i) {
        auto reference = Reference::parse(requests[i].reference);
        if (!reference) {
            results[i] = std::move(reference.error());
            continue;
        }
        Platform platform = host_platform();
        if (!requests[i].platform.empty()) {
            auto parsed = parse_platform(requests[i].platform);
            if (!parsed) {
                results[i] = std::move(parsed.error());
                continue;
            }
            platform = *parsed;
        }
        ImageJob*& job = known[{reference->canonical(), platform.text()}];
        if (!job) {
            job = &images_.emplace_back();
            job->asked = requests[i].reference;
            job->reference = *reference;
            job->platform = platform;
            job->platform_asked = !requests[i].platform.empty();
            to_resolve_.push_back(job);
            ++open_images_;
        }
        job->requests.push_back(i);
    }
    if (images_.empty()) return results;
    store_.sweep();
    auto guard = store_.files.guard();
    if (!guard) {
        for (ImageJob& image : images_)
            for (size_t i : image.requests) results[i] = Error(guard.error());
        return results;
    }
    std::vector<std::thread> workers;
    for (size_t i = 1; i < kMostWorkers; ++i) workers.emplace_back([this] { work(); });
    work();
    for (std::thread& worker : workers) worker.join();
    for (ImageJob& image : images_) {
        for (size_t i : image.requests) {
            if (*image.result)
                results[i] = **image.result;
            else
                results[i] = Error(image.result->error());
        }
    }
    return results;
}

void Puller::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [&] { return open_images_ == 0 || !to_resolve_.empty() || !to_fetch_.empty(); });
        if (!to_resolve_.empty()) {
            ImageJob* image = to_resolve_.front();
            to_resolve_.pop_front();
            lock.unlock();
            resolve(*image);
            lock.lock();
        } else if (!to_fetch_.empty()) {
            // The largest first: the end is not one long layer alone.
            auto largest = std::max_element(to_fetch_.begin(), to_fetch_.end(), [](auto* a, auto* b) { return a->descriptor.size < b->descriptor.size; });
            LayerJob* layer = *largest;
            to_fetch_.erase(largest);
            lock.unlock();
            fetch(*layer);
            lock.lock();
        } else if (open_images_ == 0) {
            changed_.notify_all();
            return;
        }
    }
}

void Puller::fail_image(ImageJob& image, Error error) {
    std::lock_guard lock(mutex_);
    if (image.result) return;
    image.result = std::move(error).with("pull " + image.reference.familiar());
    --open_images_;
    for (LayerJob* layer : image.layers)
        if (std::all_of(layer->waiters.begin(), layer->waiters.end(), [](ImageJob* waiter) { return waiter->result.has_value(); })) layer->unwanted = true;
    changed_.notify_all();
}

// ---- one image: its documents -------------------------------------------------------------------------------------------

void Puller::resolve(ImageJob& image) {
    auto done = resolve_image(image);
    if (!done) return fail_image(image, std::move(done.error()));
    if (*done) finish(image);
}

/// Follows indexes to the manifest for the platform: (bytes, type).
Result<std::pair<std::string, std::string>> Puller::platform_manifest(ImageJob& image, RegistryClient::Fetched top) {
    RegistryClient::Fetched here = std::move(top);
    for (int depth = 0;; ++depth) {
        Document document = TRY(parse_document(here.bytes, here.media_type));
        if (document.manifest) return std::pair(std::move(here.bytes), document.media_type);
        if (depth >= kMostNestedIndexes) return fail(Code::corrupt, "indexes nest more than " + std::to_string(kMostNestedIndexes) + " deep");
        Descriptor chosen = TRY(choose_platform(document.manifests, image.platform));
        if (chosen.size > kManifestLimit) return fail(Code::corrupt, "the index promises a manifest of " + std::to_string(chosen.size) + " bytes, over the limit of " + std::to_string(kManifestLimit));
        here = TRY(client_.manifest(image.reference, chosen.digest));
        if (here.bytes.size() != chosen.size)
            return fail(Code::corrupt, "manifest " + chosen.digest + " has " + std::to_string(here.bytes.size()) + " bytes, the index promises " + std::to_string(chosen.size));
    }
}

Result<std::string> Puller::fetch_config(const ImageJob& image, const Descriptor& config) {
    std::string bytes;
    auto fetch = [&](bool mirrors) {
        bytes.clear();
        return client_.blob(image.reference, config, [&](std::string_view part) -> Status {
            bytes += part;
            return {};
        }, mirrors);
    };
    auto fetched = fetch(true);
    if (!fetched && fetched.error().code == Code::corrupt) fetched = fetch(false);  // a mirror's copy may be damaged
    TRY_VOID(std::move(fetched).context("get the configuration"));
    return bytes;
}

/// true: nothing is missing.
Result<bool> Puller::resolve_image(ImageJob& image) {
    tell(image, Phase::resolving);
    const Reference& reference = image.reference;
    auto top = TRY(client_.manifest(reference, reference.digest.empty() ? reference.tag : reference.digest));
    image.top_digest = top.digest;
    std::tie(image.manifest, image.manifest_type) = TRY(platform_manifest(image, std::move(top)));
    Document document = TRY(parse_document(image.manifest, image.manifest_type));
    const Manifest& manifest = *document.manifest;
    if (manifest.config.media_type == "application/vnd.oci.empty.v1+json" || manifest.config.media_type.find("helm") != std::string::npos)
        return fail(Code::unsupported, "it is an artifact (" + base::printable(manifest.config.media_type) + "), not an image");
    auto known = TRY(store_.tables.image(manifest.config.digest));
    image.config = known ? known->config : TRY(fetch_config(image, manifest.config));
    image.info = TRY(parse_config(image.config));
    if (image.info.layers.size() != manifest.layers.size())
        return fail(Code::corrupt, "the configuration has " + std::to_string(image.info.layers.size()) + " layers, the manifest " + std::to_string(manifest.layers.size()));
    if (!satisfies(image.info.platform, image.platform) && !image.info.platform.os.empty()) {
        if (image.platform_asked)
            return fail(Code::not_found, "image with reference " + reference.familiar() + " was found but its platform (" + image.info.platform.text() +
                                             ") does not match the specified platform (" + image.platform.text() + ")");
        base::log::warn(reference.familiar() + ": the image's platform (" + image.info.platform.text() + ") does not match this machine's (" + image.platform.text() +
                        "), and none was asked for");
    }
    std::lock_guard lock(mutex_);
    for (size_t i = 0; i < manifest.layers.size(); ++i) {
        std::string key = layer_key(image.info.layers[i]);
        auto whole = TRY(store_.whole_layer(key));
        if (!whole) whole = TRY(store_.whole_layer(chain_key(image.info.layers, i)));
        std::unique_ptr<LayerJob>& job = layers_[key];
        if (!job) {
            job = std::make_unique<LayerJob>();
            job->key = key;
            job->diff_id = image.info.layers[i];
            job->descriptor = manifest.layers[i];
            job->short_id = hex_of(job->descriptor.digest).substr(0, 12);
            job->reference = reference;
            if (whole)
                job->result = std::move(*whole);
            else
                to_fetch_.push_back(job.get());
        }
        image.layers.push_back(job.get());
        if (std::find(job->waiters.begin(), job->waiters.end(), &image) != job->waiters.end()) continue;
        job->waiters.push_back(&image);
        if (!job->result) ++image.missing;
        if (job->result && !*job->result) return Error(job->result->error());
        tell(image, job->result ? Phase::exists : Phase::waiting, job->short_id, 0, job->descriptor.size);
    }
    changed_.notify_all();
    return image.missing == 0;
}

// ---- one layer ----------------------------------------------------------------------------------------------------------

void Puller::fetch(LayerJob& layer) {
    Result<LayerRow> result = fail(Code::interrupted, "interrupted");
    if (!layer.unwanted.load() && !(options_.cancel && options_.cancel->load())) result = fetch_layer(layer);
    bool good = result.has_value();
    if (good) tell(layer, Phase::done, layer.descriptor.size, true);
    std::vector<ImageJob*> ready, failed;
    {
        std::lock_guard lock(mutex_);
        layer.result = std::move(result);
        for (ImageJob* image : layer.waiters) {
            if (image->result) continue;
            if (!good)
                failed.push_back(image);
            else if (--image->missing == 0)
                ready.push_back(image);
        }
    }
    for (ImageJob* image : failed) fail_image(*image, Error(layer.result->error()));
    for (ImageJob* image : ready) finish(*image);
}

Result<LayerRow> Puller::fetch_layer(LayerJob& layer) {
    ByteLock lock = TRY(store_.files.lock_layer(layer.key, options_.cancel));
    if (auto whole = TRY(store_.whole_layer(layer.key))) return std::move(*whole);  // another process was faster
    auto row = fetch_once(layer, true);
    bool again = !row && row.error().code == Code::corrupt && row.error().what.find("damaged on the way") != std::string::npos;
    if (!again) return row;
    base::log::debug(row.error().message() + ": once more");
    layer.downloaded = 0;
    return fetch_once(layer, false);
}

Result<LayerRow> Puller::fetch_once(LayerJob& layer, bool mirrors) {
    auto staging = std::make_unique<Staging>(TRY(store_.files.stage()));
    const Descriptor& descriptor = layer.descriptor;
    std::string on_disk = store_.files.blob_path(descriptor.digest);
    LayerInput input;
    input.size_hint = std::max<uint64_t>(descriptor.size, 1);
    input.expected_diff_id = layer.diff_id;
    input.subject = "layer " + descriptor.digest;
    input.cancel = options_.cancel;
    input.progress = [&](uint64_t) {
        if (layer.downloaded.load() >= descriptor.size) tell(layer, Phase::extracting, descriptor.size, false);
    };
    auto counted = [&](const Sink& sink) -> Sink {
        return [&, sink](std::string_view bytes) -> Status {
            if (layer.unwanted.load()) return fail(Code::interrupted, "not wanted any more");
            layer.downloaded += bytes.size();
            tell(layer, Phase::downloading, layer.downloaded.load(), false);
            return sink(bytes);
        };
    };
    if (base::exists(on_disk)) {
        input.keep_blob = false;  // the folder was lost or is made anew: the packed form is here
        input.produce = [&](const Sink& sink) -> Status {
            auto file = TRY(base::open_at(AT_FDCWD, on_disk, O_RDONLY));
            Hasher hasher(algorithm_of(descriptor.digest));
            Source source = from_fd(file.get());
            Sink count = counted(sink);
            for (;;) {
                std::string_view bytes = TRY(source());
                if (bytes.empty()) break;
                hasher.update(bytes);
                TRY_VOID(count(bytes));
            }
            if (hasher.digest() == descriptor.digest) return {};
            ::unlink(on_disk.c_str());
            return fail(Code::corrupt, "blob " + descriptor.digest + " on this machine is damaged on the way to disk");
        };
    } else {
        input.produce = [&](const Sink& sink) { return client_.blob(layer.reference, descriptor, counted(sink), mirrors); };
    }
    tell(layer, Phase::downloading, 0, true);
    UnpackedLayer unpacked = TRY(unpack_layer(*staging, input));
    unpacked.blob_size = descriptor.size;
    if (!unpacked.links_below.empty()) {
        layer.staging = std::move(staging);
        layer.unpacked = std::move(unpacked);
        return LayerRow{layer.diff_id, "", layer.unpacked.size, descriptor.digest, descriptor.size, descriptor.media_type};
    }
    return store_.keep_layer(*staging, unpacked, layer.key, descriptor.digest, descriptor.media_type);
}

// ---- the end of an image --------------------------------------------------------------------------------------------------

void Puller::finish(ImageJob& image) {
    auto done = finish_image(image);
    if (!done) return fail_image(image, std::move(done.error()));
    tell(image, Phase::done);
    std::lock_guard lock(mutex_);
    image.result = std::move(done);
    --open_images_;
    changed_.notify_all();
}

Result<ImageInfo> Puller::finish_image(ImageJob& image) {
    std::vector<LayerRow> rows;
    for (size_t i = 0; i < image.layers.size(); ++i) {
        LayerJob& job = *image.layers[i];
        LayerRow row = **job.result;
        if (row.key.empty()) {
            std::string key = chain_key(image.info.layers, i);
            ByteLock lock = TRY(store_.files.lock_layer(key, options_.cancel));
            auto whole = TRY(store_.whole_layer(key));
            if (!whole) {
                if (!job.staging) return fail(Code::unsupported, "layer " + job.descriptor.digest + " has hard links into different layers below it; pull the images one after the other");
                TRY_VOID(store_.link_below(*job.staging, job.unpacked, rows).context("layer " + job.descriptor.digest));
                whole = TRY(store_.keep_layer(*job.staging, job.unpacked, key, job.descriptor.digest, job.descriptor.media_type));
                job.staging.reset();
            }
            row = std::move(*whole);
        }
        rows.push_back(std::move(row));
    }
    for (const LayerRow& row : rows) TRY_VOID(store_.tables.put_source(row.blob, image.reference.domain, image.reference.path));
    return store_.keep_image(image.config, image.manifest, image.manifest_type, rows, image.reference, DigestRow{image.reference.name(), image.top_digest, ""});
}

}  // namespace

std::vector<Result<ImageInfo>> ImageStore::pull(const std::vector<PullRequest>& requests, const PullOptions& options) {
    return Puller(*impl_, options).run(requests);
}

Result<std::string> ImageStore::resolve_digest(const std::string& text) {
    Reference reference = TRY(Reference::parse(text));
    RegistryOptions options;
    options.access = impl_->access;
    return RegistryClient(std::move(options)).resolve(reference);
}

}  // namespace engine::image
