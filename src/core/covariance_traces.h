#ifndef PARTIALPOOL_COVARIANCE_TRACES_H
#define PARTIALPOOL_COVARIANCE_TRACES_H

#include <Eigen/Dense>
#include <vector>

#include "level_components.h"
#include "profiled.h"

namespace partialpool {

// A direction in which V changes, V_k = Z (I x S) Z': the term and its symmetric S.
struct CovarianceDirection {
  int term;
  Eigen::MatrixXd s;
};

// Z'V^-1 X and Z'Py for all levels, V relative to sigma^2, in coordinates of beta in which
// X'V^-1X = I: what derivatives of the covariance of beta are made of (ALGORITHMS 11).
class BetaDerivatives {
 public:
  // The model stands evaluated where the derivatives are wanted.
  BetaDerivatives(Profiled& f, std::vector<CovarianceDirection> directions)
      : directions_(std::move(directions)), px_(f.cross_products().p_x()) {
    const auto lx = f.factor().border_factor().topLeftCorner(px_, px_);
    const Eigen::MatrixXd root =
        lx.triangularView<Eigen::Lower>().transpose().solve(Eigen::MatrixXd::Identity(px_, px_));
    for (int i = 0; i < px_; ++i) columns_.push_back(apply_zv(f.factor(), root.col(i)));
    columns_.push_back(f.solution().w);
    for (const CovarianceDirection& d : directions_) {
      Eigen::MatrixXd product = Eigen::MatrixXd::Zero(px_ + 1, px_ + 1);
      for (int j = 0; j <= px_; ++j) {
        const Eigen::MatrixXd turned = d.s * columns_[j][d.term];
        for (int i = 0; i <= j; ++i)
          product(i, j) = product(j, i) = columns_[i][d.term].cwiseProduct(turned).sum();
      }
      products_.push_back(std::move(product));
    }
  }

  int size() const { return static_cast<int>(directions_.size()); }
  int columns() const { return px_; }
  const std::vector<CovarianceDirection>& directions() const { return directions_; }
  // Root'X'V^-1 V_k V^-1X Root: minus the change of the covariance of Root^-1 beta.
  Eigen::MatrixXd change(int k) const { return products_[k].topLeftCorner(px_, px_); }
  // X~'V^-1 V_k Py, and y'P V_k Py.
  Eigen::VectorXd with_response(int k) const { return products_[k].col(px_).head(px_); }
  double response(int k) const { return products_[k](px_, px_); }
  // Z'V^-1 [X~ e], by term: a column for each of X~ and one for Py.
  const std::vector<std::vector<Eigen::MatrixXd>>& by_term() const { return columns_; }

 private:
  std::vector<CovarianceDirection> directions_;
  int px_;
  std::vector<std::vector<Eigen::MatrixXd>> columns_;
  std::vector<Eigen::MatrixXd> products_;
};

// Second-order quantities of the directions of V: they need Gamma = Z'V^-1 Z, component by
// component, and never anything of the size of the rows.
struct CovarianceTraces {
  Eigen::MatrixXd v;      // tr(V^-1 V_k V^-1 V_l)
  Eigen::VectorXd first;  // tr(V^-1 V_k)
  Eigen::MatrixXd q;      // tr(Phi Q_kl), Q_kl = X'V^-1 V_k V^-1 V_l V^-1 X
  Eigen::MatrixXd y;      // y'P V_k V^-1 V_l Py
  // Q_kl itself (k <= l, with X~ for X), on request.
  std::vector<Eigen::MatrixXd> whole;
  std::size_t at(int k, int l) const {
    return static_cast<std::size_t>(l) * (l + 1) / 2 + static_cast<std::size_t>(k);
  }

