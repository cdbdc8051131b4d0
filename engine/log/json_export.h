#pragma once
// The json-file driver: beside the log proper, its lines in Docker's form in FOLDER/json.log, for programs that read those.
// json.position holds how far the log has been turned into JSON and how large json.log was then: a killed writer's half line
// is cut off and made again, so every line is there once.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "log/log_writer.h"

namespace engine::log {

class JsonExport {
public:
    static base::Result<JsonExport> open(const std::string& folder, const LogSettings& settings);
    /// The position from which the log has to be given again.
    uint64_t position() const { return position_; }
    /// Bytes of one stream as they came; `after` is the log's position behind them.
    base::Status add(Stream stream, Time time, std::string_view bytes, uint64_t after);
    /// The last lines without an end are written as they are: every writer has closed its pipe.
    base::Status finish(Time time);

private:
    JsonExport() = default;
    void line(Stream stream, Time time, std::string_view text, bool whole);
    base::Status flush(uint64_t after);
    base::Status rotate();

    std::string folder_, attributes_;
    uint64_t max_size_ = 0;
    int max_files_ = 1;
    base::UniqueFd file_, position_fd_;
    uint64_t size_ = 0, position_ = 0, seen_ = 0;
    std::array<std::string, 2> partial_;
    std::string pending_;
};

}  // namespace engine::log
