#pragma once
// Hashing of streams: digests as OCI writes them, "sha256:<hex>".
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace engine::image {

/// One running hash.
class Hasher {
public:
    /// "sha256" (default) or "sha512"; anything else hashes as sha256.
    explicit Hasher(std::string_view algorithm = "sha256");
    Hasher(Hasher&&) noexcept;
    Hasher& operator=(Hasher&&) noexcept;
    ~Hasher();
    void update(std::string_view bytes);
    /// "sha256:…"; the hash is used up.
    std::string digest();

private:
    struct State;
    std::unique_ptr<State> state_;
};

std::string digest_of(std::string_view bytes, std::string_view algorithm = "sha256");
/// The algorithm of a digest: the part before the colon.
std::string algorithm_of(std::string_view digest);
/// The part after the colon.
std::string hex_of(std::string_view digest);

}  // namespace engine::image
