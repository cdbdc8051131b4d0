#include "cli/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"

namespace compose::cli {

base::Status write_output(const std::string& path, unsigned mode, const std::function<base::Status(int fd)>& write) {
    if (path.empty()) return write(STDOUT_FILENO);
    std::string beside = path + "." + base::random_hex(8) + ".tmp";
    auto fd = TRY(base::open_at(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL, mode));
    base::Defer drop([&] { (void)unlink(beside.c_str()); });  // ignored: it is gone already
    TRY_VOID(write(fd.get()));
    if (rename(beside.c_str(), path.c_str()) != 0) return base::fail_errno("write " + base::quote(path));
    drop.cancel();
    return {};
}

}  // namespace compose::cli
