// A layer's bytes, packed or not, unpacked as root into a folder in memory: nothing may appear outside of it, and what is
// there can be packed again. Run it in a mount namespace of its own:  unshare -m build/fuzz/fuzz_tar …
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/file.h"
#include "image/archive.h"
#include "image/decompress.h"

using namespace engine::image;

namespace {
std::string work_folder() {
    static const std::string folder = [] {
        char name[] = "/dev/shm/fuzz-tar-XXXXXX";
        if (!mkdtemp(name)) abort();
        return std::string(name);
    }();
    return folder;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string outer = work_folder(), inner = outer + "/root";
    if (mkdir(inner.c_str(), 0755) != 0) abort();
    auto root = base::open_at(AT_FDCWD, inner, O_RDONLY | O_DIRECTORY);
    if (!root) abort();
    uint8_t how = data[0];
    std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    size_t piece = how & 4 ? 100 : bytes.size(), at = 0;
    Source source = [&]() -> base::Result<std::string_view> {
        size_t n = std::min(piece, bytes.size() - at);
        at += n;
        return std::string_view(bytes).substr(at - n, n);
    };
    ExtractOptions options;
    options.layer = how & 1;
    options.allow_devices = how & 2;
    options.keep_owner = how & 8;
    options.limits.entries = 200;
    options.limits.bytes = 8 << 20;
    options.limits.depth = 30;
    UnpackLimits limits;
    limits.bytes = 16 << 20;
    if (auto made = extract_tar(root->get(), unpacked(source, limits), options); made) {
        PackOptions pack;
        pack.whiteouts = how & 1;
        uint64_t packed = 0;
        auto done = pack_tree(root->get(), pack, [&](std::string_view part) -> base::Status {
            packed += part.size();
            return {};
        });
        if (!done || packed < 1024) __builtin_trap();
    }
    auto beside = base::list_dir(outer);
    if (!beside || beside->size() != 1) __builtin_trap();
    root->reset();
    if (!base::remove_tree(inner)) abort();
    return 0;
}
