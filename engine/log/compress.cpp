#include "log/compress.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "log/log_files.h"

namespace engine::log {

using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr int kPackLevel = 1;

/// `step(input, output)` until the input is at its end. Both libraries' loops are the same but for that call.
template <class Step>
Status recode(int from, int to, Step step) {
    std::vector<char> in(256 * 1024), out(256 * 1024);
    for (bool last = false; !last;) {
        ssize_t n = ::read(from, in.data(), in.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno("read a log");
        last = n == 0;
        ZSTD_inBuffer input{in.data(), static_cast<size_t>(n), 0};
        for (bool more = true; more;) {
            ZSTD_outBuffer output{out.data(), out.size(), 0};
            const size_t left = step(input, output, last);
            if (ZSTD_isError(left)) return fail(base::Code::corrupt, std::string("a packed log is damaged: ") + ZSTD_getErrorName(left));
            TRY_VOID(base::write_all(to, {out.data(), output.pos}));
            more = input.pos < input.size || output.pos == output.size || (last && left != 0 && output.pos != 0);
        }
    }
    return {};
}

Status pack_file(const std::string& folder, uint32_t number, const char* suffix) {
    const std::string plain = folder + "/" + segment_file(number, suffix), packed = folder + "/" + packed_file(number, suffix), half = packed + ".tmp";
    base::UniqueFd from(::open(plain.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) return {};  // this stream has none, or the log was removed
    base::UniqueFd to(::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640));
    if (!to) return base::fail_errno("make \"" + half + "\"");
    std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kPackLevel);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
    Status done = recode(from.get(), to.get(), [&](ZSTD_inBuffer& in, ZSTD_outBuffer& out, bool last) {
        return ZSTD_compressStream2(context.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    });
    // The plain one goes once the packed one is on the disk: a machine that stops in between has either.
    if (done && ::fdatasync(to.get()) != 0) done = base::fail_errno("store \"" + half + "\"");
    if (done && ::rename(half.c_str(), packed.c_str()) != 0) done = base::fail_errno("name \"" + packed + "\"");
    if (!done) {
        (void)::unlink(half.c_str());
        return done;
    }
    (void)::unlink(plain.c_str());
    // Rotation took the segment away meanwhile.
    if (!base::exists(folder + "/" + segment_file(number, "idx"))) (void)::unlink(packed.c_str());
    return {};
}

class Packer {
public:
    static Packer& get() {
        static auto* one = new Packer;  // never destroyed: its thread runs until the process ends
        return *one;
    }
    void add(const std::string& folder, uint32_t number) {
        std::lock_guard lock(mutex_);
        jobs_.push_back({folder, number});
        if (!std::exchange(running_, true)) std::thread([this] { run(); }).detach();
    }

private:
    struct Job {
        std::string folder;
        uint32_t number;
    };
    void run() {
        sched_param none{};
        (void)::sched_setscheduler(0, SCHED_IDLE, &none);  // this thread; ignored: it is only politeness
        for (;;) {
            Job job;
            {
                std::lock_guard lock(mutex_);
                if (jobs_.empty()) {
                    running_ = false;
                    return;
                }
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            for (const char* suffix : kStreamSuffix)
                if (auto packed = pack_file(job.folder, job.number, suffix); !packed) base::log::debug("pack a log: " + packed.error().message());
        }
    }
    std::mutex mutex_;
    std::deque<Job> jobs_;
    bool running_ = false;
};

}  // namespace

std::string packed_file(uint32_t number, const char* suffix) { return segment_file(number, suffix) + ".zst"; }

void pack_later(const std::string& folder, uint32_t number) { Packer::get().add(folder, number); }

Result<base::UniqueFd> unpack(int packed) {
    base::UniqueFd plain(::memfd_create("log", MFD_CLOEXEC));
    if (!plain) return base::fail_errno("make room for a log");
    if (::lseek(packed, 0, SEEK_SET) != 0) return base::fail_errno("read a log");
    std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
    TRY_VOID(recode(packed, plain.get(), [&](ZSTD_inBuffer& in, ZSTD_outBuffer& out, bool) { return ZSTD_decompressStream(context.get(), &out, &in); }));
    return plain;
}

}  // namespace engine::log
