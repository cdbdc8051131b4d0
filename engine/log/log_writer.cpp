#include "log/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "log/compress.h"
#include "log/json_export.h"
#include "log/log_files.h"

namespace engine::log {
namespace {

using base::fail_errno;
using base::Result;
using base::Status;

class FileLogWriter final : public LogWriter {
public:
    FileLogWriter(std::string folder, const LogSettings& settings) : folder_(std::move(folder)), settings_(settings) {}

    Status start() {
        TRY_VOID(base::make_dirs(folder_, 0700));
        auto numbers = segment_numbers(folder_);
        // A log that stays empty costs no file: the first segment comes with the first byte.
        if (!numbers.empty()) TRY_VOID(adopt(numbers));
        if (settings_.compress) pack_missed(numbers);
        if (settings_.driver == LogSettings::Driver::json_file) {
            json_ = std::make_unique<JsonExport>(TRY(JsonExport::open(folder_, settings_)));
            TRY_VOID(export_missed());
        }
        return {};
    }

    Result<Pumped> pump(int pipe, Stream stream, uint64_t limit) override {
        Pumped result;
        if (!data_[index_of(stream)] && !has_bytes(pipe, result.ended)) {
            if (result.ended && json_) TRY_VOID(json_->finish(base::now()));
            return result;
        }
        TRY_VOID(open_data(stream));
        const int data = data_[index_of(stream)].get();
        const uint64_t before = size_[index_of(stream)];
        while (result.bytes < limit) {
            auto offset = static_cast<off64_t>(before + result.bytes);
            ssize_t n = ::splice(pipe, nullptr, data, &offset, limit - result.bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (n > 0) {
                result.bytes += static_cast<uint64_t>(n);
                continue;
            }
            if (n == 0) {
                result.ended = true;
                break;
            }
            if (errno == EINTR) continue;
            if (errno == EAGAIN) break;
            // A full disk must not stop the container for good: what can't be kept is let go, as Docker's drivers do.
            if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO) {
                if (result.bytes == 0) {
                    uint64_t lost = discard(pipe, limit);
                    base::log::warn("log \"" + folder_ + "\": " + base::errno_text(errno) + ": " + std::to_string(lost) + " bytes not kept");
                }
                break;
            }
            return fail_errno("move output into \"" + folder_ + "\"");
        }
        if (result.bytes != 0) TRY_VOID(record(stream, result.bytes));
        if (result.ended && json_) TRY_VOID(json_->finish(base::now()));
        return result;
    }

    Status append(Stream stream, std::string_view bytes) override {
        if (bytes.empty()) return {};
        TRY_VOID(open_data(stream));
        size_t done = 0;
        while (done < bytes.size()) {
            ssize_t n = ::pwrite(data_[index_of(stream)].get(), bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(size_[index_of(stream)] + done));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno("write to \"" + folder_ + "\"");
            done += static_cast<size_t>(n);
        }
        return record(stream, bytes.size());
    }

    uint64_t position() const override { return base_ + size_[0] + size_[1]; }
    void keep_from(uint64_t position) override { keep_from_ = position; }

private:
    static size_t index_of(Stream stream) { return static_cast<size_t>(stream); }
    std::string path(uint32_t number, const char* suffix) const { return folder_ + "/" + segment_file(number, suffix); }

    /// Whether the pipe holds something; `ended`: nothing, and no one will write any more.
    static bool has_bytes(int pipe, bool& ended) {
        int count = 0;
        if (::ioctl(pipe, FIONREAD, &count) != 0 || count > 0) return true;
        pollfd state{pipe, POLLIN, 0};
        if (::poll(&state, 1, 0) == 1 && (state.revents & POLLIN) != 0) return true;  // it came just now
        ended = (state.revents & POLLHUP) != 0;
        return false;
    }

