#ifndef PARTIALPOOL_TERMS_H
#define PARTIALPOOL_TERMS_H

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>
#include <vector>

#include "model_data.h"

namespace partialpool {

// User terms gathered by grouping factor, largest first (ALGORITHMS 1.2). Those whose levels are
// correlated come last: the levels of the leading term are eliminated one by one. If there is no
// other, the leading term is one without levels.
inline std::vector<Term> amalgamate(const ModelData& data) {
  std::vector<Term> terms;
  for (int f = 0; f < static_cast<int>(data.factors.size()); ++f) {
    Term term;
    term.factor = f;
    term.levels = data.factors[f].levels;
    term.loading = data.factors[f].loading;
    for (int t = 0; t < static_cast<int>(data.terms.size()); ++t) {
      if (data.terms[t].factor != f) continue;
      term.members.push_back(t);
      term.starts.push_back(term.p);
      term.p += data.terms[t].size();
    }
    if (!term.members.empty()) terms.push_back(term);
  }
  std::stable_sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    if (!a.loading != !b.loading) return !a.loading;
    return a.size() > b.size();
  });
  if (!terms.empty() && terms[0].loading) terms.insert(terms.begin(), Term());
  int at = 0;
  for (Term& term : terms) {
    term.first_parameter = at;
    for (const int member : term.members) at += data.terms[member].block.n_parameters();
  }
  return terms;
}

// Levels of the trailing factors by decreasing frequency: rows of the remainder that are used
// together lie together.
inline void sort_levels(ModelData& data, const std::vector<Term>& terms) {
  for (std::size_t t = 1; t < terms.size(); ++t) {
    if (terms[t].loading) continue;  // its rows are in the order given
    GroupingFactor& factor = data.factors[terms[t].factor];
    std::vector<int> count(factor.levels, 0), order(factor.levels);
    for (Eigen::Index i = 0; i < data.n; ++i) ++count[factor.codes[i] - 1];
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return count[a] > count[b]; });
    factor.rank.resize(factor.levels);
    for (int k = 0; k < factor.levels; ++k) factor.rank[order[k]] = k;
  }
}

// Calls f(block, parameter offset, first column) for each user term of one amalgamated term.
template <class F>
void for_each_block(const ModelData& data, const Term& term, F&& f) {
  int at = term.first_parameter;
  for (std::size_t k = 0; k < term.members.size(); ++k) {
    const CovarianceBlock& block = data.terms[term.members[k]].block;
    f(block, at, term.starts[k]);
    at += block.n_parameters();
  }
}

// Writes the derivative by the optimiser's parameters of one term, from that by its Lambda (full).
inline void put_gradient(const ModelData& data, const Term& term, const Eigen::VectorXd& x,
                         const Eigen::MatrixXd& by_lambda, Eigen::VectorXd& out) {
  for_each_block(data, term, [&](const CovarianceBlock& b, int at, int start) {
    b.gradient(x.data() + at, by_lambda.block(start, start, b.size(), b.size()), out.data() + at);
  });
}

inline int n_parameters(const ModelData& data) {
  int k = 0;
  for (const UserTerm& t : data.terms) k += t.block.n_parameters();
  return k;
}

inline std::vector<Eigen::MatrixXd> lambdas(const ModelData& data, const std::vector<Term>& terms,
                                            const Eigen::VectorXd& x) {
  std::vector<Eigen::MatrixXd> out;
  for (const Term& term : terms) {
    Eigen::MatrixXd l = Eigen::MatrixXd::Zero(term.p, term.p);
    for_each_block(data, term, [&](const CovarianceBlock& block, int at, int start) {
      l.block(start, start, block.size(), block.size()) = block.lambda(x.data() + at);
    });
    out.push_back(std::move(l));
  }
  return out;
}

}  // namespace partialpool

#endif
