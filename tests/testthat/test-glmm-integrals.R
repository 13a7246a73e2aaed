# The integrals of glmm() against brute force (helper-glmm-oracle.R), and their gradients against
# numerical differentiation: every family, link, integral and covariance structure.

tiny_data <- function(n = 72) {
  suppressWarnings(RNGversion("3.6.0"))
  set.seed(5)
  d <- data.frame(
    g = factor(rep(1:9, length.out = n)), h = factor(sample(5, n, TRUE)), x = rnorm(n),
    w = sample(3, n, TRUE), o = rnorm(n, 0, 0.3)
  )
  d$k <- interaction(d$g, rep(1:2, each = n / 2), drop = TRUE)
  d$t <- factor(rep(1:3, length.out = n)[sample(n)])
  b <- cbind(rnorm(9, 0, 0.5), rnorm(9, 0, 0.3))
  d$eta <- 0.3 + 0.4 * d$x + b[d$g, 1] + b[d$g, 2] * d$x + rnorm(5, 0, 0.4)[d$h]
  mu <- exp(d$eta)
  p <- plogis(d$eta)
  d$trials <- sample(1:9, n, TRUE)
  d$success <- rbinom(n, d$trials, p)
  d$failure <- d$trials - d$success
  d$over <- rbinom(n, d$trials, rbeta(n, 3 * p, 3 * (1 - p)))
  d$under <- d$trials - d$over
  d$binary <- rbinom(n, 1, p)
  d$count <- rpois(n, mu)
  d$dispersed <- rnbinom(n, size = 1.5, mu = mu)
  d$truncated <- qnbinom(runif(n, dnbinom(0, size = 1.5, mu = mu), 1), size = 1.5, mu = mu)
  d$positive <- rgamma(n, 2, 2 / mu)
  d$fraction <- rbeta(n, 4 * p, 4 * (1 - p))
  d$real <- d$eta + 0.5 * rt(n, 4)
  number <- rpois(n, mu)
  d$compound <- ifelse(number > 0, rgamma(n, pmax(number, 0.1) * 1.3, 1), 0)
  d$inflated <- rbinom(n, 1, 0.7) * d$dispersed
  d
}
d <- tiny_data()

binomials <- quote(cbind(success, failure))
case <- function(response, family, beta = c(0.2, 0.4), disp = NULL, zi = NULL, shape = NULL,
                 scale = 1) {
  list(response = response, family = family, beta = beta, disp = disp, zi = zi, shape = shape,
       scale = scale)
}

