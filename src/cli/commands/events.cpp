#include <fmt/core.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <ctime>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/exit_status.h"
#include "cli/interrupts.h"
#include "cli/when.h"

namespace compose::cli {
namespace {

namespace json = boost::json;
using Type = Flag::Type;
constexpr Flag kEventsFlags[] = {
    {"json", 0, Type::boolean, "Output events as a stream of json objects"},
    {"since", 0, Type::text, "Show all events created since timestamp"},
    {"until", 0, Type::text, "Stream events until this timestamp"},
};

std::string local_time(engine::Time time) {
    time_t seconds = time / 1'000'000'000;
    std::tm parts{};
    localtime_r(&seconds, &parts);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return fmt::format("{}.{:06}", text, time % 1'000'000'000 / 1000);
}

/// Attributes as Docker Compose shows them: without the labels of its own.
engine::Labels shown(const engine::Event& event) {
    engine::Labels result;
    for (auto& [key, value] : event.attributes)
        if (!key.starts_with("com.docker.compose.")) result[key] = value;
    return result;
}

std::string line(const engine::Event& event, const std::string& service, bool as_json) {
    auto attributes = shown(event);
    if (as_json) {
        json::object object;
        for (auto& [key, value] : attributes) object[key] = value;
        return json::serialize(json::object{{"action", event.action}, {"attributes", object}, {"id", event.id}, {"service", service},
                                            {"time", base::format_time(event.time)}, {"type", event.type}}) + "\n";
    }
    std::vector<std::string> parts;
    for (auto& [key, value] : attributes) parts.push_back(key + "=" + base::printable(value));
    return fmt::format("{} {} {} {} ({})\n", local_time(event.time), event.type, event.action, event.id, base::join(parts, ", "));
}

Result<int> events_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    TRY_VOID(context.check_services(arguments.operands));
    std::string project = TRY(context.project_name());
    auto since = TRY(parse_when(arguments.text("since"))), until = TRY(parse_when(arguments.text("until")));
    auto* engine = TRY(context.engine());
    bool as_json = arguments.on("json");
    interrupts::install();
    std::map<std::string, std::string> services;  // of containers seen, for events that name only the id
    auto service_of = [&](const engine::Event& event) {
        auto label = event.attributes.find(plan::label::kService);
        if (label != event.attributes.end()) return services[event.id] = label->second;
        if (auto known = services.find(event.id); known != services.end()) return known->second;
        auto container = engine->container(event.id);
        return services[event.id] = container ? plan::service_of(*container) : "";
    };
    auto belongs = [&](const engine::Event& event) {
        auto label = event.attributes.find(plan::label::kProject);
        return label == event.attributes.end() || label->second == project;
    };
    const auto& wanted = arguments.operands;
    auto status = engine->events(since, until, [&](const engine::Event& event) {
        if (event.type != "container" || !belongs(event)) return true;
        std::string service = service_of(event);
        if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), service) == wanted.end()) return true;
        return base::write_all(STDOUT_FILENO, line(event, service, as_json)).has_value();
    }, &interrupts::flag());
    if (interrupts::count()) return kInterrupted;
    TRY_VOID(std::move(status));
    return 0;
}

}  // namespace

const Command kEvents{"events", "[OPTIONS] [SERVICE...]", "Receive real time events from containers", kEventsFlags, events_command};

}  // namespace compose::cli
