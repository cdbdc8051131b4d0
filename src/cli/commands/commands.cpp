#include "cli/commands/commands.h"

namespace compose::cli {
namespace {

constexpr const Command* kAll[] = {
    &kAttach, &kBridge, &kBuild, &kCommit, &kCompletion, &kConfig,
    &kContainerAttach, &kContainerCommit, &kContainerCp, &kContainerCreate, &kContainerDiff, &kContainerExec, &kContainerExport, &kContainerInspect, &kContainerKill,
    &kContainerLogs, &kContainerLs, &kContainerPause, &kContainerPort, &kContainerPrune, &kContainerRename, &kContainerRestart, &kContainerRm, &kContainerRun,
    &kContainerStart, &kContainerStats, &kContainerStop, &kContainerTop, &kContainerUnpause, &kContainerUpdate, &kContainerWait,
    &kCp, &kCreate, &kDown, &kEvents, &kExec, &kExport,
    &kImageHistory, &kImageImport, &kImageInspect, &kImageLoad, &kImageLs, &kImagePrune, &kImagePull, &kImagePush, &kImageRm, &kImageSave, &kImageTag,
    &kImageVerify, &kImages, &kKill, &kLogin, &kLogout, &kLogs, &kLs, &kPause, &kPlan, &kPort, &kPs, &kPublish, &kPull, &kPush, &kRestart, &kRm, &kRun, &kRuntime, &kScale, &kStart,
    &kStats, &kStop, &kSystemDf, &kSystemPrune, &kSystemRestore, &kSystemStop, &kSystemUpdate, &kTop, &kUnpause, &kUp, &kVersion, &kVolumes, &kWait, &kWatch,
};

}  // namespace

std::span<const Command* const> commands() { return kAll; }

const Command* find_command(std::string_view name) {
    for (const Command* command : kAll)
        if (command->name == name || (!command->alias.empty() && command->alias == name)) return command;
    return nullptr;
}

}  // namespace compose::cli
