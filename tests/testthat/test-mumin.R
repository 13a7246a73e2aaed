# MuMIn is built for R versions that this one may not be: hand-built copies will do.
noise <- function(n) sin(1.7 * seq_len(n))

test_that("dredge() keeps the random terms and ranks as for lme4", {
  skip_if_not_installed("MuMIn")
  skip_if_not_installed("lme4")
  withr::local_options(na.action = "na.fail")
  d <- transform(sleepstudy, x = noise(180))
  formula <- Reaction ~ Days + x + (Days | Subject)
  fit <- lmm(formula, d, REML = FALSE)
  reference <- lme4::lmer(formula, d, REML = FALSE)
  ours <- suppressMessages(MuMIn::dredge(fit))
  theirs <- suppressMessages(MuMIn::dredge(reference))
  shown <- c("(Intercept)", "Days", "x", "df", "logLik", "AICc", "delta", "weight")
  expect_identical(rownames(ours), rownames(theirs))
  expect_equal(as.matrix(as.data.frame(ours)[shown]), as.matrix(as.data.frame(theirs)[shown]),
               tolerance = 1e-4)
  average <- MuMIn::model.avg(ours)
  reference <- MuMIn::model.avg(theirs)
  expect_equal(coef(average), coef(reference), tolerance = 1e-4)
  expect_equal(summary(average)$coefmat.full[, 1:2], summary(reference)$coefmat.full[, 1:2],
               tolerance = 1e-4)
  # lme4's have rows minus parameters as degrees of freedom, whatever the number of groups.
  expect_true(all(summary(average)$coefmat.full[, 3] > summary(reference)$coefmat.full[, 3]))
  best <- MuMIn::get.models(ours, 1)[[1]]
  expect_s3_class(best, "pp_lmm")
  expect_length(best$random, 1L)
})

test_that("double bars, structures and starting values come through", {
  skip_if_not_installed("MuMIn")
  withr::local_options(na.action = "na.fail")
  d <- transform(sleepstudy, x = noise(180))
  for (fit in list(
    lmm(Reaction ~ Days + x + (Days || Subject), d, REML = FALSE),
    lmm(Reaction ~ Days + x + cs(Days | Subject), d, REML = FALSE, start = c(1, 1, 0))
  )) {
    table <- suppressMessages(MuMIn::dredge(fit))
    expect_identical(nrow(table), 4L)
    models <- suppressMessages(MuMIn::get.models(table, TRUE))
    expect_identical(unname(lengths(lapply(models, function(m) m$theta))),
                     rep(length(fit$theta), 4L))
    expect_setequal(unlist(lapply(models, function(m) m$random[[1]]$structure)),
                    fit$random[[1]]$structure)
  }
})

test_that("generalised models are selected as for lme4", {
  skip_if_not_installed("MuMIn")
  skip_if_not_installed("lme4")
  withr::local_options(na.action = "na.fail")
  d <- transform(cbpp, x = noise(56))
  formula <- cbind(incidence, size - incidence) ~ period + x + (1 | herd)
  ours <- suppressMessages(MuMIn::dredge(glmm(formula, d, binomial())))
  theirs <- suppressMessages(MuMIn::dredge(lme4::glmer(formula, d, binomial())))
  expect_equal(ours$AICc, theirs$AICc, tolerance = 1e-5)
  expect_equal(ours$weight, theirs$weight, tolerance = 1e-3, ignore_attr = TRUE)
  table <- MuMIn::coefTable(glmm(formula, d, binomial()))
  expect_identical(colnames(table), c("Estimate", "Std. Error", "df"))
  expect_true(all(is.na(table[, "df"])))
})

test_that("selection by REML is warned of", {
  skip_if_not_installed("MuMIn")
  withr::local_options(na.action = "na.fail")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  expect_warning(suppressMessages(MuMIn::dredge(fit)), class = "partialpool_warning_fit")
  expect_no_warning(by_ml <- suppressMessages(MuMIn::dredge(fit, REML = FALSE)))
  table <- MuMIn::model.sel(
    lmm(Reaction ~ Days + (Days | Subject), sleepstudy, REML = FALSE),
    lmm(Reaction ~ Days + (1 | Subject), sleepstudy, REML = FALSE)
  )
  expect_identical(table$df, c(6L, 4L))
})

test_that("r.squaredGLMM() is lme4's and r_squared()'s", {
  skip_if_not_installed("MuMIn")
  skip_if_not_installed("lme4")
  fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
  reference <- lme4::lmer(Reaction ~ Days + (Days | Subject), sleepstudy)
  ours <- MuMIn::r.squaredGLMM(fit)
  expect_equal(ours, MuMIn::r.squaredGLMM(reference), tolerance = 1e-4)
  expect_equal(drop(unname(ours)), unname(unclass(r_squared(fit))[1:2]), ignore_attr = TRUE)
  withr::local_options(MuMIn.noUpdateWarning = TRUE)
  counts <- glmm(incidence ~ period + (1 | herd), cbpp, poisson())
  reference <- lme4::glmer(incidence ~ period + (1 | herd), cbpp, poisson())
  ours <- MuMIn::r.squaredGLMM(counts)
  # lme4's estimates are exact to about three digits.
  expect_equal(ours, MuMIn::r.squaredGLMM(reference), tolerance = 1e-3)
  for (method in rownames(ours)) {
    expect_equal(unname(ours[method, ]), unname(unclass(r_squared(counts, method))[1:2]),
                 ignore_attr = TRUE)
  }
})

test_that("binomial responses are proportions for r.squaredGLMM()", {
  skip_if_not_installed("MuMIn")
  skip_if_not_installed("lme4")
  withr::local_options(MuMIn.noUpdateWarning = TRUE)
  formula <- cbind(incidence, size - incidence) ~ period + (1 | herd)
  fit <- glmm(formula, cbpp, binomial())
  ours <- MuMIn::r.squaredGLMM(fit)
  theirs <- MuMIn::r.squaredGLMM(lme4::glmer(formula, cbpp, binomial()))
  # Estimates of lme4 differ in the fourth digit; with "delta" it averages the mean over the random
  # effects by an approximation, we by an integral.
  expect_equal(ours["theoretical", ], theirs["theoretical", ], tolerance = 2e-3)
  expect_equal(ours["delta", ], theirs["delta", ], tolerance = 5e-3)
  v <- attr(r_squared(fit), "variance")
  v["residual"] <- v["residual"] / mean(cbpp$size)
  expect_equal(ours[["theoretical", "R2m"]], v[["fixed"]] / sum(v))
  expect_error(MuMIn::r.squaredGLMM(fit, pj2014 = TRUE), class = "partialpool_error_argument")
})

test_that("kernel models are refused", {
  skip_if_not_installed("MuMIn")
  K <- exp(-as.matrix(stats::dist(1:20)) / 5)
  fit <- quietly(kernel_lmm(noise(20), NULL, K))
  expect_error(MuMIn::getAllTerms(fit), class = "partialpool_error_argument")
  expect_error(MuMIn::r.squaredGLMM(fit), class = "partialpool_error_argument")
})
