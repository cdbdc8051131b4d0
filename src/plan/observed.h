#pragma once
// The actual state that a plan starts from, as the engine tells it. Only values: tests write it by hand.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/types.h"

namespace compose::plan {

/// Names of the labels that tie an object to its project (behaviour.md §1); the ecosystem's tools read them.
namespace label {
inline constexpr const char* kProject = "com.docker.compose.project";
inline constexpr const char* kService = "com.docker.compose.service";
inline constexpr const char* kNumber = "com.docker.compose.container-number";
inline constexpr const char* kOneOff = "com.docker.compose.oneoff";
inline constexpr const char* kHash = "com.docker.compose.config-hash";
inline constexpr const char* kImage = "com.docker.compose.image";
inline constexpr const char* kDependsOn = "com.docker.compose.depends_on";
inline constexpr const char* kWorkingDir = "com.docker.compose.project.working_dir";
inline constexpr const char* kConfigFiles = "com.docker.compose.project.config_files";
inline constexpr const char* kEnvironmentFile = "com.docker.compose.project.environment_file";
inline constexpr const char* kVersion = "com.docker.compose.version";
inline constexpr const char* kReplace = "com.docker.compose.replace";
inline constexpr const char* kSlug = "com.docker.compose.slug";
inline constexpr const char* kNetwork = "com.docker.compose.network";
inline constexpr const char* kVolume = "com.docker.compose.volume";
inline constexpr const char* kVersionValue = "2.40.3";
}  // namespace label

struct Observed {
    std::vector<engine::ContainerInfo> containers;       ///< of the project, one-offs too; any state
    std::map<std::string, engine::NetworkInfo> networks; ///< by real name: the project's, and those that the file names
    std::map<std::string, engine::VolumeInfo> volumes;   ///< likewise
    std::map<std::string, engine::ImageInfo> images;     ///< by the reference that a service uses
    std::map<std::string, std::string> taken_names;      ///< container names of others that the file asks for → their id
};

/// The label, or "" when there is none.
std::string label_of(const engine::Labels& labels, const char* name);
std::string service_of(const engine::ContainerInfo& container);
/// The replica number; 0 for one-offs and what has none.
int number_of(const engine::ContainerInfo& container);
bool is_one_off(const engine::ContainerInfo& container);
bool is_running(const engine::ContainerInfo& container);  ///< running, paused or restarting
/// Docker's word for a status: "created", "running" …
const char* status_word(engine::ContainerStatus status);
/// `web-1`: the container's name without the project's prefix.
std::string short_name(const engine::ContainerInfo& container);

}  // namespace compose::plan
