# The distributions of the response as R functions: log density, distribution function, random
# numbers, mean and variance. The engine has its own log densities; these serve residuals,
# simulation and prediction. One entry a family, by its name.
#
# Every function takes the parameters `p`, a list of vectors of one length: mu, phi (1 where the
# family has no dispersion), trials (1 unless binomial), and one number shape. `y` is as in a fit:
# for binomial families the proportion of successes.
#   log_density(y, p); cdf(y, p, lower): P(Y <= y) or P(Y > y); random(p): one number a row
#   mean(p), variance(p): of the family without zero inflation
#   step(p): distance of neighbouring values, 0 for a continuous family
#   scaled: is the variance proportional to phi?
#   unit_deviance(y, p): twice the log density at its largest over mu less that at mu, times phi
#     if `scaled`; NULL where the largest has to be searched for
#   atom(p): P(Y = 0) of a family that is continuous but there
#   support: "unit" (mu between 0 and 1), "positive" or "real": where mu lives

distribution_of <- function(fit) distributions[[fit$family$family]]

distributions <- list()

distributions$gaussian <- list(
  log_density = function(y, p) stats::dnorm(y, p$mu, sqrt(p$phi), log = TRUE),
  cdf = function(y, p, lower = TRUE) stats::pnorm(y, p$mu, sqrt(p$phi), lower.tail = lower),
  random = function(p) stats::rnorm(length(p$mu), p$mu, sqrt(p$phi)),
  mean = function(p) p$mu,
  variance = function(p) p$phi + 0 * p$mu,
  unit_deviance = function(y, p) (y - p$mu)^2,
  step = function(p) 0, scaled = TRUE, support = "real"
)

distributions$binomial <- list(
  log_density = function(y, p) {
    successes <- y * p$trials
    lchoose_real(p$trials, successes) + x_log(successes, p$mu) +
      x_log(p$trials - successes, 1 - p$mu)
  },
  cdf = function(y, p, lower = TRUE) {
    stats::pbinom(round(y * p$trials, 6L), p$trials, p$mu, lower.tail = lower)
  },
  random = function(p) stats::rbinom(length(p$mu), p$trials, p$mu) / p$trials,
  mean = function(p) p$mu,
  variance = function(p) p$mu * (1 - p$mu) / p$trials,
  unit_deviance = function(y, p) {
    2 * p$trials * (x_log(y, y / p$mu) + x_log(1 - y, (1 - y) / (1 - p$mu)))
  },
  step = function(p) 1 / p$trials, scaled = FALSE, support = "unit"
)

distributions$poisson <- list(
  log_density = function(y, p) x_log(y, p$mu) - p$mu - lgamma(y + 1),
  cdf = function(y, p, lower = TRUE) stats::ppois(y, p$mu, lower.tail = lower),
  quantile = function(u, p, lower = TRUE) stats::qpois(u, p$mu, lower.tail = lower),
  random = function(p) stats::rpois(length(p$mu), p$mu),
  mean = function(p) p$mu,
  variance = function(p) p$mu,
  unit_deviance = function(y, p) 2 * (x_log(y, y / p$mu) - (y - p$mu)),
  step = function(p) 1, scaled = FALSE, support = "positive"
)

distributions$Gamma <- list(
  log_density = function(y, p) {
    stats::dgamma(y, shape = 1 / p$phi, scale = p$mu * p$phi, log = TRUE)
  },
  cdf = function(y, p, lower = TRUE) {
    stats::pgamma(y, shape = 1 / p$phi, scale = p$mu * p$phi, lower.tail = lower)
  },
  random = function(p) stats::rgamma(length(p$mu), shape = 1 / p$phi, scale = p$mu * p$phi),
  mean = function(p) p$mu,
  variance = function(p) p$phi * p$mu^2,
  unit_deviance = function(y, p) -2 * (log(y / p$mu) - (y - p$mu) / p$mu),
  step = function(p) 0, scaled = TRUE, support = "positive"
)

