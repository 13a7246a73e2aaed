# Reference data: glimix-core 3.1.14's published examples and test cases, and an independent
# converged EP on simulated data.
reference <- readRDS(test_path("fixtures", "kernel-glmm.rds"))
seeds <- reference$seeds

quietly <- pp_control(check = FALSE)

# Kernel of a simulated data set: "lowrank", "grm" or "expkern".
reference_kernel <- function(n, name) {
  part <- paste0("n", n)
  G <- reference$geno[[part]]
  Z <- sweep(G, 2L, colMeans(G))
  Z <- Z / rep(sqrt(colMeans(Z^2)), each = n)
  rank <- c("50" = 5L, "200" = 20L)[[as.character(n)]]
  switch(name,
    lowrank = tcrossprod(Z[, seq_len(rank)]) / rank, grm = tcrossprod(Z) / ncol(Z),
    expkern = exp(-abs(outer(reference$data[[part]]$t, reference$data[[part]]$t, "-")) / 0.1)
  )
}

reference_family <- function(name) {
  switch(name, poisson = poisson(), probit = binomial("probit"), binomial())
}

reference_fit <- function(model, ...) {
  data <- reference$data[[paste0("n", model$n)]]
  kernel_glmm(
    data[[paste0("y_", model$family, "_", model$kernel)]], as.matrix(data[c("x0", "x1", "x2")]),
    reference_kernel(model$n, model$kernel), reference_family(model$family),
    if (model$family == "binomial") data$ntrials, ..., control = quietly
  )
}

seed_fit <- function(name, family = binomial(), ..., kernel = seeds[[name]]$K) {
  x <- seeds[[name]]
  kernel_glmm(x$y, x$X, kernel, family, x$ntrials, ..., control = quietly)
}

set.seed(11)
n <- 30
G <- matrix(rnorm(n * 45), n)
small <- list(
  G = G, K = tcrossprod(G) / 45, X = cbind("(Intercept)" = 1, x = rnorm(n)), trials = rep(1:6, 5)
)
small$z <- drop(small$X %*% c(0.3, 0.5) + G %*% rnorm(45, sd = 0.12))
small$counts <- rpois(n, exp(small$z))
small$successes <- rbinom(n, small$trials, plogis(small$z))

small_fit <- function(..., y = small$counts, X = small$X, kernel = small$K, family = poisson()) {
  kernel_glmm(y, X, kernel, family, ..., control = quietly)
}

# Derivatives of f, of one or several values, by central differences of fourth order.
differences <- function(f, x, h = 1e-3) {
  columns <- lapply(seq_along(x), function(i) {
    at <- function(step) f(replace(x, i, x[[i]] + step * h))
    (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)
  })
  unname(drop(do.call(cbind, columns)))
}

# The posterior of given sites, exp(-tau z^2 / 2 + nu z), by brute force.
dense_posterior <- function(fit) {
  v <- kernel_variances(fit)
  K <- if (is.null(fit$kernel)) 0 else unname(kernel_matrix(fit$kernel))
  prior <- v[["v0"]] * K + diag(v[["v1"]], fit$n)
  o <- drop(fit$X %*% fit$coefficients)
  covariance <- solve(solve(prior) + diag(fit$sites$tau))
  list(mean = drop(covariance %*% (fit$sites$nu + solve(prior, o))), covariance = covariance)
}

# Published numbers -------------------------------------------------------------------------------

test_that("row 27: the document's example before the fit", {
  fit <- seed_fit("doc_binomial", fit = FALSE)
  expect_equal(fit$logLik, -16.403195668327, tolerance = 1e-10)
  expect_false(fit$fitted)
  expect_identical(fit$convergence$status, "not fitted")
  expect_equal(fit[c("scale", "delta")], list(scale = 1, delta = 0.5))
  expect_equal(unname(fit$coefficients), c(0, 0))
})

test_that("row 28: the document's example after the fit", {
  fit <- seed_fit("doc_binomial")
  expect_equal(fit$logLik, -13.426574186165, tolerance = 1e-9)
  expect_equal(fit$scale, 10.8126, tolerance = 1e-5)
  expect_equal(unname(fit$coefficients), c(1.45368, 4.95298), tolerance = 1e-5)
  expect_identical(fit$delta, 0)
  expect_identical(fit$convergence$boundary, "v1 = 0")
  expect_lt(fit$convergence$residual, 1e-9)
  expect_lt(max(abs(fit$gradient)), 1e-6)
  expect_identical(fit$df, 4L)
})

