linear_fit <- function() suppressMessages(lmm(Reaction ~ Days, sleepstudy))

test_that("fitted values and all residuals are lme4's", {
  skip_if_not_installed("lme4")
  d <- transform(sleepstudy, w = 1 + seq_along(Reaction) %% 3)
  formula <- Reaction ~ Days + offset(2 * Days) + (Days | Subject)
  fit <- lmm(formula, d, weights = w)
  reference <- lme4::lmer(formula, d, weights = w)
  expect_equal(fitted(fit), fitted(reference), tolerance = 1e-5)
  for (type in c("response", "pearson", "deviance", "working")) {
    expect_equal(residuals(fit, type), residuals(reference, type), tolerance = 1e-4)
    expect_equal(
      residuals(fit, type, scaled = TRUE), residuals(reference, type, scaled = TRUE),
      tolerance = 1e-4
    )
  }
  expect_equal(residuals(fit, "scaled"), residuals(fit, "pearson", scaled = TRUE))
})

test_that("fitted values add up over several terms and factors", {
  skip_if_not_installed("lme4")
  formula <- angle ~ recipe + temperature + (1 | replicate) + (1 | recipe:replicate)
  expect_equal(
    fitted(lmm(formula, cake)), fitted(lme4::lmer(formula, cake)),
    tolerance = 1e-4
  )
})

test_that("na.exclude pads, na.omit does not", {
  d <- sleepstudy
  d$Reaction[c(3, 50)] <- NA
  d$Days[7] <- NA
  omitted <- lmm(Reaction ~ Days + (1 | Subject), d)
  excluded <- lmm(Reaction ~ Days + (1 | Subject), d, na.action = na.exclude)
  expect_length(residuals(omitted), 177L)
  for (type in c("response", "scaled")) {
    expect_identical(unname(which(is.na(residuals(excluded, type)))), c(3L, 7L, 50L))
  }
  expect_equal(fitted(excluded)[-c(3, 7, 50)], fitted(omitted))
  expect_named(fitted(excluded), row.names(d))
})

test_that("a fit without random terms has the residuals of lm", {
  fit <- linear_fit()
  reference <- lm(Reaction ~ Days, sleepstudy)
  expect_equal(residuals(fit), residuals(reference))
  expect_equal(fitted(fit), fitted(reference))
})

test_that("an unknown type is an error", {
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  expect_error(residuals(fit, "partial"), class = "partialpool_error_argument")
  expect_error(residuals(fit, scald = TRUE), class = "partialpool_error_argument")
})

test_that("levels that were not in the data have no effect, missing ones a missing value", {
  b <- matrix(c(1, 2, 3, 4), 2)
  z <- cbind(1, c(10, 20, 30, 40))
  expect_equal(random_part(c(1L, 0L, 2L, NA), z, b), c(31, 0, 122, NA))
  expect_equal(random_part(c(2L, 0L), NULL, b[, 1, drop = FALSE]), c(2, 0))
  expect_equal(random_part(c(1L, 2L), z[1:2, 2, drop = FALSE], b[, 1, drop = FALSE]), c(10, 40))
})
