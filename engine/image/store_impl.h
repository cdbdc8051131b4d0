#pragma once
// What the verbs of the image store share (pull.cpp, push.cpp, commit.cpp …).
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image/image_store.h"
#include "image/layer_files.h"
#include "image/layer_unpack.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "image/tables.h"

namespace engine::image {

struct ImageStore::Impl {
    Impl(std::string folder, RegistryAccess registries) : root(folder), access(std::move(registries)), files(folder), tables(folder) {}

    std::string root;
    RegistryAccess access;
    LayerFiles files;
    Tables tables;
    std::once_flag swept;

    /// Before anything is made: leftovers of dead processes go.
    void sweep() {
        std::call_once(swept, [this] { files.sweep(); });
    }

    /// How registries are spoken to by a call that may ask for no verification.
    RegistryAccess access_for(bool tls_verify) const {
        RegistryAccess result = access;
        result.tls_verify = result.tls_verify && tls_verify;
        return result;
    }

    /// A row as the API's value, with its tags and digests.
    Result<ImageInfo> info(const ImageRow& row);
    /// The full id of a reference, id or prefix; not_found: `No such image: x`.
    Result<std::string> id_of(const std::string& text);
    Result<ImageInfo> info_of(const std::string& id);

    /// A layer that is whole: its row and its folder.
    Result<std::optional<LayerRow>> whole_layer(const std::string& key);
    /// Puts what is staged in its place and into the tables.
    Result<LayerRow> keep_layer(const Staging& staging, const UnpackedLayer& layer, const std::string& key, const std::string& blob,
                                const std::string& media_type);
    /// Hard links to files of layers below: copies those up into the staged tree, so that it stands on the chain below it.
    Status link_below(const Staging& staging, const UnpackedLayer& layer, const std::vector<LayerRow>& below);

    /// The image's row over layers that are all whole; sets a tag and a digest when given.
    Result<ImageInfo> keep_image(const std::string& config, const std::string& manifest, const std::string& manifest_type,
                                 const std::vector<LayerRow>& layers, const std::optional<Reference>& tag, const std::optional<DigestRow>& digest);
    /// Deletes layers and blobs that nothing refers to, unless someone is pulling. Returns the bytes freed.
    Result<uint64_t> collect();

    /// A manifest for the blobs on disk: the registry's own when they are the same, else made anew. (bytes, type)
    Result<std::pair<std::string, std::string>> manifest_of(const ImageRow& row, const std::vector<LayerRow>& layers);
};

/// The folder name of a layer that stands alone: the hex of its diff id.
std::string layer_key(const std::string& diff_id);
/// The same for a layer with links into the chain below it.
std::string chain_key(const std::vector<std::string>& diff_ids, size_t position);

}  // namespace engine::image
