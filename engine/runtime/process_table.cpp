#include "runtime/process_table.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <ctime>

#include "base/file.h"
#include "base/text.h"

namespace engine::runtime {
namespace {

/// What `ps -ef` shows of a process; nullopt when it has ended meanwhile.
std::optional<ProcessRow> process_row(pid_t pid, Time boot, Time now, long ticks) {
    std::string folder = "/proc/" + std::to_string(pid);
    auto text = base::read_file(folder + "/stat", 4096);
    struct stat status;
    if (!text || stat(folder.c_str(), &status) != 0) return std::nullopt;
    size_t open = text->find('('), close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos) return std::nullopt;
    auto fields = base::split(std::string_view(*text).substr(close + 2), ' ');  // from field 3, proc(5)
    if (fields.size() < 20) return std::nullopt;
    auto number = [&](size_t index) { return base::parse_int(fields[index - 3]).value_or(0); };

    ProcessRow row;
    row.uid = status.st_uid == 0 ? "root" : std::to_string(status.st_uid);
    row.pid = std::to_string(pid);
    row.ppid = fields[1];
    int64_t used_ticks = number(14) + number(15), used = used_ticks / ticks;
    Time started = boot + number(22) * (1'000'000'000 / ticks);
    int64_t age = (now - started) / 1'000'000'000;
    row.c = std::to_string(age > 0 ? std::min<int64_t>(99, used * 100 / age) : 0);
    time_t seconds = static_cast<time_t>(started / 1'000'000'000), today = static_cast<time_t>(now / 1'000'000'000);
    tm local{}, current{};
    localtime_r(&seconds, &local);
    localtime_r(&today, &current);
    bool same_day = local.tm_yday == current.tm_yday && local.tm_year == current.tm_year;
    char stime[32];
    strftime(stime, sizeof stime, same_day ? "%H:%M" : "%b%d", &local);
    row.stime = stime;
    auto tty = static_cast<dev_t>(number(7));
    row.tty = "?";
    if (tty != 0 && major(tty) >= 136 && major(tty) <= 143) row.tty = "pts/" + std::to_string((major(tty) - 136) * 256 + minor(tty));
    char time[32];
    snprintf(time, sizeof time, "%02lld:%02lld:%02lld", static_cast<long long>(used / 3600), static_cast<long long>(used / 60 % 60), static_cast<long long>(used % 60));
    row.time = time;
    std::string command = base::read_file(folder + "/cmdline", 1u << 20).value_or("");
    while (!command.empty() && command.back() == '\0') command.pop_back();
    for (char& c : command)
        if (c == '\0') c = ' ';
    row.command = command.empty() ? "[" + text->substr(open + 1, close - open - 1) + "]" : base::printable(command);
    return row;
}

Time boot_time() {
    timespec since_boot{};
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return base::now() - (since_boot.tv_sec * 1'000'000'000 + since_boot.tv_nsec);
}
}  // namespace

std::vector<ProcessRow> process_rows(const std::vector<pid_t>& pids) {
    Time boot = boot_time(), now = base::now();
    std::vector<ProcessRow> rows;
    for (pid_t pid : pids)
        if (auto row = process_row(pid, boot, now, sysconf(_SC_CLK_TCK))) rows.push_back(std::move(*row));
    return rows;
}

}  // namespace engine::runtime
