#include "image/reference.h"

#include <algorithm>

#include "base/text.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;

constexpr size_t kLongestName = 255;  // distribution/reference: NameTotalLengthMax

bool digit(char c) { return c >= '0' && c <= '9'; }
bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f'); }
bool word(char c) { return digit(c) || lower(c) || upper(c) || c == '_'; }

bool all_hex(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), hex); }

/// dot-separated labels of letters, digits and inner dashes, or `[IPv6]`; then an optional port.
bool valid_domain(std::string_view text) {
    std::string_view host = text;
    if (host.starts_with('[')) {
        size_t end = host.find(']');
        if (end == std::string_view::npos || end < 3) return false;
        std::string_view address = host.substr(1, end - 1);
        if (!std::all_of(address.begin(), address.end(), [](char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':'; }))
            return false;
        host = host.substr(end + 1);
        if (host.empty()) return true;
        if (host[0] != ':') return false;
    } else {
        size_t colon = host.find(':');
        std::string_view name = host.substr(0, colon);
        if (name.empty()) return false;
        char before = '.';
        for (size_t i = 0; i <= name.size(); ++i) {
            char c = i < name.size() ? name[i] : '.';
            bool letter = digit(c) || lower(c) || upper(c);
            if (!letter && c != '-' && c != '.') return false;
            if (c == '-' && before == '.') return false;
            if (c == '.' && (before == '.' || before == '-')) return false;
            before = c;
        }
        if (colon == std::string_view::npos) return true;
        host = host.substr(colon);
    }
    std::string_view port = host.substr(1);
    return !port.empty() && std::all_of(port.begin(), port.end(), digit);
}

/// Lower-case letters and digits, joined inside by one dot, one or two underscores, or any number of dashes.
bool valid_component(std::string_view text) {
    if (text.empty()) return false;
    for (size_t i = 0; i < text.size();) {
        if (lower(text[i]) || digit(text[i])) {
            ++i;
            continue;
        }
        size_t end = i;
        while (end < text.size() && text[end] == text[i]) ++end;
        size_t run = end - i;
        bool joins = (text[i] == '.' && run == 1) || (text[i] == '_' && run <= 2) || text[i] == '-';
        if (!joins || i == 0 || end == text.size() || !(lower(text[end]) || digit(text[end]))) return false;
        i = end;
    }
    return true;
}

/// As valid_digest, but for every algorithm that the grammar allows (`algo+x:` and at least 32 hexadecimal digits).
bool digest_grammar(std::string_view text) {
    size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    std::string_view algorithm = text.substr(0, colon), value = text.substr(colon + 1);
    char before = '+';
    for (char c : algorithm) {
        bool separator = c == '+' || c == '.' || c == '-' || c == '_';
        if (!separator && !digit(c) && !lower(c) && !upper(c)) return false;
        if (separator && !(digit(before) || lower(before) || upper(before))) return false;
        before = c;
    }
    return word(before) && before != '_' && value.size() >= 32 && all_hex(value);
}

}  // namespace

bool looks_like_id(std::string_view text) {
    if (text.starts_with("sha256:")) return text.size() <= 71 && all_hex(text.substr(7));
    return text.size() == 64 && all_hex(text);
}

bool valid_digest(std::string_view text) {
    if (text.starts_with("sha256:")) return text.size() == 71 && all_hex(text.substr(7));
    if (text.starts_with("sha512:")) return text.size() == 135 && all_hex(text.substr(7));
    return false;
}

bool valid_tag(std::string_view text) {
    if (text.empty() || text.size() > 128 || !word(text[0])) return false;
    return std::all_of(text.begin(), text.end(), [](char c) { return word(c) || c == '.' || c == '-'; });
}

base::Result<Reference> Reference::parse(std::string_view text) {
    auto bad = [&](std::string why = {}) {
        return fail(Code::invalid, "image " + base::quote(text.substr(0, 300)) + ": invalid reference format" + (why.empty() ? "" : ": " + why));
    };
    if (text.empty()) return bad("it is empty");
    if (text.size() == 64 && all_hex(text))
        return fail(Code::invalid, "invalid repository name (" + std::string(text) + "), cannot specify 64-byte hexadecimal strings");

    Reference result;
    std::string_view rest = text;
    // The domain first: the part before the first slash, when it cannot be the first component of a path.
    size_t slash = rest.find('/');
    if (slash != std::string_view::npos) {
        std::string_view first = rest.substr(0, slash);
        bool has_upper = std::any_of(first.begin(), first.end(), upper);
        if (first.find_first_of(".:[") != std::string_view::npos || first == "localhost" || has_upper) {
            result.domain = first;
            rest = rest.substr(slash + 1);
        }
    }
    if (size_t at = rest.find('@'); at != std::string_view::npos) {
        result.digest = rest.substr(at + 1);
        rest = rest.substr(0, at);
        if (!digest_grammar(result.digest)) return bad("the digest must be an algorithm, a colon and at least 32 hexadecimal digits");
        if (!valid_digest(result.digest)) return bad("unsupported digest algorithm or length");
    }
    size_t last_slash = rest.rfind('/');
    if (size_t colon = rest.find(':', last_slash == std::string_view::npos ? 0 : last_slash); colon != std::string_view::npos) {
        result.tag = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        if (!valid_tag(result.tag)) return bad("the tag must be letters, digits, `_`, `.` and `-`, at most 128");
    }
    result.path = rest;
    if (result.domain == "index.docker.io") result.domain = "docker.io";
    if (result.domain.empty()) result.domain = "docker.io";
    if (!valid_domain(result.domain)) return bad("the registry's name " + base::quote(result.domain) + " is not a host name");
    if (result.path.empty()) return bad("there is no repository name");
    if (std::any_of(result.path.begin(), result.path.end(), upper))
        return bad("repository name (" + result.path + ") must be lowercase");
    for (const std::string& component : base::split(result.path, '/'))
        if (!valid_component(component)) return bad();
    if (result.domain == "docker.io" && result.path.find('/') == std::string::npos) result.path = "library/" + result.path;
    if (result.name().size() > kLongestName) return bad("repository name must not be more than 255 characters");
    if (result.tag.empty() && result.digest.empty()) result.tag = "latest";
    return result;
}

std::string Reference::canonical() const {
    return name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

std::string Reference::familiar_name() const {
    if (domain != "docker.io") return name();
    if (path.starts_with("library/") && path.find('/', 8) == std::string::npos)
        return path.size() == 72 && all_hex(path.substr(8)) ? name() : path.substr(8);  // 64 digits alone would be an id
    std::string first = path.substr(0, path.find('/'));
    return first.find('.') != std::string::npos || first == "localhost" ? name() : path;  // alone it would be another registry
}

std::string Reference::familiar() const {
    return familiar_name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

}  // namespace engine::image