test_that("row 29: values on a grid of parameters", {
  grid <- seeds$unittest_binomial_precise$evaluations
  expect_identical(nrow(grid), 11L)
  for (i in seq_len(nrow(grid))) {
    at <- list(beta = grid$beta[[i]], scale = grid$scale[i], delta = grid$delta[i])
    fit <- seed_fit("unittest_binomial_precise", start = at, fit = FALSE)
    expect_equal(fit$logLik, grid$lml[i], tolerance = 1e-9)
  }
})

test_that("row 30: the gradient's names and values, and differences", {
  fit <- seed_fit("doc_binomial", fit = FALSE)
  expect_named(fit$gradient, c("x1", "x2", "log(scale)", "logit(delta)"))
  expected <- c(0.09007964, 0.28546077, 2.70253200, -1.32158141)
  expect_equal(unname(fit$gradient), expected, tolerance = 1e-8)
})

test_that("row 31: counts; a column of zeros is left out", {
  start <- seed_fit("unittest_poisson", poisson(), fit = FALSE)
  expect_lt(abs(start$logLik + 48.8750807107), 1e-8)
  fit <- seed_fit("unittest_poisson", poisson())
  expect_lt(abs(fit$logLik + 38.7780148893), 1e-6)
  expect_length(fit$aliased, 1L)
})

test_that("row 32: 0/1 responses, logit", {
  fit <- seed_fit("unittest_bernoulli", fix = list(delta = 0))
  expect_lt(abs(fit$logLik + 18.9974167), 1e-7)
  expect_equal(fit$scale, 7.67929, tolerance = 1e-6)
  expect_equal(unname(fit$coefficients), 1.046466, tolerance = 1e-6)
})

test_that("row 33: probit; a free delta gives the same likelihood", {
  fit <- seed_fit("unittest_probit", binomial("probit"), fix = list(delta = 0))
  expect_lt(abs(fit$logLik + 19.0071728127), 1e-9)
  expect_equal(fit$scale, 2.62688, tolerance = 1e-6)
  expect_equal(unname(fit$coefficients), 0.603977, tolerance = 1e-6)
  free <- seed_fit("unittest_probit", binomial("probit"), fix = list())
  expect_lt(abs(free$logLik - fit$logLik), 1e-8)
  h2 <- free$scale * (1 - free$delta) / (free$scale + 1)
  expect_equal(h2, 0.72428, tolerance = 1e-5)
})

test_that("row 34: no kernel", {
  start <- seed_fit("unittest_qs_none", kernel = NULL, fit = FALSE)
  expect_lt(abs(start$logLik + 56.513740009318), 1e-7)
  # The published optimum is at a bound of the scale, 400.
  fit <- seed_fit("unittest_qs_none", kernel = NULL, fix = list(scale = 400, delta = 1))
  expect_lt(abs(fit$logLik + 6.745649773208), 1e-4)
  free <- suppressWarnings(seed_fit("unittest_qs_none", kernel = NULL))
  expect_gt(free$logLik, fit$logLik)
  expect_identical(free$convergence$status, "unbounded scale")
})

test_that("row 35: parameters that are held stay", {
  fit <- seed_fit("unittest_qs_none", kernel = NULL, fix = list(beta = numeric(5), scale = 1))
  # The published delta stops short of 1.
  expect_gt(fit$logLik, -43.423248736304)
  expect_lt(abs(fit$logLik + 43.423248736304), 1e-5)
  expect_identical(unname(fit$coefficients), numeric(5))
  expect_identical(fit$scale, 1)
  expect_identical(fit$fixed[c("beta", "scale", "delta")],
                   c(beta = TRUE, scale = TRUE, delta = FALSE))
  held <- small_fit(fix = list(beta = c(0.1, 0.2), delta = 0.2))
  expect_identical(unname(held$coefficients), c(0.1, 0.2))
  expect_identical(held$df, 1L)
  expect_identical(rownames(held$vcov_full), "log(scale)")
  expect_lt(abs(held$gradient[["log(scale)"]]), 1e-6)
})

