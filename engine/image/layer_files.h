#pragma once
// The files of the store: layers and blobs that are whole, what is in the making, and the locks between processes.
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/fd.h"

namespace engine::image {

/// A byte of ROOT/images/lock, held until destruction (open file description lock: between threads as well as processes).
class ByteLock {
public:
    ByteLock() = default;
    explicit ByteLock(base::UniqueFd fd) : fd_(std::move(fd)) {}
    explicit operator bool() const { return static_cast<bool>(fd_); }

private:
    base::UniqueFd fd_;
};

/// A folder of its own in ROOT/images/tmp, removed at destruction or, when the process dies, by the next one.
class Staging {
public:
    Staging() = default;
    Staging(std::string path, ByteLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
    Staging& operator=(Staging&&) = delete;
    ~Staging();
    const std::string& path() const { return path_; }
    std::string blob() const { return path_ + "/blob"; }
    std::string tree() const { return path_ + "/tree"; }

private:
    std::string path_;
    ByteLock lock_;
};

class LayerFiles {
public:
    explicit LayerFiles(std::string root) : root_(std::move(root)) {}
    /// Makes the folders.
    base::Status prepare() const;
    std::string layer_path(const std::string& key) const { return root_ + "/layers/" + key; }
    std::string layers_path() const { return root_ + "/layers"; }
    std::string blobs_path() const { return root_ + "/images/blobs/sha256"; }
    /// A blob's file; other algorithms get a name that cannot be a sha256's.
    std::string blob_path(const std::string& digest) const;

    base::Result<Staging> stage() const;
    /// The lock of a layer: who holds it fetches it. Waits; interrupted when `cancel` is set.
    base::Result<ByteLock> lock_layer(const std::string& key, const std::atomic<bool>* cancel) const;
    /// Held while layers are used that no table names yet: nothing unreferenced is removed meanwhile.
    base::Result<ByteLock> guard() const;
    /// The opposite: nobody is guarding. nullopt-like (empty) when somebody is.
    base::Result<ByteLock> try_exclusive() const;
    /// Moves what is staged to its final place. Another process's equal one in place is fine.
    base::Status publish(const std::string& from, const std::string& to) const;
    /// Makes a tree or file vanish at once (by rename), then removes it.
    base::Status discard(const std::string& path) const;
    /// Removes what dead processes left in ROOT/images/tmp.
    void sweep() const;

private:
    base::Result<ByteLock> lock(uint64_t byte, bool shared, bool wait) const;
    std::string root_;
};

}  // namespace engine::image
