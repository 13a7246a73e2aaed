# Brute force for generalised linear mixed models, sharing nothing with the package: log densities
# as formulas that R differentiates symbolically, modes by Newton's method on dense matrices,
# determinants by R. Slow and plain on purpose.

oracle_links <- list(
  log = quote(exp(eta)), identity = quote(eta), sqrt = quote(eta^2), inverse = quote(1 / eta),
  "1/mu^2" = quote(1 / sqrt(eta)), logit = quote(1 / (1 + exp(-eta))), probit = quote(pnorm(eta)),
  cloglog = quote(-expm1(-exp(eta))), cauchit = quote(0.5 + atan(eta) / pi)
)

# log(mu) and log(1 - mu) without cancellation, where the link allows
oracle_log_p <- list(
  logit = quote(-log1p(exp(-eta))), probit = quote(log(pnorm(eta))),
  cloglog = quote(log(-expm1(-exp(eta))))
)
oracle_log_q <- list(
  logit = quote(-log1p(exp(eta))), probit = quote(log(pnorm(-eta))), cloglog = quote(-exp(eta))
)

# `constant` is what depends neither on eta nor on MU and R cannot write as a formula.
oracle_families <- list(
  binomial = quote(constant + trials * (y * LOG_P + (1 - y) * LOG_Q)),
  betabinomial = quote(
    constant + lgamma(trials * y + MU * phi) + lgamma(trials * (1 - y) + (1 - MU) * phi) -
      lgamma(trials + phi) - lgamma(MU * phi) - lgamma((1 - MU) * phi) + lgamma(phi)
  ),
  poisson = quote(y * log(MU) - MU - lgamma(y + 1)),
  truncated_poisson = quote(y * log(MU) - MU - lgamma(y + 1) - log(-expm1(-MU))),
  gaussian = quote(-(y - MU)^2 / (2 * phi) - log(2 * pi * phi) / 2),
  Gamma = quote(-lgamma(1 / phi) - log(phi * MU / y) / phi - log(y) - y / (phi * MU)),
  inverse.gaussian = quote(-log(2 * pi * phi * y^3) / 2 - (y - MU)^2 / (2 * phi * MU^2 * y)),
  nbinom1 = quote(
    lgamma(y + MU / phi) - lgamma(MU / phi) - lgamma(y + 1) - MU / phi * log(1 + phi) +
      y * log(phi / (1 + phi))
  ),
  nbinom2 = quote(
    lgamma(y + phi) - lgamma(phi) - lgamma(y + 1) + phi * log(phi / (phi + MU)) +
      y * log(MU / (phi + MU))
  ),
  truncated_nbinom1 = quote(
    lgamma(y + MU / phi) - lgamma(MU / phi) - lgamma(y + 1) - MU / phi * log(1 + phi) +
      y * log(phi / (1 + phi)) - log(1 - exp(-MU / phi * log(1 + phi)))
  ),
  truncated_nbinom2 = quote(
    lgamma(y + phi) - lgamma(phi) - lgamma(y + 1) + phi * log(phi / (phi + MU)) +
      y * log(MU / (phi + MU)) - log(1 - exp(phi * log(phi / (phi + MU))))
  ),
  beta = quote(
    lgamma(phi) - lgamma(MU * phi) - lgamma((1 - MU) * phi) + (MU * phi - 1) * log(y) +
      ((1 - MU) * phi - 1) * log(1 - y)
  ),
  t = quote(
    lgamma((shape + 1) / 2) - lgamma(shape / 2) - log(pi * shape * phi) / 2 -
      (shape + 1) / 2 * log(1 + (y - MU)^2 / (shape * phi))
  ),
  tweedie = quote(
    constant + (y * MU^(1 - shape) / (1 - shape) - MU^(2 - shape) / (2 - shape)) / phi
  )
)

# A function of eta: log density of each row, with attributes `s` (first derivative) and `w` (minus
# the second). `rows` has y and, where needed, trials, weights, phi, shape (natural scale), pi.
oracle_density <- function(family, link, rows) {
  words <- list(
    MU = oracle_links[[link]],
    LOG_P = oracle_log_p[[link]] %||% call("log", oracle_links[[link]]),
    LOG_Q = oracle_log_q[[link]] %||% call("log", call("-", 1, oracle_links[[link]]))
  )
  l <- do.call(substitute, list(oracle_families[[family]], words))
  rows$zero <- as.numeric(rows$y == 0)
  rows$possible <- if (startsWith(family, "truncated")) 1 - rows$zero else 1
  if (!is.null(rows$pi)) {
    l <- bquote(log(zi * zero + (1 - zi) * possible * exp(.(l))))
    rows$zi <- rows$pi
  }
  n <- length(rows$y)
  rows$trials <- rows$trials %||% rep(1, n)
  rows$constant <- switch(family,
    binomial = ,
    betabinomial = lchoose(rows$trials, rows$trials * rows$y),
    tweedie = oracle_tweedie_constant(rows$y, rows$phi, rows$shape), 0
  )
  rows$pi <- NULL # the number 3.14...
  weights <- rows$weights %||% rep(1, n)
  # As stats::make.link() has it
  positive <- link %in% c("sqrt", "inverse", "1/mu^2") && !family %in% c("gaussian", "t")
  compiled <- stats::deriv3(l, "eta")
  structure(
    function(eta) {
      at <- eval(compiled, c(list(eta = eta), rows), asNamespace("stats"))
      structure(
        weights * as.numeric(at), s = weights * attr(at, "gradient")[, 1],
        w = -weights * attr(at, "hessian")[, 1, 1]
      )
    },
    value = function(eta) {
      l <- suppressWarnings(eval(l, c(list(eta = eta), rows), asNamespace("stats")))
      l[is.nan(l) | positive & eta <= 0] <- -Inf
      weights * l
    }
  )
}

