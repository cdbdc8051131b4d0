// Platforms: names, defaults, and which of an index's images runs here.
#include <sys/utsname.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/text.h"
#include "image/image_store.h"
#include "image/manifest.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;

/// How well `have` serves `wanted`: 0 is exact, larger is worse, nullopt is not at all.
std::optional<int> distance(const Platform& have, const Platform& wanted) {
    if (have.os != wanted.os || have.architecture != wanted.architecture) return std::nullopt;
    auto level = [&](const Platform& platform) -> std::optional<int64_t> {
        if (platform.variant.empty()) {
            if (platform.architecture == "amd64") return 1;
            if (platform.architecture == "arm64") return 8;
            if (platform.architecture == "arm") return 7;
            return 0;
        }
        if (platform.variant[0] != 'v') return std::nullopt;
        return base::parse_int(platform.variant.substr(1));
    };
    auto a = level(have), b = level(wanted);
    if (!a || !b) return have.variant == wanted.variant ? std::optional<int>(0) : std::nullopt;
    if (*a > *b) return std::nullopt;  // needs more than the machine was said to have
    return static_cast<int>(*b - *a);
}

}  // namespace

Platform normalise(Platform platform) {
    auto lower = [](std::string& text) { text = base::to_lower(text); };
    lower(platform.os);
    lower(platform.architecture);
    lower(platform.variant);
    std::string& machine = platform.architecture;
    if (platform.os == "macos") platform.os = "darwin";
    if (machine == "x86_64" || machine == "x86-64") machine = "amd64";
    else if (machine == "aarch64") machine = "arm64";
    else if (machine == "i386" || machine == "i486" || machine == "i586" || machine == "i686") machine = "386";
    else if (machine == "armhf" || machine == "armv7l") machine = "arm", platform.variant = "v7";
    else if (machine == "armel" || machine == "armv6l") machine = "arm", platform.variant = "v6";
    else if (machine == "riscv") machine = "riscv64";
    if (!platform.variant.empty() && platform.variant[0] >= '0' && platform.variant[0] <= '9') platform.variant = "v" + platform.variant;
    if (machine == "arm64" && platform.variant == "v8") platform.variant.clear();
    if (machine == "amd64" && platform.variant == "v1") platform.variant.clear();
    if (machine == "arm" && platform.variant.empty()) platform.variant = "v7";
    return platform;
}

Platform host_platform() {
    utsname name{};
    ::uname(&name);
    return normalise(Platform{"linux", name.machine, ""});
}

base::Result<Platform> parse_platform(const std::string& text) {
    std::vector<std::string> parts = base::split(text, '/');
    auto good = [](const std::string& part) {
        return !part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) { return isalnum(c) || c == '_' || c == '-' || c == '.'; });
    };
    if (parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), good))
        return fail(Code::invalid, "platform " + base::quote(text) + ": must be os/architecture[/variant], for example linux/arm64");
    static const std::set<std::string> kSystems{"linux", "windows", "darwin", "macos", "freebsd", "netbsd", "openbsd", "wasip1", "android", "plan9", "solaris"};
    if (parts.size() == 1) {
        if (kSystems.contains(base::to_lower(parts[0]))) {
            Platform platform = host_platform();
            platform.os = base::to_lower(parts[0]);
            return platform;
        }
        return normalise(Platform{"linux", parts[0], ""});
    }
    return normalise(Platform{parts[0], parts[1], parts.size() == 3 ? parts[2] : ""});
}

bool satisfies(const Platform& have, const Platform& wanted) { return distance(normalise(have), normalise(wanted)).has_value(); }

base::Result<Descriptor> choose_platform(const std::vector<Descriptor>& manifests, const Platform& wanted) {
    // amd64 machines of later levels run images of the lower ones; what the machine has is not asked, v4 counts as wished for
    // only when --platform says so. Among equals the first wins (image-spec image-index.md).
    auto best_for = [&](const Platform& platform) {
        const Descriptor* best = nullptr;
        int best_distance = 0;
        for (const Descriptor& item : manifests) {
            if (item.platform.os.empty() || item.platform.os == "unknown" || item.annotations.contains("vnd.docker.reference.type")) continue;
            auto away = distance(item.platform, platform);
            if (away && (!best || *away < best_distance)) best = &item, best_distance = *away;
        }
        return best;
    };
    Platform asked = normalise(wanted);
    const Descriptor* best = best_for(asked);
    if (!best && asked.architecture == "amd64") best = best_for(Platform{asked.os, "386", ""});  // the last choice: it runs
    if (best) return *best;
    // An index whose only entry says no platform is a plain wrapper.
    if (manifests.size() == 1 && manifests[0].platform.os.empty() && !manifests[0].annotations.contains("vnd.docker.reference.type")) return manifests[0];
    std::vector<std::string> there;
    for (const Descriptor& item : manifests)
        if (!item.platform.os.empty() && item.platform.os != "unknown") there.push_back(base::printable(item.platform.text()));
    return fail(Code::not_found, "no matching manifest for " + asked.text() + " in the manifest list entries" +
                                     (there.empty() ? "" : " (there are " + base::join(there, ", ") + ")"));
}

}  // namespace engine::image
