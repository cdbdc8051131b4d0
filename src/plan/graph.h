#pragma once
// Order in a directed graph, and the path of a cycle when there is none.
#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

namespace compose::plan {

/// Vertices are 0 … size-1; an edge (a, b) says that a comes before b.
struct Ordering {
    std::vector<size_t> order;  ///< every vertex after those before it; of several that could come next, the lowest. Empty on a cycle
    std::vector<size_t> cycle;  ///< a -> b -> a, first and last the same; empty when there is none
};
Ordering order(size_t size, const std::vector<std::pair<size_t, size_t>>& edges);

}  // namespace compose::plan