    Status open_data(Stream stream) {
        auto& fd = data_[index_of(stream)];
        if (fd) return {};
        if (number_ == 0) TRY_VOID(begin_segment(1, 0));
        fd = TRY(base::open_at(AT_FDCWD, path(number_, kStreamSuffix[index_of(stream)]), O_RDWR | O_CREAT, 0640));
        return {};
    }

    Status begin_segment(uint32_t number, uint64_t base) {
        index_ = TRY(base::open_at(AT_FDCWD, path(number, "idx"), O_RDWR | O_CREAT | O_TRUNC, 0640));
        IndexHeader header{base, kIndexMagic, number};
        if (::pwrite(index_.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header))
            return fail_errno("write \"" + path(number, "idx") + "\"");
        number_ = number;
        base_ = base;
        index_size_ = sizeof header;
        size_ = {0, 0};
        data_ = {};
        return {};
    }

    /// The last segment of a writer that is gone; bytes without a record get one with the time of the file.
    Status adopt(const std::vector<uint32_t>& numbers) {
        uint32_t number = numbers.back();
        auto index = TRY(base::open_at(AT_FDCWD, path(number, "idx"), O_RDWR));
        IndexHeader header{};
        if (::pread(index.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header) || header.magic != kIndexMagic) {
            // Killed between making the file and writing its head: nothing can be in it yet.
            uint64_t base = 0;
            for (uint32_t each : numbers)
                if (each != number) base = TRY(end_of(each));
            return begin_segment(number, base);
        }
        index_ = std::move(index);
        number_ = number;
        base_ = header.base;
        auto records = TRY(read_records(index_.get(), sizeof header));
        index_size_ = sizeof header + records.size() * sizeof(IndexRecord);
        if (::ftruncate(index_.get(), static_cast<off_t>(index_size_)) != 0) return fail_errno("cut \"" + path(number, "idx") + "\"");
        for (const auto& each : records) size_[each.stream] += each.length;
        for (Stream stream : {Stream::out, Stream::err}) {
            size_t i = index_of(stream);
            if (!base::exists(path(number_, kStreamSuffix[i]))) continue;
            TRY_VOID(open_data(stream));
            struct stat status {};
            if (::fstat(data_[i].get(), &status) != 0) return fail_errno("look at \"" + path(number_, kStreamSuffix[i]) + "\"");
            uint64_t there = static_cast<uint64_t>(status.st_size);
            while (there > size_[i]) {
                uint64_t part = std::min<uint64_t>(there - size_[i], std::numeric_limits<uint32_t>::max());
                TRY_VOID(write_record(stream, part, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec));
            }
        }
        return {};
    }

    /// Segments whose packing was cut by the end of the process.
    void pack_missed(const std::vector<uint32_t>& numbers) {
        for (uint32_t number : numbers)
            if (number != number_ && (base::exists(path(number, "out")) || base::exists(path(number, "err")))) pack_later(folder_, number);
    }

    Result<uint64_t> end_of(uint32_t number) {
        auto index = TRY(base::open_at(AT_FDCWD, path(number, "idx"), O_RDONLY));
        IndexHeader header{};
        if (::pread(index.get(), &header, sizeof header, 0) != static_cast<ssize_t>(sizeof header)) return uint64_t{0};
        uint64_t end = header.base;
        for (const auto& each : TRY(read_records(index.get(), sizeof header))) end += each.length;
        return end;
    }

    Status write_record(Stream stream, uint64_t length, Time time) {
        IndexRecord entry{time, static_cast<uint32_t>(length), static_cast<uint16_t>(stream), kRecordMagic};
        ssize_t n;
        do {
            n = ::pwrite(index_.get(), &entry, sizeof entry, static_cast<off_t>(index_size_));
        } while (n < 0 && errno == EINTR);
        size_[index_of(stream)] += length;  // the bytes are there, whether or not their record could be written
        if (n != static_cast<ssize_t>(sizeof entry)) return fail_errno("write \"" + path(number_, "idx") + "\"");
        index_size_ += sizeof entry;
        return {};
    }

