#ifndef PARTIALPOOL_THETA_MAP_H
#define PARTIALPOOL_THETA_MAP_H

#include <Eigen/Dense>
#include <cmath>
#include <vector>

#include "standardise.h"
#include "terms.h"

namespace partialpool {

// The way between the user's coordinates of the random effects and the standardised ones: theta and
// the optimiser's parameters x, which come first in its vector; user terms and the terms of the
// computation; levels as given and as sorted.
class ThetaMap {
 public:
  ThetaMap(const ModelData& data, const std::vector<Term>& terms, const Standardisation& standard)
      : data_(data), terms_(terms), standard_(standard) {}

  int n_theta() const {
    int k = 0;
    for (const UserTerm& t : data_.terms) k += t.block.n_theta();
    return k;
  }

  const Eigen::MatrixXd& z_factor(int user) const { return standard_.z_factor(user); }

  // Calls f(user term, first column, columns) for the user terms of one amalgamated term.
  template <class F>
  void for_each_member(std::size_t t, F&& f) const {
    for (std::size_t k = 0; k < terms_[t].members.size(); ++k) {
      const int user = terms_[t].members[k];
      f(user, terms_[t].starts[k], data_.terms[user].size());
    }
  }
  // b = C^-T b~ for the columns of a user term.
  Eigen::MatrixXd to_user(int user, const Eigen::MatrixXd& standard) const {
    return standard_.z_factor(user).transpose().triangularView<Eigen::Upper>().solve(standard);
  }
  // Sigma = C^-T Sigma~ C^-1.
  Eigen::MatrixXd sigma_to_user(int user, const Eigen::MatrixXd& standard) const {
    return to_user(user, to_user(user, standard).transpose());
  }
  int internal_level(std::size_t t, int user_level) const {
    const GroupingFactor& factor = data_.factors[terms_[t].factor];
    return factor.rank.empty() ? user_level : factor.rank[user_level];
  }
  // b of each user term, p x J, levels in the user's order, from b~ of each term (p x modes).
  std::vector<Eigen::MatrixXd> modes_to_user(const std::vector<Eigen::MatrixXd>& standard) const {
    std::vector<Eigen::MatrixXd> out(data_.terms.size());
    Eigen::MatrixXd buffer;
    for (std::size_t t = 0; t < terms_.size(); ++t)
      for_each_member(t, [&](int user, int start, int p) {
        const Eigen::MatrixXd& by_level = loaded(terms_[t], standard[t], buffer);
        const Eigen::MatrixXd b = to_user(user, by_level.middleRows(start, p));
        out[user].resize(p, b.cols());
        for (int j = 0; j < b.cols(); ++j) out[user].col(j) = b.col(internal_level(t, j));
      });
    return out;
  }

  // Standard deviations 1 in standardised coordinates, times `size`; correlations a given part of
  // their limits.
  Eigen::VectorXd unit_start(double part, double size = 1.0) const {
    Eigen::VectorXd x(n_parameters(data_));
    for (const Term& term : terms_)
      for_each_block(data_, term, [&](const CovarianceBlock& b, int at, int) {
        const double rho = b.correlated() ? (part > 0.0 ? part : -part * b.rho_low()) : 0.0;
        x.segment(at, b.n_parameters()) =
            b.parameters(Eigen::VectorXd::Constant(b.size(), size), rho);
      });
    return x;
  }

  // Parameters of the optimiser from theta: by user term, us: lower triangle of Lambda by column;
  // diag: its diagonal; cs, ar1: relative standard deviations, then rho.
  Eigen::VectorXd parameters(const Eigen::VectorXd& theta) const {
    Eigen::VectorXd x(n_parameters(data_));
    const std::vector<int> first = theta_starts();
    for (const Term& term : terms_) {
      std::size_t member = 0;
      for_each_block(data_, term, [&](const CovarianceBlock& b, int to, int) {
        const int user = term.members[member++];
        const double* th = theta.data() + first[user];
        const Eigen::MatrixXd& c = standard_.z_factor(user);
        const int p = b.size();
        if (b.structure() == Structure::unstructured) {
          Eigen::MatrixXd l = Eigen::MatrixXd::Zero(p, p);
          for (int col = 0; col < p; ++col)
            for (int row = col; row < p; ++row) l(row, col) = *th++;
          Eigen::Map<Eigen::MatrixXd>(x.data() + to, p, p) = c.transpose() * l;
          return;
        }
        const int k = b.homogeneous() ? 1 : p;
        Eigen::VectorXd s(p);
        for (int i = 0; i < p; ++i) s[i] = c(i, i) * th[b.homogeneous() ? 0 : i];
        if (b.homogeneous() || b.structure() == Structure::diagonal) {
          x[to] = s[0];
          if (!b.homogeneous()) x.segment(to, p) = s;
          if (b.correlated()) x[to + k] = b.parameters(s.cwiseAbs(), th[k])[k];
        } else {
          x.segment(to, k + 1) = b.parameters(s.cwiseAbs(), th[k]);
        }
      });
    }
    return x;
  }