test_that("row 36: the ends of delta", {
  at <- list(beta = c(1, 0, 0.5, 0.1, 0.4), scale = 1)
  ends <- vapply(0:1, function(delta) {
    seed_fit("unittest_binomial_precise", start = c(at, delta = delta), fit = FALSE)$logLik
  }, 0)
  expect_equal(ends, c(-29.2156146, -31.0147666), tolerance = 1e-7)
})

test_that("row 37: scale and delta, v0 and v1", {
  at <- small_fit(start = list(scale = 6, delta = 0.1), fit = FALSE)
  v <- small_fit(start = list(v0 = 5.4, v1 = 0.6), fit = FALSE)
  expect_equal(v$logLik, at$logLik, tolerance = 1e-13)
  expect_equal(c(v$scale, v$delta), c(6, 0.1), tolerance = 1e-14)
})

test_that("row 40: posterior moments of the latent variable", {
  fit <- seed_fit("doc_binomial", fit = FALSE)
  expect_equal(fit$posterior$mean[1:3], c(9.318551, -8.730695, -7.224292), tolerance = 1e-6)
  expect_equal(sqrt(fit$posterior$variance[1:2]), c(3.783200, 4.214622), tolerance = 1e-6)
  covariance <- seeds$doc_binomial$evaluations$posterior_cov[[1L]]
  expect_equal(fit$posterior$variance, diag(covariance), tolerance = 1e-8)
})

test_that("row 43: a looser tolerance stops earlier and never above the optimum", {
  x <- seeds$doc_binomial
  loose <- kernel_glmm(x$y, x$X, x$K, binomial(), x$ntrials,
                       control = pp_control(tolerance = 0.1, check = FALSE))
  tight <- seed_fit("doc_binomial")
  expect_lte(loose$logLik, tight$logLik + 1e-8)
  expect_lte(loose$convergence$iterations, tight$convergence$iterations)
  # The value is that of the fixed point all the same.
  expect_lt(loose$convergence$residual, 1e-9)
  at <- loose[c("scale", "delta")]
  again <- seed_fit("doc_binomial", start = c(list(beta = loose$coefficients), at), fit = FALSE)
  expect_lt(abs(again$logLik - loose$logLik), 1e-11)
})

test_that("row 49: EP is within 0.01 of importance sampling", {
  truth <- function(name, which) seeds[[name]]$true_lml_importance_sampling[[which]]
  close <- function(fit, truth) {
    expect_lt(abs(fit$logLik - truth[1L]), 0.01 + 3 * truth[2L])
  }
  close(seed_fit("doc_binomial", fit = FALSE), truth("doc_binomial", "before"))
  close(seed_fit("doc_binomial"), truth("doc_binomial", "after"))
  at <- list(beta = c(1, 0, 0.5, 0.1, 0.4))
  close(seed_fit("unittest_binomial_precise", start = at, fit = FALSE),
        truth("unittest_binomial_precise", "scale1_delta05"))
  close(seed_fit("unittest_poisson", poisson()), truth("unittest_poisson", "after"))
  close(seed_fit("unittest_bernoulli", fix = list(delta = 0)),
        truth("unittest_bernoulli", "after"))
})

test_that("row 50: many trials, all or nothing", {
  trials <- rep(c(1, 10, 1e3, 1e5), length.out = n)
  y <- rbinom(n, trials, plogis(small$z))
  y[1:4] <- 0
  y[5:8] <- trials[5:8]
  at <- kernel_glmm(y, small$X, small$K, binomial(), trials, fit = FALSE, control = quietly)
  expect_true(all(is.finite(c(at$logLik, at$gradient))))
  value <- function(x) {
    kernel_glmm(y, small$X, small$K, binomial(), trials, fit = FALSE, control = quietly,
                start = list(beta = x[1:2], scale = exp(x[3]), delta = plogis(x[4])))
  }
  x <- c(-0.2, 0.4, log(3), -1)
  expect_equal(unname(value(x)$gradient), differences(function(x) value(x)$logLik, x),
               tolerance = 1e-7)
  fit <- kernel_glmm(y, small$X, small$K, binomial(), trials, control = quietly)
  expect_identical(fit$convergence$status, "converged")
  expect_lt(max(abs(fit$gradient)), 1e-5)
})