distributions$inverse.gaussian <- list(
  log_density = function(y, p) {
    value <- -0.5 * (log(2 * pi * p$phi * y^3) + (y - p$mu)^2 / (p$phi * p$mu^2 * y))
    ifelse(y > 0, value, -Inf)
  },
  cdf = function(y, p, lower = TRUE) {
    y <- pmax(y, 0)
    root <- 1 / sqrt(p$phi * y)
    second <- exp(2 / (p$phi * p$mu) +
      stats::pnorm(-root * (y / p$mu + 1), log.p = TRUE))
    first <- stats::pnorm(root * (y / p$mu - 1), lower.tail = lower)
    if (lower) first + second else pmax(first - second, 0)
  },
  # Michael, Schucany & Haas (1976), The American Statistician 30, 88-90.
  random = function(p) {
    n <- length(p$mu)
    x <- stats::rnorm(n)^2 * p$phi * p$mu
    # The smaller root of the quadratic, without cancellation.
    small <- p$mu * 2 / (2 + x + sqrt(x * (4 + x)))
    ifelse(stats::runif(n) <= p$mu / (p$mu + small), small, p$mu^2 / small)
  },
  mean = function(p) p$mu,
  variance = function(p) p$phi * p$mu^3,
  unit_deviance = function(y, p) (y - p$mu)^2 / (y * p$mu^2),
  step = function(p) 0, scaled = TRUE, support = "positive"
)

# Both negative binomials; they differ in the size.
negative_binomial <- function(size, variance, unit_deviance = NULL) {
  list(
    log_density = function(y, p) {
      k <- size(p)
      # log(Gamma(y + k) / (Gamma(k) y!)) without the difference of two large numbers.
      count <- ifelse(y == 0, 0, -lbeta(pmax(y, 0.5), k) - log(y))
      count - k * log1p(p$mu / k) - x_times(y, log1p(k / p$mu))
    },
    cdf = function(y, p, lower = TRUE) {
      stats::pnbinom(y, size = size(p), mu = p$mu, lower.tail = lower)
    },
    quantile = function(u, p, lower = TRUE) {
      stats::qnbinom(u, size = size(p), mu = p$mu, lower.tail = lower)
    },
    random = function(p) stats::rnbinom(length(p$mu), size = size(p), mu = p$mu),
    mean = function(p) p$mu,
    variance = variance, unit_deviance = unit_deviance,
    step = function(p) 1, scaled = FALSE, support = "positive"
  )
}

distributions$nbinom1 <- negative_binomial(
  function(p) p$mu / p$phi, function(p) p$mu * (1 + p$phi)
)
distributions$nbinom2 <- negative_binomial(
  function(p) p$phi + 0 * p$mu, function(p) p$mu * (1 + p$mu / p$phi),
  function(y, p) {
    2 * (x_log(y, y / p$mu) - (y + p$phi) * log((y + p$phi) / (p$mu + p$phi)))
  }
)

distributions$beta <- list(
  log_density = function(y, p) {
    stats::dbeta(y, p$mu * p$phi, (1 - p$mu) * p$phi, log = TRUE)
  },
  cdf = function(y, p, lower = TRUE) {
    stats::pbeta(y, p$mu * p$phi, (1 - p$mu) * p$phi, lower.tail = lower)
  },
  random = function(p) {
    # Rounding may reach the ends, which the density does not.
    y <- stats::rbeta(length(p$mu), p$mu * p$phi, (1 - p$mu) * p$phi)
    pmin(pmax(y, .Machine$double.xmin), 1 - .Machine$double.neg.eps)
  },
  mean = function(p) p$mu,
  variance = function(p) p$mu * (1 - p$mu) / (1 + p$phi),
  step = function(p) 0, scaled = FALSE, support = "unit"
)

distributions$betabinomial <- list(
  log_density = function(y, p) {
    log_density_betabinomial(y * p$trials, p$trials, p$mu * p$phi, (1 - p$mu) * p$phi)
  },
  cdf = function(y, p, lower = TRUE) cdf_betabinomial(y, p, lower),
  random = function(p) {
    n <- length(p$mu)
    chance <- stats::rbeta(n, p$mu * p$phi, (1 - p$mu) * p$phi)
    stats::rbinom(n, p$trials, chance) / p$trials
  },
  mean = function(p) p$mu,
  variance = function(p) p$mu * (1 - p$mu) * (p$trials + p$phi) / (p$trials * (1 + p$phi)),
  step = function(p) 1 / p$trials, scaled = FALSE, support = "unit"
)

