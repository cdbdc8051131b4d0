#include "plan/graph.h"

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/depth_first_search.hpp>
#include <functional>
#include <queue>

namespace compose::plan {
namespace {

using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS>;

/// Keeps the path of the search; a back edge closes it to a cycle.
struct CycleFinder : boost::default_dfs_visitor {
    std::vector<size_t>* path;
    std::vector<size_t>* cycle;

    void discover_vertex(size_t vertex, const Graph&) { path->push_back(vertex); }
    void finish_vertex(size_t, const Graph&) { path->pop_back(); }
    void back_edge(Graph::edge_descriptor edge, const Graph& graph) {
        if (!cycle->empty()) return;
        size_t start = target(edge, graph);
        cycle->assign(std::find(path->begin(), path->end(), start), path->end());
        cycle->push_back(start);
    }
};

}  // namespace

Ordering order(size_t size, const std::vector<std::pair<size_t, size_t>>& edges) {
    Graph graph(edges.begin(), edges.end(), size);
    std::vector<size_t> before(size);
    std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
    for (size_t i = 0; i < size; ++i)
        if ((before[i] = in_degree(i, graph)) == 0) ready.push(i);
    Ordering result;
    result.order.reserve(size);
    while (!ready.empty()) {
        size_t vertex = ready.top();
        ready.pop();
        result.order.push_back(vertex);
        for (auto [edge, end] = out_edges(vertex, graph); edge != end; ++edge)
            if (size_t next = target(*edge, graph); --before[next] == 0) ready.push(next);
    }
    if (result.order.size() == size) return result;
    result.order.clear();
    std::vector<size_t> path;
    CycleFinder finder;
    finder.path = &path;
    finder.cycle = &result.cycle;
    boost::depth_first_search(graph, boost::visitor(finder));
    return result;
}

}  // namespace compose::plan
