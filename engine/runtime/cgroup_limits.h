#pragma once
// Limits as the files that hold them: pure, so that both versions are tested as data.
#include <string>
#include <vector>

#include "engine/types.h"
#include "runtime/cgroup.h"

namespace engine::runtime {

/// In the order in which they are written. Device paths are turned into numbers by `stat`.
base::Result<std::vector<CgroupWrite>> cgroup_writes(const Resources& resources, CgroupVersion version);
/// 2…262144 → 1…10000 (the kernel documentation's and runc's mapping).
uint64_t cpu_weight(uint64_t shares);
/// v2's device filter as a BPF program; instructions of 8 bytes. Last matching rule decides; no match denies.
std::vector<uint64_t> device_program(const std::vector<DeviceRule>& rules);

}  // namespace engine::runtime