distributions$tweedie <- list(
  log_density = function(y, p) log_density_tweedie(y, p$mu, p$phi, p$shape),
  cdf = function(y, p, lower = TRUE) cdf_tweedie(y, p$mu, p$phi, p$shape, lower),
  random = function(p) random_tweedie(p$mu, p$phi, p$shape),
  mean = function(p) p$mu,
  variance = function(p) p$phi * p$mu^p$shape,
  unit_deviance = function(y, p) {
    a <- 1 - p$shape
    b <- 2 - p$shape
    pmax(0, 2 * (y^b / (a * b) - y * p$mu^a / a + p$mu^b / b))
  },
  atom = function(p) exp(-tweedie_parts(p$mu, p$phi, p$shape)$rate),
  step = function(p) 0, scaled = TRUE, support = "positive"
)

distributions$t <- list(
  log_density = function(y, p) {
    stats::dt((y - p$mu) / sqrt(p$phi), p$shape, log = TRUE) - 0.5 * log(p$phi)
  },
  cdf = function(y, p, lower = TRUE) {
    stats::pt((y - p$mu) / sqrt(p$phi), p$shape, lower.tail = lower)
  },
  random = function(p) p$mu + sqrt(p$phi) * stats::rt(length(p$mu), p$shape),
  mean = function(p) p$mu,
  # Infinite with two degrees of freedom or fewer.
  variance = function(p) {
    (if (p$shape > 2) p$shape / (p$shape - 2) else Inf) * p$phi + 0 * p$mu
  },
  unit_deviance = function(y, p) {
    p$phi * (p$shape + 1) * log1p((y - p$mu)^2 / (p$phi * p$shape))
  },
  step = function(p) 0, scaled = TRUE, support = "real"
)

# A count distribution given that it is not zero; mu stays the mean of the parent.
zero_truncated <- function(parent) {
  log_positive <- function(p) {
    # log P(Y > 0) of the parent, exact for small mu.
    log(parent$cdf(0 * p$mu, p, lower = FALSE))
  }
  truncated_mean <- function(p) p$mu / exp(log_positive(p))
  list(
    log_density = function(y, p) {
      ifelse(y > 0, parent$log_density(y, p) - log_positive(p), -Inf)
    },
    cdf = function(y, p, lower = TRUE) {
      upper <- parent$cdf(pmax(y, 0), p, lower = FALSE) / exp(log_positive(p))
      if (!lower) {
        return(upper)
      }
      # From the upper tail: the lower one of the parent is mostly P(Y = 0).
      ifelse(y < 1, 0, 1 - upper)
    },
    random = function(p) {
      u <- stats::runif(length(p$mu)) * exp(log_positive(p))
      pmax(parent$quantile(u, p, lower = FALSE), 1)
    },
    mean = truncated_mean,
    variance = function(p) {
      m <- truncated_mean(p)
      m * (p$mu + parent$variance(p) / p$mu - m)
    },
    step = function(p) 1, scaled = FALSE, support = "positive"
  )
}

distributions$truncated_poisson <- zero_truncated(distributions$poisson)
distributions$truncated_nbinom1 <- zero_truncated(distributions$nbinom1)
distributions$truncated_nbinom2 <- zero_truncated(distributions$nbinom2)

is_truncated <- function(fit) startsWith(fit$family$family, "truncated_")

x_log <- function(x, y) x_times(x, log(y))

# 0 times a logarithm of zero is 0.
x_times <- function(x, y) ifelse(x == 0, 0, x * y)

# log choose(n, k) for real n and k.
lchoose_real <- function(n, k) lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

log_density_betabinomial <- function(s, n, a, b) {
  lchoose_real(n, s) + lbeta(s + a, n - s + b) - lbeta(a, b)
}

# A sum over the shorter tail's own side: each tail is exact where it is small.
cdf_betabinomial <- function(y, p, lower) {
  s <- round(y * p$trials, 6L)
  a <- p$mu * p$phi
  b <- (1 - p$mu) * p$phi
  n <- rep_len(p$trials, length(s))
  vapply(seq_along(s), function(i) {
    if (is.na(s[i] + a[i])) {
      return(NA_real_)
    }
    terms <- if (lower) seq_len(floor(s[i]) + 1) - 1 else seq_len(n[i] - floor(s[i])) + floor(s[i])
    min(1, sum(exp(log_density_betabinomial(terms, n[i], a[i], b[i]))))
  }, 0)
}

# With zero inflation -----------------------------------------------------------------------------

