#pragma once
// A container's log on disk, written side. Each segment N of the folder is three files:
//   N.out, N.err   the raw bytes of each stream, moved there by splice(2): never copied through this process, never changed
//   N.idx          16-byte records (time, length, stream) in the order in which the bytes came
// A record is appended after its bytes. Whatever kills the writer between the two leaves bytes without a record, which the
// next writer adopts; bytes that were not yet moved are still in the pipe. So nothing is lost and nothing comes twice.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "engine/types.h"

namespace engine::log {

enum class Stream : uint8_t { out = 0, err = 1 };

/// What a `logging:` section asks for, checked.
struct LogSettings {
    enum class Driver : uint8_t { local, json_file, none, journald, syslog };
    Driver driver = Driver::local;
    /// Bytes of a segment before the next one is begun; 0: never. Differs from Docker: bounded also when nothing is asked.
    uint64_t max_size = 50u << 20;
    int max_files = 5;
    bool compress = false;      ///< what rotation has closed (compress.h)
    bool non_blocking = false;  ///< mode: non-blocking: bytes that can't be stored are dropped, the container goes on
    Labels attributes;          ///< json-file "attrs": tag, labels, env that were asked for
    // journald and syslog: kept on disk too, and sent on by a LogShipper
    std::string address;        ///< syslog-address, empty: the host's own; journald's socket
    std::string format, tag;    ///< syslog-format; the tag with its fields filled in
    int facility = 3;           ///< syslog-facility, as a number: daemon
    Labels fields;              ///< journald: of every entry
    bool ships() const { return driver == Driver::journald || driver == Driver::syslog; }
    /// unsupported for drivers that this engine does not have; invalid for a malformed option.
    static base::Result<LogSettings> parse(const LogConfig& config, const ContainerInfo& container);
};

class LogWriter {
public:
    /// Makes the folder, adopts what a killed writer left without records. One writer per folder at a time.
    static base::Result<std::unique_ptr<LogWriter>> open(const std::string& folder, const LogSettings& settings);
    virtual ~LogWriter() = default;

    struct Pumped {
        uint64_t bytes = 0;
        bool ended = false;  ///< every writer of the pipe has closed it
    };
    /// Moves what the pipe holds (O_NONBLOCK, at most `limit` bytes) into the log.
    virtual base::Result<Pumped> pump(int pipe, Stream stream, uint64_t limit = 1u << 20) = 0;
    /// Bytes of our own (tests, a pty without splice).
    virtual base::Status append(Stream stream, std::string_view bytes) = 0;
    /// Bytes written to both streams since the log began (over restarts and rotations).
    virtual uint64_t position() const = 0;
    /// Segments are kept from this position on, although max_files is reached: an attached reader has not had them yet.
    virtual void keep_from(uint64_t position) = 0;
};

}  // namespace engine::log
