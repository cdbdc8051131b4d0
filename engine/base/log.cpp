#include "base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

namespace base::log {
namespace {

std::shared_ptr<spdlog::logger> make_default() {
    auto logger = std::make_shared<spdlog::logger>("compose", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%l: %v");
    const char* level = std::getenv("COMPOSE_LOG");  // NOLINT(concurrency-mt-unsafe): read once, before threads
    logger->set_level(level ? spdlog::level::from_str(level) : spdlog::level::warn);
    logger->flush_on(spdlog::level::debug);
    return logger;
}

std::shared_ptr<spdlog::logger>& logger() {
    static auto* instance = new std::shared_ptr<spdlog::logger>(make_default());  // lives until the process ends
    return *instance;
}

}  // namespace

void set_level(Level level) {
    static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err, spdlog::level::off};
    logger()->set_level(kLevels[static_cast<int>(level)]);
}

void to_file(const std::string& path) {
    try {
        auto level = logger()->level();
        // Not over the exec by which a supervisor takes its guardian's place.
        spdlog::file_event_handlers handlers;
        handlers.after_open = [](const spdlog::filename_t&, std::FILE* file) { (void)::fcntl(::fileno(file), F_SETFD, FD_CLOEXEC); };
        logger() = std::make_shared<spdlog::logger>("compose", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, false, handlers));
        logger()->set_pattern("%Y-%m-%dT%H:%M:%S.%f %l: %v");
        logger()->set_level(level);
        logger()->flush_on(spdlog::level::debug);
    } catch (const spdlog::spdlog_ex&) {
        // ignored: without its own log the process still does its work
    }
}

bool debug_enabled() { return logger()->should_log(spdlog::level::debug); }
void debug(std::string_view text) { logger()->debug(text); }
void info(std::string_view text) { logger()->info(text); }
void warn(std::string_view text) { logger()->warn(text); }
void error(std::string_view text) { logger()->error(text); }

}  // namespace base::log
