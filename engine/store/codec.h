#pragma once
// JSON of the engine's nouns (engine/types.h), as kept in the state and sent between processes. Only what differs from the
// default is written; unknown fields are ignored and missing ones keep their default, so older and newer versions read each
// other. Strings may hold any bytes.
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/types.h"

namespace engine::store {

std::string to_json(const HealthCheck& value);
std::string to_json(const ImageConfig& value);
std::string to_json(const ImageInfo& value);
std::string to_json(const Mount& value);
std::string to_json(const Resources& value);
std::string to_json(const RestartPolicy& value);
std::string to_json(const ContainerSpec& value);
std::string to_json(const ContainerState& value);
std::string to_json(const ContainerInfo& value);
std::string to_json(const EndpointState& value);
std::string to_json(const std::vector<EndpointState>& value);
std::string to_json(const PortMapping& value);
std::string to_json(const std::vector<PortMapping>& value);
std::string to_json(const NetworkSpec& value);
std::string to_json(const NetworkInfo& value);
std::string to_json(const VolumeSpec& value);
std::string to_json(const VolumeInfo& value);
std::string to_json(const Event& value);
std::string to_json(const std::vector<std::string>& value);
std::string to_json(const Labels& value);

/// Every type above. Code::corrupt when the text is not JSON or a field has another type.
template <class T>
base::Result<T> from_json(std::string_view text);

inline base::Result<ContainerSpec> spec_from_json(std::string_view text) { return from_json<ContainerSpec>(text); }
inline base::Result<ContainerState> state_from_json(std::string_view text) { return from_json<ContainerState>(text); }
inline base::Result<ContainerInfo> container_from_json(std::string_view text) { return from_json<ContainerInfo>(text); }
inline base::Result<std::vector<EndpointState>> endpoints_from_json(std::string_view text) { return from_json<std::vector<EndpointState>>(text); }
inline base::Result<std::vector<PortMapping>> ports_from_json(std::string_view text) { return from_json<std::vector<PortMapping>>(text); }
inline base::Result<NetworkSpec> network_spec_from_json(std::string_view text) { return from_json<NetworkSpec>(text); }
inline base::Result<VolumeSpec> volume_spec_from_json(std::string_view text) { return from_json<VolumeSpec>(text); }
inline base::Result<ImageInfo> image_from_json(std::string_view text) { return from_json<ImageInfo>(text); }

}  // namespace engine::store
