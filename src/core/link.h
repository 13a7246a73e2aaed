#ifndef PARTIALPOOL_LINK_H
#define PARTIALPOOL_LINK_H

#include <cmath>
#include <string>

#include "special.h"

namespace partialpool {

enum class Link {
  logit,
  probit,
  cloglog,
  cauchit,
  log,
  identity,
  sqrt,
  inverse,
  inverse_square,
  unknown
};

// What a mean is: a probability, a positive number or any number.
enum class MeanKind { probability, positive, real };

inline Link parse_link(const std::string& name) {
  if (name == "logit") return Link::logit;
  if (name == "probit") return Link::probit;
  if (name == "cloglog") return Link::cloglog;
  if (name == "cauchit") return Link::cauchit;
  if (name == "log") return Link::log;
  if (name == "identity") return Link::identity;
  if (name == "sqrt") return Link::sqrt;
  if (name == "inverse") return Link::inverse;
  if (name == "1/mu^2") return Link::inverse_square;
  return Link::unknown;
}

inline bool link_applies(Link link, MeanKind kind) {
  switch (link) {
    case Link::logit:
    case Link::probit:
    case Link::cloglog:
    case Link::cauchit:
      return kind == MeanKind::probability;
    case Link::log:
    case Link::identity:
      return true;
    case Link::sqrt:
    case Link::inverse:
      return kind != MeanKind::probability;
    case Link::inverse_square:
      return kind == MeanKind::positive;
    default:
      return false;
  }
}

// Whether eta gives a mean of this kind (never for NaN and infinities).
inline bool link_feasible(Link link, MeanKind kind, double eta) {
  if (!std::isfinite(eta)) return false;
  if (kind == MeanKind::probability) {
    if (link == Link::log) return eta < 0.0;
    if (link == Link::identity) return eta > 0.0 && eta < 1.0;
    return true;
  }
  // The square of a negative eta is a mean too: an all-zero response has its mode at 0.
  if (kind == MeanKind::positive) return link == Link::log || link == Link::sqrt || eta > 0.0;
  if (link == Link::inverse) return eta != 0.0;
  return link != Link::sqrt || eta > 0.0;
}

// Whether a change of the response's unit changes the unit of eta (and does not only shift it).
inline bool link_has_unit(Link link) {
  return link == Link::identity || link == Link::sqrt || link == Link::inverse ||
         link == Link::inverse_square;
}

// The sign of dmu/deta.
inline int link_direction(Link link) {
  return link == Link::inverse || link == Link::inverse_square ? -1 : 1;
}
// Whether a mean runs to its lower (upper) limit only as |eta| runs to infinity.
inline bool lower_limit_at_infinity(Link link, MeanKind kind) {
  return link != Link::identity && link != Link::sqrt &&
         (kind != MeanKind::real || link == Link::log);
}
inline bool upper_limit_at_infinity(Link link) {
  return link != Link::identity && link != Link::log;
}

// The means that eta gives, in forms that lose nothing in the tails; T is a number or a jet.
template <class T>
struct Mean {
  Link link;
  MeanKind kind;
  T eta;

  T log_mu() const {
    if (kind == MeanKind::probability) {
      switch (link) {
        case Link::logit:
          return -apply(special::Softplus(), -eta);
        case Link::probit:
          return apply(special::LogNormalCdf(), eta);
        case Link::cloglog:
          return apply(special::Log1mExpExp(), eta);
        case Link::cauchit:
          return apply(special::LogCauchyCdf(), eta);
        default:
          break;
      }
    }
    switch (link) {
      case Link::log:
        return eta;
      case Link::sqrt:
        return 2.0 * apply(special::Log(), eta);
      case Link::inverse:
        return -apply(special::Log(), eta);
      case Link::inverse_square:
        return -0.5 * apply(special::Log(), eta);
      default:
        return apply(special::Log(), eta);
    }
  }

  // log(1 - mu) of a probability
  T log_1m() const {
    switch (link) {
      case Link::logit:
        return -apply(special::Softplus(), eta);
      case Link::probit:
        return apply(special::LogNormalCdf(), -eta);
      case Link::cloglog:
        return -apply(special::Exp(), eta);
      case Link::cauchit:
        return apply(special::LogCauchyCdf(), -eta);
      case Link::log:
        return apply(special::Log1mExp(), eta);
      default:
        return apply(special::Log1p(), -eta);
    }
  }

  T mu() const {
    if (kind == MeanKind::probability && link != Link::log && link != Link::identity)
      return apply(special::Exp(), log_mu());
    switch (link) {
      case Link::log:
        return apply(special::Exp(), eta);
      case Link::sqrt:
        return eta * eta;
      case Link::inverse:
        return apply(special::Reciprocal(), eta);
      case Link::inverse_square:
        return apply(special::Power{-0.5}, eta);
      default:
        return eta;
    }
  }
};

// Newton's method on log Phi, which is concave and increasing.
inline double normal_quantile(double p) {
  const double tail = p < 0.5 ? p : 1.0 - p;
  double x = tail > 0.02425 ? -2.5 * (0.5 - tail) : -std::sqrt(-2.0 * std::log(tail));
  for (int step = 0; step < 30; ++step) {
    const std::array<double, 2> f = special::LogNormalCdf().at<1>(x);
    const double move = (std::log(tail) - f[0]) / f[1];
    x += move;
    if (std::fabs(move) < 1e-10) break;
  }
  return p < 0.5 ? x : -x;
}

// eta of a mean; the mean must be inside the limits of its kind.
inline double link_function(Link link, double mu) {
  switch (link) {
    case Link::logit:
      return std::log(mu) - std::log1p(-mu);
    case Link::probit:
      return normal_quantile(mu);
    case Link::cloglog:
      return std::log(-std::log1p(-mu));
    case Link::cauchit:
      return std::tan((mu - 0.5) / special::inv_pi);
    case Link::log:
      return std::log(mu);
    case Link::sqrt:
      return std::sqrt(mu);
    case Link::inverse:
      return 1.0 / mu;
    case Link::inverse_square:
      return 1.0 / (mu * mu);
    default:
      return mu;
  }
}

}  // namespace partialpool

#endif