# Every family, each link at least once; `scale` keeps eta in the domain of the link
cases <- list(
  binomial_logit = case(binomials, binomial("logit")),
  binomial_probit = case(binomials, binomial("probit")),
  binomial_cloglog = case(binomials, binomial("cloglog"), c(-0.5, 0.3)),
  binomial_cauchit = case(binomials, binomial("cauchit"), scale = 0.5),
  # with failures in each row: a row without any has its mode on the edge, at mu = 1
  binomial_log = case(quote(cbind(success, failure + 1)), binomial("log"), c(-1.2, 0.1),
                      scale = 0.2),
  binary = case(quote(binary), binomial()),
  poisson_log = case(quote(count), poisson()),
  poisson_sqrt = case(quote(count), poisson("sqrt"), c(2, 0.1), scale = 0.3),
  poisson_identity = case(quote(count), poisson("identity"), c(3, 0.2), scale = 0.3),
  Gamma_log = case(quote(positive), Gamma("log"), disp = -0.5),
  Gamma_inverse = case(quote(positive), Gamma("inverse"), c(2, 0.1), disp = -0.5, scale = 0.3),
  Gamma_identity = case(quote(positive), Gamma("identity"), c(3, 0.2), disp = -0.5, scale = 0.3),
  inverse_gaussian_log = case(quote(positive), inverse.gaussian("log"), disp = -0.3),
  inverse_gaussian = case(quote(positive), inverse.gaussian(), c(1.5, 0.05), disp = -0.3,
                          scale = 0.15),
  gaussian_log = case(quote(positive), gaussian("log"), disp = -0.3, scale = 0.5),
  nbinom1 = case(quote(dispersed), "nbinom1", disp = 0.2),
  nbinom2 = case(quote(dispersed), "nbinom2", disp = 0.4),
  nbinom2_sqrt = case(quote(dispersed), nbinom2("sqrt"), c(2, 0.1), disp = 0.4, scale = 0.3),
  beta = case(quote(fraction), "beta", disp = 1.2),
  beta_probit = case(quote(fraction), beta_family("probit"), disp = 1.2),
  betabinomial = case(quote(cbind(over, under)), "betabinomial", disp = 1),
  betabinomial_cloglog = case(quote(cbind(over, under)), betabinomial("cloglog"), c(-0.5, 0.3),
                              disp = 1),
  tweedie = case(quote(compound), "tweedie", disp = 0.1, shape = 1.45),
  t = case(quote(real), "t", disp = -1, shape = 4.5),
  truncated_poisson = case(quote(truncated), "truncated_poisson"),
  truncated_nbinom1 = case(quote(truncated), "truncated_nbinom1", disp = 0.2),
  truncated_nbinom2 = case(quote(truncated), "truncated_nbinom2", disp = 0.4),
  zero_inflated_poisson = case(quote(inflated), poisson(), zi = -0.8),
  zero_inflated_nbinom1 = case(quote(inflated), "nbinom1", disp = 0.2, zi = -0.8),
  zero_inflated_nbinom2 = case(quote(inflated), "nbinom2", disp = 0.4, zi = -0.8),
  hurdle_poisson = case(quote(inflated), "truncated_poisson", zi = -0.8),
  hurdle_nbinom2 = case(quote(inflated), "truncated_nbinom2", disp = 0.4, zi = -0.8)
)

# Random parts: the terms, theta, and the columns of Z Lambda
parts <- list(
  scalar = list(
    terms = quote((1 | g)), theta = 0.6,
    columns = function(d, th) oracle_columns(d$g, rep(1, nrow(d)), matrix(th))
  ),
  us = list(
    terms = quote((x | g)), theta = c(0.6, -0.2, 0.3),
    columns = function(d, th) {
      oracle_columns(d$g, cbind(1, d$x), matrix(c(th[1:2], 0, th[3]), 2))
    }
  ),
  crossed = list(
    terms = quote((x | g) + (1 | h)), theta = c(0.6, 0.2, 0.3, 0.5),
    columns = function(d, th) {
      cbind(
        oracle_columns(d$g, cbind(1, d$x), matrix(c(th[1:2], 0, th[3]), 2)),
        oracle_columns(d$h, rep(1, nrow(d)), matrix(th[4]))
      )
    }
  ),
  nested = list(
    terms = quote((1 | k) + (1 | g)), theta = c(0.6, 0.4), # terms with more levels come first
    columns = function(d, th) {
      cbind(oracle_columns(d$k, rep(1, nrow(d)), matrix(th[1])),
            oracle_columns(d$g, rep(1, nrow(d)), matrix(th[2])))
    }
  ),
  diag = list(
    terms = quote(diag(x | g)), theta = c(0.6, 0.3),
    columns = function(d, th) oracle_columns(d$g, cbind(1, d$x), diag(th))
  ),
  cs = list(
    terms = quote(cs(0 + t | g)), theta = c(0.5, 0.6, 0.7, 0.3),
    columns = function(d, th) {
      R <- matrix(th[4], 3, 3)
      diag(R) <- 1
      oracle_columns(d$g, model.matrix(~ 0 + t, d), t(chol(outer(th[1:3], th[1:3]) * R)))
    }
  )
)

# theta with variances scaled: correlations stay
scaled_theta <- function(part, scale) {
  theta <- part$theta * scale
  if (identical(part, parts$cs)) theta[4] <- part$theta[4]
  theta
}

family_name <- function(family) if (is.character(family)) family else family$family
family_link <- function(family) {
  if (!is.character(family)) return(family$link)
  switch(family, beta = , betabinomial = "logit", t = "identity", "log")
}

