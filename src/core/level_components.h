#ifndef PARTIALPOOL_LEVEL_COMPONENTS_H
#define PARTIALPOOL_LEVEL_COMPONENTS_H

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>
#include <vector>

#include "block_cholesky.h"
#include "dense_kernels.h"

namespace partialpool {

// Levels of all factors that are connected through rows: Gamma = Z'V^-1 Z is zero between two
// components and full within one. One factor: a component a level; nested factors: one for each
// level of the outermost; crossed factors: as a rule one of all levels. Where levels are correlated
// (a loading), they are one component, in the coordinates of the independent effects. Columns of
// the leading term come first; the others are the rest.
class LevelComponents {
 public:
  // Levels of one term in a component, first column and number of columns there.
  struct Part {
    std::vector<int> levels;
    Eigen::Index first = 0, size = 0;
  };
  struct Component {
    std::vector<Part> parts;  // by term
    Eigen::Index columns = 0;
    Eigen::Index lead() const { return parts[0].size; }
    Eigen::Index rest() const { return columns - parts[0].size; }
  };
  // Gamma of one component, with R for the rest and j for a leading level:
  //   Gamma_RR = G_RR U,  Gamma_jR = F_j U,  Gamma_jk = [j = k] G_j - F_j H F_k',
  // where G and F belong to the model without the effects of the rest, H = Lambda N^-1 Lambda' with
  // N = I + Lambda'G_RR Lambda, and U = I - H G_RR. F_j has entries at the columns that the level
  // meets. Nothing is larger than the rest.
  struct Gamma {
    std::vector<Eigen::MatrixXd> g;       // G_j
    std::vector<std::vector<int>> index;  // columns of F_j
    std::vector<Eigen::MatrixXd> f;       // F_j', a row for each of them
    Eigen::MatrixXd rest, h, u;           // Gamma_RR, H, U
  };

  explicit LevelComponents(const CrossProducts& a) : a_(a) {
    std::vector<int> first(1, 0);
    for (const Term& term : a.terms()) first.push_back(first.back() + term.levels);
    parent_.resize(first.back());
    std::iota(parent_.begin(), parent_.end(), 0);
    for (int s = 0; s < a.n_terms(); ++s) {
      if (a.terms()[s].loading)
        for (int j = 1; j < a.terms()[s].levels; ++j) join(first[s], first[s] + j);
      for (int t = s + 1; t < a.n_terms(); ++t)
        for (int j = 0; j < a.terms()[s].levels; ++j)
          for (std::size_t c = a.pair(s, t).begin(j); c < a.pair(s, t).end(j); ++c)
            join(first[s] + j, first[t] + a.pair(s, t).second(c));
    }
    std::vector<int> number(parent_.size(), -1);
    for (int t = 0; t < a.n_terms(); ++t)
      for (int j = 0; j < a.terms()[t].levels; ++j) {
        const int root = find(first[t] + j);
        if (number[root] < 0) {
          number[root] = static_cast<int>(components_.size());
          components_.emplace_back();
          components_.back().parts.resize(a.n_terms());
        }
        components_[number[root]].parts[t].levels.push_back(j);
      }
    for (Component& c : components_)
      for (int t = 0; t < a.n_terms(); ++t) {
        Part& part = c.parts[t];
        const Term& term = a.terms()[t];
        const bool modes = term.loading && !part.levels.empty();
        const int units = modes ? term.modes() : static_cast<int>(part.levels.size());
        part.first = c.columns;
        part.size = static_cast<Eigen::Index>(units) * term.p;
        c.columns += part.size;
      }
  }

  const std::vector<Component>& all() const { return components_; }
  // Of the largest rest: memory grows with the square, time with the cube.
  Eigen::Index most_columns() const {
    Eigen::Index most = 0;
    for (const Component& c : components_) most = std::max(most, c.rest());
    return most;
  }

  void gamma(const Component& c, const std::vector<Eigen::MatrixXd>& lambda, Gamma& out) {
    eliminate_lead(c, lambda[0], out);
    const Eigen::Index q = c.rest();
    if (q == 0) return;
    std::vector<Eigen::MatrixXd> transposed;
    for (const Eigen::MatrixXd& l : lambda) transposed.push_back(l.transpose());
    out.h = g_;
    enclose(c, transposed, out.h);
    out.h.diagonal().array() += 1.0;
    dense::cholesky_lower(out.h, workspace_);
    dense::inverse_from_cholesky(out.h, workspace_);
    enclose(c, lambda, out.h);
    multiply(-1.0, out.h, g_, out.u);
    out.u.diagonal().array() += 1.0;
    multiply(1.0, g_, out.u, out.rest);
  }

