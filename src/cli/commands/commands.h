#pragma once
// One line a command; each is defined in a file of its own.
#include "cli/command.h"

namespace compose::cli {

extern const Command kAttach, kBridge, kBuild, kCommit, kCompletion, kConfig, kCp, kCreate, kDown, kEvents, kExec, kExport, kImageLoad, kImageLs, kImagePrune,
    kImagePull, kImagePush, kImageRm, kImageSave, kImageTag, kImages, kKill, kLogs,
    kLs, kPause, kPlan, kPort, kPs, kPublish, kPull, kPush, kRestart, kRm, kRun, kScale, kStart, kStats, kStop, kTop, kUnpause, kUp, kVersion,
    kVolumes, kWait, kWatch;

}  // namespace compose::cli