  CovarianceTraces(Profiled& f, LevelComponents& components, const BetaDerivatives& beta,
                   bool with_whole) {
    const CrossProducts& a = f.cross_products();
    const std::vector<CovarianceDirection>& d = beta.directions();
    const int n = beta.size(), px = beta.columns();
    v = q = y = Eigen::MatrixXd::Zero(n, n);
    first = Eigen::VectorXd::Zero(n);
    if (with_whole)
      whole.assign(static_cast<std::size_t>(n) * (n + 1) / 2, Eigen::MatrixXd::Zero(px, px));
    std::vector<Eigen::MatrixXd> pairs, diagonals;
    for (int s = 0; s < a.n_terms(); ++s) {
      const int ps = a.terms()[s].p;
      diagonals.push_back(Eigen::MatrixXd::Zero(ps, ps));
      for (int t = 0; t <= s; ++t)
        pairs.push_back(Eigen::MatrixXd::Zero(a.terms()[t].p * a.terms()[t].p, ps * ps));
    }
    LevelComponents::Gamma gamma;
    Eigen::MatrixXd b, product;
    std::vector<Eigen::MatrixXd> turned(n);
    for (const LevelComponents::Component& c : components.all()) {
      components.gamma(c, f.factor().lambda(), gamma);
      add_rest(a, c, gamma, pairs, diagonals);
      if (c.lead() > 0) add_lead(a, c, components, gamma, pairs, diagonals[0]);
      b.resize(c.columns, px + 1);
      for (int i = 0; i <= px; ++i) components.gather(c, beta.by_term()[i], b.col(i));
      for (int k = 0; k < n; ++k) turn(c.parts[d[k].term], d[k].s, b, turned[k]);
      for (int l = 0; l < n; ++l) {
        if (c.parts[d[l].term].size == 0) continue;
        multiply(c, gamma, a.terms()[0].p, c.parts[d[l].term], d[l].term == 0, turned[l], product);
        for (int k = 0; k <= l; ++k) {
          const LevelComponents::Part& pk = c.parts[d[k].term];
          if (pk.size == 0) continue;
          const auto rows = product.middleRows(pk.first, pk.size);
          q(k, l) += turned[k].leftCols(px).cwiseProduct(rows.leftCols(px)).sum();
          y(k, l) += turned[k].col(px).dot(rows.col(px));
          if (with_whole)
            whole[at(k, l)].noalias() += turned[k].leftCols(px).transpose() * rows.leftCols(px);
        }
      }
    }
    for (int l = 0; l < n; ++l) {
      first[l] = d[l].s.cwiseProduct(diagonals[d[l].term]).sum();
      for (int k = 0; k <= l; ++k) {
        const int lo = std::min(d[k].term, d[l].term), hi = std::max(d[k].term, d[l].term);
        const Eigen::MatrixXd &s_lo = d[k].term == lo ? d[k].s : d[l].s,
                              &s_hi = d[k].term == lo ? d[l].s : d[k].s;
        v(k, l) = flat(s_lo).dot(pairs[hi * (hi + 1) / 2 + lo] * flat(s_hi));
        v(l, k) = v(k, l);
        q(l, k) = q(k, l);
        y(l, k) = y(k, l);
      }
    }
  }

