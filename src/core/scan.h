#ifndef PARTIALPOOL_CORE_SCAN_H
#define PARTIALPOOL_CORE_SCAN_H

// Candidate columns ("markers") added to a null model one by one, or set by set: for each its score
// m'P y and information m'P m, see scan_basis.h. A block of markers costs one packed product, and
// O(n + covariates) a marker beside it.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "dense_kernels.h"

namespace partialpool {

// Why a marker has no result.
enum class MarkerStatus { tested, all_missing, constant, collinear, not_finite };

struct Marker {
  double mean = 0.0;
  double scale = 1.0;  // a power of two: the column worked with is (m - mean) / scale
  Eigen::Index missing = 0;
  bool dosage = false;  // all values in [0, 2]
  MarkerStatus status = MarkerStatus::tested;
};

namespace detail {

// Count, sum and range of the values that are not missing.
struct KnownValues {
  Eigen::Index missing = 0;
  double sum = 0.0;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double value) {
    const bool known = value == value;
    sum += known ? value : 0.0;
    missing += known ? 0 : 1;
    low = value < low ? value : low;  // never true of a NaN
    high = value > high ? value : high;
  }
  void take(const KnownValues& other) {
    missing += other.missing;
    sum += other.sum;
    low = std::min(low, other.low);
    high = std::max(high, other.high);
  }
};

// In four interleaved parts: a single one would wait for each addition.
inline KnownValues known_values(const double* m, Eigen::Index n) {
  KnownValues a, b, c, d;
  Eigen::Index i = 0;
  for (; i + 4 <= n; i += 4) {
    a.take(m[i]);
    b.take(m[i + 1]);
    c.take(m[i + 2]);
    d.take(m[i + 3]);
  }
  for (; i < n; ++i) a.take(m[i]);
  a.take(b);
  c.take(d);
  a.take(c);
  return a;
}

}  // namespace detail

// In place: missing values (NaN) to the mean of the others, centred if wanted, and brought to
// magnitude one. A column without values to work with becomes zero.
inline Marker prepare_marker(double* m, Eigen::Index n, bool centre) {
  Eigen::Map<Eigen::ArrayXd> column(m, n);
  const detail::KnownValues values = detail::known_values(m, n);
  Marker marker;
  marker.missing = values.missing;
  if (values.missing == n) {
    marker.status = MarkerStatus::all_missing;
    marker.mean = std::numeric_limits<double>::quiet_NaN();
    column.setZero();
    return marker;
  }
  if (std::isinf(values.low) || std::isinf(values.high)) {
    marker.status = MarkerStatus::not_finite;
    column.setZero();
    return marker;
  }
  marker.dosage = values.low >= 0.0 && values.high <= 2.0;
  marker.mean = values.sum / static_cast<double>(n - values.missing);
  if (std::isinf(marker.mean)) marker.mean = 0.5 * values.low + 0.5 * values.high;
  if (values.low == values.high) marker.mean = values.low;  // whatever the rounding of the sum
  const double zero = centre ? marker.mean : 0.0;
  const double size = std::max(std::abs(values.low - zero), std::abs(values.high - zero));
  if (size == 0.0) {
    marker.status = MarkerStatus::constant;
    column.setZero();
    return marker;
  }
  // Twice the largest number may not exist: half of it is then worked with.
  const int exponent = std::isinf(size) ? 1000 : std::ilogb(size);
  marker.scale = std::ldexp(1.0, std::min(std::max(exponent, -1000), 1000));
  if (values.missing > 0) column = (column == column).select(column, marker.mean);
  const double factor = 1.0 / marker.scale;
  if (factor == 1.0) {
    column -= zero;
  } else {
    column = column * factor - zero * factor;
  }
  return marker;
}

// A ScanBasis whose matrices live elsewhere.
struct ScanView {
  Eigen::Map<const Eigen::MatrixXd> columns;
  Eigen::Map<const Eigen::MatrixXd> triangle;
  Eigen::Map<const Eigen::VectorXd> weights;
  Eigen::Index rank;
  Eigen::Index covariates;
};

