cbpp_formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
cbpp_fit <- function(...) quietly(glmm(cbpp_formula, cbpp, binomial(), ...))

test_that("likelihood, criteria and counts are lme4's", {
  skip_if_not_installed("lme4")
  fit <- cbpp_fit()
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  expect_equal(logLik(fit), logLik(reference), tolerance = 1e-5)
  expect_equal(AIC(fit), AIC(reference), tolerance = 1e-5)
  expect_equal(BIC(fit), BIC(reference), tolerance = 1e-5)
  expect_equal(extractAIC(fit), extractAIC(reference), tolerance = 1e-5)
  expect_equal(deviance(fit), deviance(reference), tolerance = 1e-3)
  expect_identical(nobs(fit), nobs(reference))
  expect_equal(df.residual(fit), df.residual(reference))
  expect_identical(sigma(fit), 1)
  expect_equal(weights(fit), unname(weights(reference)))
  expect_equal(weights(fit, "working"), weights(reference, "working"), tolerance = 1e-2)
  expect_identical(family(fit), binomial())
  expect_error(weights(fit, "wrking"), class = "partialpool_error_argument")
})

test_that("all parameters are counted", {
  fit <- quietly(
    glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x, dispformula = ~x)
  )
  expect_equal(attr(logLik(fit), "df"), 2 + 1 + 2 + 2)
  expect_identical(names(engine_parameters(fit)), names(gradient(fit)))
  expect_lt(max(abs(gradient(fit))), 1e-2)
  far <- engine_parameters(fit) + 0.1
  expect_gt(max(abs(gradient(fit, far))), 1)
  expect_error(gradient(fit, 1), class = "partialpool_error_start")
})

test_that("a fit by penalised quasi-likelihood has no likelihood", {
  fit <- cbpp_fit(method = "pql")
  expect_warning(value <- logLik(fit), class = "partialpool_warning_fit")
  expect_true(is.na(value))
  expect_true(is.na(suppressWarnings(AIC(fit))))
  expect_silent(capture.output(print(summary(fit))))
  expect_error(gradient(fit), class = "partialpool_error_fit")
})

test_that("conditional variances of penalised quasi-likelihood are those of its linear model", {
  for (family in list(binomial(), quasibinomial())) {
    fit <- suppressWarnings(quietly(glmm(cbpp_formula, cbpp, family, method = "pql")))
    parts <- components(fit)
    ZL <- as.matrix(parts$Z %*% parts$Lambda)
    C <- solve(crossprod(ZL, parts$working_weights * ZL) + diag(ncol(ZL)))
    Lambda <- as.matrix(parts$Lambda)
    expect_equal(
      as.vector(attr(ranef(fit)$herd, "postVar")), unname(diag(Lambda %*% C %*% t(Lambda))),
      tolerance = 1e-5
    )
    expect_true(all(predict(fit, se.fit = TRUE)$se.fit > 0))
  }
})

test_that("a quasi family has a scale but nothing to draw from", {
  fit <- suppressWarnings(quietly(glmm(cbpp_formula, cbpp, quasibinomial(), method = "pql")))
  expect_equal(
    residuals(fit, "pearson", scaled = TRUE), residuals(fit, "pearson") / sigma(fit)
  )
  expect_error(simulate(fit), "distribution", class = "partialpool_error_argument")
  expect_error(residuals(fit, "quantile"), class = "partialpool_error_argument")
  expect_output(print(summary(fit)), "quasibinomial")
})

