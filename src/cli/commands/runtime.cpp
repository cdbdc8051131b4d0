// `compose runtime …`: the engine's parts behind runc's command line (engine/oci), for those who start containers themselves.
#include "cli/commands/commands.h"
#include "cli/version.h"
#include "oci/command_line.h"

namespace compose::cli {
namespace {

Result<int> run_oci_runtime(Context&, const Arguments& arguments) { return engine::oci::runtime_main(arguments.operands, kProgramVersion); }

}  // namespace

const Command kRuntime{.name = "runtime",
                       .operands = "[GLOBAL OPTIONS] VERB",
                       .summary = "An OCI runtime with runc's command line, for containerd and others",
                       .run = run_oci_runtime,
                       .raw = true};

}  // namespace compose::cli
