#ifndef PARTIALPOOL_FAMILY_H
#define PARTIALPOOL_FAMILY_H

#include <Eigen/Dense>
#include <memory>
#include <string>
#include <vector>

namespace partialpool {

// The response side of the rows of a model, borrowed from the caller.
struct ResponseRows {
  Eigen::Index n = 0;
  const double* y = nullptr;        // binomial, betabinomial: proportion of successes
  const double* weights = nullptr;  // prior weights, which multiply log densities; null: all one
  const double* trials = nullptr;   // binomial, betabinomial; null: all one
};

// Derivatives of the weighted log density l of each row by eta and by the parameters besides it.
struct RowDerivatives {
  Eigen::VectorXd s;      // dl/deta
  Eigen::VectorXd w;      // W = -d2l/deta2, observed
  Eigen::VectorXd w_eta;  // dW/deta
  struct Extra {
    Eigen::VectorXd l, s, w;  // dl/dk, ds/dk, dW/dk
  };
  Extra dispersion;      // k = log phi; empty if the family has none
  Extra zero_inflation;  // k = logit pi; empty without zero inflation
  Extra shape;           // k = shape on its internal scale; empty if the family has none
};

struct TiltedBatch;

// Rows whose integral against a normal density has a closed form or a rule of its own.
struct RowForm {
  enum Kind { general, logit, probit, gaussian };
  Kind kind = general;
  // logit, probit: successes and failures; gaussian: response and variance. Prior weights are in
  // them, and the weighted log density has `constant` besides.
  double a = 0.0, b = 0.0, constant = 0.0;
};

// A conditional distribution with its link, for all rows of a model. A new distribution is a file.
class Family {
 public:
  virtual ~Family() = default;
  virtual bool has_dispersion() const { return false; }
  virtual bool has_shape() const { return false; }
  virtual bool has_zero_inflation() const { return false; }
  // The parameters besides eta: log phi and logit pi, one value a row or a single one for all (size
  // 0 where the family has none), shape on its internal scale.
  virtual void set_parameters(const Eigen::VectorXd& log_phi, const Eigen::VectorXd& logit_pi,
                              double shape) = 0;
  // Sum of the weighted log densities with all constants; of each row into l unless it is null.
  // -infinity (never NaN) where eta gives no distribution, e.g. a negative mean of counts.
  virtual double value(const double* eta, double* l = nullptr) const = 0;
  // The same sum, with s and W of each row (s, w hold n values). -infinity: s, w unspecified.
  virtual double score(const double* eta, double* s, double* w) const = 0;
  virtual double derivatives(const double* eta, RowDerivatives& out) const = 0;
  // Expected information by eta, positive: weight * mu'^2 / (phi V(mu)) where that is what it is;
  // otherwise a positive stand-in of the right size. Used where W is not positive.
  virtual void expected_weights(const double* eta, double* w) const = 0;
  // Inverse link, and starting values of eta from the response alone (as glm() starts).
  virtual void mean(const double* eta, double* mu) const = 0;
  // Does eta have the unit of the response, or a power of it?
  virtual bool eta_has_unit() const = 0;
  virtual void start_eta(double* eta) const = 0;
  // A rough estimate of log phi and of the shape for given eta, to start from.
  virtual double start_dispersion(const double* eta) const {
    (void)eta;
    return 0.0;
  }
  // The same where random effects take their part of the spread.
  virtual double shared_dispersion(double log_phi) const { return log_phi; }
  virtual double start_shape() const { return 0.0; }
  // +1: the density of row i rises to its supremum as eta -> +infinity; -1: as eta -> -infinity;
  // 0: it has an interior maximum. (Binomial: all successes +1, none -1. Counts: y = 0 gives -1.)
  virtual int unbounded_direction(Eigen::Index i) const {
    (void)i;
    return 0;
  }

  // Row i at n values of eta: weighted log densities with all constants, -infinity (never NaN)
  // where eta gives no distribution; s and W are zero there.
  virtual void row_values(Eigen::Index i, const double* eta, Eigen::Index n, double* l) const = 0;
  virtual void row_scores(Eigen::Index i, const double* eta, Eigen::Index n, double* l, double* s,
                          double* w) const = 0;
  // dl/dlog phi, dl/dlogit pi and dl/dshape; null where the family has none.
  virtual void row_extras(Eigen::Index i, const double* eta, Eigen::Index n, double* dispersion,
                          double* zero_inflation, double* shape) const = 0;
  // Whether l of every row is concave in eta, where it is finite.
  virtual bool log_concave() const { return false; }
  // An eta near the maximum of the density of row i, or NaN.
  virtual double row_centre(Eigen::Index i) const = 0;
  // The tilted moments of many rows at once, those that are done; false: there is no such way.
  virtual bool tilted(const TiltedBatch& batch) const {
    (void)batch;
    return false;
  }
  virtual RowForm row_form(Eigen::Index i) const {
    (void)i;
    return RowForm();
  }
};

// Null for an unknown name or link. Defined where the distributions are compiled (families.h).
std::unique_ptr<Family> make_family(const std::string& name, const std::string& link,
                                    const ResponseRows& rows, bool zero_inflated);

}  // namespace partialpool

#endif
