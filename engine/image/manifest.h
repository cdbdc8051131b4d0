#pragma once
// The documents of an image: index, manifest, configuration (OCI image-spec and Docker's schema 2), read with limits and
// strict types, and written.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/types.h"

namespace engine::image {

constexpr size_t kManifestLimit = 4u << 20;  ///< registries promise to take 4 MiB
constexpr size_t kConfigLimit = 8u << 20;
constexpr size_t kMostLayers = 500;          ///< overlayfs takes no more lower folders

namespace media {
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
}  // namespace media

struct Descriptor {
    std::string media_type, digest;
    uint64_t size = 0;
    Platform platform;  ///< in an index; empty when it says none
    std::map<std::string, std::string> annotations;
    std::vector<std::string> urls;  ///< foreign layers
};

struct Manifest {
    std::string media_type;
    Descriptor config;
    std::vector<Descriptor> layers;
};

/// An index or a manifest: exactly one of the two.
struct Document {
    std::string media_type;
    std::optional<Manifest> manifest;
    std::vector<Descriptor> manifests;
};

/// Decides by the body: mediaType, then shape. Both `manifests` and `layers` (CVE-2021-41190), schema 1, and wrong types are
/// `corrupt` with the field's name. `content_type` is the registry's word, used when the body has none.
base::Result<Document> parse_document(std::string_view bytes, std::string_view content_type = {});
/// The configuration: fills id (the digest of the bytes), config, platform, layers, history.
base::Result<ImageInfo> parse_config(std::string_view bytes);

/// The entry for a platform; not_found lists what exists. Attestations (unknown/unknown) never match.
base::Result<Descriptor> choose_platform(const std::vector<Descriptor>& manifests, const Platform& wanted);
/// Go's words for machine names, default variants dropped.
Platform normalise(Platform platform);
/// Whether an image of `have` runs where `wanted` is asked for.
bool satisfies(const Platform& have, const Platform& wanted);

/// A configuration as OCI JSON, fields in a fixed order: equal images give equal ids.
std::string config_to_json(const ImageInfo& image);
std::string manifest_to_json(const Manifest& manifest);
std::string index_to_json(const std::vector<Descriptor>& manifests);

}  // namespace engine::image
