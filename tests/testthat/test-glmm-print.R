cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))
page <- function(x, ...) trimws(capture.output(print(x, ...)), "right")

test_that("a fit prints its page and returns itself", {
  fit <- cbpp_fit()
  lines <- page(fit)
  expect_identical(lines[1:4], c(
    "Generalised linear mixed model, by maximum likelihood (Laplace approximation)",
    " Family: binomial (logit)",
    "Formula: cbind(incidence, size - incidence) ~ period + (1 | herd)",
    "   Data: cbpp"
  ))
  expect_match(lines[5], "AIC +BIC +logLik +-2\\*log\\(L\\) +df.resid")
  expect_match(lines[6], "194.1 +204.2 +-92.0 +184.1 +51")
  expect_true("Number of obs: 56, groups: herd, 15" %in% lines)
  expect_false(any(grepl("Residual|Dispersion", lines)))
  expect_match(lines[length(lines)], "^Converged: [0-9]+ evaluations, Newton decrement")
  expect_output(expect_invisible(print(fit)))
})

test_that("the title says how the random effects were integrated", {
  fit <- cbpp_fit()
  title <- function(...) {
    fit[names(list(...))] <- list(...)
    page(fit)[1L]
  }
  expect_match(title(method = "agq", nAGQ = 9L), "[(]quadrature, nAGQ = 9")
  expect_match(title(method = "joint", nAGQ = 0L), "nAGQ = 0")
  expect_match(title(REML = TRUE), "by REML")
  expect_match(title(method = "pql"), "penalised quasi-likelihood \\(ML\\)$")
  expect_match(title(random = list()), "no random effects")
  fit$prior <- normal_prior(c(2.5, period2 = 1))
  expect_true("  Prior: normal on the fixed effects, sd 2.5, period2 = 1" %in% page(fit))
  expect_lte(max(nchar(page(summary(fit)))), 80)
  fit$method <- "pql"
  expect_false(any(grepl("logLik", page(fit))))
  fit$method <- "laplace"
  fit$REML <- TRUE
  expect_true(any(grepl("^REML criterion: ", page(fit))))
})

test_that("parameters of the distribution have standard errors by the delta method", {
  fit <- quietly(glmm(y ~ x + (1 | g), count_data(), nbinom2()))
  se <- exp(fixef(fit, component = "disp")) * sqrt(vcov(fit, component = "disp"))
  expect_equal(scale_estimates(fit)["phi", ], c(sigma(fit), se), ignore_attr = TRUE)
  line <- grep("^Dispersion parameter", page(fit), value = TRUE)
  expect_match(line, "of the nbinom2 family: [0-9.]+ \\(SE [0-9.]+\\)$")
  held <- quietly(glmm(y ~ x + (1 | g), count_data(), nbinom2(size = 3)))
  expect_true("Dispersion parameter (phi) of the nbinom2 family: 3 (held)" %in% page(held))
})

test_that("the shape is shown on its own scale", {
  fit <- quietly(glmm(y ~ x + (1 | g), tweedie_data(), tweedie("log")))
  table <- scale_estimates(fit)
  expect_identical(rownames(table), c("phi", "power"))
  p <- fit$shape[["power"]]
  expect_equal(table["power", 1L], p)
  at <- match("shape", rownames(fit$vcov_full))
  expect_equal(table["power", 2L], (p - 1) * (2 - p) * sqrt(fit$vcov_full[at, at]))
  expect_true(any(grepl("^Power of the variance: 1[.]", page(fit))))
})

test_that("further linear predictors are printed", {
  fit <- quietly(
    glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x, dispformula = ~x)
  )
  lines <- page(fit)
  expect_true(all(c("Dispersion model (log):", "Zero-inflation model (logit):") %in% lines))
  expect_true("ziformula: ~x" %in% lines)
  expect_false(any(grepl("Dispersion parameter", lines)))
})

test_that("coefficients that run to infinity are named in a plain sentence", {
  fit <- cbpp_fit()
  fit$convergence$separation <- list(columns = "period4", kind = "quasi")
  expect_true(any(grepl("^Quasi-complete separation: the estimate of period4 runs", page(fit))))
  fit$convergence$separation <- list(columns = c("period3", "period4"), kind = "complete")
  expect_true(any(grepl("^Complete separation: the estimates of period3, period4 run", page(fit))))
})
