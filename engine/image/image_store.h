#pragma once
// Images on this machine: pulled, loaded, committed; their layers unpacked once each as overlay lower folders. Any number of
// processes and threads may use one root at the same time.
//
//     ROOT/state.db            tables image_*                        (own connection, opened at first use)
//     ROOT/layers/<hex>/       an unpacked layer, by the hex of its diff id; appears by rename when whole
//     ROOT/images/blobs/sha256/<hex>   manifests, configs, packed layers as the registry gave them
//     ROOT/images/tmp/<name>/  what is being made; swept when its owner has died
//     ROOT/images/lock         byte ranges of it are the locks of layers; one byte is held (shared) by running pulls
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/types.h"

namespace engine::image {

using base::Result;
using base::Status;

/// What makes an image of a parent and a changed tree.
struct CommitRequest {
    std::string parent;            ///< image id; empty: from nothing
    std::string upper;             ///< overlay upper folder that becomes the new layer; empty: configuration only
    ImageConfig config;            ///< of the new image, as it is
    Platform platform;             ///< empty: the parent's, else this machine's
    std::string reference;         ///< tag to set; may be empty
    std::string author, comment, created_by;
    Time created = 0;              ///< 0: now. Equal inputs with equal times give equal ids
    bool empty_layer_ok = true;    ///< an upper folder without changes adds a history entry only
};

struct ImageUsage {
    std::string id;
    uint64_t size = 0;         ///< of its layers unpacked
    uint64_t shared_size = 0;  ///< of which other images have too
};
struct StoreUsage {
    std::vector<ImageUsage> images;
    uint64_t layers = 0;         ///< each counted once, unpacked
    uint64_t unused_layers = 0;  ///< of those, in layers that only unused images have
    uint64_t packed = 0;
};

/// Says whether a container uses the image; asked with the full id. Empty function: nothing uses any.
using ImageInUse = std::function<bool(const std::string& id)>;

class ImageStore {
public:
    /// Cheap (no network, no database until needed): folders are made and leftovers of dead processes are swept.
    static Result<std::unique_ptr<ImageStore>> open(const std::string& root, RegistryAccess access = {});
    ~ImageStore();

    /// All layers of all images under one bound; one result per request, in order. Docker's words for what a registry lacks.
    std::vector<Result<ImageInfo>> pull(const std::vector<PullRequest>& requests, const PullOptions& options);
    /// By reference, full id, or unique id prefix. not_found: `No such image: x`.
    Result<ImageInfo> find(const std::string& reference);
    /// Newest first.
    Result<std::vector<ImageInfo>> list();
    /// Untags a reference, and deletes the image when it was the last; by id: all tags (conflict with several unless force).
    /// conflict while `in_use` says so (for an id or the last tag) unless force untags only.
    Result<RemovedImage> remove(const std::string& reference, bool force, const ImageInUse& in_use);
    Status tag(const std::string& source, const std::string& target);
    /// Images without a reference, or all, that `in_use` does not name; also layers and blobs that nothing refers to.
    Result<std::pair<std::vector<std::string>, uint64_t>> prune(bool all, const ImageInUse& in_use);

    Status push(const std::string& reference, const PushOptions& options);
    /// The digest a registry gives for a reference, without pulling.
    Result<std::string> resolve_digest(const std::string& reference);

    /// A tar that is both docker-archive and OCI layout.
    Status save(const std::vector<std::string>& references, int fd);
    /// docker-archive or OCI layout, plain, gzip or zstd; or an open folder with either. Returns the references (or ids of nameless images) loaded.
    Result<std::vector<std::string>> load(int fd);
    /// A one-layer image of a tar of a root file system, as `docker import`. Returns the id.
    Result<std::string> import(int fd, const CommitOptions& options);
    /// Returns the id ("sha256:…").
    Result<std::string> commit(const CommitRequest& request);
    /// As `docker commit`: `config` with `options.changes` applied.
    Result<std::string> commit(const std::string& image_id, const std::string& upper, const ImageConfig& config, const CommitOptions& options);

    /// Overlay lower folders, LOWEST first, absolute. An image of no layer has one empty folder.
    Result<std::vector<std::string>> layer_dirs(const std::string& image_id);
    /// The bytes of the configuration as the registry gave them.
    Result<std::string> config_json(const std::string& image_id);
    Result<ImageDetail> detail(const std::string& reference);
    Result<StoreUsage> usage(const ImageInUse& in_use = {});
    /// Hashes packed layers again, unpacks each once more and compares. With `repair`, what is broken is fetched or unpacked again.
    Result<VerifyResult> verify(const VerifyOptions& options);

    struct Impl;  ///< store_impl.h, for the verbs' own files

private:
    explicit ImageStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Applies Dockerfile instructions (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK)
/// to a configuration, as `docker commit --change`. invalid names the instruction.
Status apply_changes(ImageConfig& config, const std::vector<std::string>& changes);

/// This machine's: linux and Go's word for the architecture.
Platform host_platform();
/// `linux/arm64/v8`, `arm64`, `aarch64` … normalised; invalid otherwise.
Result<Platform> parse_platform(const std::string& text);

}  // namespace engine::image