test_that("row 51: bad input is named", {
  y <- small$counts
  X <- small$X
  K <- small$K
  expect_error(kernel_glmm(y[-1], X, K, poisson()), class = "partialpool_error_variable")
  expect_error(kernel_glmm(y, X, K[-1, -1], poisson()), class = "partialpool_error_kernel")
  expect_error(kernel_glmm(small$successes, X, K, binomial()), class = "partialpool_error_response")
  expect_error(kernel_glmm(replace(y, 3, NA), X, K, poisson()),
               class = "partialpool_error_response")
  expect_error(kernel_glmm(-y - 1, X, K, poisson()), class = "partialpool_error_response")
  expect_error(kernel_glmm(y, replace(X, 4, Inf), K, poisson()),
               class = "partialpool_error_variable")
  expect_error(kernel_glmm(y, X, K), class = "partialpool_error_family")
  expect_error(kernel_glmm(y, X, K, poisson(), fix = list(scala = 1)),
               class = "partialpool_error_argument")
  expect_error(kernel_glmm(y, X, K, poisson(), start = list(delta = 2)),
               class = "partialpool_error_start")
  expect_error(kernel_glmm(y, X, K, poisson(), fit = "no"), class = "partialpool_error_argument")
})

# A converged EP ----------------------------------------------------------------------------------

test_that("values and gradients at fixed parameters are those of converged EP", {
  for (model in reference$models[vapply(reference$models, `[[`, 0, "n") == 50]) {
    for (at in model$points) {
      fit <- reference_fit(model, start = at[c("beta", "scale", "delta")], fit = FALSE)
      expect_lt(abs(fit$logLik - at$lml), 1e-9)
      expect_lt(max(abs(fit$gradient - at$gradient)), 1e-7)
    }
  }
  for (name in c("binomial_lowrank_n200", "poisson_grm_n200", "probit_grm_n200")) {
    model <- reference$models[[name]]
    at <- model$points[[2L]]
    fit <- reference_fit(model, start = at[c("beta", "scale", "delta")], fit = FALSE)
    expect_lt(abs(fit$logLik - at$lml), 1e-9)
    expect_lt(max(abs(fit$gradient - at$gradient)), 1e-7)
  }
})

test_that("optima are those of converged EP, or above at an edge", {
  for (name in names(reference$models)) {
    model <- reference$models[[name]]
    best <- model$optima[["fit_delta0"]]
    fix <- list(delta = 0)
    if (is.null(best)) {
      best <- model$optima[["fit_free"]]
      fix <- list()
    }
    fit <- reference_fit(model, fix = fix)
    expect_gt(fit$logLik, best$lml - 1e-8)
    interior <- best$scale > 0.0011 && best$scale < 399
    if (interior) {
      expect_lt(abs(fit$logLik - best$lml), 1e-7)
      expect_equal(unname(fit$coefficients), best$beta, tolerance = 1e-4)
      expect_equal(fit$scale, best$scale, tolerance = 1e-4)
      expect_lt(abs(fit$delta - best$delta), 1e-4)
    }
    expect_lt(max(abs(fit$gradient)), 1e-5)
  }
})

test_that("the hard case: a smooth kernel and a step", {
  t <- (0:49) / 50
  K <- exp(-outer(t, t, "-")^2 / 0.18) + 1e-4 * diag(50)
  y <- as.numeric(t > 0.5)
  scales <- c(1, 10, 30, 100, 400)
  values <- function(link) {
    vapply(scales, function(s) {
      kernel_glmm(y, rep(1, 50), K, binomial(link), fit = FALSE, control = quietly,
                  start = list(beta = 0, scale = s, delta = 1e-6))$logLik
    }, 0)
  }
  probit <- c(-12.746906490, -7.475160435, -6.521846460, -6.002853833, -5.767824673)
  logit <- c(-17.603362815, -9.325887757, -7.531784714, -6.488439144, -5.946107655)
  expect_lt(max(abs(values("probit") - probit)), 1e-8)
  expect_lt(max(abs(values("logit") - logit)), 1e-8)
})

# Against itself ----------------------------------------------------------------------------------

