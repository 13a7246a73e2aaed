page <- function(x, ...) trimws(capture.output(print(x, ...)), "right")

test_that("fits, summaries and kernels print their pages", {
  local_reproducible_output()
  # Numbers whose last digits do not depend on the machine.
  plain <- function(fit) {
    fit$vcov[] <- c(0.09, 0.01, 0.01, 0.04)
    fit$coefficients[] <- c(0.3, 0.5)
    fit$logLik <- -25.25
    fit
  }
  expect_snapshot({
    kernel(diag(3), ids = c("a", "b", "c"))
    kernel(factor = matrix(c(1, 1, 1, 1, -1, 1), 3))
    kernel(precision = diag(12), ids = month.name)
    plain(poisson_ep_fit())
    summary(plain(poisson_ep_fit()))
    summary(plain(binomial_ep_fit()))
    plain(spectral_fit())
    summary(plain(spectral_fit()))
    summary(plain(spectral_fit(REML = FALSE, kernel = NULL, delta = 1)))
    plain(noise_fit(fitted = FALSE))
  })
})

test_that("the errors read well", {
  local_reproducible_output()
  d <- kernel_data(6)
  expect_snapshot(error = TRUE, {
    kernel(d$K - 0.9 * diag(6))
    kernel(d$K[, 1:3])
    kernel_inputs(c(d$normal[1:5], other = 1), NULL, d$K)
    kernel_inputs(unname(d$normal)[1:5], NULL, d$K)
    kernel_inputs(d$successes, d$X, d$K, "binomial")
    kernel_inputs(d$successes, d$X, d$K, "binomial", trials = 1)
    kernel_inputs(replace(d$count, 2, -1), d$X, d$K, "poisson")
    kernel_inputs(d$normal, d$X, d$K, start = list(sigma = 1))
    predict(noise_fit(d), d$X, d$K, se.fit = TRUE)
  })
})

test_that("a summary has the tables that were documented", {
  s <- summary(poisson_ep_fit())
  expect_identical(colnames(coef(s)), c("Estimate", "Std. Error", "z value", "Pr(>|z|)"))
  expect_equal(coef(s)[, 2], sqrt(diag(poisson_ep_fit()$vcov)))
  expect_identical(rownames(s$parameters), c("v0", "v1", "scale", "delta"))
  expect_identical(s$held, character())
  s <- summary(spectral_fit())
  expect_identical(colnames(coef(s)), c("Estimate", "Std. Error", "df", "t value", "Pr(>|t|)"))
  expect_equal(coef(s)[, 5], 2 * pt(-abs(coef(s)[, 4]), 12))
  expect_identical(colnames(coef(summary(spectral_fit(REML = FALSE))))[3], "z value")
  expect_error(summary(spectral_fit(), corelation = TRUE), class = "partialpool_error_argument")
})

test_that("standard errors of the variances are by the delta method", {
  fit <- poisson_ep_fit()
  table <- summary(fit)$parameters
  V <- fit$vcov_full[3:4, 3:4]
  at <- c(log(0.8), qlogis(0.25))
  natural <- function(p) {
    s <- exp(p[1])
    delta <- plogis(p[2])
    c(s * (1 - delta), s * delta, s, delta)
  }
  J <- vapply(1:2, function(k) {
    h <- replace(c(0, 0), k, 1e-5)
    (natural(at + h) - natural(at - h)) / 2e-5
  }, numeric(4))
  expect_equal(unname(table[, 2]), sqrt(diag(J %*% V %*% t(J))), tolerance = 1e-8)
  expect_equal(unname(table[, 1]), natural(at))
})

test_that("what was held or lies on a boundary is said and has no standard error", {
  fit <- poisson_ep_fit()
  fit$fixed[c("delta", "beta")] <- TRUE
  fit$delta <- 0
  fit$vcov_full <- fit$vcov_full["log(scale)", "log(scale)", drop = FALSE]
  table <- summary(fit)$parameters
  expect_identical(unname(is.na(table[, 2])), c(FALSE, TRUE, FALSE, TRUE))
  lines <- page(fit)
  expect_true("Delta (v1 / scale): 0 (held)" %in% lines)
  expect_true("Fixed effects (held):" %in% lines)
  fit$convergence$boundary <- "delta = 0"
  expect_true("On the boundary: delta = 0" %in% page(fit))
  fit$convergence$status <- "iteration limit"
  expect_true(any(grepl("^Not converged [(]iteration limit[)]: 9 evaluations", page(fit))))
  fit$aliased <- "x2"
  fit$column_names <- c("(Intercept)", "x", "x2")
  expect_true(any(grepl("Dropped.*x2", page(fit))))
  expect_identical(rownames(coef(summary(fit))), fit$column_names)
  expect_true(all(is.na(coef(summary(fit))["x2", ])))
})

test_that("parameters of the distribution have their lines", {
  d <- kernel_data()
  fit <- ep_fit(t_family(), unname(d$normal), function(i, eta) {
    dt(d$normal[i] - eta, 5, log = TRUE)
  }, d, dispersion = 2, shape = 5)
  names <- c(rownames(fit$vcov_full), "log(phi)", "shape")
  full <- diag(6)
  full[1:4, 1:4] <- fit$vcov_full
  fit$vcov_full <- `dimnames<-`(full, list(names, names))
  table <- summary(fit)$parameters
  wanted <- cbind(Estimate = c(phi = 2, df = 5), "Std. Error" = c(2, 5))
  expect_equal(table[c("phi", "df"), ], wanted)
  lines <- page(summary(fit))
  expect_true("Dispersion parameter (phi): 2 (SE 2)" %in% lines)
  expect_true("Degrees of freedom: 5 (SE 5)" %in% lines)
  expect_lte(max(nchar(lines)), 80)
  expect_equal(sigma(fit), sqrt(2))
})

test_that("a model without fixed effects prints", {
  d <- kernel_data()
  inputs <- kernel_inputs(d$normal, matrix(0, d$n, 0L), d$K)
  fit <- new_kernel_fit(inputs,
    call = NULL, model = "spectral", coefficients = numeric(), scale = 1, delta = 0.5,
    fixed = logical(), logLik = -3, vcov = matrix(0, 0, 0)
  )
  expect_true("No fixed effects" %in% page(fit))
  expect_true("No fixed effects" %in% page(summary(fit)))
  expect_output(expect_invisible(print(fit)))
})
