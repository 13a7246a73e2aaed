cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))

test_that("the comparison table is lme4's", {
  skip_if_not_installed("lme4")
  large <- cbpp_fit()
  small <- quietly(update(large, . ~ . - period))
  table <- anova(large, small)
  reference <- anova(
    lme4::glmer(cbpp_formula, cbpp, binomial()),
    lme4::glmer(update(cbpp_formula, . ~ . - period), cbpp, binomial())
  )
  expect_identical(row.names(table), c("small", "large"))
  expect_equal(as.matrix(table), as.matrix(reference[names(table)]),
    tolerance = 1e-4, ignore_attr = TRUE
  )
})

test_that("a model without random terms, by glmm or glm, can be compared", {
  fit <- cbpp_fit()
  fixed <- cbind(incidence, size - incidence) ~ period
  by_glm <- anova(fit, glm(fixed, binomial(), cbpp))
  by_glmm <- anova(fit, quietly(glmm(fixed, cbpp, binomial())))
  expect_equal(as.matrix(by_glm), as.matrix(by_glmm), tolerance = 1e-6, ignore_attr = TRUE)
  expect_gt(by_glm$Chisq[2], 10)
})

test_that("a linear model can be compared with one of another family, in either order", {
  d <- real_data()
  linear <- lmm(y ~ x + (1 | g), d, REML = FALSE)
  heavy <- quietly(glmm(y ~ x + (1 | g), d, t_family()))
  one <- suppressWarnings(anova(linear, heavy))
  other <- suppressWarnings(anova(heavy, linear))
  expect_equal(as.matrix(one), as.matrix(other))
  expect_equal(one$AIC, c(AIC(linear), AIC(heavy)))
})

test_that("doubtful comparisons give a warning that says why", {
  d <- count_data()
  fit <- quietly(glmm(y ~ x + (1 | g), d, poisson()))
  nodes <- quietly(glmm(y ~ x + (1 | g), d, poisson(), nAGQ = 5))
  other <- quietly(glmm(y ~ x + (1 | g), d, nbinom2()))
  pql <- quietly(glmm(y ~ x + (1 | g), d, poisson(), method = "pql"))
  expect_warning(anova(fit, nodes), "approximated", class = "partialpool_warning_fit")
  expect_warning(table <- anova(fit, other), "famil", class = "partialpool_warning_fit")
  expect_equal(table$AIC, c(AIC(fit), AIC(other)))
  expect_warning(table <- anova(fit, pql), "quasi", class = "partialpool_warning_fit")
  expect_true(anyNA(table$logLik))
  expect_silent(anova(nodes, quietly(glmm(y ~ x, d, poisson()))))
})

test_that("fits by REML are fitted again by maximum likelihood", {
  d <- count_data()
  fits <- lapply(list(y ~ x + (1 | g), y ~ 1 + (1 | g)), function(f) {
    environment(f) <- environment()
    list(quietly(glmm(f, d, poisson(), REML = TRUE)), quietly(glmm(f, d, poisson())))
  })
  a <- fits[[1]][[1]]
  b <- fits[[2]][[1]]
  expect_message(table <- anova(a, b), class = "partialpool_message_fit")
  expect_equal(
    as.matrix(table), as.matrix(anova(fits[[1]][[2]], fits[[2]][[2]])),
    tolerance = 1e-6, ignore_attr = TRUE
  )
})

test_that("tests of terms are Wald tests", {
  fit <- cbpp_fit()
  at <- 2:4
  wald <- drop(fixef(fit)[at] %*% solve(vcov(fit)[at, at], fixef(fit)[at]))
  for (type in 1:3) {
    table <- anova(fit, type = type)
    expect_identical(names(table), c("Chisq", "Df", "Pr(>Chisq)"))
    expect_equal(table["period", "Chisq"], wald)
  }
  expect_identical(row.names(anova(fit)), c("(Intercept)", "period"))
  expect_match(attr(anova(fit), "heading")[1], "Type III .*Wald chi-square")
  recoded <- cbpp_fit(contrasts = list(period = contr.sum))
  expect_equal(anova(fit)$Chisq, anova(recoded, coding = "fitted")$Chisq, tolerance = 1e-4)
})

test_that("a term with a coefficient that runs to infinity has no test", {
  d <- count_data()
  d$f <- factor(d$y > 3, labels = c("a", "b"))
  d$h <- factor(rep(c("u", "v", "w"), 80))
  fit <- quietly(glmm(f ~ x + h + (1 | g), d, binomial()))
  whole <- anova(fit)
  fit$vcov["hw", ] <- fit$vcov[, "hw"] <- NA
  fit$convergence$separation <- list(columns = "hw", kind = "quasi")
  for (type in 1:3) {
    table <- anova(fit, type = type)
    expect_true(is.na(table["h", "Chisq"]))
    expect_false(is.na(table["x", "Chisq"]))
  }
})

test_that("wrong arguments are errors", {
  fit <- cbpp_fit()
  expect_error(anova(fit, test = "F"), class = "partialpool_error_argument")
  expect_error(anova(fit, type = 5), class = "partialpool_error_argument")
  expect_error(anova(fit, 3), "glmm", class = "partialpool_error_argument")
  fewer <- quietly(glmm(cbpp_formula, cbpp[-1, ], binomial()))
  expect_error(anova(fit, fewer), class = "partialpool_error_argument")
  expect_error(
    anova(fit, quietly(glmm(incidence ~ period + (1 | herd), cbpp, poisson()))), "response",
    class = "partialpool_error_argument"
  )
})
