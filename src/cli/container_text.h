#pragma once
// A container in Docker's words: its ports, its command, its status.
#include <string>
#include <vector>

#include "engine/types.h"

namespace compose::cli {

struct Publisher {
    std::string url;  ///< host address; empty: exposed only
    uint16_t target = 0, published = 0;
    std::string protocol;
};
/// Published ports and, without address, those that are only exposed; a port for all addresses counts as 0.0.0.0 and ::.
std::vector<Publisher> publishers(const engine::ContainerInfo& container);
/// `127.0.0.1:18081->80/tcp, 90/tcp`.
std::string ports_text(const engine::ContainerInfo& container);
/// `127.0.0.1:80`, `[::1]:80`.
std::string address_text(const std::string& ip, uint16_t port);
/// Entrypoint and command in quotes, cut to 20 columns unless `whole`.
std::string command_text(const engine::ContainerInfo& container, bool whole);
/// `Up 3 seconds (healthy)`, `Exited (0) 2 seconds ago` …
std::string status_text(const engine::ContainerInfo& container, engine::Time now);
/// `2 seconds ago`.
std::string ago(engine::Time then, engine::Time now);
/// `2026-11-24 03:55:18 +0000 UTC`.
std::string created_text(engine::Time time);
/// `k=v,k=v`.
std::string labels_text(const engine::Labels& labels);
/// Repository and tag of a reference, Docker Hub's in short; the tag is empty when it has none.
std::pair<std::string, std::string> repository_and_tag(const std::string& reference);
/// The first 12 digits of an id, without `sha256:`.
std::string short_id(const std::string& id);

}  // namespace compose::cli