test_that("the gradient is that of the value in every family", {
  set.seed(5)
  n <- 12
  small <- list(z = small$z[1:n], X = small$X[1:n, ], K = small$K[1:n, 1:n],
                counts = small$counts[1:n], successes = small$successes[1:n],
                trials = small$trials[1:n])
  mu <- exp(small$z)
  p <- plogis(small$z)
  cases <- list(
    list(small$counts, poisson()), list(small$successes, binomial(), small$trials),
    list(as.numeric(p > 0.6), binomial("cloglog")), list(rnbinom(n, mu = mu, size = 2), nbinom2()),
    list(rnbinom(n, mu = mu, size = mu), nbinom1()), list(rgamma(n, 3, 3 / mu), Gamma("log")),
    list(small$z + rnorm(n), gaussian()), list(small$z + rt(n, 3), t_family()),
    list(ifelse(runif(n) < 0.2, 0, mu), tweedie()), list(rbeta(n, 3 * p, 3 - 3 * p), beta_family()),
    list(small$successes, betabinomial(), small$trials)
  )
  for (case in cases) {
    family <- case[[2L]]
    traits <- traits_of(family)
    value <- function(x) {
      start <- list(beta = x[1:2], scale = exp(x[3]), delta = plogis(x[4]))
      if (traits$dispersion) start$dispersion <- exp(x[5])
      if (!is.null(traits$shape)) start$shape <- unname(shape_from_engine(family, x[6]))
      trials <- if (length(case) == 3L) case[[3L]]
      kernel_glmm(case[[1L]], small$X, small$K, family, trials, start = start, fit = FALSE,
                  control = quietly)
    }
    x <- c(0.4, 0.3, log(0.8), -0.9, if (traits$dispersion) -0.3, if (!is.null(traits$shape)) 0.8)
    expect_equal(unname(value(x)$gradient), differences(function(x) value(x)$logLik, x),
                 tolerance = 1e-6)
  }
})

test_that("the covariance of all parameters is the inverse of a numerical Hessian", {
  fit <- reference_fit(reference$models$binomial_lowrank_n50)
  expect_true(fit$delta > 0 && fit$delta < 1)
  information <- -differences(function(x) {
    reference_fit(reference$models$binomial_lowrank_n50, fit = FALSE,
                  start = list(beta = x[1:3], scale = exp(x[4]), delta = plogis(x[5])))$gradient
  }, c(fit$coefficients, log(fit$scale), qlogis(fit$delta)))
  expect_equal(unname(fit$vcov_full), solve(information), tolerance = 1e-5)
  expect_identical(rownames(fit$vcov_full), names(fit$gradient))
  expect_equal(fit$vcov, fit$vcov_full[1:3, 1:3])
  set.seed(8)
  y <- rgamma(n, 4, 4 / exp(small$z))
  gamma <- small_fit(y = y, family = Gamma("log"), fix = list(delta = 0))
  information <- -differences(function(x) {
    small_fit(y = y, family = Gamma("log"), fit = FALSE,
              start = list(beta = x[1:2], scale = exp(x[3]), delta = 0,
                           dispersion = exp(x[4])))$gradient[-4L]
  }, c(gamma$coefficients, log(gamma$scale), log(gamma$dispersion)))
  expect_equal(unname(gamma$vcov_full), solve(information), tolerance = 1e-5)
  expect_identical(rownames(gamma$vcov_full), names(gamma$gradient)[-4L])
})

test_that("the posterior is that of the sites by brute force", {
  for (kernel in list(small$K, small$K[, 1:4] %*% t(small$K[, 1:4]), NULL)) {
    fit <- small_fit(kernel = kernel, start = list(scale = 1.3, delta = 0.3), fit = FALSE)
    dense <- dense_posterior(fit)
    expect_equal(fit$posterior$mean, dense$mean, tolerance = 1e-9)
    expect_equal(fit$posterior$variance, diag(dense$covariance), tolerance = 1e-9)
  }
})

test_that("rows in another order, other units, other kernels: the same fit", {
  fit <- small_fit()
  o <- sample(n)
  permuted <- small_fit(y = small$counts[o], X = small$X[o, ], kernel = small$K[o, o])
  expect_lt(abs(permuted$logLik - fit$logLik), 1e-9)
  expect_equal(permuted$coefficients, fit$coefficients, tolerance = 1e-6)
  scaled <- small_fit(X = small$X %*% diag(c(1, 1e6)))
  expect_lt(abs(scaled$logLik - fit$logLik), 1e-9)
  expect_equal(unname(scaled$coefficients), unname(fit$coefficients / c(1, 1e6)), tolerance = 1e-6)
  for (factor in c(1e-6, 1e6)) {
    other <- small_fit(kernel = small$K * factor)
    expect_lt(abs(other$logLik - fit$logLik), 1e-8)
    expect_equal(kernel_variances(other) * c(factor, 1), kernel_variances(fit), tolerance = 1e-4)
  }
  # A kernel of less than full rank, by its matrix and by its factor.
  root <- small$G[, 1:5]
  expect_lt(abs(small_fit(kernel = kernel(factor = root))$logLik -
                  small_fit(kernel = tcrossprod(root))$logLik), 1e-9)
})

