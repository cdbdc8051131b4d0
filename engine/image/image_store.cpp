#include "image/image_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "image/digest.h"
#include "image/store_impl.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;

base::Error no_such_image(const std::string& text) { return fail(Code::not_found, "No such image: " + base::printable(text)); }

bool is_hex(const std::string& text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string layer_key(const std::string& diff_id) {
    return (algorithm_of(diff_id) == "sha256" ? "" : algorithm_of(diff_id) + "-") + hex_of(diff_id);
}

std::string chain_key(const std::vector<std::string>& diff_ids, size_t position) {
    std::string chain = diff_ids[0];
    for (size_t i = 1; i <= position; ++i) chain = digest_of(chain + " " + diff_ids[i]);  // image-spec config.md, "Layer ChainID"
    return "chain-" + hex_of(chain);
}

ImageStore::ImageStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageStore::~ImageStore() = default;

Result<std::unique_ptr<ImageStore>> ImageStore::open(const std::string& root, RegistryAccess access) {
    auto impl = std::make_unique<Impl>(root, std::move(access));
    TRY_VOID(impl->files.prepare().context("open the images"));
    return std::unique_ptr<ImageStore>(new ImageStore(std::move(impl)));
}

// ---- looking up -------------------------------------------------------------------------------------------------------

Result<ImageInfo> ImageStore::Impl::info(const ImageRow& row) {
    ImageInfo image = TRY(parse_config(row.config).context("image " + row.id));
    image.size = row.size;
    for (const TagRow& tag : TRY(tables.tags(row.id))) {
        image.references.push_back(tag.reference);
        image.tagged = std::max(image.tagged, tag.tagged);
        image.pulled = std::max(image.pulled, tag.checked);
    }
    if (image.tagged == 0) image.tagged = row.added;
    for (const DigestRow& digest : TRY(tables.digests(row.id))) image.repo_digests.push_back(digest.name + "@" + digest.digest);
    return image;
}

Result<std::string> ImageStore::Impl::id_of(const std::string& text) {
    if (!looks_like_id(text)) {
        auto reference = Reference::parse(text);
        if (reference) {
            if (!reference->digest.empty()) {
                if (auto id = TRY(tables.image_of_digest(reference->name(), reference->digest))) return *id;
            } else if (auto tag = TRY(tables.tag(reference->canonical()))) {
                return tag->image;
            }
        } else if (!is_hex(text)) {
            return std::move(reference.error());
        }
    }
    std::string hex = text.starts_with("sha256:") ? text.substr(7) : text;
    if (!is_hex(hex) || hex.size() > 64) return no_such_image(text);
    auto ids = TRY(tables.ids_with_prefix(hex));
    if (ids.empty()) return no_such_image(text);
    if (ids.size() > 1) return fail(Code::conflict, "image id " + base::quote(text) + " is the beginning of several ids");
    return ids[0];
}

Result<ImageInfo> ImageStore::Impl::info_of(const std::string& id) {
    auto row = TRY(tables.image(id));
    if (!row) return no_such_image(id);
    return info(*row);
}

Result<ImageInfo> ImageStore::find(const std::string& reference) {
    ImageInfo image = TRY(impl_->info_of(TRY(impl_->id_of(reference))));
    if (auto named = Reference::parse(reference); named && !looks_like_id(reference))
        if (auto tag = TRY(impl_->tables.tag(named->canonical()))) {
            image.tagged = tag->tagged;
            image.pulled = tag->checked;
        }
    return image;
}

Result<ImageDetail> ImageStore::detail(const std::string& reference) {
    std::string id = TRY(impl_->id_of(reference));
    auto row = TRY(impl_->tables.image(id));
    if (!row) return no_such_image(reference);
    ImageDetail detail;
    detail.image = TRY(impl_->info(*row));
    for (const LayerRow& layer : TRY(impl_->tables.layers_of(id))) detail.layer_sizes.push_back(layer.size);
    detail.layer_dirs = TRY(layer_dirs(id));
    detail.config = std::move(row->config);
    return detail;
}

Result<std::vector<ImageInfo>> ImageStore::list() {
    std::vector<ImageInfo> images;
    for (const ImageRow& row : TRY(impl_->tables.images())) images.push_back(TRY(impl_->info(row)));
    std::stable_sort(images.begin(), images.end(), [](const ImageInfo& a, const ImageInfo& b) { return a.created > b.created; });
    return images;
}

Result<std::vector<std::string>> ImageStore::layer_dirs(const std::string& image_id) {
    std::string id = image_id.starts_with("sha256:") && image_id.size() == 71 ? image_id : TRY(impl_->id_of(image_id));
    auto row = TRY(impl_->tables.image(id));
    if (!row) return no_such_image(image_id);
    std::vector<std::string> folders;
    for (const std::string& key : row->layers) {
        // A layer that appears twice is hidden by its upper self; overlayfs refuses the same folder twice.
        std::string path = impl_->files.layer_path(key);
        std::erase(folders, path);
        folders.push_back(std::move(path));
    }
    if (folders.empty()) {
        std::string empty = impl_->files.layer_path("empty");
        TRY_VOID(base::make_dirs(empty, 0755));
        folders.push_back(empty);
    }
    return folders;
}

Result<std::string> ImageStore::config_json(const std::string& image_id) {
    auto row = TRY(impl_->tables.image(TRY(impl_->id_of(image_id))));
    if (!row) return no_such_image(image_id);
    return std::move(row->config);
}

Result<StoreUsage> ImageStore::usage(const ImageInUse& in_use) {
    auto images = TRY(impl_->tables.images());
    StoreUsage result;
    std::map<std::string, uint64_t> sizes;
    for (const LayerRow& layer : TRY(impl_->tables.layers())) {
        sizes[layer.key] = layer.size;
        result.layers += layer.size;
        result.packed += layer.blob_size;
    }
    std::map<std::string, int> users;
    std::set<std::string> busy;
    auto keys_of = [](const ImageRow& image) { return std::set<std::string>(image.layers.begin(), image.layers.end()); };
    for (const ImageRow& image : images) {
        bool used = in_use && in_use(image.id);
        for (const std::string& key : keys_of(image)) {
            ++users[key];
            if (used) busy.insert(key);
        }
    }
    for (const auto& [key, size] : sizes)
        if (!busy.contains(key)) result.unused_layers += size;
    for (const ImageRow& image : images) {
        ImageUsage usage{image.id, image.size, 0};
        for (const std::string& key : keys_of(image))
            if (users[key] > 1) usage.shared_size += sizes[key];
        result.images.push_back(usage);
    }
    return result;
}

// ---- keeping ----------------------------------------------------------------------------------------------------------

Result<std::optional<LayerRow>> ImageStore::Impl::whole_layer(const std::string& key) {
    auto row = TRY(tables.layer(key));
    if (row && !base::exists(files.layer_path(key))) return std::optional<LayerRow>();
    return row;
}

Result<LayerRow> ImageStore::Impl::keep_layer(const Staging& staging, const UnpackedLayer& layer, const std::string& key, const std::string& blob,
                                              const std::string& media_type) {
    // Unpacked from a packed form that is here already (a process died right after the line below): there is no new one.
    if (base::exists(staging.blob()) || !base::exists(files.blob_path(blob))) TRY_VOID(files.publish(staging.blob(), files.blob_path(blob)));
    // A folder without a row is what a process left that died right here; it may stand on other bytes' rules, so it goes.
    if (base::exists(files.layer_path(key)) && !TRY(tables.layer(key))) TRY_VOID(files.discard(files.layer_path(key)));
    TRY_VOID(files.publish(staging.tree(), files.layer_path(key)));
    LayerRow row{layer.diff_id, key, layer.size, blob, layer.blob_size, media_type};
    TRY_VOID(tables.put_layer(row));
    return row;
}

Result<ImageInfo> ImageStore::Impl::keep_image(const std::string& config, const std::string& manifest, const std::string& manifest_type,
                                               const std::vector<LayerRow>& layers, const std::optional<Reference>& tag, const std::optional<DigestRow>& digest) {
    ImageRow row;
    row.id = digest_of(config);
    row.config = config;
    row.manifest = manifest;
    row.manifest_type = manifest_type;
    row.added = base::now();
    std::set<std::string> counted;
    for (const LayerRow& layer : layers) {
        row.layers.push_back(layer.key);
        if (counted.insert(layer.key).second) row.size += layer.size;
    }
    TRY_VOID(tables.transaction([&]() -> Status {
        TRY_VOID(tables.put_image(row));
        if (tag && !tag->tag.empty()) {
            Reference named = *tag;
            named.digest.clear();
            TRY_VOID(tables.put_tag({named.canonical(), row.id, row.added, digest ? row.added : 0}));  // a digest: a registry just said so
        }
        if (digest) TRY_VOID(tables.put_digest({digest->name, digest->digest, row.id}));
        return {};
    }));
    return info_of(row.id);
}

Status ImageStore::tag(const std::string& source, const std::string& target) {
    std::string id = TRY(impl_->id_of(source));
    Reference reference = TRY(Reference::parse(target));
    if (!reference.digest.empty()) return fail(Code::invalid, "refusing to create a tag with a digest reference");
    return impl_->tables.put_tag({reference.canonical(), id, base::now(), 0});
}

// ---- removing ---------------------------------------------------------------------------------------------------------

Result<uint64_t> ImageStore::Impl::collect() {
    ByteLock alone = TRY(files.try_exclusive());
    if (!alone) return uint64_t{0};  // someone pulls: what is unused now may be in use soon, and goes the next time
    uint64_t freed = 0;
    TRY(tables.take_unused_layers());
    std::set<std::string> folders{"empty"}, blobs;
    for (const LayerRow& layer : TRY(tables.layers())) {
        folders.insert(layer.key);
        blobs.insert(files.blob_path(layer.blob));
    }
    auto size_of = [](const std::string& path) -> uint64_t {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
    };
    for (const std::string& name : TRY(base::list_dir(files.blobs_path()))) {
        std::string path = files.blobs_path() + "/" + name;
        if (blobs.contains(path)) continue;
        freed += size_of(path);
        TRY_VOID(files.discard(path));
    }
    for (const std::string& name : TRY(base::list_dir(files.layers_path())))
        if (!folders.contains(name)) TRY_VOID(files.discard(files.layers_path() + "/" + name));
    return freed;
}

Result<RemovedImage> ImageStore::remove(const std::string& reference, bool force, const ImageInUse& in_use) {
    impl_->sweep();
    std::string id = TRY(impl_->id_of(reference));
    auto used = [&] { return in_use && in_use(id); };
    RemovedImage removed;
    auto tags = TRY(impl_->tables.tags(id));
    auto digests = TRY(impl_->tables.digests(id));
    auto named = Reference::parse(reference);
    bool by_name = named && !looks_like_id(reference) &&
                   std::any_of(tags.begin(), tags.end(), [&](const TagRow& tag) { return tag.reference == named->canonical(); });
    bool by_digest = named && !looks_like_id(reference) && !named->digest.empty();
    if (!by_name && !by_digest && tags.size() > 1 && !force)
        return fail(Code::conflict, "conflict: unable to delete " + id.substr(7, 12) + " (must be forced) - image is referenced in multiple repositories");
    bool last = !by_name || tags.size() == 1;
    if (by_digest && !tags.empty()) last = false;
    if (last && used()) {
        if (!force)
            return fail(Code::conflict, "conflict: unable to remove repository reference \"" + reference + "\" (must force) - a container is using its referenced image " + id.substr(7, 12));
        if (!by_name) return fail(Code::conflict, "conflict: unable to delete " + id.substr(7, 12) + " (cannot be forced) - image is being used by a container");
        last = false;  // untagged only: the container keeps it
    }
    auto untag = [&](const std::string& text) {
        auto parsed = Reference::parse(text);
        removed.untagged.push_back(parsed ? parsed->familiar() : text);
    };
    TRY_VOID(impl_->tables.transaction([&]() -> Status {
        for (const TagRow& tag : tags) {
            if (by_name && tag.reference != named->canonical()) continue;
            if (by_digest) continue;
            TRY(impl_->tables.delete_tag(tag.reference));
            untag(tag.reference);
        }
        for (const DigestRow& digest : digests) {
            bool same_name = named && digest.name == named->name();
            bool name_lives = std::any_of(tags.begin(), tags.end(), [&](const TagRow& tag) {
                auto parsed = Reference::parse(tag.reference);
                return parsed && parsed->name() == digest.name && (!by_name || tag.reference != named->canonical());
            });
            if (!last && !(by_digest && same_name && digest.digest == named->digest) && (name_lives || !same_name)) continue;
            TRY_VOID(impl_->tables.delete_digest(digest.name, digest.digest));
            untag(digest.name + "@" + digest.digest);
        }
        if (!last) return {};
        removed.deleted.push_back(id);
        return impl_->tables.delete_image(id);
    }));
    if (last)
        if (auto collected = impl_->collect(); !collected) base::log::debug(collected.error().message());  // the image is gone; its files go another time
    return removed;
}

Result<std::pair<std::vector<std::string>, uint64_t>> ImageStore::prune(bool all, const ImageInUse& in_use) {
    impl_->sweep();
    std::vector<std::string> gone;
    uint64_t freed = 0;
    std::map<std::string, uint64_t> before;
    for (const LayerRow& layer : TRY(impl_->tables.layers())) before[layer.key] = layer.size;
    for (const ImageRow& row : TRY(impl_->tables.images())) {
        auto tags = TRY(impl_->tables.tags(row.id));
        if (!all && !tags.empty()) continue;
        if (in_use && in_use(row.id)) continue;
        for (const TagRow& tag : tags) {
            auto parsed = Reference::parse(tag.reference);
            gone.push_back("untagged: " + (parsed ? parsed->familiar() : tag.reference));
        }
        TRY_VOID(impl_->tables.delete_image(row.id));
        gone.push_back("deleted: " + row.id);
    }
    freed += TRY(impl_->collect());
    for (const LayerRow& layer : TRY(impl_->tables.layers())) before.erase(layer.key);
    for (const auto& [key, size] : before) freed += size;
    return std::pair(std::move(gone), freed);
}

}  // namespace engine::image
