#include "runtime/rlimit.h"

#include <sys/resource.h>

#include <array>

#include "base/text.h"

namespace engine::runtime {
namespace {
constexpr std::array<std::pair<std::string_view, int>, 16> kNames{{
    {"core", RLIMIT_CORE}, {"cpu", RLIMIT_CPU}, {"data", RLIMIT_DATA}, {"fsize", RLIMIT_FSIZE}, {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS}, {"rtprio", RLIMIT_RTPRIO}, {"rttime", RLIMIT_RTTIME}, {"sigpending", RLIMIT_SIGPENDING}, {"stack", RLIMIT_STACK},
    {"as", RLIMIT_AS},
}};
}  // namespace

std::optional<int> rlimit_number(std::string_view name) {
    for (auto [known, number] : kNames)
        if (known == name) return number;
    return std::nullopt;
}
std::string rlimit_name(int number) {
    for (auto [known, value] : kNames)
        if (value == number) return std::string(known);
    return std::to_string(number);
}

base::Status add_rlimits(PlanData& plan, const std::vector<Ulimit>& limits) {
    for (const Ulimit& limit : limits) {
        auto number = rlimit_number(base::to_lower(limit.name));
        if (!number) return base::fail(base::Code::invalid, "invalid ulimit type: " + base::printable(limit.name));
        auto value = [](int64_t n) { return n < 0 ? UINT64_MAX : static_cast<uint64_t>(n); };
        if (value(limit.soft) > value(limit.hard))
            return base::fail(base::Code::invalid, "ulimit " + limit.name + ": soft limit must be less than or equal to hard limit: " +
                                                       std::to_string(limit.soft) + " > " + std::to_string(limit.hard));
        Step& step = plan.add(Op::resource_limit);
        step.a = static_cast<uint64_t>(*number);
        step.b = value(limit.soft);
        step.c = value(limit.hard);
    }
    return {};
}

}  // namespace engine::runtime