// One marker, or one set of markers: quadratic = score' information^-1 score on `rank` degrees of
// freedom, log_det = log |information| of the columns that were kept.
struct ScanResult {
  double quadratic = std::numeric_limits<double>::quiet_NaN();
  double log_det = std::numeric_limits<double>::quiet_NaN();
  Eigen::Index rank = 0;
};

// A block of markers: their columns, the products with the basis, and the tests made of them.
class ScanBlock {
 public:
  // A residual below this fraction of a column (of a column given those before it in its set) is
  // rounding: the column depends on the covariates.
  static constexpr double collinear_below = 1e-10;

  explicit ScanBlock(const ScanView& view) : view_(view) {}

  // A block of so many markers; its memory is used again by the next one.
  void start(Eigen::Index size) {
    block_.resize(view_.columns.rows(), size);
    norms_.resize(size);
    markers_.assign(static_cast<std::size_t>(size), Marker());
  }

  // Where the values of marker j have to be written (NaN: missing), and what has to be said then.
  double* column(Eigen::Index j) { return block_.data() + j * block_.rows(); }
  void loaded(Eigen::Index j, bool centre) {
    markers_[static_cast<std::size_t>(j)] = prepare_marker(column(j), block_.rows(), centre);
    norms_(j) = view_.weights.size() > 0 ? weighted_product(column(j), column(j)) : 0.0;
  }

  const Marker& marker(Eigen::Index j) const { return markers_[static_cast<std::size_t>(j)]; }

  // All products, once all columns are there; completes the status of the markers.
  void multiply() {
    const Eigen::Index n = block_.rows();
    const Eigen::Index b = block_.cols();
    const Eigen::Index width = view_.columns.cols();
    products_.resize(width, b);
    add_product(products_, width, dense::detail::as_transpose(view_.columns.data(), n));
    if (view_.triangle.size() > 0) {
      whitened_.resize(n, b);
      add_product(whitened_, n,
                  dense::detail::as_stored(view_.triangle.data(), n, dense::Part::lower));
    }
    information_.resize(b);
    for (Eigen::Index j = 0; j < b; ++j) {
      const double total = total_information(j, j, norms_(j));
      information_(j) = total - along_covariates(j, j);
      Marker& marker = markers_[static_cast<std::size_t>(j)];
      // Where m'R m is a difference, its rounding counts too.
      const double least = collinear_below * std::max(total, 1e-3 * std::abs(norms_(j)));
      if (marker.status == MarkerStatus::tested && !(information_(j) > least)) {
        marker.status = MarkerStatus::collinear;
      }
    }
  }

  // The marker j alone. Effect and standard error (for scale one) are NaN without a result.
  ScanResult single(Eigen::Index j, double& effect, double& unit_se) const {
    ScanResult result;
    effect = unit_se = std::numeric_limits<double>::quiet_NaN();
    if (marker(j).status != MarkerStatus::tested) return result;
    effect = score(j) / information_(j) / marker(j).scale;
    unit_se = 1.0 / std::sqrt(information_(j)) / marker(j).scale;
    result.quadratic = score(j) * score(j) / information_(j);
    result.log_det = std::log(information_(j)) + 2.0 * std::log(marker(j).scale);
    result.rank = 1;
    return result;
  }

