#include "image/layer_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "image/digest.h"

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;
using base::UniqueFd;

constexpr uint64_t kGuardByte = 0;

/// A place in the lock file of its own for every name; 2^60 of them.
uint64_t byte_of(const std::string& kind, const std::string& name) {
    std::string hex = base::sha256_hex(kind + ":" + name).substr(0, 15);
    return 1 + std::stoull(hex, nullptr, 16);
}

int set_lock(int fd, uint64_t byte, bool shared, bool wait) {
    struct flock range {};
    range.l_type = shared ? F_RDLCK : F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = static_cast<off_t>(byte);
    range.l_len = 1;
    int done;
    do done = ::fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    while (done != 0 && errno == EINTR);
    return done == 0 ? 0 : errno;
}

}  // namespace

Staging::~Staging() {
    if (!path_.empty()) (void)base::remove_tree(path_);  // ignored: swept later
}

Status LayerFiles::prepare() const {
    TRY_VOID(base::make_dirs(root_, 0711));
    // The layers hold setuid files: closed to other users (containerd 2021-41103, 2024-25621).
    TRY_VOID(base::make_dirs(layers_path(), 0700));
    TRY_VOID(base::make_dirs(root_ + "/images/tmp", 0700));
    return base::make_dirs(blobs_path(), 0700);
}

std::string LayerFiles::blob_path(const std::string& digest) const {
    std::string algorithm = algorithm_of(digest);
    return blobs_path() + "/" + (algorithm == "sha256" ? "" : algorithm + "-") + hex_of(digest);
}

Result<ByteLock> LayerFiles::lock(uint64_t byte, bool shared, bool wait) const {
    UniqueFd fd = TRY(base::open_at(AT_FDCWD, root_ + "/images/lock", O_RDWR | O_CREAT, 0600));
    int error = set_lock(fd.get(), byte, shared, wait);
    if (error == EAGAIN || error == EACCES) return ByteLock();
    if (error != 0) return fail_errno("lock \"" + root_ + "/images/lock\"", error);
    return ByteLock(std::move(fd));
}

Result<ByteLock> LayerFiles::guard() const { return lock(kGuardByte, true, true); }
Result<ByteLock> LayerFiles::try_exclusive() const { return lock(kGuardByte, false, false); }

Result<ByteLock> LayerFiles::lock_layer(const std::string& key, const std::atomic<bool>* cancel) const {
    uint64_t byte = byte_of("layer", key);
    ByteLock free = TRY(lock(byte, false, false));
    if (free) return free;
    // Another fetches it. The kernel's wait cannot be called off, so a thread of its own does it.
    struct Wait {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<Result<ByteLock>> done;
    };
    auto wait = std::make_shared<Wait>();
    std::thread([wait, byte, files = *this] {
        auto got = files.lock(byte, false, true);
        std::lock_guard guard(wait->mutex);
        wait->done = std::move(got);
        wait->changed.notify_all();
    }).detach();
    std::unique_lock guard(wait->mutex);
    while (!wait->done) {
        if (cancel && cancel->load()) return fail(Code::interrupted, "interrupted");
        wait->changed.wait_for(guard, std::chrono::milliseconds(100));  // the flag wakes nobody
    }
    return std::move(*wait->done);
}

Result<Staging> LayerFiles::stage() const {
    std::string name = base::random_hex(16);
    // The lock first: a folder without one is a dead process's.
    ByteLock held = TRY(lock(byte_of("tmp", name), false, true));
    std::string path = root_ + "/images/tmp/" + name;
    if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("make folder \"" + path + "\"");
    return Staging(path, std::move(held));
}

Status LayerFiles::publish(const std::string& from, const std::string& to) const {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    if (errno == ENOTEMPTY || errno == EEXIST) return {};  // the other won; equal by its name
    return fail_errno("move \"" + from + "\" to \"" + to + "\"");
}

Status LayerFiles::discard(const std::string& path) const {
    Staging staging = TRY(stage());
    if (::rename(path.c_str(), (staging.path() + "/old").c_str()) != 0) {
        if (errno == ENOENT) return {};
        return fail_errno("remove \"" + path + "\"");
    }
    return {};
}

void LayerFiles::sweep() const {
    std::string folder = root_ + "/images/tmp";
    auto names = base::list_dir(folder);
    if (!names) return;
    for (const std::string& name : *names) {
        auto dead = lock(byte_of("tmp", name), false, false);
        if (!dead || !*dead) continue;
        base::log::debug("sweeping " + folder + "/" + name);
        if (auto removed = base::remove_tree(folder + "/" + name); !removed) base::log::debug(removed.error().message());
    }
}

}  // namespace engine::image