  // Relative factor of each user term in the user's coordinates: lower triangular, diagonal >= 0.
  std::vector<Eigen::MatrixXd> user_lambda(const Eigen::VectorXd& x) const {
    std::vector<Eigen::MatrixXd> out(data_.terms.size());
    for (const Term& term : terms_) {
      std::size_t member = 0;
      for_each_block(data_, term, [&](const CovarianceBlock& b, int at, int) {
        const int user = term.members[member++];
        const Eigen::MatrixXd& c = standard_.z_factor(user);
        const Eigen::MatrixXd l =
            c.transpose().triangularView<Eigen::Upper>().solve(b.lambda(x.data() + at));
        out[user] = b.structure() == Structure::unstructured ? lower_factor(l) : l;
        if (b.structure() == Structure::diagonal) out[user] = l.cwiseAbs();
        if (b.correlated() && b.homogeneous() && x[at] < 0.0) out[user] = -l;
      });
    }
    return out;
  }
  Eigen::VectorXd theta(const Eigen::VectorXd& x) const {
    const std::vector<Eigen::MatrixXd> lambda = user_lambda(x);
    std::vector<double> out;
    std::vector<int> at(data_.terms.size());
    for (const Term& term : terms_) {
      std::size_t member = 0;
      for_each_block(data_, term, [&](const CovarianceBlock&, int from, int) {
        at[term.members[member++]] = from;
      });
    }
    for (std::size_t t = 0; t < data_.terms.size(); ++t) {
      const CovarianceBlock& b = data_.terms[t].block;
      const int p = b.size(), k = b.homogeneous() ? 1 : p;
      if (b.structure() == Structure::unstructured) {
        for (int col = 0; col < p; ++col)
          for (int row = col; row < p; ++row) out.push_back(lambda[t](row, col));
        continue;
      }
      for (int i = 0; i < k; ++i) out.push_back(lambda[t].row(i).norm());
      if (b.correlated()) out.push_back(b.rho(x.data() + at[t]));
    }
    return Eigen::Map<const Eigen::VectorXd>(out.data(), static_cast<Eigen::Index>(out.size()));
  }

  // Derivative by theta from that by Lambda (`g`, full) and by x.
  Eigen::VectorXd theta_gradient(const Eigen::VectorXd& x, const std::vector<Eigen::MatrixXd>& g,
                                 const Eigen::VectorXd& by_x) const {
    Eigen::VectorXd out(n_theta());
    const std::vector<int> first = theta_starts();
    for (std::size_t t = 0; t < terms_.size(); ++t) {
      std::size_t member = 0;
      for_each_block(data_, terms_[t], [&](const CovarianceBlock& b, int from, int start) {
        const int user = terms_[t].members[member++];
        double* o = out.data() + first[user];
        const Eigen::MatrixXd& c = standard_.z_factor(user);
        const int p = b.size(), k = b.homogeneous() ? 1 : p;
        const Eigen::MatrixXd block = g[t].block(start, start, p, p);
        if (b.structure() == Structure::unstructured) {
          const Eigen::MatrixXd by_lambda = c * block;
          for (int col = 0; col < p; ++col)
            for (int row = col; row < p; ++row) *o++ = by_lambda(row, col);
          return;
        }
        const Eigen::VectorXd by_scale = b.scale_gradient(x.data() + from, block);
        if (b.homogeneous())
          o[0] = c(0, 0) * by_scale.sum();
        else
          Eigen::Map<Eigen::VectorXd>(o, p) = c.diagonal().cwiseProduct(by_scale);
        if (!b.correlated()) return;
        const double slope = b.rho_slope(x.data() + from);
        o[k] = std::fabs(slope) > 1e-7 ? by_x[from + k] / slope : 0.0;
      });
    }
    return out;
  }

 private:
  // Where the values of each user term begin in theta.
  std::vector<int> theta_starts() const {
    std::vector<int> first;
    int at = 0;
    for (const UserTerm& t : data_.terms) {
      first.push_back(at);
      at += t.block.n_theta();
    }
    return first;
  }

  // L with L L' = l l', lower triangular with non-negative diagonal (ALGORITHMS 6.5).
  static Eigen::MatrixXd lower_factor(const Eigen::MatrixXd& l) {
    const int p = static_cast<int>(l.rows());
    if (p == 1) return l.cwiseAbs();
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(l.transpose());
    Eigen::MatrixXd r = qr.matrixQR().triangularView<Eigen::Upper>();
    for (int i = 0; i < p; ++i)
      if (r(i, i) < 0.0) r.row(i) *= -1.0;
    return r.transpose();
  }

  const ModelData& data_;
  const std::vector<Term>& terms_;
  const Standardisation& standard_;
};

}  // namespace partialpool

#endif
