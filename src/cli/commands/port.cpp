#include <fmt/core.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/container_text.h"
#include "cli/context.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kPortFlags[] = {
    {"index", 0, Type::integer, "Index of the container if service has multiple replicas"},
    {"protocol", 0, Type::text, "tcp or udp", "tcp"},
};

Result<int> port_command(Context& context, const Arguments& arguments) {
    (void)TRY(context.project_if_any());
    auto [number, suffix] = base::cut(arguments.operands[1], '/');
    std::string protocol = suffix.value_or(base::to_lower(arguments.text("protocol")));
    auto wanted = base::parse_int(number);
    if (!wanted || *wanted < 1 || *wanted > 65535) return fail(Code::invalid, "invalid port " + base::quote(arguments.operands[1]) + ": use a number from 1 to 65535");
    auto container = TRY(running_replica(context, arguments.operands[0], static_cast<int>(arguments.integer("index"))));
    for (const auto& port : publishers(container)) {
        if (!port.published || port.target != *wanted || port.protocol != protocol) continue;
        TRY_VOID(base::write_all(STDOUT_FILENO, address_text(port.url, port.published) + "\n"));
        return 0;
    }
    std::string has = ports_text(container);
    return fail(Code::not_found, fmt::format("no port {}/{} for container {}: it publishes {}", *wanted, protocol, container.spec.name, has.empty() ? "none" : has));
}

}  // namespace

const Command kPort{"port", "[OPTIONS] SERVICE PRIVATE_PORT", "Print the public port for a port binding", kPortFlags, port_command, 2, 2};

}  // namespace compose::cli