# The engine at given parameters, without a search for the optimum
engine_for <- function(case, part, integral = "laplace", nodes = 1, data = d, weights = NULL) {
  formula <- eval(call("~", case$response, call("+", quote(x + offset(o)), part$terms)))
  rows <- list(formula, data, family = case$family)
  if (!is.null(case$zi)) rows$ziformula <- ~1
  rows$weights <- weights
  made <- do.call(design, rows)
  f <- if (integral == "agq") {
    # objective() takes one node for Laplace: here the quadrature code itself is meant
    glmm_engine_of(made, list(method = "agq", nAGQ = nodes), FALSE, NULL, FALSE)
  } else {
    objective(made, nAGQ = if (integral == "joint") 0 else 1, REML = integral == "reml")
  }
  theta <- scaled_theta(part, case$scale)
  # shapes stand on their internal scale
  shape <- switch(family_name(case$family), tweedie = qlogis(case$shape - 1), t = log(case$shape))
  f$par <- c(theta, if (integral %in% c("laplace", "agq")) case$beta, case$disp, case$zi, shape)
  f$theta <- theta
  f
}

brute_density <- function(case, data = d, weights = NULL, rows = seq_len(nrow(data))) {
  y <- eval(case$response, data)
  trials <- NULL
  if (is.matrix(y)) {
    trials <- rowSums(y)
    y <- y[, 1] / trials
  }
  n <- length(rows)
  oracle_density(family_name(case$family), family_link(case$family), list(
    y = y[rows], trials = trials[rows], weights = weights[rows],
    phi = if (!is.null(case$disp)) rep(exp(case$disp), n),
    shape = if (!is.null(case$shape)) rep(case$shape, n),
    pi = if (!is.null(case$zi)) rep(plogis(case$zi), n)
  ))
}

brute_value <- function(case, part, f, integral, weights = NULL) {
  as.numeric(oracle_laplace(
    brute_density(case, weights = weights), cbind(1, d$x), case$beta, part$columns(d, f$theta),
    d$o * 1, integral
  ))
}

test_that("Laplace is the dense formula, for every family, beta given, in the mode, integrated", {
  for (name in names(cases)) {
    for (integral in c("laplace", "joint", "reml")) {
      f <- engine_for(cases[[name]], parts$crossed, integral)
      expect_equal(f$value(f$par), brute_value(cases[[name]], parts$crossed, f, integral),
                   tolerance = 1e-9, label = paste(name, integral))
    }
  }
})

test_that("Laplace is the dense formula, for every covariance structure", {
  for (name in names(parts)) {
    for (family in c("binary", "Gamma_log", "nbinom2")) {
      for (integral in c("laplace", "reml")) {
        f <- engine_for(cases[[family]], parts[[name]], integral)
        expect_equal(f$value(f$par), brute_value(cases[[family]], parts[[name]], f, integral),
                     tolerance = 1e-9, label = paste(name, family, integral))
      }
    }
  }
})

test_that("prior weights multiply log densities", {
  for (name in c("poisson_log", "Gamma_log", "binomial_probit", "beta", "zero_inflated_nbinom2")) {
    f <- engine_for(cases[[name]], parts$crossed, weights = quote(w))
    expect_equal(
      f$value(f$par), brute_value(cases[[name]], parts$crossed, f, "laplace", weights = d$w),
      tolerance = 1e-9, label = name
    )
  }
})

# Exact -2 log-likelihood with one scalar random effect: an integral over the line per level
integrated <- function(case, sd) {
  total <- 0
  fixed <- as.numeric(cbind(1, d$x) %*% case$beta) + d$o
  for (rows in split(seq_len(nrow(d)), d$g)) {
    density <- attr(brute_density(case, rows = rows), "value")
    height <- function(u) vapply(u, function(v) sum(density(fixed[rows] + sd * v)), 0) - u^2 / 2
    mode <- optimize(height, c(-8, 8), maximum = TRUE, tol = 1e-10)
    area <- 0
    for (side in list(c(mode$maximum - 14, mode$maximum), c(mode$maximum, mode$maximum + 14))) {
      area <- area + integrate(function(u) exp(height(u) - mode$objective), side[1], side[2],
                               rel.tol = 1e-12, subdivisions = 2000)$value
    }
    total <- total + mode$objective + log(area) - log(2 * pi) / 2
  }
  -2 * total
}

