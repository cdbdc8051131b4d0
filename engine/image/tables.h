#pragma once
// The rows of the image store.
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/types.h"
#include "store/database.h"

namespace engine::image {

struct LayerRow {
    std::string diff_id;
    std::string key;        ///< name of its folder
    uint64_t size = 0;      ///< unpacked
    std::string blob;       ///< digest of the packed form that is on disk
    uint64_t blob_size = 0;
    std::string media_type; ///< of the packed form
};
struct ImageRow {
    std::string id, config;
    std::string manifest, manifest_type;  ///< as the registry gave it; empty for images made here
    uint64_t size = 0;
    Time added = 0;
    std::vector<std::string> layers;  ///< keys, lowest first
};
struct TagRow {
    std::string reference, image;
    Time tagged = 0;
    Time checked = 0;  ///< when a registry last gave this image for the reference; 0: never
};
struct DigestRow {
    std::string name, digest, image;  ///< "docker.io/library/nginx", "sha256:…"
};

/// One connection, opened at first use; any thread, one at a time.
class Tables {
public:
    explicit Tables(std::string root) : root_(std::move(root)) {}

    /// Several calls as one transaction.
    template <class Body>
    auto transaction(Body body) -> decltype(body()) {
        std::lock_guard lock(mutex_);
        store::Database* db = TRY(open());
        return db->transaction(body);
    }

    base::Status put_image(const ImageRow& row);
    base::Result<std::optional<ImageRow>> image(const std::string& id);
    base::Result<std::vector<ImageRow>> images();
    /// Full ids ("sha256:…") that begin with these hexadecimal digits; at most two.
    base::Result<std::vector<std::string>> ids_with_prefix(const std::string& hex);
    base::Status delete_image(const std::string& id);

    base::Status put_tag(const TagRow& row);
    /// Whether it was there.
    base::Result<bool> delete_tag(const std::string& reference);
    base::Result<std::optional<TagRow>> tag(const std::string& reference);
    base::Result<std::vector<TagRow>> tags(const std::string& image = "");

    base::Status put_digest(const DigestRow& row);
    base::Status delete_digest(const std::string& name, const std::string& digest);
    base::Result<std::optional<std::string>> image_of_digest(const std::string& name, const std::string& digest);
    base::Result<std::vector<DigestRow>> digests(const std::string& image = "");

    base::Status put_layer(const LayerRow& row);
    base::Result<std::optional<LayerRow>> layer(const std::string& key);
    base::Result<std::vector<LayerRow>> layers();
    base::Result<std::vector<LayerRow>> layers_of(const std::string& image);
    /// Rows of layers that no image has: deleted and returned.
    base::Result<std::vector<LayerRow>> take_unused_layers();
    base::Status delete_layer(const std::string& key);

    /// A repository that is known to have a blob, for mounting it across repositories.
    base::Status put_source(const std::string& blob, const std::string& domain, const std::string& repository);
    base::Result<std::optional<std::string>> source(const std::string& blob, const std::string& domain);
    /// All of them: (domain, repository).
    base::Result<std::vector<std::pair<std::string, std::string>>> sources(const std::string& blob);

private:
    base::Result<store::Database*> open();
    std::string root_;
    std::recursive_mutex mutex_;
    std::optional<store::Database> db_;
};

}  // namespace engine::image