test_that("every start leads to the same optimum", {
  fit <- small_fit()
  starts <- list(
    list(scale = 1e-6), list(scale = 1e3), list(delta = 0), list(delta = 1),
    list(beta = c(5, -5)), list(scale = 20, delta = 1e-9)
  )
  for (start in starts) {
    other <- small_fit(start = start)
    expect_lt(abs(other$logLik - fit$logLik), 1e-8)
  }
})

test_that("the value does not depend on the way to it", {
  fit <- small_fit(y = small$successes, family = binomial(), trials = small$trials)
  again <- small_fit(
    y = small$successes, family = binomial(), trials = small$trials, fit = FALSE,
    start = list(beta = fit$coefficients, scale = fit$scale, delta = fit$delta)
  )
  expect_lt(abs(again$logLik - fit$logLik), 1e-11)
  expect_lt(max(abs(again$gradient - fit$gradient)), 1e-6)
})

test_that("without variance it is a generalised linear model", {
  y <- as.numeric(small$z + sin(seq_len(n)) > 0.3)
  glm <- stats::glm(y ~ small$X[, 2L], family = binomial(), epsilon = 1e-14)
  expect_message(fit <- kernel_glmm(y, small$X, NULL, binomial()),
                 class = "partialpool_message_identifiability")
  expect_identical(fit$scale, 0)
  expect_equal(fit$logLik, as.numeric(logLik(glm)), tolerance = 1e-12)
  expect_equal(unname(fit$coefficients), unname(coef(glm)), tolerance = 1e-7)
  expect_equal(unname(fit$vcov), unname(vcov(glm)), tolerance = 1e-5)
})

test_that("the identity kernel is the variance of the rows", {
  none <- small_fit(kernel = NULL)
  one <- small_fit(kernel = diag(n), fix = list(delta = 0))
  expect_lt(abs(none$logLik - one$logLik), 1e-9)
  expect_equal(none$scale, one$scale, tolerance = 1e-5)
  expect_identical(none$delta, 1)
  expect_true(none$fixed[["delta"]])
})

# What is said ------------------------------------------------------------------------------------

test_that("0/1 responses hold delta, with a message", {
  y <- as.numeric(small$z > 0.2)
  expect_message(fit <- kernel_glmm(y, small$X, small$K, binomial()), "held at 0",
                 class = "partialpool_message_identifiability") |>
    suppressMessages() |> suppressWarnings()
  expect_identical(fit$delta, 0)
  expect_true(fit$fixed[["delta"]])
  expect_length(fit$convergence$boundary, 0L)
})

test_that("a singular fit is reported", {
  x <- seeds$doc_binomial
  expect_message(kernel_glmm(x$y, x$X, x$K, binomial(), x$ntrials), "rows is zero",
                 class = "partialpool_message_singular")
  set.seed(2)
  expect_message(fit <- kernel_glmm(rbinom(n, 5, 0.5), NULL, small$K, binomial(), 5),
                 class = "partialpool_message_singular")
  expect_identical(fit$scale == 0, length(fit$convergence$boundary) == 2L)
})

test_that("a scale that runs to infinity is a warning", {
  t <- (0:49) / 50
  K <- exp(-outer(t, t, "-")^2 / 0.18) + 1e-4 * diag(50)
  expect_warning(kernel_glmm(as.numeric(t > 0.5), NULL, K, binomial("probit"),
                             fix = list(beta = 0, delta = 0)),
                 class = "partialpool_warning_identifiability")
})

test_that("coefficients that run to infinity are a warning", {
  x <- small$X[, 2L]
  expect_warning(
    kernel_glmm(as.numeric(x > 0), small$X, small$K, binomial("probit"), fix = list(delta = 0)),
    class = "partialpool_warning_separation"
  ) |> suppressMessages()
})

test_that("too few iterations are a warning", {
  expect_warning(kernel_glmm(small$counts, small$X, small$K, poisson(),
                             control = pp_control(max_iterations = 1)),
                 class = "partialpool_warning_fit")
})
