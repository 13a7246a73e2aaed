cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))
page <- function(x, ...) trimws(capture.output(print(x, ...)), "right")

test_that("the table of fixed effects is lme4's", {
  skip_if_not_installed("lme4")
  table <- coef(summary(cbpp_fit()))
  expect_identical(colnames(table), c("Estimate", "Std. Error", "z value", "Pr(>|z|)"))
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  expect_equal(table[, 1:3], coef(summary(reference))[, 1:3], tolerance = 2e-2)
  fit <- cbpp_fit()
  expect_equal(table[, 2L], sqrt(diag(vcov(fit))))
  expect_equal(table[, 4L], 2 * pnorm(-abs(fixef(fit) / sqrt(diag(vcov(fit))))))
})

test_that("the summary prints as a statistician reads it", {
  lines <- page(summary(cbpp_fit()), signif.stars = FALSE)
  expect_true(all(c(
    " Family: binomial (logit)", "Scaled residuals:", "Random effects:",
    " Groups Name        Variance Std.Dev.", "Number of obs: 56, groups: herd, 15",
    "Fixed effects (z tests):"
  ) %in% lines))
  expect_match(
    grep("Overdispersion", lines, value = TRUE),
    "^Overdispersion: 1[.]2[0-9]+ \\(Pearson chi-square 63[.0-9]* on 51 degrees of freedom\\)$"
  )
  expect_false(any(grepl("Residual standard deviation", lines)))
})

test_that("overdispersion is shown where the family fixes the variance", {
  fit <- cbpp_fit()
  shown <- summary(fit)$overdispersion
  expect_equal(shown[["statistic"]], sum(residuals(fit, "pearson")^2))
  expect_equal(shown[["ratio"]], shown[["statistic"]] / df.residual(fit))
  d <- count_data()
  expect_false(is.null(summary(quietly(glmm(y ~ x + (1 | g), d, poisson())))$overdispersion))
  expect_null(summary(quietly(glmm(y ~ x + (1 | g), d, nbinom1())))$overdispersion)
  expect_null(summary(quietly(glmm(I(y > 2) ~ x + (1 | g), d, binomial())))$overdispersion)
  d$row <- factor(seq_along(d$y))
  expect_null(suppressWarnings(quietly(
    summary(glmm(y ~ x + (1 | row), d, poisson()))
  ))$overdispersion)
})

test_that("models of dispersion and zero inflation have tables of their own", {
  fit <- quietly(
    glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x, dispformula = ~x)
  )
  s <- summary(fit)
  for (part in c("zi", "disp")) {
    table <- if (part == "zi") s$zi else s$dispersion
    expect_equal(table[, 1L], fixef(fit, component = part))
    expect_equal(table[, 2L], sqrt(diag(vcov(fit, component = part))))
  }
  expect_null(s$scale)
  lines <- page(s)
  expect_true(all(c("Dispersion model (log):", "Zero-inflation model (logit):") %in% lines))
  expect_true(is.na(sigma(fit)))
})

test_that("a coefficient that runs to infinity has no test", {
  fit <- cbpp_fit()
  at <- match("period4", names(fixef(fit)))
  fit$vcov[at, ] <- fit$vcov[, at] <- NA
  fit$convergence$separation <- list(columns = "period4", kind = "quasi")
  table <- coef(summary(fit))
  expect_identical(unname(is.na(table["period4", ])), c(FALSE, TRUE, TRUE, TRUE))
  expect_false(anyNA(table[-at, ]))
  expect_output(print(summary(fit)), "period4 runs to infinity")
})

test_that("dropped columns are rows of NA, correlations are there when asked for", {
  d <- transform(count_data(), twice = 2 * x)
  fit <- quietly(glmm(y ~ twice + x + (1 | g), d, poisson()))
  table <- coef(summary(fit))
  expect_identical(rownames(table), c("(Intercept)", "twice", "x"))
  expect_true(all(is.na(table["x", ])))
  s <- summary(fit, correlation = TRUE)
  expect_equal(s$correlation, cov2cor(vcov(fit)))
  expect_output(print(s), "Correlation of fixed effects")
  expect_error(summary(fit, ddf = "none"), class = "partialpool_error_argument")
})

test_that("a model without random terms has the summary of glm", {
  fit <- quietly(glmm(y ~ x, count_data(), poisson()))
  reference <- coef(summary(glm(y ~ x, poisson, count_data())))
  expect_equal(coef(summary(fit)), reference, tolerance = 1e-5)
  expect_false(any(grepl("Random effects|Residual standard", page(summary(fit)))))
})