  void multiply(double alpha, const Eigen::MatrixXd& a, const Eigen::MatrixXd& b,
                Eigen::MatrixXd& out) {
    if (a.rows() < 32) {
      out.noalias() = alpha * a * b;
      return;
    }
    out.setZero(a.rows(), b.cols());
    dense::gemm_add(out, alpha, a, false, b, false, workspace_);
  }

  // Rows of a component of a quantity given by term (p x modes, one column each).
  void gather(const Component& c, const std::vector<Eigen::MatrixXd>& by_term,
              Eigen::Ref<Eigen::VectorXd> out) const {
    for (int t = 0; t < a_.n_terms(); ++t) {
      const Part& part = c.parts[t];
      if (part.size == 0) continue;
      const int p = a_.terms()[t].p;
      if (a_.terms()[t].loading) {
        out.segment(part.first, part.size) =
            Eigen::Map<const Eigen::VectorXd>(by_term[t].data(), by_term[t].size());
        continue;
      }
      for (std::size_t k = 0; k < part.levels.size(); ++k)
        out.segment(part.first + static_cast<Eigen::Index>(k) * p, p) =
            by_term[t].col(part.levels[k]);
    }
  }

 private:
  int find(int i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(int i, int j) { parent_[find(i)] = find(j); }

  // f(term, first column in the rest, columns) for each level, or independent effect, of the rest.
  template <class F>
  void for_each_unit(const Component& c, F&& f) const {
    for (int t = 1; t < a_.n_terms(); ++t) {
      const int p = a_.terms()[t].p;
      for (Eigen::Index at = 0; at < c.parts[t].size; at += p)
        f(t, c.parts[t].first - c.lead() + at, p);
    }
  }

  // n <- B n B' with B block diagonal, a block of `by` for each level.
  void enclose(const Component& c, const std::vector<Eigen::MatrixXd>& by, Eigen::MatrixXd& n) {
    const Eigen::Index q = n.rows();
    for_each_unit(c, [&](int t, Eigen::Index at, int p) {
      if (p == 1)
        n.col(at) *= by[t](0, 0);
      else
        n.middleCols(at, p) = (n.middleCols(at, p) * by[t].transpose()).eval();
    });
    for (Eigen::Index j = 0; j < q; ++j)
      for_each_unit(c, [&](int t, Eigen::Index at, int p) {
        if (p == 1)
          n(at, j) *= by[t](0, 0);
        else
          n.col(j).segment(at, p) = (by[t] * n.col(j).segment(at, p)).eval();
      });
  }

  // G_RR into g_, G_j and F_j: cross-products less what the leading effects take.
  void eliminate_lead(const Component& c, const Eigen::MatrixXd& lambda, Gamma& out) {
    const int terms = a_.n_terms();
    std::vector<Eigen::Index> start(terms, 0);
    Eigen::Index q = 0;
    bool any_loading = false;
    place_.resize(terms);
    for (int t = 1; t < terms; ++t) {
      start[t] = q;
      place_[t].resize(a_.terms()[t].levels);
      const std::vector<int>& levels = c.parts[t].levels;
      for (std::size_t k = 0; k < levels.size(); ++k) place_[t][levels[k]] = static_cast<int>(k);
      q += static_cast<Eigen::Index>(levels.size()) * a_.terms()[t].p;
      any_loading = any_loading || (a_.terms()[t].loading && !levels.empty());
    }
    g_.setZero(q, q);
    for (int t = 1; t < terms; ++t) rest_products(c, t, start);

    const int p1 = a_.terms()[0].p;
    const std::vector<int>& lead = c.parts[0].levels;
    out.g.resize(lead.size());
    out.f.resize(lead.size());
    out.index.resize(lead.size());
    Eigen::MatrixXd d, taken;
    for (std::size_t k = 0; k < lead.size(); ++k) {
      const Eigen::MatrixXd a = a_.diagonal(0, lead[k]);
      d.noalias() = lambda.transpose() * a * lambda;
      d.diagonal().array() += 1.0;
      // Lambda D^-1 Lambda'
      taken.noalias() = lambda * d.llt().solve(Eigen::MatrixXd(lambda.transpose()));
      out.g[k].noalias() = a - a * taken * a;
      std::vector<int>& index = out.index[k];
      index.clear();
      for (int t = 1; t < terms; ++t) {
        const PairTable& cells = a_.pair(0, t);
        const int p = a_.terms()[t].p;
        for (std::size_t cell = cells.begin(lead[k]); cell < cells.end(lead[k]); ++cell)
          for (int r = 0; r < p; ++r)
            index.push_back(static_cast<int>(start[t]) + place_[t][cells.second(cell)] * p + r);
      }
      Eigen::MatrixXd& f = out.f[k];
      f.resize(static_cast<Eigen::Index>(index.size()), p1);
      Eigen::Index at = 0;
      for (int t = 1; t < terms; ++t) {
        const PairTable& cells = a_.pair(0, t);
        const int p = a_.terms()[t].p;
        for (std::size_t cell = cells.begin(lead[k]); cell < cells.end(lead[k]); ++cell, at += p)
          f.middleRows(at, p) = Eigen::Map<const Eigen::MatrixXd>(cells.values(cell), p, p1);
      }
      const Eigen::MatrixXd product = f * taken;
      for (int r = 0; r < p1; ++r)
        for (std::size_t j = 0; j < index.size(); ++j) {
          double* column = g_.data() + index[j] * g_.rows();
          const double* left = product.data() + r * product.rows();
          const double right = f(static_cast<Eigen::Index>(j), r);
          for (std::size_t i = 0; i < index.size(); ++i) column[index[i]] -= left[i] * right;
        }
      f -= (product * a).eval();
    }
    if (any_loading) unload(c, start, out);
  }

  // Z_t'WZ_t and Z_s'WZ_t, s < t, of a component.
  void rest_products(const Component& c, int t, const std::vector<Eigen::Index>& start) {
    const int p = a_.terms()[t].p;
    const std::vector<int>& levels = c.parts[t].levels;
    for (std::size_t k = 0; k < levels.size(); ++k) {
      const Eigen::Index at = start[t] + static_cast<Eigen::Index>(k) * p;
      g_.block(at, at, p, p) = a_.diagonal(t, levels[k]);
    }
    for (int s = 1; s < t; ++s) {
      const PairTable& cells = a_.pair(s, t);
      const int ps = a_.terms()[s].p;
      for (std::size_t k = 0; k < c.parts[s].levels.size(); ++k) {
        const int level = c.parts[s].levels[k];
        for (std::size_t cell = cells.begin(level); cell < cells.end(level); ++cell) {
          const Eigen::Map<const Eigen::MatrixXd> b(cells.values(cell), p, ps);
          const Eigen::Index row =
              start[t] + static_cast<Eigen::Index>(place_[t][cells.second(cell)]) * p;
          const Eigen::Index column = start[s] + static_cast<Eigen::Index>(k) * ps;
          g_.block(row, column, p, ps) = b;
          g_.block(column, row, ps, p) = b.transpose();
        }
      }
    }
  }

  // From levels to independent effects, C'GC and C'F'.
  void unload(const Component& c, const std::vector<Eigen::Index>& start, Gamma& out) {
    Eigen::MatrixXd map = Eigen::MatrixXd::Zero(g_.rows(), c.rest());
    for (int t = 1; t < a_.n_terms(); ++t) {
      const Part& part = c.parts[t];
      const Term& term = a_.terms()[t];
      const Eigen::Index first = part.first - c.lead();
      for (std::size_t k = 0; k < part.levels.size(); ++k) {
        const Eigen::Index row = start[t] + static_cast<Eigen::Index>(k) * term.p;
        if (!term.loading) {
          map.block(row, first + static_cast<Eigen::Index>(k) * term.p, term.p, term.p)
              .setIdentity();
          continue;
        }
        for (int m = 0; m < term.modes(); ++m)
          map.block(row, first + static_cast<Eigen::Index>(m) * term.p, term.p, term.p)
              .diagonal()
              .setConstant(term.loading.matrix()(part.levels[k], m));
      }
    }
    const Eigen::MatrixXd half = g_ * map;
    g_.noalias() = map.transpose() * half;
    for (std::size_t k = 0; k < out.f.size(); ++k) {
      Eigen::MatrixXd whole = Eigen::MatrixXd::Zero(c.rest(), out.f[k].cols());
      for (std::size_t i = 0; i < out.index[k].size(); ++i)
        whole.noalias() += map.row(out.index[k][i]).transpose() * out.f[k].row(i);
      out.f[k] = whole;
      out.index[k].resize(c.rest());
      std::iota(out.index[k].begin(), out.index[k].end(), 0);
    }
  }

  const CrossProducts& a_;
  std::vector<int> parent_;
  std::vector<std::vector<int>> place_;  // of each level of each term in its component
  std::vector<Component> components_;
  Eigen::MatrixXd g_;
  dense::Workspace workspace_;
};

}  // namespace partialpool

#endif
