#ifndef PARTIALPOOL_PROFILED_H
#define PARTIALPOOL_PROFILED_H

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "block_cholesky.h"
#include "information.h"
#include "selected_inverse.h"
#include "solution.h"
#include "terms.h"

namespace partialpool {

// The profiled REML or ML criterion of a Gaussian model in standardised coordinates, as a function
// of the optimiser's parameters x (ALGORITHMS 2-4). Value first; then, at the same x, gradient and
// average information from the factor that the value left behind.
class Profiled {
 public:
  Profiled(const ModelData& data, const CrossProducts& a, bool reml, Storage storage)
      : data_(data), a_(a), factor_(a, storage), reml_(reml) {}

  double nu() const { return static_cast<double>(data_.n) - (reml_ ? a_.p_x() : 0); }

  // +infinity where the factorisation fails.
  double value(const Eigen::VectorXd& x) {
    ++evaluations_;
    solved_ = false;
    x_ = x;
    if (!x.allFinite() || !factor_.factorise(lambdas(data_, a_.terms(), x)))
      return std::numeric_limits<double>::infinity();
    double f = factor_.log_det() + nu() * std::log(2.0 * M_PI * sigma2()) + factor_.r2() / sigma2();
    if (reml_) f += factor_.log_det_x();
    return f;
  }

  // Derivative by the entries of each Lambda_t (full, p_t x p_t).
  std::vector<Eigen::MatrixXd> lambda_gradient() {
    ++gradients_;
    const Solution& s = solution();
    SelectedInverse inverse(factor_, reml_);
    std::vector<Eigen::MatrixXd> g = inverse_products(factor_, inverse);
    for (int t = 0; t < a_.n_terms(); ++t) {
      g[t] *= 2.0;
      g[t].noalias() -= (2.0 / sigma2()) * s.w[t] * s.u[t].transpose();
    }
    return g;
  }

  Eigen::VectorXd gradient(const std::vector<Eigen::MatrixXd>& g) const {
    Eigen::VectorXd out(x_.size());
    for (int t = 0; t < a_.n_terms(); ++t) put_gradient(data_, a_.terms()[t], x_, g[t], out);
    return out;
  }

  // Average information plus the chain term: the model of the Hessian (ALGORITHMS 4.1).
  Eigen::MatrixXd hessian(const std::vector<Eigen::MatrixXd>& g) {
    const int k = static_cast<int>(x_.size());
    Eigen::MatrixXd h = average_information(factor_, solution().w, data_, x_.data(), k, sigma2(),
                                            nu(), !(fixed_sigma2_ > 0.0));
    add_chain_terms(a_, factor_.lambda(), data_, x_.data(), g, h);
    return 0.5 * (h + h.transpose());
  }

  const Solution& solution() {
    if (!solved_) solution_ = solve(factor_);
    solved_ = true;
    return solution_;
  }
  BlockCholesky& factor() { return factor_; }
  const CrossProducts& cross_products() const { return a_; }
  const ModelData& data() const { return data_; }
  const Eigen::VectorXd& x() const { return x_; }
  bool reml() const { return reml_; }
  // Profiled out, unless it is known.
  double sigma2() const { return fixed_sigma2_ > 0.0 ? fixed_sigma2_ : factor_.r2() / nu(); }
  void fix_sigma2(double value) { fixed_sigma2_ = value; }
  int evaluations() const { return evaluations_; }
  int gradients() const { return gradients_; }
  void reset_counts() { evaluations_ = gradients_ = 0; }

 private:
  const ModelData& data_;
  const CrossProducts& a_;
  BlockCholesky factor_;
  bool reml_, solved_ = false;
  double fixed_sigma2_ = 0.0;  // 0: none
  Eigen::VectorXd x_;
  Solution solution_;
  int evaluations_ = 0, gradients_ = 0;
};

}  // namespace partialpool

#endif
