#pragma once
// YAML of vendors' device files as JSON text, so that one reader serves both.
#include <string>
#include <string_view>

#include "base/error.h"

namespace engine::runtime {

/// One document as JSON text. Plain scalars are null, booleans and numbers by the core schema (as YAML 1.2, with `yes` and `on` as
/// texts), others are texts. Anchors are expanded; bounded are the depth (64), and what comes out (16 MiB). invalid: not well-formed
/// (with its line), a key that is no scalar or occurs twice, merge keys, a second document.
base::Result<std::string> json_from_yaml(std::string_view yaml);

}  // namespace engine::runtime
