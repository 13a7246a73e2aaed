#ifndef PARTIALPOOL_EXTRA_PREDICTOR_H
#define PARTIALPOOL_EXTRA_PREDICTOR_H

#include <Eigen/Dense>
#include <cmath>
#include <vector>

namespace partialpool {

// A linear predictor besides that of the mean (log dispersion, logit of zero inflation), with fixed
// effects only, in coordinates in which its columns are orthogonal with mean square 1.
class ExtraPredictor {
 public:
  ExtraPredictor() = default;
  // x: n x d of full rank, in the order of the data; `order` gives the rows of the computation.
  ExtraPredictor(const Eigen::MatrixXd& x, const std::vector<Eigen::Index>& order)
      : constant_(x.cols() == 1 && (x.array() == x(0, 0)).all()) {
    const int d = static_cast<int>(x.cols());
    const double root_n = std::sqrt(static_cast<double>(x.rows()));
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(x);
    Eigen::MatrixXd r = qr.matrixQR().topRows(d).triangularView<Eigen::Upper>();
    for (int i = 0; i < d; ++i)
      if (r(i, i) < 0.0) r.row(i) *= -1.0;
    to_user_ =
        root_n *
        Eigen::MatrixXd(r.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(d, d)));
    x_.resize(x.rows(), d);
    for (Eigen::Index k = 0; k < x.rows(); ++k) x_.row(k) = x.row(order[k]);
    x_ = (x_ * to_user_).eval();
  }

  int size() const { return static_cast<int>(x_.cols()); }
  // One value for all rows where they are equal, else one a row.
  Eigen::VectorXd values(const Eigen::VectorXd& standard) const {
    if (constant_) return Eigen::VectorXd::Constant(1, x_(0, 0) * standard[0]);
    return x_ * standard;
  }
  // Of a function with derivative v by the value of each row.
  Eigen::VectorXd gradient(const Eigen::VectorXd& v) const { return x_.transpose() * v; }
  // Coefficients that come nearest to the same value everywhere.
  Eigen::VectorXd constant_start(double value) const {
    return x_.transpose() * Eigen::VectorXd::Constant(x_.rows(), value / x_.rows());
  }
  const Eigen::MatrixXd& to_user() const { return to_user_; }
  Eigen::VectorXd from_user(const Eigen::VectorXd& user) const {
    return to_user_.triangularView<Eigen::Upper>().solve(user);
  }

 private:
  bool constant_ = false;
  Eigen::MatrixXd x_, to_user_;
};

}  // namespace partialpool

#endif