test_that("61 nodes are the integral", {
  for (name in c("binomial_logit", "binary", "binomial_probit", "binomial_cloglog", "poisson_log",
                 "Gamma_log", "nbinom1", "nbinom2", "beta", "tweedie", "zero_inflated_poisson")) {
    f <- engine_for(cases[[name]], parts$scalar, "agq", 61)
    expect_equal(f$value(f$par), integrated(cases[[name]], f$theta), tolerance = 1e-10,
                 label = name)
  }
})

test_that("quadrature with K nodes is its definition, in one and two dimensions", {
  fixed <- function(case) as.numeric(cbind(1, d$x) %*% case$beta) + d$o
  for (name in c("binary", "poisson_log", "nbinom2", "Gamma_log", "binomial_probit")) {
    case <- cases[[name]]
    density <- function(rows) brute_density(case, rows = rows)
    for (K in c(1, 2, 7)) {
      f <- engine_for(case, parts$scalar, "agq", K)
      expect_equal(
        f$value(f$par), oracle_agq(density, fixed(case), d$g, rep(1, nrow(d)), matrix(f$theta), K),
        tolerance = 1e-10, label = paste(name, K)
      )
      f <- engine_for(case, parts$us, "agq", K)
      Lambda <- matrix(c(f$theta[1:2], 0, f$theta[3]), 2)
      expect_equal(
        f$value(f$par), oracle_agq(density, fixed(case), d$g, cbind(1, d$x), Lambda, K),
        tolerance = 1e-10, label = paste(name, "slopes", K)
      )
    }
  }
})

test_that("one node is Laplace, at any parameters and as a fit", {
  for (name in names(cases)) {
    for (part in parts[c("scalar", "us", "diag")]) {
      one <- engine_for(cases[[name]], part, "agq", 1)
      laplace <- engine_for(cases[[name]], part)
      expect_lt(abs(one$value(one$par) - laplace$value(one$par)), 1e-8)
    }
  }
  for (formula in c(binary ~ x + (1 | g), binary ~ x + (x | g))) {
    a <- quietly(glmm(formula, d, binomial(), method = "agq", nAGQ = 1))
    b <- quietly(glmm(formula, d, binomial()))
    expect_lt(abs(a$criterion - b$criterion), 1e-8)
    expect_equal(fixef(a), fixef(b), tolerance = 1e-6)
  }
})

test_that("a value does not depend on where the modes were before", {
  set.seed(8)
  for (name in names(cases)) {
    for (integral in c("laplace", "reml")) {
      f <- engine_for(cases[[name]], parts$crossed, integral)
      cold <- f$value(f$par)
      warm <- vapply(10^seq(-8, -1, length.out = 15), function(distance) {
        f$value(f$par + distance * rnorm(length(f$par)))
        f$value(f$par)
      }, 0)
      expect_lt(max(abs(warm - cold)), 1e-9 * max(1, abs(cold)) + 1e-9,
                label = paste("spread of", name, integral))
    }
  }
})

# Of two step sizes the better: a wide one leaves the domain of some links
expect_gradient <- function(f, label) {
  exact <- unname(f$gradient(f$par))
  errors <- vapply(c(1e-2, 1e-3), function(step) {
    numeric <- tryCatch(
      numDeriv::grad(f$value, f$par, method.args = list(d = step, r = 6)), error = function(e) NA
    )
    max(abs(exact - numeric)) / max(1, abs(numeric))
  }, 0)
  expect_lt(min(errors, na.rm = TRUE), 1e-6, label = paste("gradient error of", label))
}

test_that("gradients are those of numerical differentiation, for every family and integral", {
  skip_if_not_installed("numDeriv")
  for (name in names(cases)) {
    for (integral in c("laplace", "reml", "joint")) {
      expect_gradient(engine_for(cases[[name]], parts$crossed, integral), paste(name, integral))
    }
    expect_gradient(engine_for(cases[[name]], parts$scalar, "agq", 5), paste(name, "agq"))
    expect_gradient(engine_for(cases[[name]], parts$us, "agq", 3), paste(name, "agq slopes"))
  }
})

