#include "image/decompress.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <cstring>
#include <vector>

namespace engine::image {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::Status;

constexpr size_t kChunk = 256u << 10;

class Unpacker {
public:
    Unpacker(Source packed, const UnpackLimits& limits) : packed_(std::move(packed)), limits_(limits) {}
    virtual ~Unpacker() = default;
    /// Up to a chunk; empty at the end.
    virtual Result<std::string_view> next() = 0;

protected:
    /// More packed bytes into input_; false at the end.
    Result<bool> fill() {
        input_ = TRY(packed_());
        taken_ += input_.size();
        return !input_.empty();
    }
    Result<std::string_view> give(std::string_view bytes) {
        given_ += bytes.size();
        if (given_ > limits_.bytes) return fail(Code::corrupt, "unpacks to more than " + std::to_string(limits_.bytes) + " bytes: refused as a bomb (COMPOSE_IMAGE_SIZE sets the limit)");
        if (given_ > limits_.ratio_from && limits_.ratio != 0 && given_ / limits_.ratio > taken_)
            return fail(Code::corrupt, "unpacks to more than " + std::to_string(limits_.ratio) + " times its size: refused as a bomb (COMPOSE_IMAGE_RATIO sets the limit)");
        return bytes;
    }

    Source packed_;
    UnpackLimits limits_;
    std::string_view input_;
    uint64_t taken_ = 0, given_ = 0;
};

class Plain final : public Unpacker {
public:
    using Unpacker::Unpacker;
    Result<std::string_view> next() override {
        if (!TRY(fill())) return std::string_view();
        return give(input_);
    }
};

class Gzip final : public Unpacker {
public:
    using Unpacker::Unpacker;
    Result<std::string_view> next() override {
        if (done_) return std::string_view();
        size_t used = 0;
        while (used < output_.size()) {
            if (state_.block_state == ISAL_BLOCK_FINISH) {
                // Another member may follow; after the last one, anything else is padding and is dropped as gunzip does.
                bool more = state_.avail_in > 0 || TRY(refill());
                if (!more) {
                    done_ = true;
                    break;
                }
                if (!TRY(starts_member())) {
                    while (TRY(refill())) state_.avail_in = 0;
                    done_ = true;
                    break;
                }
                begin_member();
            } else if (!started_) {
                begin_member();
                started_ = true;
            }
            if (state_.avail_in == 0 && state_.block_state != ISAL_BLOCK_FINISH && !TRY(refill()) && drained_) return fail(Code::corrupt, "the gzip stream is cut short");
            state_.next_out = output_.data() + used;
            state_.avail_out = static_cast<uint32_t>(output_.size() - used);
            uint32_t before = state_.avail_in;
            int code = isal_inflate(&state_);
            if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT) return fail(Code::corrupt, "the gzip stream is damaged (" + text_of(code) + ")");
            size_t produced = output_.size() - used - state_.avail_out;
            used += produced;
            // The decoder may hold output back until it is called without input; only then is a short stream certain.
            drained_ = produced == 0 && before == state_.avail_in;
        }
        return give(std::string_view(reinterpret_cast<const char*>(output_.data()), used));
    }

private:
    void begin_member() {
        uint8_t* next = state_.next_in;
        uint32_t available = state_.avail_in;
        isal_inflate_init(&state_);
        state_.crc_flag = ISAL_GZIP;
        state_.next_in = next;
        state_.avail_in = available;
        drained_ = false;
    }
    Result<bool> refill() {
        if (!TRY(fill())) return false;
        state_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(input_.data()));
        state_.avail_in = static_cast<uint32_t>(input_.size());
        return true;
    }
    /// Whether gzip's magic is next; a magic split between two inputs is read as one.
    Result<bool> starts_member() {
        if (state_.next_in[0] != 0x1f) return false;
        if (state_.avail_in > 1) return state_.next_in[1] == 0x8b;
        if (!TRY(fill())) return false;
        joined_.assign(1, '\x1f');
        joined_ += input_;
        state_.next_in = reinterpret_cast<uint8_t*>(joined_.data());
        state_.avail_in = static_cast<uint32_t>(joined_.size());
        return state_.next_in[1] == 0x8b;
    }
    static std::string text_of(int code) {
        switch (code) {
            case ISAL_INVALID_BLOCK: return "invalid block";
            case ISAL_INVALID_SYMBOL: return "invalid symbol";
            case ISAL_INVALID_LOOKBACK: return "invalid distance";
            case ISAL_INVALID_WRAPPER: return "invalid header";
            case ISAL_UNSUPPORTED_METHOD: return "unknown method";
            case ISAL_INCORRECT_CHECKSUM: return "wrong checksum";
            default: return "code " + std::to_string(code);
        }
    }

    inflate_state state_{};
    std::vector<uint8_t> output_ = std::vector<uint8_t>(kChunk);
    std::string joined_;
    bool started_ = false, done_ = false, drained_ = false;
};

