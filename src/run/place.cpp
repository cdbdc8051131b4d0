#include "run/place.h"

#include "model/diagnostic.h"
#include "model/node.h"

namespace compose::run {
namespace {

using plan::Kind;

const model::Node* child(const model::Node* node, std::string_view key) { return node ? node->find(key) : nullptr; }

/// The attributes that a failure of a service's step may come from, the likeliest first.
std::vector<std::string_view> suspects(const plan::Step& step, const base::Error& error) {
    if (step.kind == Kind::pull || step.kind == Kind::build) return {"image", "build"};
    if (error.code == base::Code::no_such_command || error.code == base::Code::cannot_execute) return {"entrypoint", "command"};
    const std::string text = error.message();
    static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
        {"publish ", "ports"}, {"mount ", "volumes"}, {"volume ", "volumes"}, {"device ", "devices"}, {"network ", "networks"}, {"user ", "user"},
    };
    std::vector<std::string_view> found;
    for (auto [word, attribute] : kWords)
        if (text.find(word) != std::string::npos) found.push_back(attribute);
    return found;
}

}  // namespace

std::optional<base::SourcePos> place_of(const model::Project& project, const plan::Step& step, const base::Error& error) {
    if (!project.tree || !project.files || step.service.empty()) return std::nullopt;
    const model::Node* services = child(project.tree.get(), "services");
    const auto* member = services ? services->find_member(step.service) : nullptr;
    if (!member) return std::nullopt;
    model::Place place = member->place;
    for (std::string_view attribute : suspects(step, error)) {
        const auto* written = member->value.find_member(attribute);
        if (!written) continue;
        place = written->place;
        break;
    }
    if (!place) return std::nullopt;
    return project.files->pos(place);
}

}  // namespace compose::run
