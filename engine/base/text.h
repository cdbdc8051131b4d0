#pragma once
// Small text work shared by all layers: splitting, numbers, byte sizes, durations, times, ids.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace base {

std::vector<std::string> split(std::string_view text, char separator);
/// At the first separator; the second half is nullopt when there is none.
std::pair<std::string, std::optional<std::string>> cut(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string trim(std::string_view text);
std::string to_lower(std::string_view text);
/// `"text"` with control characters, quotes and escapes made visible: safe to print on a terminal.
std::string quote(std::string_view text);
/// As quote, without the quotes around it.
std::string printable(std::string_view text);

/// A whole decimal number; nullopt for anything else or out of range.
std::optional<int64_t> parse_int(std::string_view text);
/// `64m`, `1.5GiB`, `1024`: bytes, units are powers of 1024 (compose-spec "byte values").
std::optional<int64_t> parse_bytes(std::string_view text);
/// Compose's and Go's durations: `1h2m3.5s`, `100ms`, `10us`, `0`; nullopt when malformed or out of int64 ns.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// Go's form: `1m30s`, `1.5s`, `100ms`, `0s`.
std::string format_duration(std::chrono::nanoseconds value);
/// Docker's sizes: `1.234MB` (decimal = true) or `12.3MiB`; four significant digits.
std::string format_bytes(uint64_t bytes, bool decimal = true);
/// Docker's ages: `Less than a second`, `3 seconds`, `About a minute`, `2 hours` …
std::string format_age(std::chrono::nanoseconds age);

/// Nanoseconds since 1970, UTC.
using Time = int64_t;
Time now();
/// `2026-11-24T03:55:18.123456789Z`.
std::string format_time(Time time);
/// RFC 3339 with fraction and zone; nullopt when malformed or outside the years that int64 nanoseconds hold.
std::optional<Time> parse_time(std::string_view text);

/// `digits` random lower-case hexadecimal digits from getrandom(2).
std::string random_hex(size_t digits);
/// SHA-256 of the bytes, 64 hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

/// The closest of `known` to a mistyped word, or nullopt when none is near (Levenshtein, at most a third of its length).
std::optional<std::string> closest(std::string_view word, const std::vector<std::string>& known);

}  // namespace base