  // Markers [first, first + size) together. Columns that depend on the covariates or on markers
  // before them are left out and marked.
  ScanResult set(Eigen::Index first, Eigen::Index size, double* effect, double* unit_se) {
    std::fill_n(effect, size, std::numeric_limits<double>::quiet_NaN());
    std::fill_n(unit_se, size, std::numeric_limits<double>::quiet_NaN());
    std::vector<Eigen::Index> kept;
    Eigen::MatrixXd l = Eigen::MatrixXd::Zero(size, size);  // Cholesky factor of a correlation
    Eigen::VectorXd x(size);                                // L^-1 (score over root information)
    ScanResult result;
    result.log_det = 0.0;
    for (Eigen::Index j = first; j < first + size; ++j) {
      if (marker(j).status != MarkerStatus::tested) continue;
      const Eigen::Index k = static_cast<Eigen::Index>(kept.size());
      double left = 1.0;
      double y = score(j) / std::sqrt(information_(j));
      for (Eigen::Index i = 0; i < k; ++i) {
        const Eigen::Index other = kept[static_cast<std::size_t>(i)];
        double value =
            information(j, other) / std::sqrt(information_(j)) / std::sqrt(information_(other));
        for (Eigen::Index h = 0; h < i; ++h) value -= l(k, h) * l(i, h);
        l(k, i) = value / l(i, i);
        left -= l(k, i) * l(k, i);
        y -= l(k, i) * x(i);
      }
      if (!(left > collinear_below)) {
        markers_[static_cast<std::size_t>(j)].status = MarkerStatus::collinear;
        l.row(k).setZero();
        continue;
      }
      l(k, k) = std::sqrt(left);
      x(k) = y / l(k, k);
      result.log_det +=
          std::log(left) + std::log(information_(j)) + 2.0 * std::log(marker(j).scale);
      kept.push_back(j);
    }
    const Eigen::Index k = static_cast<Eigen::Index>(kept.size());
    result.rank = k;
    if (k == 0) {
      result.log_det = std::numeric_limits<double>::quiet_NaN();
      return result;
    }
    result.quadratic = x.head(k).squaredNorm();
    const auto factor = l.topLeftCorner(k, k).triangularView<Eigen::Lower>();
    const Eigen::MatrixXd inverse = factor.solve(Eigen::MatrixXd::Identity(k, k));
    const Eigen::VectorXd b = inverse.transpose() * x.head(k);
    for (Eigen::Index i = 0; i < k; ++i) {
      const Eigen::Index j = kept[static_cast<std::size_t>(i)];
      const double unit = std::sqrt(information_(j)) * marker(j).scale;
      effect[j - first] = b(i) / unit;
      unit_se[j - first] = inverse.col(i).norm() / unit;
    }
    return result;
  }

 private:
  double score(Eigen::Index j) const { return products_(view_.rank + view_.covariates, j); }

  // Always by the packed product, never by the plain loops for small ones: the sums of a marker are
  // then the same whatever block it is in.
  void add_product(Eigen::MatrixXd& c, Eigen::Index rows, const dense::Operand& a) {
    dense::detail::Product product{rows, block_.cols(), block_.rows(), 1.0};
    product.overwrite = true;
    dense::detail::multiply(dense::detail::Block{c.data(), rows}, product, a,
                            dense::detail::as_transpose(block_.data(), block_.rows()), workspace_);
  }

  // m_i'R m_j, given the weighted product of the two columns.
  double total_information(Eigen::Index i, Eigen::Index j, double weighted) const {
    const Eigen::Index n = block_.rows();
    if (view_.triangle.size() > 0) {
      return dense::detail::inner_product(n, whitened_.data() + i * n, whitened_.data() + j * n);
    }
    const double value =
        dense::detail::inner_product(view_.rank, products_.col(i).data(), products_.col(j).data());
    return view_.weights.size() > 0 ? weighted - value : value;
  }

  // m_i'P m_j
  double information(Eigen::Index i, Eigen::Index j) const {
    const Eigen::Index n = block_.rows();
    const double weighted = view_.weights.size() > 0
                                ? weighted_product(block_.data() + i * n, block_.data() + j * n)
                                : 0.0;
    return total_information(i, j, weighted) - along_covariates(i, j);
  }

  double along_covariates(Eigen::Index i, Eigen::Index j) const {
    return dense::detail::inner_product(view_.covariates, products_.col(i).data() + view_.rank,
                                        products_.col(j).data() + view_.rank);
  }

  double weighted_product(const double* a, const double* b) const {
    const Eigen::Index n = block_.rows();
    return (view_.weights.array() * Eigen::Map<const Eigen::ArrayXd>(a, n) *
            Eigen::Map<const Eigen::ArrayXd>(b, n))
        .sum();
  }

  ScanView view_;
  Eigen::MatrixXd block_;  // prepared columns
  Eigen::VectorXd norms_;  // sum_i w_i m_i^2
  std::vector<Marker> markers_;
  dense::Workspace workspace_;
  Eigen::MatrixXd products_;
  Eigen::MatrixXd whitened_;
  Eigen::VectorXd information_;  // m'P m
};

}  // namespace partialpool

#endif
