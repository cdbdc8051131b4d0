// Images made here: of a changed tree (commit, builds), of a tar of a root file system (import).
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "image/decompress.h"
#include "image/digest.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::UniqueFd;

/// Keeps a layer whose diff id was not known before it was unpacked.
Result<LayerRow> keep_new_layer(ImageStore::Impl& store, const Staging& staging, UnpackedLayer unpacked) {
    if (!unpacked.links_below.empty()) {
        const auto& [target, link] = unpacked.links_below[0];
        return fail(Code::corrupt, "entry " + base::quote(link) + ": a hard link to " + base::quote(target) + ", which is not there");
    }
    std::string key = layer_key(unpacked.diff_id);
    ByteLock lock = TRY(store.files.lock_layer(key, nullptr));
    if (auto whole = TRY(store.whole_layer(key))) return std::move(*whole);
    UniqueFd blob = TRY(base::open_at(AT_FDCWD, staging.blob(), O_RDONLY));
    char head[4] = {};
    ssize_t n = ::pread(blob.get(), head, sizeof head, 0);
    Packing packing = packing_of(std::string_view(head, n > 0 ? static_cast<size_t>(n) : 0));
    std::string_view type = packing == Packing::gzip ? media::kLayerGzip : packing == Packing::zstd ? media::kLayerZstd : media::kLayer;
    return store.keep_layer(staging, unpacked, key, unpacked.blob, std::string(type));
}

}  // namespace

Result<std::string> ImageStore::commit(const CommitRequest& request) {
    impl_->sweep();
    ByteLock guard = TRY(impl_->files.guard());
    ImageInfo image;
    std::vector<LayerRow> layers;
    if (!request.parent.empty()) {
        std::string parent = TRY(impl_->id_of(request.parent));
        image = TRY(impl_->info_of(parent));
        layers = TRY(impl_->tables.layers_of(parent));
    }
    std::optional<Reference> reference;
    if (!request.reference.empty()) {
        reference = TRY(Reference::parse(request.reference));
        if (!reference->digest.empty()) return fail(Code::invalid, "commit to " + request.reference + ": a tag is needed, not a digest");
    }
    image.config = request.config;
    image.created = request.created != 0 ? request.created : base::now();
    if (!request.platform.os.empty()) image.platform = request.platform;
    if (image.platform.os.empty()) image.platform = host_platform();
    if (!request.author.empty()) image.author = request.author;
    bool new_layer = !request.upper.empty() && (!request.empty_layer_ok || !TRY(base::list_dir(request.upper)).empty());
    if (new_layer) {
        UniqueFd upper = TRY(base::open_at(AT_FDCWD, request.upper, O_RDONLY | O_DIRECTORY));
        Staging staging = TRY(impl_->files.stage());
        LayerInput input;
        input.pack_plain = true;
        input.subject = "commit";
        input.produce = [&](const Sink& sink) {
            PackOptions options;
            options.whiteouts = true;
            return pack_tree(upper.get(), options, sink);
        };
        layers.push_back(TRY(keep_new_layer(*impl_, staging, TRY(unpack_layer(staging, input)))));
        image.layers.push_back(layers.back().diff_id);
    }
    image.history.push_back({.created = image.created, .created_by = request.created_by, .comment = request.comment, .author = request.author, .empty_layer = !new_layer});
    return TRY(impl_->keep_image(config_to_json(image), "", "", layers, reference, std::nullopt)).id;
}

Result<std::string> ImageStore::commit(const std::string& image_id, const std::string& upper, const ImageConfig& config, const CommitOptions& options) {
    CommitRequest request;
    request.parent = image_id;
    request.upper = upper;
    request.config = config;
    TRY_VOID(apply_changes(request.config, options.changes));
    request.reference = options.reference;
    request.author = options.author;
    request.comment = options.message;
    request.created_by = base::join(config.cmd, " ");
    return commit(request);
}

Result<std::string> ImageStore::import(int fd, const CommitOptions& options) {
    impl_->sweep();
    ByteLock guard = TRY(impl_->files.guard());
    ImageInfo image;
    TRY_VOID(apply_changes(image.config, options.changes));
    std::optional<Reference> reference;
    if (!options.reference.empty()) reference = TRY(Reference::parse(options.reference));
    Staging staging = TRY(impl_->files.stage());
    LayerInput input;
    input.pack_plain = true;
    input.hash_blob = true;
    input.subject = "import";
    input.produce = [&](const Sink& sink) -> Status {
        Source source = from_fd(fd);
        for (;;) {
            std::string_view bytes = TRY(source());
            if (bytes.empty()) return {};
            TRY_VOID(sink(bytes));
        }
    };
    LayerRow layer = TRY(keep_new_layer(*impl_, staging, TRY(unpack_layer(staging, input))));
    image.created = base::now();
    image.platform = host_platform();
    image.author = options.author;
    image.layers.push_back(layer.diff_id);
    image.history.push_back({.created = image.created, .created_by = "", .comment = options.message.empty() ? "Imported from -" : options.message, .author = "", .empty_layer = false});
    return TRY(impl_->keep_image(config_to_json(image), "", "", {layer}, reference, std::nullopt)).id;
}

}  // namespace engine::image
