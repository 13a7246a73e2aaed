// Glue between R and the marker scan: the null model's basis, blocks of markers, genotype files.
#include <Rcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "core/bed.h"
#include "core/scan.h"
#include "core/scan_basis.h"

namespace pp = partialpool;

namespace {

using ConstMatrix = Eigen::Map<const Eigen::MatrixXd>;
using ConstVector = Eigen::Map<const Eigen::VectorXd>;

ConstMatrix matrix_of(SEXP x) {
  return ConstMatrix(REAL(x), Rf_nrows(x), Rf_ncols(x));
}

ConstVector vector_of(SEXP x) {
  return ConstVector(REAL(x), Rf_xlength(x));
}

SEXP matrix_to_r(const Eigen::MatrixXd& m) {
  Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(m.rows()), static_cast<int>(m.cols())));
  std::copy_n(m.data(), m.size(), out.begin());
  return out;
}

Rcpp::List basis_to_r(const pp::ScanBasis& basis) {
  using Rcpp::Named;
  return Rcpp::List::create(
      Named("ok") = basis.ok, Named("columns") = matrix_to_r(basis.columns),
      Named("triangle") = matrix_to_r(basis.triangle),
      Named("weights") =
          Rcpp::NumericVector(basis.weights.data(), basis.weights.data() + basis.weights.size()),
      Named("rank") = static_cast<int>(basis.rank),
      Named("covariates") = static_cast<int>(basis.covariates), Named("centred") = basis.centred,
      Named("residual") = basis.residual, Named("log_det_r") = basis.log_det_r,
      Named("log_det_x") = basis.log_det_x);
}

// Where markers come from: writes one column of doubles, NaN where missing.
class Source {
 public:
  virtual ~Source() = default;
  virtual bool read(double column, double* out) = 0;
};

class DenseSource : public Source {
 public:
  DenseSource(SEXP data, const int* rows, R_xlen_t n)
      : data_(data), rows_(rows), n_(n), height_(Rf_nrows(data)) {}

  bool read(double column, double* out) override {
    const R_xlen_t first = static_cast<R_xlen_t>(column) * height_;
    switch (TYPEOF(data_)) {
      case REALSXP:
        copy(REAL(data_) + first, out, [](double value) { return value; });
        return true;
      case INTSXP:
        copy(INTEGER(data_) + first, out, from_integer);
        return true;
      case LGLSXP:
        copy(LOGICAL(data_) + first, out, from_integer);
        return true;
      case RAWSXP:
        copy(RAW(data_) + first, out, [](Rbyte value) { return static_cast<double>(value); });
        return true;
      default:
        return false;
    }
  }

 private:
  static double from_integer(int value) {
    return value == NA_INTEGER ? R_NaN : static_cast<double>(value);
  }

  template <class T, class Convert>
  void copy(const T* from, double* out, const Convert& convert) const {
    if (rows_ == nullptr) {
      for (R_xlen_t i = 0; i < n_; ++i) out[i] = convert(from[i]);
    } else {
      for (R_xlen_t i = 0; i < n_; ++i) out[i] = convert(from[rows_[i]]);
    }
  }

  SEXP data_;
  const int* rows_;
  R_xlen_t n_;
  R_xlen_t height_;
};

class SparseSource : public Source {
 public:
  SparseSource(const Rcpp::List& source, const int* rows, R_xlen_t n)
      : i_(source["i"]),
        p_(source["p"]),
        x_(source["x"]),
        rows_(rows),
        n_(n),
        column_(Rcpp::as<int>(source["height"])) {}

  bool read(double column, double* out) override {
    const R_xlen_t j = static_cast<R_xlen_t>(column);
    std::fill(column_.begin(), column_.end(), 0.0);
    for (int k = p_[j]; k < p_[j + 1]; ++k) column_[static_cast<std::size_t>(i_[k])] = x_[k];
    for (R_xlen_t i = 0; i < n_; ++i) {
      out[i] = column_[static_cast<std::size_t>(rows_ == nullptr ? i : rows_[i])];
    }
    return true;
  }

 private:
  Rcpp::IntegerVector i_;
  Rcpp::IntegerVector p_;
  Rcpp::NumericVector x_;
  const int* rows_;
  R_xlen_t n_;
  std::vector<double> column_;
};

class BedSource : public Source {
 public:
  BedSource(const Rcpp::List& source, const int* rows, R_xlen_t n)
      : file_(Rcpp::as<std::string>(source["path"]), Rcpp::as<int>(source["height"])),
        rows_(rows),
        n_(n) {}

  bool read(double column, double* out) override {
    return file_.error() == pp::BedError::none &&
           file_.read(static_cast<std::int64_t>(column), rows_, n_, out);
  }

 private:
  pp::BedFile file_;
  const int* rows_;
  R_xlen_t n_;
};

std::unique_ptr<Source> open_source(const Rcpp::List& source, R_xlen_t n) {
  const std::string kind = Rcpp::as<std::string>(source["kind"]);
  const SEXP rows_in = source["rows"];
  const int* rows = Rf_isNull(rows_in) ? nullptr : INTEGER(rows_in);
  if (kind == "bed") return std::make_unique<BedSource>(source, rows, n);
  if (kind == "sparse") return std::make_unique<SparseSource>(source, rows, n);
  return std::make_unique<DenseSource>(source["data"], rows, n);
}

pp::ScanView view_of(const Rcpp::List& basis) {
  const SEXP columns = basis["columns"];
  const SEXP triangle = basis["triangle"];
  const SEXP weights = basis["weights"];
  return pp::ScanView{matrix_of(columns), matrix_of(triangle), vector_of(weights),
                      Rcpp::as<Eigen::Index>(basis["rank"]),
                      Rcpp::as<Eigen::Index>(basis["covariates"])};
}