test_that("gradients are those of numerical differentiation, for every covariance structure", {
  skip_if_not_installed("numDeriv")
  for (name in names(parts)) {
    for (family in c("binary", "binomial_probit", "nbinom2", "Gamma_log")) {
      for (integral in c("laplace", "reml", "joint")) {
        expect_gradient(engine_for(cases[[family]], parts[[name]], integral),
                        paste(name, family, integral))
      }
    }
  }
})

test_that("the criterion of a fit is the objective at its estimates", {
  fits <- quietly(list(
    glmm(cbind(success, failure) ~ x + (x | g) + (1 | h), d, binomial()),
    glmm(count ~ x + offset(o) + (1 + I(x + 2) | g), d, poisson(), nAGQ = 3),
    glmm(count ~ x + (x | g), d, poisson(), REML = TRUE),
    glmm(count ~ x + (x | g) + (1 | h), d, poisson(), nAGQ = 0),
    glmm(compound ~ x + (1 | g), d, tweedie()),
    glmm(inflated ~ x + (1 | g), d, nbinom2(), ziformula = ~x)
  ))
  for (fit in fits) {
    expect_equal(glmm_value(engine(fit), engine_parameters(fit)), fit$criterion,
                 tolerance = 1e-9, label = label_of(fit$formula))
  }
})

test_that("the gradient of a fit is zero at its optimum and right away from it", {
  skip_if_not_installed("numDeriv")
  fits <- quietly(list(
    glmm(cbind(success, failure) ~ x + (1 | g) + (1 | h), d, binomial()),
    glmm(dispersed ~ x + (1 | g), d, "nbinom2", ziformula = ~1),
    glmm(positive ~ x + (x | g), d, Gamma("log"), dispformula = ~x),
    glmm(binary ~ x + (1 | g), d, binomial(), nAGQ = 9)
  ))
  for (fit in fits) {
    inner <- if (is_singular(fit)) -seq_along(fit$theta) else TRUE
    expect_lt(max(abs(gradient(fit)[inner])), 1e-3)
    par <- engine_parameters(fit) + 0.05
    eng <- engine(fit)
    numeric <- numDeriv::grad(function(p) glmm_value(eng, p), par)
    expect_equal(unname(gradient(fit, par)), numeric, tolerance = 1e-6)
    expect_named(gradient(fit), names(par))
  }
})

test_that("REML-type Laplace is glmmTMB's", {
  records <- jsonlite::fromJSON(test_path("fixtures", "glmm.json"), simplifyVector = FALSE)$models
  marks <- jsonlite::fromJSON(test_path("fixtures", "glmm_marks.json"), simplifyVector = FALSE)
  from <- c(
    reml.cbpp = "cbpp.A1", reml.cbpp_probit = "cbpp_probit.A1", reml.grouse = "grouse.A1",
    reml.gam_sleep = "gam_sleep.A1", reml.salamanders_nb = "nb_salamanders",
    reml.salam = "salam.A1", reml.gas_beta = "tmb.gas_beta"
  )
  for (id in names(from)) {
    record <- records[[from[[id]]]]
    packages <- reference_packages(record$data)
    if (!all(vapply(packages, requireNamespace, TRUE, quietly = TRUE))) next
    case <- reference_case(record)
    data <- reference_glmm_data(record$data)
    fit <- quietly(glmm(case$formula, data, case$family, REML = TRUE))
    mark <- lapply(marks[[id]], unlist)
    expect_lt(abs(as.numeric(logLik(fit)) - mark$logLik), 1e-5, label = id)
    expect_equal(unname(fixef(fit)), unname(mark$fixef), tolerance = 1e-4, label = id)
    v <- as.data.frame(VarCorr(fit))
    v <- v[v$grp != "Residual", ]
    expect_equal(sort(v$sdcor), sort(unname(mark$sd)), tolerance = 1e-4, label = id)
    if (length(mark$dispersion)) {
      expect_equal(unname(fit$dispersion$coefficients), unname(mark$dispersion), tolerance = 1e-4)
    }
  }
})