 private:
  static Eigen::Map<const Eigen::VectorXd> flat(const Eigen::MatrixXd& s) {
    return Eigen::Map<const Eigen::VectorXd>(s.data(), s.size());
  }
  // (I x S) b for the rows of one term.
  static void turn(const LevelComponents::Part& part, const Eigen::MatrixXd& s,
                   const Eigen::MatrixXd& b, Eigen::MatrixXd& out) {
    out.resize(part.size, b.cols());
    if (s.rows() == 1) {
      out = s(0, 0) * b.middleRows(part.first, part.size);
      return;
    }
    for (Eigen::Index at = 0; at < part.size; at += s.rows())
      out.middleRows(at, s.rows()).noalias() = s * b.middleRows(part.first + at, s.rows());
  }
  // Columns of Gamma at one term's columns, times x.
  static void multiply(const LevelComponents::Component& c, const LevelComponents::Gamma& gamma,
                       int p1, const LevelComponents::Part& part, bool lead,
                       const Eigen::MatrixXd& x, Eigen::MatrixXd& out) {
    const Eigen::Index n_lead = c.lead(), n_rest = c.rest();
    out.resize(c.columns, x.cols());
    Eigen::MatrixXd through;  // what F_j' takes to the rest, and U or -H brings on
    if (lead) {
      Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(n_rest, x.cols());
      for (std::size_t k = 0; k < gamma.f.size(); ++k) {
        const auto own = x.middleRows(static_cast<Eigen::Index>(k) * p1, p1);
        out.middleRows(static_cast<Eigen::Index>(k) * p1, p1).noalias() = gamma.g[k] * own;
        for (std::size_t i = 0; i < gamma.index[k].size(); ++i)
          sum.row(gamma.index[k][i]).noalias() += gamma.f[k].row(i) * own;
      }
      if (n_rest == 0) return;
      through.noalias() = -gamma.h * sum;
      out.bottomRows(n_rest).noalias() = gamma.u.transpose() * sum;
    } else {
      const Eigen::Index first = part.first - n_lead;
      through.noalias() = gamma.u.middleCols(first, part.size) * x;
      out.bottomRows(n_rest).noalias() = gamma.rest.middleCols(first, part.size) * x;
      out.topRows(n_lead).setZero();
    }
    for (std::size_t k = 0; k < gamma.f.size(); ++k)
      for (std::size_t i = 0; i < gamma.index[k].size(); ++i)
        out.middleRows(static_cast<Eigen::Index>(k) * p1, p1).noalias() +=
            gamma.f[k].row(i).transpose() * through.row(gamma.index[k][i]);
  }

  // Levels of the rest with each other.
  static void add_rest(const CrossProducts& a, const LevelComponents::Component& c,
                       const LevelComponents::Gamma& gamma, std::vector<Eigen::MatrixXd>& pairs,
                       std::vector<Eigen::MatrixXd>& diagonals) {
    for (int s = 1; s < a.n_terms(); ++s) {
      const int ps = a.terms()[s].p;
      LevelComponents::Part other = c.parts[s];
      other.first -= c.lead();
      for (Eigen::Index at = other.first; at < other.first + other.size; at += ps)
        diagonals[s] += gamma.rest.block(at, at, ps, ps);
      for (int t = 1; t <= s; ++t) {
        LevelComponents::Part one = c.parts[t];
        one.first -= c.lead();
        add_pair(gamma.rest, one, a.terms()[t].p, other, ps, pairs[s * (s + 1) / 2 + t]);
      }
    }
  }

  // One leading level with all levels of the rest; v is (F_j U)', q_R x p_1.
  static void add_columns(const CrossProducts& a, const LevelComponents::Component& c,
                          const Eigen::MatrixXd& v, std::vector<Eigen::MatrixXd>& pairs) {
    const int p1 = static_cast<int>(v.cols());
    for (int t = 1; t < a.n_terms(); ++t) {
      const int p = a.terms()[t].p;
      const Eigen::Index first = c.parts[t].first - c.lead(), size = c.parts[t].size;
      Eigen::MatrixXd& sum = pairs[t * (t + 1) / 2];
      if (p == 1 && p1 == 1) {
        sum(0, 0) += v.col(0).segment(first, size).squaredNorm();
        continue;
      }
      for (Eigen::Index at = first; at < first + size; at += p)
        for (int d = 0; d < p; ++d)
          for (int e = 0; e < p; ++e)
            for (int b = 0; b < p1; ++b)
              for (int r = 0; r < p1; ++r)
                sum(b * p1 + r, d * p + e) += v(at + e, r) * v(at + d, b);
    }
  }