// The block with the R objects whose memory it borrows.
struct Engine {
  explicit Engine(const Rcpp::List& list)
      : basis(list),
        centre(Rcpp::as<bool>(list["centred"])),
        n(Rf_nrows(list["columns"])),
        block(view_of(list)) {}

  Rcpp::List basis;
  bool centre;
  Eigen::Index n;
  pp::ScanBlock block;
};
using EnginePtr = Rcpp::XPtr<Engine>;

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List scan_basis_spectral(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                               double delta, Rcpp::NumericMatrix x, Rcpp::NumericVector y) {
  return basis_to_r(pp::spectral_scan_basis(matrix_of(vectors), vector_of(values), delta,
                                            matrix_of(x), vector_of(y)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List scan_basis_sites(Rcpp::NumericMatrix root, Rcpp::NumericVector precision,
                            Rcpp::NumericVector pull, Rcpp::NumericMatrix x) {
  return basis_to_r(
      pp::site_scan_basis(matrix_of(root), vector_of(precision), vector_of(pull), matrix_of(x)));
}

// What multiplies blocks of markers by a basis. It lives as long as one scan.
// [[Rcpp::export(rng = false)]]
SEXP scan_open(Rcpp::List basis) {
  return EnginePtr(new Engine(basis), true);
}

// Columns (0-based) of a source; `sets` the sizes of the sets they form, in order, or NULL.
// `failed` is the first one that could not be read (1-based in `columns`), 0 if none.
// [[Rcpp::export(rng = false)]]
Rcpp::List scan_block(SEXP engine, Rcpp::List source, Rcpp::NumericVector columns, SEXP sets) {
  Engine& e = *EnginePtr(engine);
  pp::ScanBlock& scan = e.block;
  const Eigen::Index n = e.n;
  const Eigen::Index b = columns.size();
  scan.start(b);
  const std::unique_ptr<Source> reader = open_source(source, n);
  for (Eigen::Index j = 0; j < b; ++j) {
    if (!reader->read(columns[j], scan.column(j))) {
      return Rcpp::List::create(Rcpp::Named("failed") = static_cast<int>(j) + 1);
    }
    scan.loaded(j, e.centre);
  }
  scan.multiply();
  Rcpp::NumericVector effect(b), unit_se(b);
  const R_xlen_t tests = Rf_isNull(sets) ? b : Rf_xlength(sets);
  Rcpp::NumericVector quadratic(tests), log_det(tests);
  Rcpp::IntegerVector rank(tests);
  Eigen::Index first = 0;
  for (R_xlen_t t = 0; t < tests; ++t) {
    pp::ScanResult result;
    if (Rf_isNull(sets)) {
      result = scan.single(t, effect[t], unit_se[t]);
    } else {
      const Eigen::Index size = INTEGER(sets)[t];
      result = scan.set(first, size, effect.begin() + first, unit_se.begin() + first);
      first += size;
    }
    quadratic[t] = result.quadratic;
    log_det[t] = result.log_det;
    rank[t] = static_cast<int>(result.rank);
  }

  Rcpp::NumericVector frequency(b);
  Rcpp::IntegerVector missing(b), status(b);
  for (Eigen::Index j = 0; j < b; ++j) {
    const pp::Marker& marker = scan.marker(j);
    missing[j] = static_cast<int>(marker.missing);
    status[j] = static_cast<int>(marker.status);
    frequency[j] = marker.dosage ? marker.mean / 2.0 : NA_REAL;
  }
  using Rcpp::Named;
  return Rcpp::List::create(
      Named("failed") = 0, Named("effect") = effect, Named("unit_se") = unit_se,
      Named("quadratic") = quadratic, Named("log_det") = log_det, Named("rank") = rank,
      Named("missing") = missing, Named("status") = status, Named("frequency") = frequency);
}

// Number of whole markers in a file, and what is wrong with it.
// [[Rcpp::export(rng = false)]]
Rcpp::List bed_header(std::string path, int samples) {
  const pp::BedFile file(path, samples);
  const char* const errors[] = {"", "unreadable", "not bed", "sample-major", "truncated"};
  return Rcpp::List::create(Rcpp::Named("error") = errors[static_cast<int>(file.error())],
                            Rcpp::Named("markers") = static_cast<double>(file.markers()));
}

// Columns (0-based) of a source for `n` rows, as they are but for missing values, which are the
// mean of the others.
// [[Rcpp::export(rng = false)]]
Rcpp::List scan_read(Rcpp::List source, Rcpp::NumericVector columns, int n) {
  const R_xlen_t b = columns.size();
  Rcpp::NumericMatrix values(Rcpp::no_init(n, static_cast<int>(b)));
  Rcpp::NumericVector frequency(b);
  Rcpp::IntegerVector missing(b), status(b);
  const std::unique_ptr<Source> reader = open_source(source, n);
  for (R_xlen_t j = 0; j < b; ++j) {
    double* column = values.begin() + j * n;
    if (!reader->read(columns[j], column))
      return Rcpp::List::create(Rcpp::Named("failed") = static_cast<int>(j) + 1);
    const pp::Marker marker = pp::prepare_marker(column, n, false);
    for (int i = 0; i < n; ++i) column[i] *= marker.scale;
    missing[j] = static_cast<int>(marker.missing);
    status[j] = static_cast<int>(marker.status);
    frequency[j] = marker.dosage ? marker.mean / 2.0 : NA_REAL;
  }
  using Rcpp::Named;
  return Rcpp::List::create(Named("failed") = 0, Named("values") = values,
                            Named("missing") = missing, Named("status") = status,
                            Named("frequency") = frequency);
}
