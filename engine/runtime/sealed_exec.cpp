#include "runtime/sealed_exec.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <mutex>

#include "base/file.h"
#include "runtime/clone.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

extern "C" {
extern const char __start_compose_sealed[] __attribute__((visibility("hidden")));
extern const char __stop_compose_sealed[] __attribute__((visibility("hidden")));
extern const char compose_sealed_entry[] __attribute__((visibility("hidden")));
}

namespace engine::runtime {
namespace {

/// An ELF file of one segment around the sealed page's code.
std::string sealed_exec_image() {
    constexpr uint64_t kBase = 0x400000;
    std::string code(__start_compose_sealed, static_cast<size_t>(__stop_compose_sealed - __start_compose_sealed));
    Elf64_Ehdr header{};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_EXEC;
#if defined(__x86_64__)
    header.e_machine = EM_X86_64;
#else
    header.e_machine = EM_AARCH64;
#endif
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    size_t at_code = 256;
    static_assert(sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) <= 256);
    header.e_entry = kBase + at_code + static_cast<uint64_t>(compose_sealed_entry - __start_compose_sealed);
    Elf64_Phdr segments[2]{};
    segments[0].p_type = PT_LOAD;
    segments[0].p_flags = PF_R | PF_X;
    segments[0].p_vaddr = segments[0].p_paddr = kBase;
    segments[0].p_filesz = segments[0].p_memsz = at_code + code.size();
    segments[0].p_align = 0x1000;
    segments[1].p_type = PT_GNU_STACK;
    segments[1].p_flags = PF_R | PF_W;
    segments[1].p_align = 16;
    std::string image(at_code, '\0');
    memcpy(image.data(), &header, sizeof header);
    memcpy(image.data() + sizeof header, segments, sizeof segments);
    return image + code;
}

struct Made {
    int fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
};
}  // namespace

base::Result<int> sealed_exec_file() {
    static std::mutex mutex;
    static Made made;
    std::lock_guard lock(mutex);
    struct stat info{};
    // A process that became a daemon may have closed everything: looked at anew each time.
    if (made.fd >= 0 && ::fstat(made.fd, &info) == 0 && info.st_dev == made.device && info.st_ino == made.inode) return made.fd;
    int fd = ::memfd_create("container-start", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = ::memfd_create("container-start", MFD_CLOEXEC | MFD_ALLOW_SEALING);  // before Linux 6.3
    base::UniqueFd file(fd);
    if (!file) return base::fail_errno("make the memory file that starts containers");
    TRY_VOID(base::write_all(file.get(), sealed_exec_image()));
    if (::fchmod(file.get(), 0555) != 0 || ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0 || ::fstat(file.get(), &info) != 0)
        return base::fail_errno("seal the memory file that starts containers");
    // Open for reading only: execve refuses a file that somebody may write.
    base::UniqueFd read_only(::open(base::proc_path(file.get()).c_str(), O_RDONLY | O_CLOEXEC));
    if (!read_only) return base::fail_errno("open the memory file that starts containers");
    base::UniqueFd kept = TRY(above_streams(std::move(read_only)));
    made = {kept.release(), info.st_dev, info.st_ino};
    return made.fd;
}

}  // namespace engine::runtime
