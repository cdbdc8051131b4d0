#pragma once
// The last step of a start is not exec of the container's program from the engine's own image: a script's "#!/proc/self/exe"
// or such an ELF interpreter would then run the engine's binary with the container's libraries, and leave the container a way
// to write it (CVE-2019-5736). So the child first executes a page of code from a sealed memory file, and that executes the
// program. /proc/self/exe is then nothing but that page.
#include "base/error.h"
#include "base/fd.h"

namespace engine::runtime {

/// The sealed memory file, made once a process; the fd stays its owner's.
base::Result<int> sealed_exec_file();

/// What the sealed page writes to its report fd when the program cannot be executed.
struct SealedExecReport {
    int32_t error;   ///< errno
    int32_t detail;  ///< a Detail
};

}  // namespace engine::runtime
