#pragma once
// The canonical form of a Project, as `config` prints it, and the hashes that say whether a service changed.
#include <string>
#include <string_view>

#include "model/node.h"
#include "model/project.h"

namespace compose::model {

/// Docker Compose's JSON has members that its YAML leaves out (`command: null`, `ipam: {}` …).
enum class Form : uint8_t { yaml, json };

/// The project as a tree: long forms, defaults as Docker Compose prints them.
Node to_tree(const Project& project, Form form = Form::yaml);
Node to_tree(const Service& service, Form form = Form::yaml);
Node to_tree(const Network& network, Form form = Form::yaml);
Node to_tree(const Volume& volume, Form form = Form::yaml);
/// Every `$` in keys and strings doubled, so that the text can be read in again.
void escape_dollars(Node& tree);

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
