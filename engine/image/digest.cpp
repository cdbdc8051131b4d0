#include "image/digest.h"

#include <openssl/evp.h>

#include <array>

namespace engine::image {

struct Hasher::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string algorithm;
    ~State() { EVP_MD_CTX_free(context); }
};

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
    bool wide = algorithm == "sha512";
    state_->algorithm = wide ? "sha512" : "sha256";
    EVP_DigestInit_ex(state_->context, wide ? EVP_sha512() : EVP_sha256(), nullptr);
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string Hasher::digest() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
    unsigned length = 0;
    EVP_DigestFinal_ex(state_->context, value.data(), &length);
    std::string text = state_->algorithm + ":";
    for (unsigned i = 0; i < length; ++i) {
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
