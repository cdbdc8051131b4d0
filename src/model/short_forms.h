#pragma once
// The strings that stand for structures: ports, volumes, devices, command lines, durations, byte sizes.
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"

namespace compose::model {

/// `[[IP:][HOST:]]CONTAINER[/PROTOCOL]`, with ranges → long forms, one for each container port. The error is Docker's text.
std::expected<std::vector<Node>, std::string> parse_port(std::string_view text);
/// `[SOURCE:]TARGET[:OPTION,…]` → the long form.
std::expected<Node, std::string> parse_volume(std::string_view text);
/// A path of a volume's source, not a name of a volume.
bool is_file_path(std::string_view source);
/// Words of a command line as Docker Compose splits them (quotes and backslashes, no expansion; an operator such as `&&`
/// outside of quotes ends it); nullopt when a quote is open.
std::optional<std::vector<std::string>> split_command(std::string_view line);
/// `1h30m`, `1.5s`, also days and weeks (`1d`, `2w`).
std::optional<std::chrono::nanoseconds> parse_compose_duration(std::string_view text);
/// `1.5g`, `64MB`, `1024`: bytes in powers of 1024; the error is Docker's text.
std::expected<int64_t, std::string> parse_size(std::string_view text);
/// Go's path.Clean: no `//`, `/./`, `x/..`, trailing `/`; empty stays empty.
std::string clean_path(std::string_view path);
/// An IPv4 or IPv6 address, IPv6 with a zone at most.
bool is_ip_address(std::string_view text);

}  // namespace compose::model
