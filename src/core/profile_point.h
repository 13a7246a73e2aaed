#ifndef PARTIALPOOL_PROFILE_POINT_H
#define PARTIALPOOL_PROFILE_POINT_H

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "gaussian_model.h"
#include "glmm_model.h"

namespace partialpool {

// The criterion as a function of whole factors: like theta, but all p^2 entries of an unstructured
// Lambda, by column. Whichever column of the term comes first in a triangular factor, the criterion
// is the same; so a path can hold the standard deviation of any of them.
class FactorMap {
 public:
  FactorMap(const ModelData& data, const std::vector<Term>& terms, const ThetaMap& map)
      : data_(data), terms_(terms), map_(map) {}

  int size() const {
    int k = 0;
    for (const UserTerm& t : data_.terms) k += entries(t.block);
    return k;
  }
  // The lower triangles alone.
  Eigen::VectorXd theta(const Eigen::VectorXd& factors) const {
    Eigen::VectorXd out(map_.n_theta());
    int from = 0, to = 0;
    for (const UserTerm& t : data_.terms) {
      if (t.block.structure() == Structure::unstructured) {
        const int p = t.block.size();
        for (int c = 0; c < p; ++c)
          for (int r = c; r < p; ++r) out[to++] = factors[from + c * p + r];
      } else {
        out.segment(to, t.block.n_theta()) = factors.segment(from, t.block.n_theta());
        to += t.block.n_theta();
      }
      from += entries(t.block);
    }
    return out;
  }
  // Puts the whole factors into x, where map.parameters() has put their lower triangles.
  void fill(const Eigen::VectorXd& factors, Eigen::VectorXd& x) const {
    for_each_factor([&](const CovarianceBlock& b, int user, std::size_t, int at, int, int first) {
      const int p = b.size();
      const Eigen::Map<const Eigen::MatrixXd> l(factors.data() + first, p, p);
      Eigen::Map<Eigen::MatrixXd>(x.data() + at, p, p) = map_.z_factor(user).transpose() * l;
    });
  }
  // Derivative by the factors from that by theta and by each Lambda.
  Eigen::VectorXd gradient(const Eigen::VectorXd& by_theta,
                           const std::vector<Eigen::MatrixXd>& g) const {
    Eigen::VectorXd out(size());
    int from = 0, to = 0;
    for (const UserTerm& t : data_.terms) {
      if (t.block.structure() != Structure::unstructured)
        out.segment(to, t.block.n_theta()) = by_theta.segment(from, t.block.n_theta());
      from += t.block.n_theta();
      to += entries(t.block);
    }
    for_each_factor(
        [&](const CovarianceBlock& b, int user, std::size_t t, int, int start, int first) {
          const int p = b.size();
          Eigen::Map<Eigen::MatrixXd>(out.data() + first, p, p) =
              map_.z_factor(user) * g[t].block(start, start, p, p);
        });
    return out;
  }

 private:
  static int entries(const CovarianceBlock& b) {
    return b.structure() == Structure::unstructured ? b.n_parameters() : b.n_theta();
  }
  // f(block, user term, term, where in x, first column in the term, where in the factors) of the
  // unstructured terms.
  template <class F>
  void for_each_factor(F&& f) const {
    std::vector<int> first(1, 0);
    for (const UserTerm& t : data_.terms) first.push_back(first.back() + entries(t.block));
    for (std::size_t t = 0; t < terms_.size(); ++t) {
      std::size_t member = 0;
      for_each_block(data_, terms_[t], [&](const CovarianceBlock& b, int at, int start) {
        const int user = terms_[t].members[member++];
        if (b.structure() == Structure::unstructured) f(b, user, t, at, start, first[user]);
      });
    }
  }

  const ModelData& data_;
  const std::vector<Term>& terms_;
  const ThetaMap map_;
};

// A value of the criterion; the gradient by the factors, then by the other parameters. The value is
// infinite and the gradient not a number where the model has none.
struct ProfilePoint {
  double value = std::numeric_limits<double>::infinity();
  Eigen::VectorXd gradient;
};

inline Eigen::VectorXd no_gradient(Eigen::Index size) {
  return Eigen::VectorXd::Constant(size, std::numeric_limits<double>::quiet_NaN());
}

// Of a Gaussian model at a residual standard deviation, the last of its parameters; the factors are
// relative to it.
inline ProfilePoint gaussian_point(GaussianModel& model, const Eigen::VectorXd& factors,
                                   double sigma) {
  const ThetaMap map = model.map();
  const FactorMap whole(model.data(), model.terms(), map);
  ProfilePoint out;
  out.gradient = no_gradient(factors.size() + 1);
  Profiled& f = model.profiled();
  const double sigma2 = std::pow(sigma / model.standard().scale(), 2);
  if (!(sigma2 > 0.0) || !std::isfinite(sigma2)) return out;
  f.fix_sigma2(sigma2);
  Eigen::VectorXd x = map.parameters(whole.theta(factors));
  whole.fill(factors, x);
  out.value = model.value(x);
  if (std::isfinite(out.value)) {
    const std::vector<Eigen::MatrixXd> g = f.lambda_gradient();
    out.gradient << whole.gradient(map.theta_gradient(x, g, f.gradient(g)), g),
        2.0 / sigma * (f.nu() - f.factor().r2() / sigma2);
  }
  f.fix_sigma2(0.0);
  return out;
}

// Of a generalised model. The modes start where the last point left them, or cold.
inline ProfilePoint marginal_point(GlmmModel& model, const Eigen::VectorXd& factors,
                                   const Eigen::VectorXd& rest, bool cold) {
  const ThetaMap map = model.map();
  const FactorMap whole(model.data(), model.terms(), map);
  ProfilePoint out;
  out.gradient = no_gradient(factors.size() + rest.size());
  Eigen::VectorXd par(map.n_theta() + rest.size());
  par << whole.theta(factors), rest;
  if (cold && !std::isfinite(model.value(par))) return out;
  Eigen::VectorXd x = model.parameters(par);
  whole.fill(factors, x);
  out.value = model.criterion(x);
  if (!std::isfinite(out.value)) return out;
  const std::vector<Eigen::MatrixXd> g = model.marginal().lambda_gradient();
  const Eigen::VectorXd by_par = model.user_gradient(g);
  out.gradient << whole.gradient(by_par.head(map.n_theta()), g), by_par.tail(rest.size());
  model.marginal().accept();
  return out;
}

}  // namespace partialpool

#endif
