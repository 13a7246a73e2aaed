#ifndef PARTIALPOOL_STREAMING_QR_H
#define PARTIALPOOL_STREAMING_QR_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

namespace partialpool {

// R-factor of a tall matrix that arrives in blocks of rows.
class StreamingQr {
 public:
  static constexpr Eigen::Index block_rows = 256;
  explicit StreamingQr(Eigen::Index columns)
      : columns_(columns), stack_(Eigen::MatrixXd::Zero(columns + block_rows, columns)) {}

  // Room for the next rows: fill the first `rows` of them, then call add(rows).
  Eigen::Block<Eigen::MatrixXd> buffer() { return stack_.block(columns_, 0, block_rows, columns_); }
  void add(Eigen::Index rows) {
    if (columns_ == 0) return;
    qr_.compute(stack_.topRows(columns_ + rows));
    stack_.topRows(columns_) = qr_.matrixQR().topRows(columns_).triangularView<Eigen::Upper>();
  }
  Eigen::MatrixXd r() const { return stack_.topRows(columns_); }

 private:
  Eigen::Index columns_;
  Eigen::MatrixXd stack_;
  Eigen::HouseholderQR<Eigen::MatrixXd> qr_;
};

// Columns to keep, left to right, of a matrix with R-factor r: one whose residual norm falls below
// tolerance times its own norm is aliased with those before it (the rule of lm()).
inline std::vector<int> independent_columns(const Eigen::MatrixXd& r, double tolerance) {
  std::vector<int> kept;
  Eigen::MatrixXd basis(r.rows(), r.cols());
  for (int j = 0; j < r.cols(); ++j) {
    Eigen::VectorXd v = r.col(j);
    const double norm = v.norm();
    const int k = static_cast<int>(kept.size());
    for (int pass = 0; pass < 2 && k > 0; ++pass)
      v -= basis.leftCols(k) * (basis.leftCols(k).transpose() * v);
    if (!(v.norm() > tolerance * norm)) continue;
    basis.col(k) = v / v.norm();
    kept.push_back(j);
  }
  return kept;
}

// Upper triangular factor, positive diagonal, of the chosen columns of r.
inline Eigen::MatrixXd upper_factor(const Eigen::MatrixXd& r, const std::vector<int>& columns) {
  const int k = static_cast<int>(columns.size());
  Eigen::MatrixXd chosen(r.rows(), k);
  for (int j = 0; j < k; ++j) chosen.col(j) = r.col(columns[j]);
  if (k == 0) return Eigen::MatrixXd(0, 0);
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(chosen);
  Eigen::MatrixXd u = qr.matrixQR().topRows(k).triangularView<Eigen::Upper>();
  for (int i = 0; i < k; ++i)
    if (u(i, i) < 0.0) u.row(i) *= -1.0;
  return u;
}

// Power of two that brings a column near 1, so that squares neither overflow nor vanish.
inline double binary_scale(double max_abs) {
  if (!(max_abs > 0.0) || !std::isfinite(max_abs)) return 1.0;
  return std::ldexp(1.0, std::min(1023, -std::ilogb(max_abs)));
}

}  // namespace partialpool

#endif
