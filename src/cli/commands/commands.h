#pragma once
// One line a command; each is defined in a file of its own.
#include "cli/command.h"

namespace compose::cli {

extern const Command kAttach, kBridge, kBuild, kCommit, kCompletion, kConfig, kCp, kCreate, kDown, kEvents, kExec, kExport,
    kImageHistory, kImageImport, kImageInspect, kImageLoad, kImageLs, kImagePrune, kImagePull, kImagePush, kImageRm, kImageSave, kImageTag,
    kImageVerify, kImages, kKill, kLogin, kLogout, kLogs,
    kLs, kPause, kPlan, kPort, kPs, kPublish, kPull, kPush, kRestart, kRm, kRun, kRuntime, kScale, kStart, kStats, kStop, kSystemDf, kSystemPrune, kSystemRestore, kSystemStop, kSystemUpdate, kTop, kUnpause, kUp, kVersion,
    kVolumes, kWait, kWatch;

extern const Command kContainerAttach, kContainerCommit, kContainerCp, kContainerCreate, kContainerDiff, kContainerExec, kContainerExport, kContainerInspect, kContainerKill,
    kContainerLogs, kContainerLs, kContainerPause, kContainerPort, kContainerPrune, kContainerRename, kContainerRestart, kContainerRm, kContainerRun,
    kContainerStart, kContainerStats, kContainerStop, kContainerTop, kContainerUnpause, kContainerUpdate, kContainerWait;

}  // namespace compose::cli
