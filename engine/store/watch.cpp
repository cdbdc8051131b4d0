#include "store/watch.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "base/file.h"

namespace engine::store {
namespace {

constexpr auto kCancelStep = std::chrono::milliseconds(100);

long futex(uint32_t* word, int operation, uint32_t value, const timespec* timeout) {
    return syscall(SYS_futex, word, operation, value, timeout, nullptr, 0);
}

uint32_t load(uint32_t* counter) { return std::atomic_ref<uint32_t>(*counter).load(std::memory_order_acquire); }

}  // namespace

base::Result<ChangeSignal> ChangeSignal::open(const std::string& path) {
    base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return base::fail_errno("open \"" + path + "\"");
    struct stat status;
    if (fstat(fd.get(), &status) != 0) return base::fail_errno("stat \"" + path + "\"");
    if (status.st_size < 4096 && ftruncate(fd.get(), 4096) != 0) return base::fail_errno("size \"" + path + "\"");
    void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (page == MAP_FAILED) return base::fail_errno("map \"" + path + "\"");
    return ChangeSignal(std::move(fd), static_cast<uint32_t*>(page));
}

ChangeSignal::ChangeSignal(ChangeSignal&& other) noexcept : fd_(std::move(other.fd_)), counter_(std::exchange(other.counter_, nullptr)) {}
ChangeSignal::~ChangeSignal() {
    if (counter_) munmap(counter_, 4096);
}

void ChangeSignal::notify() {
    std::atomic_ref<uint32_t>(*counter_).fetch_add(1, std::memory_order_acq_rel);
    futex(counter_, FUTEX_WAKE, INT_MAX, nullptr);
    futimens(fd_.get(), nullptr);  // for those who watch with inotify; ignored: the futex has woken the rest
}

base::Result<ChangeWatch> ChangeWatch::open(const std::string& path) {
    auto signal = TRY(ChangeSignal::open(path));
    uint32_t seen = load(signal.counter_);
    return ChangeWatch(path, std::move(signal), seen);
}

base::Result<bool> ChangeWatch::wait(const Deadline& deadline, const std::atomic<bool>* cancel) {
    using std::chrono::steady_clock;
    for (;;) {
        uint32_t current = load(signal_.counter_);
        if (current != seen_) {
            seen_ = current;
            return true;
        }
        if (cancel && cancel->load()) return false;
        std::optional<std::chrono::nanoseconds> left;
        if (deadline) {
            left = *deadline - steady_clock::now();
            if (left->count() <= 0) return false;
        }
        if (cancel && (!left || *left > kCancelStep)) left = kCancelStep;
        timespec timeout{};
        if (left) {
            timeout.tv_sec = static_cast<time_t>(left->count() / 1'000'000'000);
            timeout.tv_nsec = static_cast<long>(left->count() % 1'000'000'000);
        }
        if (futex(signal_.counter_, FUTEX_WAIT, seen_, left ? &timeout : nullptr) != 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT)
            return base::fail_errno("wait for a change of the state");
    }
}

base::Result<int> ChangeWatch::fd() {
    if (!inotify_) {
        base::UniqueFd fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!fd) return base::fail_errno("watch the state");
        if (inotify_add_watch(fd.get(), path_.c_str(), IN_ATTRIB | IN_MODIFY) < 0) return base::fail_errno("watch \"" + path_ + "\"");
        inotify_ = std::move(fd);
    }
    return inotify_.get();
}

void ChangeWatch::drain() {
    seen_ = load(signal_.counter_);
    alignas(inotify_event) char buffer[4096];
    while (inotify_ && read(inotify_.get(), buffer, sizeof buffer) > 0) {
    }
}

}  // namespace engine::store
