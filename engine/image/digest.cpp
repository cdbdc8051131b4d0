#include "image/digest.h"

// Not the EVP interface, as in base/text.cpp.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <array>
#include <variant>

namespace engine::image {

struct Hasher::State {
    std::variant<SHA256_CTX, SHA512_CTX> context;
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
    if (algorithm == "sha512")
        SHA512_Init(&state_->context.emplace<SHA512_CTX>());
    else
        SHA256_Init(&state_->context.emplace<SHA256_CTX>());
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
    if (auto* wide = std::get_if<SHA512_CTX>(&state_->context))
        SHA512_Update(wide, bytes.data(), bytes.size());
    else
        SHA256_Update(std::get_if<SHA256_CTX>(&state_->context), bytes.data(), bytes.size());
}

std::string Hasher::digest() {
    std::array<unsigned char, SHA512_DIGEST_LENGTH> value{};
    std::string text = "sha256:";
    size_t length = SHA256_DIGEST_LENGTH;
    if (auto* wide = std::get_if<SHA512_CTX>(&state_->context)) {
        text = "sha512:";
        length = SHA512_DIGEST_LENGTH;
        SHA512_Final(value.data(), wide);
    } else {
        SHA256_Final(value.data(), std::get_if<SHA256_CTX>(&state_->context));
    }
    for (size_t i = 0; i < length; ++i) {
        text += "0123456789abcdef"[value[i] >> 4];
        text += "0123456789abcdef"[value[i] & 15];
    }
    return text;
}

std::string digest_of(std::string_view bytes, std::string_view algorithm) {
    Hasher hasher(algorithm);
    hasher.update(bytes);
    return hasher.digest();
}
std::string algorithm_of(std::string_view digest) { return std::string(digest.substr(0, digest.find(':'))); }
std::string hex_of(std::string_view digest) { return std::string(digest.substr(digest.find(':') + 1)); }

}  // namespace engine::image