# p$zero: probability of an extra zero, 0 without zero inflation.

response_mean <- function(family, p) (1 - p$zero) * family$mean(p)

response_variance <- function(family, p) {
  (1 - p$zero) * family$variance(p) + p$zero * (1 - p$zero) * family$mean(p)^2
}

response_cdf <- function(family, y, p, lower = TRUE) {
  if (lower) {
    p$zero * (y >= 0) + (1 - p$zero) * family$cdf(y, p, TRUE)
  } else {
    p$zero * (y < 0) + (1 - p$zero) * family$cdf(y, p, FALSE)
  }
}

# P(Y < y) or P(Y >= y).
response_cdf_below <- function(family, y, p, lower = TRUE) {
  step <- family$step(p)
  if (any(step > 0)) {
    return(response_cdf(family, y - step, p, lower))
  }
  value <- response_cdf(family, y, p, lower)
  atom <- (y == 0) * p$zero
  if (!is.null(family$atom)) atom <- atom + (y == 0) * (1 - p$zero) * family$atom(p)
  if (lower) value - atom else value + atom
}

# Twice the distance of the log density from its largest value over mu, the other parameters held;
# times phi in families with a variance proportional to it, as the deviance of stats::glm().
# `above`: does that mu lie above the one fitted?
response_deviance <- function(family, y, p) {
  parent <- parent_deviance(family, y, p)
  extra <- which(y == 0 & p$zero > 0)
  if (length(extra)) {
    scale <- if (family$scaled) p$phi else 1
    own <- family$log_density(y, p)
    most <- own + parent$deviance / (2 * scale)
    value <- 2 * scale * (log(p$zero + (1 - p$zero) * exp(most)) -
      log(p$zero + (1 - p$zero) * exp(own)))
    # A density that has no value at zero does not enter.
    parent$deviance[extra] <- ifelse(is.finite(value), value, 0)[extra]
    parent$above[extra] <- FALSE
  }
  parent
}

parent_deviance <- function(family, y, p) {
  if (!is.null(family$unit_deviance)) {
    return(list(deviance = pmax(0, family$unit_deviance(y, p)), above = y > p$mu))
  }
  # It does not depend on mu: rows with the same y and trials share it if phi is the same for all.
  rows <- seq_along(y)
  if (all(p$phi == p$phi[1L])) {
    key <- complex(real = y, imaginary = p$trials)
    rows <- which(!duplicated(key))
  }
  vectors <- c("mu", "phi", "trials")
  some <- replace(p, vectors, lapply(p[vectors], `[`, rows))
  best <- saturated_mean(family, y[rows], some)
  most <- family$log_density(y[rows], best)
  from <- if (length(rows) < length(y)) match(key, key[rows]) else rows
  gain <- most[from] - family$log_density(y, p)
  list(deviance = pmax(0, 2 * gain), above = best$mu[from] > p$mu)
}

# Parameters with the mu of the largest log density of each row: golden section on the logit or log
# scale.
saturated_mean <- function(family, y, p) {
  unit <- family$support == "unit"
  inverse <- if (unit) stats::plogis else exp
  low <- rep(if (unit) -30 else -25, length(y))
  high <- if (unit) -low else log(y + 1) + 5
  at <- function(t) {
    p$mu <- inverse(t)
    value <- family$log_density(y, p)
    ifelse(is.finite(value), value, -.Machine$double.xmax)
  }
  ratio <- (sqrt(5) - 1) / 2
  left <- high - ratio * (high - low)
  right <- low + ratio * (high - low)
  value_left <- at(left)
  value_right <- at(right)
  for (step in seq_len(60L)) {
    up <- value_right > value_left
    low <- ifelse(up, left, low)
    high <- ifelse(up, high, right)
    left_before <- left
    value_before <- value_left
    left <- ifelse(up, right, high - ratio * (high - low))
    right <- ifelse(up, low + ratio * (high - low), left_before)
    fresh <- at(ifelse(up, right, left))
    value_left <- ifelse(up, value_right, fresh)
    value_right <- ifelse(up, fresh, value_before)
  }
  p$mu <- inverse((low + high) / 2)
  p
}

response_random <- function(family, p) {
  y <- family$random(p)
  if (any(p$zero > 0)) y[stats::runif(length(y)) < p$zero] <- 0
  y
}