  // Levels of the leading term with each other and with the rest; the former by sums over them,
  // W_ab = sum_j F_ja'F_jb, that are no larger than the rest.
  static void add_lead(const CrossProducts& a, const LevelComponents::Component& c,
                       LevelComponents& components, const LevelComponents::Gamma& gamma,
                       std::vector<Eigen::MatrixXd>& pairs, Eigen::MatrixXd& diagonal) {
    const int p1 = a.terms()[0].p;
    const Eigen::Index q = c.rest();
    std::vector<Eigen::MatrixXd> w;
    if (q > 0) w.assign(static_cast<std::size_t>(p1) * p1, Eigen::MatrixXd::Zero(q, q));
    Eigen::MatrixXd own = Eigen::MatrixXd::Zero(p1, p1), through;
    const Eigen::MatrixXd turned_u = gamma.u.transpose();
    for (std::size_t k = 0; k < gamma.g.size(); ++k) {
      const Eigen::MatrixXd& g = gamma.g[k];
      own.setZero();  // F_j H F_j'
      if (q > 0) {
        const std::vector<int>& index = gamma.index[k];
        const Eigen::MatrixXd& f = gamma.f[k];
        const Eigen::Index count = f.rows();
        through.setZero(q, p1);  // (F_j U)'
        for (int b = 0; b < p1; ++b) {
          for (Eigen::Index j = 0; j < count; ++j) {
            const double fj = f(j, b);
            through.col(b) += fj * turned_u.col(index[j]);
            const double* h = gamma.h.data() + index[j] * q;
            for (int e = 0; e < p1; ++e) {
              double* sum = w[b * p1 + e].data() + index[j] * q;
              const double* fe = f.data() + e * count;
              double product = 0.0;
              for (Eigen::Index i = 0; i < count; ++i) {
                product += fe[i] * h[index[i]];
                sum[index[i]] += fe[i] * fj;
              }
              own(e, b) += product * fj;
            }
          }
        }
        add_columns(a, c, through, pairs);
      }
      diagonal += g - own;
      for (int d = 0; d < p1; ++d)
        for (int e = 0; e < p1; ++e)
          for (int b = 0; b < p1; ++b)
            for (int r = 0; r < p1; ++r)
              pairs[0](b * p1 + r, d * p1 + e) +=
                  g(r, e) * g(b, d) - g(r, e) * own(b, d) - own(r, e) * g(b, d);
    }
    if (q == 0) return;
    std::vector<Eigen::MatrixXd> hw(w.size());
    for (std::size_t r = 0; r < w.size(); ++r) components.multiply(1.0, gamma.h, w[r], hw[r]);
    // tr(H W_ed H W_br)
    for (int d = 0; d < p1; ++d)
      for (int e = 0; e < p1; ++e)
        for (int b = 0; b < p1; ++b)
          for (int r = 0; r < p1; ++r)
            pairs[0](b * p1 + r, d * p1 + e) +=
                hw[d * p1 + e].cwiseProduct(hw[r * p1 + b].transpose()).sum();
  }

  // Sum over the levels j of one term and j' of another of G_ac G_bd, G = Gamma_jj', at row (a, b)
  // and column (c, d).
  static void add_pair(const Eigen::MatrixXd& gamma, const LevelComponents::Part& one, int p1,
                       const LevelComponents::Part& other, int p2, Eigen::MatrixXd& sum) {
    if (p1 == 1 && p2 == 1) {
      sum(0, 0) += gamma.block(one.first, other.first, one.size, other.size).squaredNorm();
      return;
    }
    for (Eigen::Index j2 = other.first; j2 < other.first + other.size; j2 += p2)
      for (Eigen::Index j1 = one.first; j1 < one.first + one.size; j1 += p1)
        for (int d = 0; d < p2; ++d)
          for (int c = 0; c < p2; ++c) {
            double* out = sum.data() + (d * p2 + c) * static_cast<Eigen::Index>(p1) * p1;
            for (int b = 0; b < p1; ++b) {
              const double gbd = gamma(j1 + b, j2 + d);
              for (int a = 0; a < p1; ++a) *out++ += gamma(j1 + a, j2 + c) * gbd;
            }
          }
  }
};

}  // namespace partialpool

#endif
