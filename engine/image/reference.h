#pragma once
// Names of images as people write and read them: `[domain[:port]/]path[:tag][@digest]` (distribution/reference).
#include <string>
#include <string_view>

#include "base/error.h"

namespace engine::image {

/// A normalised reference: the domain is always there; a reference without tag and digest has the tag `latest`.
struct Reference {
    std::string domain;  ///< "docker.io", "127.0.0.1:5055", "[::1]:5000"
    std::string path;    ///< "library/nginx"
    std::string tag;     ///< may be empty when there is a digest
    std::string digest;  ///< "sha256:…" or empty

    /// invalid: with Docker's words (`invalid reference format`), upper case and bare ids are told apart.
    static base::Result<Reference> parse(std::string_view text);

    std::string name() const { return domain + "/" + path; }  ///< "docker.io/library/nginx"
    std::string canonical() const;                             ///< "docker.io/library/nginx:1.27@sha256:…"
    std::string familiar_name() const;                         ///< "nginx", as in a REPOSITORY column
    std::string familiar() const;                              ///< "nginx:1.27"
    bool operator==(const Reference&) const = default;
};

/// 64 hexadecimal digits with or without `sha256:` in front, or `sha256:` and fewer: never a name.
bool looks_like_id(std::string_view text);
/// `sha256:` + 64 or `sha512:` + 128 lower-case hexadecimal digits. Checked before a digest becomes a path (podman 2024-3727).
bool valid_digest(std::string_view text);
/// A valid tag: a word character, then up to 127 of word characters, dot, dash.
bool valid_tag(std::string_view text);

}  // namespace engine::image
