#include "log/log_files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace engine::log {

std::string segment_file(uint32_t number, const char* suffix) {
    char name[32];
    snprintf(name, sizeof name, "%06u.%s", number, suffix);
    return name;
}

std::vector<uint32_t> segment_numbers(const std::string& folder) {
    std::vector<uint32_t> numbers;
    DIR* dir = ::opendir(folder.c_str());
    if (!dir) return numbers;
    while (const dirent* entry = ::readdir(dir)) {
        unsigned number = 0;
        char suffix[8] = {};
        if (sscanf(entry->d_name, "%9u.%7s", &number, suffix) == 2 && std::strcmp(suffix, "idx") == 0) numbers.push_back(number);
    }
    ::closedir(dir);
    std::sort(numbers.begin(), numbers.end());
    return numbers;
}

base::Result<std::vector<IndexRecord>> read_records(int index_fd, uint64_t offset) {
    std::vector<IndexRecord> records;
    uint64_t size = file_size(index_fd);
    if (size <= offset) return records;
    records.resize((size - offset) / sizeof(IndexRecord));
    size_t got = 0;
    const size_t wanted = records.size() * sizeof(IndexRecord);
    while (got < wanted) {
        ssize_t n = ::pread(index_fd, reinterpret_cast<char*>(records.data()) + got, wanted - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno("read the index of a log");
        if (n == 0) break;
        got += static_cast<size_t>(n);
    }
    records.resize(got / sizeof(IndexRecord));
    // A hole or garbage ends it: what follows cannot be placed.
    for (size_t i = 0; i < records.size(); i++) {
        if (records[i].magic != kRecordMagic || records[i].stream > 1) {
            records.resize(i);
            break;
        }
    }
    return records;
}

uint64_t file_size(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

}  // namespace engine::log
