#ifndef PARTIALPOOL_MODEL_DATA_H
#define PARTIALPOOL_MODEL_DATA_H

#include <Eigen/Dense>
#include <vector>

#include "covariance.h"

namespace partialpool {

// Covariance K = C C' of the levels of a grouping factor: C is levels x modes by column, owned by
// the caller. Without one the levels are independent.
struct Loading {
  const double* values = nullptr;
  int levels = 0, modes = 0;
  explicit operator bool() const { return values != nullptr; }
  Eigen::Map<const Eigen::MatrixXd> matrix() const { return {values, levels, modes}; }
};

// Level of each row of one grouping factor (0-based codes owned by the caller as 1-based integers).
struct GroupingFactor {
  const int* codes = nullptr;  // n entries, 1..levels
  int levels = 0;
  Loading loading;
  std::vector<int> rank;  // level -> position by decreasing frequency; empty: as given
  int level(Eigen::Index row) const {
    const int code = codes[row] - 1;
    return rank.empty() ? code : rank[code];
  }
};

// One (lhs | group) term as the user wrote it.
struct UserTerm {
  int factor = 0;                                      // index into ModelData::factors
  Eigen::Map<const Eigen::MatrixXd> z{nullptr, 0, 0};  // n x p, or empty for an intercept
  CovarianceBlock block{Structure::unstructured, false, 1};
  bool intercept_only() const { return z.cols() == 0; }
  int size() const { return block.size(); }
};

// Rows of a model, borrowed from the caller.
struct ModelData {
  Eigen::Index n = 0;
  Eigen::Map<const Eigen::MatrixXd> x{nullptr, 0, 0};
  const double* y = nullptr;        // null: zero (a model whose response is no linear one)
  const double* weights = nullptr;  // null: all one
  const double* offset = nullptr;   // null: none
  std::vector<GroupingFactor> factors;
  std::vector<UserTerm> terms;

  double response(Eigen::Index i) const {
    if (!y) return 0.0;
    return offset ? y[i] - offset[i] : y[i];
  }
};

// All user terms on one grouping factor: one term with a block diagonal Lambda.
struct Term {
  int factor = 0;
  int p = 0;  // columns per level
  int levels = 0;
  std::vector<int> members;  // user terms, in order
  std::vector<int> starts;   // first column of each member
  int first_parameter = 0;   // in the optimiser's vector
  Loading loading;
  Eigen::Index size() const { return static_cast<Eigen::Index>(p) * levels; }
  // Independent effects per column, b = Lambda u C': as many as levels unless there is a loading.
  int modes() const { return loading ? loading.modes : levels; }
};

// Effects of the levels, p x levels, from independent ones (p x modes), and sums over the rows of
// each level the other way. `buffer` is used if there is a loading.
inline const Eigen::MatrixXd& loaded(const Term& term, const Eigen::MatrixXd& v,
                                     Eigen::MatrixXd& buffer) {
  if (!term.loading) return v;
  buffer.noalias() = v * term.loading.matrix().transpose();
  return buffer;
}
inline Eigen::MatrixXd unloaded(const Term& term, Eigen::MatrixXd v) {
  if (!term.loading) return v;
  return v * term.loading.matrix();
}

}  // namespace partialpool

#endif
