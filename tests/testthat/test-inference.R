test_that("methods that a kind of fit has, by any unambiguous spelling", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_identical(inference(fit)$ddf, "satterthwaite")
  for (ddf in c("Satterthwaite", "sat", "Kenward-Roger", "ken", "residual", "none")) {
    expect_identical(
      inference(fit, ddf)$ddf, ddf_methods[pmatch(tolower(ddf), ddf_methods)]
    )
  }
  expect_error(inference(fit, "KR"), class = "partialpool_error_argument")
  expect_error(inference(fit, 3), class = "partialpool_error_argument")
  expect_error(inference(fit, NA), class = "partialpool_error_argument")
  expect_identical(inference(quietly(lmm(Reaction ~ Days, sleepstudy)))$ddf, "residual")
  expect_identical(inference(quietly(lmm(Reaction ~ Days, sleepstudy)), "kenward")$ddf, "residual")
  general <- quietly(glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial))
  expect_identical(inference(general)$ddf, "none")
  expect_error(inference(general, "sat"), class = "partialpool_error_argument")
  expect_error(inference(lm(dist ~ speed, cars)), class = "partialpool_error_argument")
})

test_that("a table of contrasts has estimates, tests and intervals", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  table <- contrast_table(inference(fit), rbind(a = c(0, 1), b = c(1, 10)), level = 0.9)
  expect_identical(names(table), c(
    "estimate", "std.error", "df", "statistic", "p.value", "conf.low", "conf.high"
  ))
  expect_identical(row.names(table), c("a", "b"))
  expect_equal(table$df, c(17, 17), tolerance = 1e-8)
  expect_equal(table["a", "p.value"], 3.26379e-6, tolerance = 1e-5)
  expect_equal(table$conf.high - table$estimate, table$std.error * qt(0.95, 17))
  L <- c(1, 10)
  expect_equal(table["b", "std.error"], sqrt(drop(L %*% vcov(fit) %*% L)))
  expect_equal(contrast_table(inference(fit), L)$estimate, table["b", "estimate"])
})

test_that("redundant rows are counted once; no degrees of freedom make a chi-square test", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  test <- inference(fit)$joint(rbind(c(0, 1), c(0, 2)))
  expect_identical(test$num, 1L)
  expect_equal(test$statistic, coef(summary(fit))[2, "t value"]^2)
  none <- inference(fit, "none")$joint(diag(2))
  expect_identical(none$den, Inf)
  expect_equal(none$p, pchisq(none$chisq, 2, lower.tail = FALSE))
})

test_that("Satterthwaite's second derivatives are exact, and differences are as good", {
  d <- small_data()
  for (formula in structured_formulas) {
    for (REML in c(TRUE, FALSE)) {
      fit <- quietly(lmm(formula, d, weights = w, REML = REML))
      if (is_singular(fit)) next
      parts <- engine_wald_derivatives(engine(fit), fit$theta)
      expect_true(parts$exact)
      # By differences of the criterion over (theta, log sigma)
      k <- length(fit$theta)
      at <- c(fit$theta, log(fit$sigma))
      nu <- fit$n - if (REML) ncol(fit$X) else 0L
      eng <- engine(fit)
      base <- engine_value(eng, fit$theta)
      joint <- function(p) {
        found <- engine_estimates(eng, p[seq_len(k)])
        log_ratio <- 2 * (p[k + 1] - log(found$sigma))
        found$criterion + nu * (log_ratio + exp(-log_ratio) - 1)
      }
      skip_if_not_installed("numDeriv")
      H <- numDeriv::hessian(joint, at)
      slope <- numDeriv::jacobian(function(p) {
        found <- engine_estimates(eng, p[seq_len(k)])
        exp(2 * p[k + 1]) * diag(found$vcov_unscaled)
      }, at)
      v <- diag(vcov(fit))
      df <- 2 * v^2 / rowSums((slope %*% (2 * solve(H))) * slope)
      expect_equal(inference(fit)$df(diag(length(v))), unname(df), tolerance = 1e-4)
    }
  }
})

test_that("units whose squares do not exist", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  d <- transform(sleepstudy, Reaction = Reaction * 1e-200)
  small <- lmm(Reaction ~ Days + (Days | Subject), d)
  for (ddf in ddf_methods) {
    table <- contrast_table(inference(small, ddf), diag(2))
    expect_equal(table$p.value, contrast_table(inference(fit, ddf), diag(2))$p.value,
      tolerance = 1e-6
    )
    expect_equal(inference(small, ddf)$joint(diag(2))$statistic,
      inference(fit, ddf)$joint(diag(2))$statistic,
      tolerance = 1e-6
    )
  }
})

test_that("SEEDS 72: the df of the naplib example", {
  d <- utils::read.csv(test_path("fixtures", "B_naplib_seed0.csv"))
  d$subject <- factor(d$subject)
  fit <- lmm(output ~ feature_1 + feature_2 + (1 | subject), d)
  intercept <- coef(summary(fit))["(Intercept)", ]
  expect_equal(intercept[["df"]], 4.0475, tolerance = 1e-4)
  expect_equal(intercept[["Pr(>|t|)"]], 0.0488093, tolerance = 1e-4)
  expect_equal(coef(summary(fit, ddf = "none"))["(Intercept)", 4], 0.00532, tolerance = 1e-2)
})

test_that("SEEDS 59: z, Satterthwaite and Kenward-Roger tables of sleepstudy", {
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  for (ddf in c("satterthwaite", "kenward-roger")) {
    table <- coef(summary(fit, ddf = ddf))
    expect_equal(unname(table[, "df"]), c(17, 17), tolerance = 1e-6)
    expect_equal(table["Days", 5], 3.2638e-6, tolerance = 1e-4)
  }
  z <- coef(summary(fit, ddf = "none"))
  expect_equal(z["Days", 4], 2 * pnorm(-6.771485), tolerance = 1e-5)
})