test_that("parts of a fit come by component", {
  fit <- quietly(
    glmm(y ~ x + (1 | g), inflated_data(), nbinom2(), ziformula = ~x, dispformula = ~g)
  )
  for (part in c("zi", "disp")) {
    names <- names(fixef(fit, component = part))
    expect_identical(coef(fit, component = part), fixef(fit, component = part))
    expect_identical(colnames(model.matrix(fit, component = part)), names)
    expect_identical(dimnames(vcov(fit, component = part)), list(names, names))
  }
  expect_identical(deparse1(formula(fit, component = "zi")), "~x")
  expect_identical(attr(terms(fit, component = "disp"), "term.labels"), "g")
  expect_identical(names(fixef(fit)), c("(Intercept)", "x"))
  whole <- vcov(fit, full = TRUE)
  expect_equal(whole[1:2, 1:2], vcov(fit))
  expect_identical(nrow(whole), 2L + 10L + 2L + 1L)
  binomial <- cbpp_fit()
  expect_error(fixef(binomial, component = "zi"), "zero-inflation",
    class = "partialpool_error_argument"
  )
  expect_error(vcov(binomial, component = "cnd"), class = "partialpool_error_argument")
})

test_that("random effects and their variances are lme4's", {
  skip_if_not_installed("lme4")
  reference <- lme4::glmer(cbpp_formula, cbpp, binomial())
  fit <- cbpp_fit()
  ours <- as.data.frame(ranef(fit))
  theirs <- as.data.frame(lme4::ranef(reference))
  expect_equal(ours[c("grpvar", "condval", "condsd")], theirs[c("grpvar", "condval", "condsd")],
    tolerance = 5e-3
  )
  expect_equal(as.data.frame(VarCorr(fit)), as.data.frame(lme4::VarCorr(reference)),
    tolerance = 5e-3
  )
  expect_false(attr(VarCorr(fit), "useSc"))
  expect_equal(unclass(coef(fit, "group")), unclass(coef(reference)), tolerance = 5e-3)
})

test_that("a gaussian response has a residual", {
  fit <- quietly(glmm(I(exp(x) + y) ~ x + (1 | g), count_data(), gaussian("log")))
  table <- as.data.frame(VarCorr(fit))
  expect_identical(table$grp, c("g", "Residual"))
  expect_equal(table$sdcor[2L], sigma(fit))
  expect_output(print(VarCorr(fit)), "Residual")
})

test_that("components fit together", {
  fit <- quietly(glmm(s / n ~ x + (x | g), proportion_data(), binomial(), weights = n))
  parts <- components(fit)
  expect_equal(as.vector(parts$X %*% parts$beta + parts$Z %*% parts$b), unname(parts$eta))
  expect_equal(as.vector(parts$Lambda %*% parts$u), parts$b, tolerance = 1e-6)
  expect_equal(parts$mu, plogis(parts$eta), ignore_attr = TRUE)
  # canonical link: at the mode the penalised score is zero
  score <- parts$trials * (parts$y - parts$mu)
  expect_equal(
    as.vector(Matrix::t(parts$Z %*% parts$Lambda) %*% score), parts$u,
    tolerance = 1e-5
  )
  whole <- Matrix::crossprod(parts$Z %*% parts$Lambda, parts$working_weights *
    (parts$Z %*% parts$Lambda)) + Matrix::Diagonal(length(parts$u))
  expect_equal(
    as.numeric(Matrix::determinant(parts$L, sqrt = TRUE)$modulus) * 2,
    as.numeric(Matrix::determinant(whole)$modulus)
  )
  expect_error(components(fit, 1), class = "partialpool_error_argument")
})

test_that("plots show quantile residuals", {
  fit <- cbpp_fit()
  grDevices::pdf(NULL)
  on.exit(grDevices::dev.off())
  expect_invisible(plot(fit))
  expect_identical(plotted_residuals(fit), plotted_residuals(fit))
  expect_silent(plot(fit, which = 2, col = "blue"))
})

test_that("update and formula work as for a linear model", {
  fit <- cbpp_fit()
  smaller <- quietly(update(fit, . ~ . - period))
  expect_identical(names(fixef(smaller)), "(Intercept)")
  expect_identical(deparse1(formula(fit, random.only = TRUE)),
    "cbind(incidence, size - incidence) ~ (1 | herd)"
  )
  expect_identical(dim(model.matrix(fit, "random")), c(56L, 15L))
  expect_false(is_singular(fit))
})
