#include "api/engine_impl.h"

namespace engine::api {

Result<VolumeInfo> EngineImpl::create_volume(const VolumeSpec& spec) { return volume_store().create(spec); }
Result<VolumeInfo> EngineImpl::volume(const std::string& name) { return store().volume(name); }
Result<std::vector<VolumeInfo>> EngineImpl::volumes(const Labels& labels) { return store().volumes(labels); }
Status EngineImpl::remove_volume(const std::string& name) { return volume_store().remove(name); }

}  // namespace engine::api