    Status record(Stream stream, uint64_t length) {
        const uint64_t begin = size_[index_of(stream)];
        const Time time = base::now();
        if (auto written = write_record(stream, length, time); !written) base::log::warn(written.error().message());
        if (json_) TRY_VOID(export_range(stream, time, begin, length, position()));
        const uint64_t total = size_[0] + size_[1];
        if (settings_.max_size != 0 && total >= settings_.max_size) {
            // At the end of a line where one comes soon; a line of any length does not hold it up for ever.
            char last = 0;
            (void)!::pread(data_[index_of(stream)].get(), &last, 1, static_cast<off_t>(begin + length - 1));
            if (last == '\n' || total >= settings_.max_size + settings_.max_size / 4) TRY_VOID(rotate());
        }
        return {};
    }

    Status rotate() {
        const uint32_t closed = number_;
        TRY_VOID(begin_segment(number_ + 1, position()));
        if (settings_.compress) pack_later(folder_, closed);
        auto numbers = segment_numbers(folder_);
        while (numbers.size() > static_cast<size_t>(settings_.max_files)) {
            // Its end is the beginning of the next one.
            if (keep_from_ != std::numeric_limits<uint64_t>::max() && TRY(end_of(numbers.front())) > keep_from_) break;
            for (const char* suffix : {"idx", "out", "err", "out.zst", "err.zst"}) (void)::unlink(path(numbers.front(), suffix).c_str());
            numbers.erase(numbers.begin());
        }
        return {};
    }

    static uint64_t discard(int pipe, uint64_t limit) {
        int saved = errno;
        base::UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        ssize_t n = null ? ::splice(pipe, nullptr, null.get(), nullptr, limit, SPLICE_F_NONBLOCK) : 0;
        errno = saved;
        return n > 0 ? static_cast<uint64_t>(n) : 0;
    }

    Status export_range(Stream stream, Time time, uint64_t offset, uint64_t length, uint64_t after) {
        std::string bytes;
        while (length != 0) {
            bytes.resize(std::min<uint64_t>(length, 256 * 1024));
            ssize_t n = ::pread(data_[index_of(stream)].get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return fail_errno("read \"" + folder_ + "\"");
            offset += static_cast<uint64_t>(n);
            length -= static_cast<uint64_t>(n);
            TRY_VOID(json_->add(stream, time, std::string_view(bytes).substr(0, static_cast<size_t>(n)), after - length));
        }
        return {};
    }

    /// What the killed writer had stored but not yet turned into JSON: within the last segment, as a segment is only left
    /// when its JSON is out.
    Status export_missed() {
        if (number_ == 0) return {};
        uint64_t at = base_;
        std::array<uint64_t, 2> offset{0, 0};
        for (const auto& each : TRY(read_records(index_.get(), sizeof(IndexHeader)))) {
            uint64_t end = at + each.length;
            if (end > json_->position()) {
                uint64_t skip = json_->position() > at ? json_->position() - at : 0;
                TRY_VOID(export_range(static_cast<Stream>(each.stream), each.time, offset[each.stream] + skip, each.length - skip, end));
            }
            offset[each.stream] += each.length;
            at = end;
        }
        return {};
    }

    std::string folder_;
    LogSettings settings_;
    uint32_t number_ = 0;
    uint64_t base_ = 0, index_size_ = 0;
    uint64_t keep_from_ = std::numeric_limits<uint64_t>::max();
    std::array<uint64_t, 2> size_{0, 0};
    base::UniqueFd index_;
    std::array<base::UniqueFd, 2> data_;
    std::unique_ptr<JsonExport> json_;
};

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::open(const std::string& folder, const LogSettings& settings) {
    auto writer = std::make_unique<FileLogWriter>(folder, settings);
    if (auto started = writer->start(); !started) return std::move(started.error()).with("open log \"" + folder + "\"");
    return std::unique_ptr<LogWriter>(std::move(writer));
}

}  // namespace engine::log
