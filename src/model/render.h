#pragma once
// The canonical form of a Project, as `config` prints it, and the hashes that say whether a service changed.
#include <string>
#include <string_view>

#include "model/node.h"
#include "model/project.h"

namespace compose::model {

/// The project as a tree: keys sorted, long forms, defaults as Docker Compose prints them.
Node to_tree(const Project& project);
Node to_tree(const Service& service);

/// YAML in block style, strings quoted only where needed, two blanks a level; loads back to an equal tree.
std::string to_yaml(const Node& tree);
/// JSON, two blanks a level; `compact` on one line.
std::string to_json(const Node& tree, bool compact = false);

/// Label com.docker.compose.config-hash: SHA-256 of the JSON of the normalised service less what does not matter to a
/// container (build, pull_policy, scale, deploy.replicas, depends_on, profiles; behaviour.md §6).
std::string config_hash(const Service& service);
std::string config_hash(const Network& network);
std::string config_hash(const Volume& volume);

}  // namespace compose::model
