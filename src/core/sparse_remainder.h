#ifndef PARTIALPOOL_SPARSE_REMAINDER_H
#define PARTIALPOOL_SPARSE_REMAINDER_H

#include <Eigen/Dense>
#include <Eigen/Sparse>
#include <algorithm>
#include <cstdint>
#include <vector>

#include "remainder.h"

namespace partialpool {

// S as a sparse lower triangle, factorised after an approximate minimum degree ordering that is
// found once. The inverse is formed on the pattern of the factor only (Takahashi's equations).
class SparseRemainder : public Remainder {
 public:
  SparseRemainder(const CrossProducts& a, const Coupling& coupling) : coupling_(coupling) {
    for (int t = 0; t < a.n_terms(); ++t) p_.push_back(a.terms()[t].p);
    build_pattern(a);
    llt_.analyzePattern(s_);
  }

  const char* storage() const override { return "sparse"; }
  double factor_size() const { return llt_.factor_size(); }
  // Positions of the scattered entries: only needed when this storage is the one used.
  void prepare() { locate_scatter(); }

  void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) override {
    std::fill_n(s_.valuePtr(), s_.nonZeros(), 0.0);
    Eigen::MatrixXd block;
    for (int t = 1; t < a.n_terms(); ++t) {
      const int p = p_[t];
      for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
        block.noalias() = lambda[t].transpose() * a.diagonal(t, level) * lambda[t];
        for (int c = 0; c < p; ++c) {
          double* column = s_.valuePtr() + s_.outerIndexPtr()[coupling_.offset[t] + level * p + c];
          for (int r = c; r < p; ++r) column[r - c] = block(r, c) + (r == c ? 1.0 : 0.0);
        }
      }
      for (int s = 1; s < t; ++s) {
        const PairTable& cells = a.pair(s, t);
        const std::vector<int>& at = cell_position(s, t);
        for (int level = 0; level < a.terms()[s].levels; ++level)
          for (std::size_t c = cells.begin(level); c < cells.end(level); ++c) {
            const Eigen::Map<const Eigen::MatrixXd> cell(cells.values(c), p, p_[s]);
            block.noalias() = lambda[t].transpose() * cell * lambda[s];
            for (int k = 0; k < p_[s]; ++k)
              std::copy_n(block.data() + k * p, p, s_.valuePtr() + at[c * p_[s] + k]);
          }
      }
    }
  }

  void subtract(const double* e) override {
    const int* at = scatter_.data();
    double* value = s_.valuePtr();
    for (Eigen::Index j = 0; j < coupling_.levels(); ++j) {
      const std::size_t m = coupling_.count(j);
      for (std::size_t k = 0; k < m; ++k)
        for (std::size_t i = k; i < m; ++i) {
          double sum = 0.0;
          for (int c = 0; c < coupling_.p1; ++c) sum += e[c * m + i] * e[c * m + k];
          value[*at++] -= sum;
        }
      e += m * coupling_.p1;
    }
  }

  bool factorise() override {
    llt_.factorize(s_);
    if (llt_.info() != Eigen::Success) return false;
    if (to_factor_.empty()) locate_in_factor();
    return true;
  }
  double log_det() const override {
    const auto& l = llt_.factor();
    double sum = 0.0;
    for (Eigen::Index j = 0; j < l.cols(); ++j) sum += std::log(l.valuePtr()[l.outerIndexPtr()[j]]);
    return 2.0 * sum;
  }
  void solve_lower(Eigen::MatrixXd& b) override {
    if (llt_.permutationP().size() > 0) b = llt_.permutationP() * b;
    llt_.matrixL().solveInPlace(b);
  }
  void solve_lower_transposed(Eigen::MatrixXd& b) override {
    llt_.matrixU().solveInPlace(b);
    if (llt_.permutationP().size() > 0) b = llt_.permutationPinv() * b;
  }

  void invert(const double*) override {
    takahashi();
    t_.resize(s_.nonZeros());
    for (std::size_t at = 0; at < t_.size(); ++at) t_[at] = inverse_[to_factor_[at]];
  }

  void multiply(Eigen::Index j, const double* e, double* n) const override {
    const std::size_t m = coupling_.count(j);
    const int* at = scatter_.data() + scatter_start_[j];
    std::fill_n(n, m * coupling_.p1, 0.0);
    for (std::size_t k = 0; k < m; ++k)
      for (std::size_t i = k; i < m; ++i) {
        const double t = t_[*at++];
        for (int c = 0; c < coupling_.p1; ++c) {
          n[c * m + i] += t * e[c * m + k];
          if (i != k) n[c * m + k] += t * e[c * m + i];
        }
      }
  }

  void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const override {
    const int p = p_[t];
    out.resize(p, p);
    for (int c = 0; c < p; ++c) {
      const int at = s_.outerIndexPtr()[coupling_.offset[t] + level * p + c];
      for (int r = c; r < p; ++r) out(r, c) = out(c, r) = t_[at + r - c];
    }
  }
  void cell_block(int a, int b, std::size_t cell, Eigen::Index, Eigen::Index,
                  Eigen::MatrixXd& out) const override {
    out.resize(p_[b], p_[a]);
    const std::vector<int>& at = cell_position(a, b);
    for (int c = 0; c < p_[a]; ++c)
      for (int r = 0; r < p_[b]; ++r) out(r, c) = t_[at[cell * p_[a] + c] + r];
  }

 private:
  using Sparse = Eigen::SparseMatrix<double>;

  // Eigen's factorisation with its factor and symbolic size in reach.
  class Llt : public Eigen::SimplicialLLT<Sparse, Eigen::Lower, Eigen::AMDOrdering<int>> {
   public:
    const Sparse& factor() const { return this->m_matrix; }
    double factor_size() const {
      double sum = static_cast<double>(this->m_nonZerosPerCol.size());
      for (Eigen::Index i = 0; i < this->m_nonZerosPerCol.size(); ++i)
        sum += this->m_nonZerosPerCol[i];
      return sum;
    }
  };

  const std::vector<int>& cell_position(int a, int b) const {
    return cell_at_[static_cast<std::size_t>(a) * p_.size() + b];
  }

  // Blocks (level x level) that occur, then their scalar columns.
  void build_pattern(const CrossProducts& a) {
    const Eigen::Index q = coupling_.q;
    std::vector<int> first;  // first column of each node
    std::vector<int> node(q);
    for (int t = 1; t < a.n_terms(); ++t)
      for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
        for (int c = 0; c < p_[t]; ++c)
          node[coupling_.offset[t] + level * p_[t] + c] = static_cast<int>(first.size());
        first.push_back(static_cast<int>(coupling_.offset[t] + level * p_[t]));
      }
    const int nodes = static_cast<int>(first.size());
    first.push_back(static_cast<int>(q));
    std::vector<std::uint64_t> keys;
    const auto key = [](int column, int row) {
      return (static_cast<std::uint64_t>(column) << 32) | static_cast<std::uint32_t>(row);
    };
    for (int i = 0; i < nodes; ++i) keys.push_back(key(i, i));
    for (int s = 1; s < a.n_terms(); ++s)
      for (int t = s + 1; t < a.n_terms(); ++t) {
        const PairTable& cells = a.pair(s, t);
        for (int level = 0; level < a.terms()[s].levels; ++level)
          for (std::size_t c = cells.begin(level); c < cells.end(level); ++c)
            keys.push_back(key(
                node[coupling_.offset[s] + static_cast<Eigen::Index>(level) * p_[s]],
                node[coupling_.offset[t] + static_cast<Eigen::Index>(cells.second(c)) * p_[t]]));
      }
    std::size_t compact = 1 << 22;
    for (int j = 0; j < coupling_.levels(); ++j) {
      const int* rows = coupling_.row(j);
      const std::size_t m = coupling_.count(j);
      for (std::size_t k = 0; k < m; ++k) {
        if (k > 0 && node[rows[k]] == node[rows[k - 1]]) continue;
        for (std::size_t i = k + 1; i < m; ++i)
          if (node[rows[i]] != node[rows[i - 1]]) keys.push_back(key(node[rows[k]], node[rows[i]]));
      }
      if (keys.size() > compact) {
        make_unique(keys);
        compact = std::max(compact, 2 * keys.size());
      }
    }
    make_unique(keys);

    std::vector<int> size(q, 0);
    for (const std::uint64_t k : keys) {
      const int column = static_cast<int>(k >> 32), row = static_cast<int>(k & 0xffffffffu);
      const int width = first[row + 1] - first[row];
      for (int c = first[column]; c < first[column + 1]; ++c)
        size[c] += row == column ? first[column + 1] - c : width;
    }
    s_.resize(q, q);
    s_.reserve(size);
    for (const std::uint64_t k : keys) {
      const int column = static_cast<int>(k >> 32), row = static_cast<int>(k & 0xffffffffu);
      for (int c = first[column]; c < first[column + 1]; ++c)
        for (int r = row == column ? c : first[row]; r < first[row + 1]; ++r) s_.insert(r, c) = 1.0;
    }
    s_.makeCompressed();

    cell_at_.resize(p_.size() * p_.size());
    for (int s = 1; s < a.n_terms(); ++s)
      for (int t = s + 1; t < a.n_terms(); ++t) {
        const PairTable& cells = a.pair(s, t);
        std::vector<int>& at = cell_at_[static_cast<std::size_t>(s) * p_.size() + t];
        at.resize(cells.cells() * p_[s]);
        for (int level = 0; level < a.terms()[s].levels; ++level)
          for (std::size_t c = cells.begin(level); c < cells.end(level); ++c)
            for (int k = 0; k < p_[s]; ++k)
              at[c * p_[s] + k] = position(
                  s_, coupling_.offset[t] + static_cast<Eigen::Index>(cells.second(c)) * p_[t],
                  coupling_.offset[s] + static_cast<Eigen::Index>(level) * p_[s] + k);
      }
  }

  static void make_unique(std::vector<std::uint64_t>& keys) {
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  static int position(const Sparse& m, Eigen::Index row, Eigen::Index column) {
    const int* first = m.innerIndexPtr() + m.outerIndexPtr()[column];
    const int* last = m.innerIndexPtr() + m.outerIndexPtr()[column + 1];
    return static_cast<int>(std::lower_bound(first, last, static_cast<int>(row)) -
                            m.innerIndexPtr());
  }

  // Position in S of each pair (row i >= row k) of each leading level, column by column of S.
  void locate_scatter() {
    const int levels = coupling_.levels();
    scatter_start_.assign(levels + 1, 0);
    for (int j = 0; j < levels; ++j)
      scatter_start_[j + 1] = scatter_start_[j] + coupling_.count(j) * (coupling_.count(j) + 1) / 2;
    scatter_.resize(scatter_start_[levels]);
    std::vector<std::vector<std::pair<int, int>>> uses(coupling_.q);  // column -> (level, index)
    for (int j = 0; j < levels; ++j)
      for (std::size_t k = 0; k < coupling_.count(j); ++k)
        uses[coupling_.row(j)[k]].push_back({j, static_cast<int>(k)});
    std::vector<int> at(coupling_.q);
    for (Eigen::Index c = 0; c < coupling_.q; ++c) {
      for (int v = s_.outerIndexPtr()[c]; v < s_.outerIndexPtr()[c + 1]; ++v)
        at[s_.innerIndexPtr()[v]] = v;
      for (const auto& use : uses[c]) {
        const std::size_t m = coupling_.count(use.first), k = use.second;
        int* out = scatter_.data() + scatter_start_[use.first] + k * m - k * (k + 1) / 2 + k;
        const int* rows = coupling_.row(use.first);
        for (std::size_t i = k; i < m; ++i) *out++ = at[rows[i]];
      }
    }
  }

  void locate_in_factor() {
    const Sparse& l = llt_.factor();
    to_factor_.resize(s_.nonZeros());
    const bool permuted = llt_.permutationP().size() > 0;
    const auto& p = llt_.permutationP().indices();
    for (Eigen::Index c = 0; c < s_.cols(); ++c)
      for (int at = s_.outerIndexPtr()[c]; at < s_.outerIndexPtr()[c + 1]; ++at) {
        const int r = s_.innerIndexPtr()[at];
        const int pr = permuted ? p[r] : r, pc = permuted ? p[c] : static_cast<int>(c);
        to_factor_[at] = position(l, std::max(pr, pc), std::min(pr, pc));
      }
  }

  // Z = (L L')^-1 on the pattern of L, columns from last to first (ALGORITHMS 3).
  void takahashi() {
    const Sparse& l = llt_.factor();
    const int q = static_cast<int>(l.cols());
    const int* start = l.outerIndexPtr();
    const int* row = l.innerIndexPtr();
    const double* value = l.valuePtr();
    inverse_.assign(l.nonZeros(), 0.0);
    std::vector<int> place(q, -1);
    std::vector<double> z;
    for (int j = q - 1; j >= 0; --j) {
      const int first = start[j] + 1, last = start[j + 1];
      z.assign(last - first, 0.0);
      for (int k = first; k < last; ++k) place[row[k]] = k - first;
      for (int k = first; k < last; ++k) {
        const int column = row[k];
        const double lk = value[k];
        double own = inverse_[start[column]] * lk;
        for (int i = start[column] + 1; i < start[column + 1]; ++i) {
          const int at = place[row[i]];
          if (at < 0) continue;
          z[at] += inverse_[i] * lk;
          own += inverse_[i] * value[first + at];
        }
        z[k - first] += own;
      }
      const double pivot = 1.0 / value[start[j]];
      double diagonal = pivot;
      for (int k = first; k < last; ++k) {
        inverse_[k] = -pivot * z[k - first];
        diagonal -= value[k] * inverse_[k];
        place[row[k]] = -1;
      }
      inverse_[start[j]] = pivot * diagonal;
    }
  }

  const Coupling& coupling_;
  std::vector<int> p_;
  Sparse s_;
  Llt llt_;
  std::vector<std::vector<int>> cell_at_;
  std::vector<std::size_t> scatter_start_;
  std::vector<int> scatter_, to_factor_;
  std::vector<double> inverse_, t_;
};

}  // namespace partialpool

#endif
