// Loading: an archive is unpacked beside first, under the rules for hostile archives, then its images are read from there.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "base/text.h"
#include "image/decompress.h"
#include "image/digest.h"
#include "image/json_read.h"
#include "image/limits.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::UniqueFd;
namespace json = boost::json;

constexpr size_t kIndexLimit = 16u << 20;

/// One image of an archive, ready to be kept.
struct ArchiveImage {
    std::string config, manifest, manifest_type;
    std::vector<std::string> layers;  ///< paths in the archive
    std::vector<std::string> tags;
};

class Loader {
public:
    Loader(ImageStore::Impl& store, int folder) : store_(store), folder_(folder) {}

    Result<std::vector<std::string>> run() {
        std::vector<ArchiveImage> images;
        if (there("manifest.json"))
            images = TRY(docker_archive());
        else if (there("index.json"))
            images = TRY(oci_layout());
        else
            return fail(Code::corrupt, "the archive is neither a docker-archive (no manifest.json) nor an OCI layout (no index.json)");
        if (images.empty()) return fail(Code::corrupt, "the archive holds no image");
        std::vector<std::string> loaded;
        for (const ArchiveImage& image : images)
            for (std::string& name : TRY(keep(image))) loaded.push_back(std::move(name));
        return loaded;
    }

private:
    bool there(const std::string& path) const { return base::open_in_root(folder_, path, O_PATH).has_value(); }
    Result<std::string> read(const std::string& path, size_t limit) const {
        UniqueFd file = TRY(open(path));
        return base::read_all(file.get(), limit).context("archive member " + base::quote(path));
    }
    /// Old archives hold layers as links to one another: followed inside the archive only.
    Result<UniqueFd> open(const std::string& path) const {
        auto file = base::open_in_root(folder_, path, O_RDONLY | O_NONBLOCK);
        if (!file && file.error().code == Code::not_found) return fail(Code::corrupt, "the archive lacks " + base::quote(path) + ", which it names");
        if (!file) return std::move(file.error());
        struct stat status {};
        if (::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode)) return fail(Code::corrupt, "archive member " + base::quote(path) + " is not a file");
        return file;
    }
    static std::string blob_name(const std::string& digest) { return "blobs/" + algorithm_of(digest) + "/" + hex_of(digest); }
    Result<std::string> blob(const std::string& digest, size_t limit) const {
        std::string bytes = TRY(read(blob_name(digest), limit));
        if (digest_of(bytes, algorithm_of(digest)) != digest) return fail(Code::corrupt, "archive member " + blob_name(digest) + " does not hash to its name");
        return bytes;
    }

    Result<std::vector<ArchiveImage>> docker_archive() const {
        json::value value = TRY(parse_json(TRY(read("manifest.json", kIndexLimit)), kIndexLimit, "manifest.json"));
        if (!value.is_array()) return fail(Code::corrupt, "manifest.json is not a list");
        std::vector<ArchiveImage> images;
        for (const auto& item : value.get_array()) {
            JsonObject object(item, "manifest.json[" + std::to_string(images.size()) + "]");
            ArchiveImage image;
            std::string config = object.text("Config");
            image.tags = object.texts("RepoTags");
            image.layers = object.texts("Layers");
            TRY_VOID(object.status());
            image.config = TRY(read(config, kConfigLimit));
            images.push_back(std::move(image));
        }
        // Where the archive is an OCI layout too, its manifests keep the digests of the registry.
        if (there("index.json"))
            if (auto documents = top_documents())
                for (const auto& [descriptor, bytes] : *documents)
                    for (ArchiveImage& image : images) {
                        auto document = parse_document(bytes, descriptor.media_type);
                        if (!document || !document->manifest || document->manifest->config.digest != digest_of(image.config)) continue;
                        image.manifest = bytes;
                        image.manifest_type = document->media_type;
                    }
        return images;
    }

    Result<std::vector<std::pair<Descriptor, std::string>>> top_documents() const {
        Document index = TRY(parse_document(TRY(read("index.json", kManifestLimit)), media::kIndex));
        std::vector<std::pair<Descriptor, std::string>> documents;
        for (const Descriptor& descriptor : index.manifests) documents.emplace_back(descriptor, TRY(blob(descriptor.digest, kManifestLimit)));
        return documents;
    }

    Result<std::vector<ArchiveImage>> oci_layout() const {
        std::vector<ArchiveImage> images;
        for (auto [descriptor, bytes] : TRY(top_documents())) {
            if (descriptor.annotations.contains("vnd.docker.reference.type")) continue;
            Document document = TRY(parse_document(bytes, descriptor.media_type));
            for (int depth = 0; !document.manifest; ++depth) {
                if (depth > 4) return fail(Code::corrupt, "indexes nest more than 4 deep");
                Descriptor chosen = TRY(choose_platform(document.manifests, host_platform()));
                bytes = TRY(blob(chosen.digest, kManifestLimit));
                document = TRY(parse_document(bytes, chosen.media_type));
            }
            ArchiveImage image;
            image.config = TRY(blob(document.manifest->config.digest, kConfigLimit));
            for (const Descriptor& layer : document.manifest->layers) image.layers.push_back(blob_name(layer.digest));
            image.manifest = std::move(bytes);
            image.manifest_type = document.media_type;
            auto annotation = [&](const char* name) -> std::string {
                auto found = descriptor.annotations.find(name);
                return found == descriptor.annotations.end() ? "" : found->second;
            };
            std::string name = annotation("io.containerd.image.name");
            if (name.empty()) {
                name = annotation("org.opencontainers.image.ref.name");
                // A bare tag ("latest", "1") names no repository; some tools write the whole name there.
                if (name.find('/') == std::string::npos && name.find(':') == std::string::npos) name.clear();
            }
            if (!name.empty()) image.tags.push_back(name);
            images.push_back(std::move(image));
        }
        return images;
    }

    Result<std::vector<std::string>> keep(const ArchiveImage& image) {
        ImageInfo info = TRY(parse_config(image.config));
        if (info.layers.size() != image.layers.size())
            return fail(Code::corrupt, "image " + info.id + ": the configuration has " + std::to_string(info.layers.size()) + " layers, the archive " + std::to_string(image.layers.size()));
        std::vector<LayerRow> rows;
        for (size_t i = 0; i < info.layers.size(); ++i) rows.push_back(TRY(layer(info, i, image.layers[i], rows)));
        std::vector<std::string> loaded;
        std::optional<Reference> none;
        if (image.tags.empty()) {
            loaded.push_back(TRY(store_.keep_image(image.config, image.manifest, image.manifest_type, rows, none, std::nullopt)).id);
            return loaded;
        }
        for (const std::string& tag : image.tags) {
            Reference reference = TRY(Reference::parse(tag));
            TRY(store_.keep_image(image.config, image.manifest, image.manifest_type, rows, reference, std::nullopt));
            loaded.push_back(reference.familiar());
        }
        return loaded;
    }

    Result<LayerRow> layer(const ImageInfo& info, size_t position, const std::string& path, const std::vector<LayerRow>& below) {
        std::string key = layer_key(info.layers[position]), linked_key = chain_key(info.layers, position);
        ByteLock lock = TRY(store_.files.lock_layer(key, nullptr));
        for (const std::string& name : {key, linked_key})
            if (auto whole = TRY(store_.whole_layer(name))) return std::move(*whole);
        UniqueFd file = TRY(open(path));
        char head[4] = {};
        ssize_t n = ::pread(file.get(), head, sizeof head, 0);
        Packing packing = packing_of(std::string_view(head, n > 0 ? static_cast<size_t>(n) : 0));
        Staging staging = TRY(store_.files.stage());
        LayerInput input;
        input.expected_diff_id = info.layers[position];
        input.pack_plain = true;
        input.hash_blob = true;
        input.subject = "layer " + base::quote(path);
        input.produce = [&](const Sink& sink) -> Status {
            Source source = from_fd(file.get());
            for (;;) {
                std::string_view bytes = TRY(source());
                if (bytes.empty()) return {};
                TRY_VOID(sink(bytes));
            }
        };
        UnpackedLayer unpacked = TRY(unpack_layer(staging, input).context("image " + info.id));
        if (!unpacked.links_below.empty()) {
            TRY_VOID(store_.link_below(staging, unpacked, below).context(input.subject));
            key = linked_key;
        }
        return store_.keep_layer(staging, unpacked, key, unpacked.blob, std::string(packing == Packing::zstd ? media::kLayerZstd : media::kLayerGzip));
    }

    ImageStore::Impl& store_;
    int folder_;
};

}  // namespace

Result<std::vector<std::string>> ImageStore::load(int fd) {
    impl_->sweep();
    ByteLock guard = TRY(impl_->files.guard());
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) return Loader(*impl_, fd).run();  // an OCI layout as a folder
    ImageLimits limits = TRY(image_limits());
    Staging staging = TRY(impl_->files.stage());
    if (::mkdir(staging.tree().c_str(), 0700) != 0) return base::fail_errno("make folder \"" + staging.tree() + "\"");
    UniqueFd folder = TRY(base::open_at(AT_FDCWD, staging.tree(), O_RDONLY | O_DIRECTORY));
    ExtractOptions options;
    options.keep_owner = false;
    options.owner = {::geteuid(), ::getegid()};
    options.allow_devices = false;
    options.subject = "archive";
    options.limits.entries = std::min<uint64_t>(limits.entries, 200'000);
    options.limits.bytes = limits.bytes;
    TRY(extract_tar(folder.get(), unpacked(from_fd(fd), {.bytes = limits.bytes, .ratio = limits.ratio}), options));
    return Loader(*impl_, folder.get()).run();
}

}  // namespace engine::image