`%||%` <- function(a, b) if (is.null(a)) b else a

# The part of the Tweedie density without mu: the series of Dunn and Smyth (2005)
oracle_tweedie_constant <- function(y, phi, p) {
  mapply(function(y, phi, p) {
    if (y == 0) return(0)
    alpha <- (2 - p) / (1 - p)
    j <- seq_len(5000)
    terms <- j * (-alpha * log(y) + alpha * log(p - 1) - (1 - alpha) * log(phi) - log(2 - p)) -
      lgamma(j + 1) - lgamma(-j * alpha)
    top <- max(terms)
    top + log(sum(exp(terms - top))) - log(y)
  }, y, phi, p)
}

# Columns of Z Lambda of one term, level after level
oracle_columns <- function(group, z, Lambda) {
  group <- factor(group)
  zl <- as.matrix(z) %*% Lambda
  p <- ncol(zl)
  columns <- matrix(0, nrow(zl), nlevels(group) * p)
  for (k in seq_len(p)) {
    columns[cbind(seq_len(nrow(zl)), (as.integer(group) - 1) * p + k)] <- zl[, k]
  }
  columns
}

# Newton's method for the mode of sum(l) - |u|^2 / 2, columns 1..q of Y penalised, the rest not
oracle_mode <- function(density, offset, Y, q, v = numeric(ncol(Y))) {
  penalty <- rep(c(1, 0), c(q, ncol(Y) - q))
  height <- function(v) {
    sum(attr(density, "value")(offset + as.numeric(Y %*% v))) - sum(penalty * v^2) / 2
  }
  now <- height(v)
  for (iteration in 1:500) {
    l <- density(offset + as.numeric(Y %*% v))
    g <- as.numeric(crossprod(Y, attr(l, "s"))) - penalty * v
    w <- attr(l, "w")
    M <- crossprod(Y, w * Y) + diag(penalty, ncol(Y))
    if (inherits(try(chol(M), silent = TRUE), "try-error")) {
      M <- crossprod(Y, abs(w) * Y) + diag(penalty + 1e-8, ncol(Y))
    }
    step <- solve(M, g)
    size <- 1
    while (size > 1e-12 && height(v + size * step) < now - 1e-10 * abs(now)) size <- size / 2
    v <- v + size * step
    now <- height(v)
    if (max(abs(step)) < 1e-11 * (1 + max(abs(v)))) break
  }
  v
}

# -2 log-likelihood by Laplace. integral: "laplace" (beta given), "joint" (beta in the mode, lme4's
# nAGQ = 0), "reml" (beta integrated too). With "joint" and "reml" `beta` is only a start.
oracle_laplace <- function(density, X, beta, ZL, offset = 0, integral = "laplace") {
  q <- ncol(ZL)
  p <- ncol(X)
  Y <- if (integral == "laplace") ZL else cbind(ZL, X)
  fixed <- offset + if (integral == "laplace") as.numeric(X %*% beta) else rep(0, nrow(X))
  v <- oracle_mode(density, fixed, Y, q, c(numeric(q), if (integral != "laplace") beta))
  u <- v[seq_len(q)]
  l <- density(fixed + as.numeric(Y %*% v))
  D <- if (integral == "reml") Y else ZL
  M <- crossprod(D, attr(l, "w") * D) + diag(rep(c(1, 0), c(q, ncol(D) - q)), ncol(D))
  value <- -2 * sum(l) + sum(u^2) + as.numeric(determinant(M)$modulus) -
    (if (integral == "reml") p * log(2 * pi) else 0)
  attr(value, "v") <- v
  value
}

# Nodes and weights of the normal density, from the eigenvalues of the Jacobi matrix
oracle_nodes <- function(K) {
  if (K == 1) return(list(x = 0, w = 1))
  J <- diag(0, K)
  J[cbind(1:(K - 1), 2:K)] <- J[cbind(2:K, 1:(K - 1))] <- sqrt(seq_len(K - 1))
  e <- eigen(J, symmetric = TRUE)
  list(x = e$values, w = e$vectors[1, ]^2)
}

# -2 log-likelihood by adaptive quadrature, one factor, K nodes a dimension: level by level, the
# mode and the Cholesky factor of the negative Hessian in u
oracle_agq <- function(make_density, fixed, group, z, Lambda, K) {
  group <- factor(group)
  zl <- as.matrix(z) %*% Lambda
  p <- ncol(zl)
  rule <- oracle_nodes(K)
  grid <- as.matrix(expand.grid(rep(list(seq_len(K)), p)))
  x <- matrix(rule$x[grid], ncol = p)
  log_w <- rowSums(matrix(log(rule$w)[grid], ncol = p))
  total <- 0
  for (rows in split(seq_along(fixed), group)) {
    Y <- zl[rows, , drop = FALSE]
    density <- make_density(rows)
    u <- oracle_mode(density, fixed[rows], Y, p)
    w <- attr(density(fixed[rows] + as.numeric(Y %*% u)), "w")
    R <- chol(crossprod(Y, w * Y) + diag(p)) # M = L L', L = R'
    at <- matrix(u, nrow(x), p, byrow = TRUE) + t(backsolve(R, t(x)))
    heights <- apply(at, 1, function(v) {
      sum(attr(density, "value")(fixed[rows] + as.numeric(Y %*% v)))
    })
    terms <- log_w + heights - rowSums(at^2) / 2 + rowSums(x^2) / 2
    top <- max(terms)
    total <- total + top + log(sum(exp(terms - top))) - sum(log(diag(R)))
  }
  -2 * total
}