class Zstd final : public Unpacker {
public:
    Zstd(Source packed, const UnpackLimits& limits) : Unpacker(std::move(packed), limits), stream_(ZSTD_createDStream()) {
        ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 27);  // 128 MiB: what `zstd` itself takes without --long
    }
    ~Zstd() override { ZSTD_freeDStream(stream_); }
    Result<std::string_view> next() override {
        size_t used = 0;
        while (used < output_.size() && !done_) {
            if (in_.pos == in_.size) {
                if (!TRY(fill())) {
                    done_ = true;
                    if (!frame_ended_) return fail(Code::corrupt, "the zstd stream is cut short");
                    break;
                }
                in_ = {input_.data(), input_.size(), 0};
            }
            ZSTD_outBuffer out{output_.data(), output_.size(), used};
            size_t left = ZSTD_decompressStream(stream_, &out, &in_);
            if (ZSTD_isError(left)) return fail(Code::corrupt, std::string("the zstd stream is damaged (") + ZSTD_getErrorName(left) + ")");
            // Bytes held back inside are flushed by the next call even without input.
            frame_ended_ = left == 0;
            used = out.pos;
        }
        return give(std::string_view(output_.data(), used));
    }

private:
    ZSTD_DStream* stream_;
    ZSTD_inBuffer in_{nullptr, 0, 0};
    std::vector<char> output_ = std::vector<char>(kChunk);
    bool done_ = false, frame_ended_ = false;
};

/// Gives back the bytes that were read to tell the packing, then the rest.
Source prepend(std::string head, Source rest) {
    return [head = std::move(head), rest = std::move(rest), first = true]() mutable -> Result<std::string_view> {
        if (first) {
            first = false;
            if (!head.empty()) return std::string_view(head);
        }
        return rest();
    };
}

}  // namespace

Packing packing_of(std::string_view first) {
    auto byte = [&](size_t i) { return i < first.size() ? static_cast<unsigned char>(first[i]) : 0u; };
    if (byte(0) == 0x1f && byte(1) == 0x8b) return Packing::gzip;
    if (byte(0) == 0x28 && byte(1) == 0xb5 && byte(2) == 0x2f && byte(3) == 0xfd) return Packing::zstd;
    if (byte(0) >= 0x50 && byte(0) <= 0x5f && byte(1) == 0x2a && byte(2) == 0x4d && byte(3) == 0x18) return Packing::zstd;
    return Packing::plain;
}

Source unpacked(Source packed, const UnpackLimits& limits) {
    return [packed = std::move(packed), limits, unpacker = std::shared_ptr<Unpacker>()]() mutable -> Result<std::string_view> {
        if (!unpacker) {
            std::string head;
            while (head.size() < 4) {
                std::string_view more = TRY(packed());
                if (more.empty()) break;
                head += more;
            }
            Packing packing = packing_of(head);
            bool bzip2 = head.starts_with("BZh") && std::string_view(head).substr(4).starts_with("1AY&SY");
            if (bzip2 || head.starts_with("\xfd" "7zXZ")) {
                std::string name = bzip2 ? "bzip2" : "xz";
                return fail(Code::unsupported, "it is packed with " + name + "; gzip, zstd and plain ones are read: unpack it with `" + name + " -dc` first");
            }
            Source whole = prepend(std::move(head), std::move(packed));
            if (packing == Packing::gzip)
                unpacker = std::make_shared<Gzip>(std::move(whole), limits);
            else if (packing == Packing::zstd)
                unpacker = std::make_shared<Zstd>(std::move(whole), limits);
            else
                unpacker = std::make_shared<Plain>(std::move(whole), limits);
        }
        return unpacker->next();
    };
}

// ---- packing ----------------------------------------------------------------------------------------------------------

struct GzipWriter::State {
    Sink sink;
    isal_zstream stream{};
    std::vector<uint8_t> level_buffer = std::vector<uint8_t>(ISAL_DEF_LVL1_DEFAULT);
    std::vector<uint8_t> output = std::vector<uint8_t>(kChunk);

    Status run(std::string_view bytes, bool last) {
        stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(bytes.data()));
        stream.avail_in = static_cast<uint32_t>(bytes.size());
        stream.end_of_stream = last ? 1 : 0;
        do {
            stream.next_out = output.data();
            stream.avail_out = static_cast<uint32_t>(output.size());
            if (int code = isal_deflate(&stream); code != COMP_OK) return fail(Code::internal, "gzip: code " + std::to_string(code));
            size_t produced = output.size() - stream.avail_out;
            if (produced > 0) TRY_VOID(sink(std::string_view(reinterpret_cast<const char*>(output.data()), produced)));
        } while (stream.avail_out == 0 || (last && stream.internal_state.state != ZSTATE_END));
        return {};
    }
};

GzipWriter::GzipWriter(Sink sink) : state_(std::make_unique<State>()) {
    isal_deflate_init(&state_->stream);
    state_->sink = std::move(sink);
    state_->stream.level = 1;
    state_->stream.level_buf = state_->level_buffer.data();
    state_->stream.level_buf_size = static_cast<uint32_t>(state_->level_buffer.size());
    state_->stream.gzip_flag = IGZIP_GZIP;
    state_->stream.flush = NO_FLUSH;
}
GzipWriter::~GzipWriter() = default;
Status GzipWriter::write(std::string_view bytes) { return bytes.empty() ? Status() : state_->run(bytes, false); }
Status GzipWriter::finish() { return state_->run({}, true); }

}  // namespace engine::image
