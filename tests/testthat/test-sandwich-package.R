robust <- function(fit, correction, ...) vcov(fit, type = "sandwich", correction = correction, ...)

test_that("sandwich and vcovCL give vcov(type = \"sandwich\")", {
  skip_if_not_installed("sandwich")
  fit <- lmm(Reaction ~ Days + I(Days^2) + (Days | Subject), sleepstudy)
  expect_equal(sandwich::sandwich(fit), robust(fit, "CR0"))
  expect_equal(sandwich::vcovCL(fit), robust(fit, "CR1"))
  expect_no_warning(by_formula <- sandwich::vcovCL(fit, cluster = ~Subject))
  expect_equal(by_formula, robust(fit, "CR1"))
  expect_equal(sandwich::vcovCL(fit, cluster = sleepstudy$Subject, type = "HC1"),
               robust(fit, "CR1S"))
  expect_equal(sandwich::vcovCL(fit, cadjust = FALSE), robust(fit, "CR0"))
  expect_equal(sandwich::bread(fit), 180 * vcov(fit))
  expect_equal(crossprod(sandwich::estfun(fit)) / 180, sandwich::meat(fit))
  expect_equal(colSums(sandwich::estfun(fit)), c(0, 0, 0), ignore_attr = TRUE, tolerance = 1e-8)
})

test_that("weights, rows left out, data that are gone", {
  skip_if_not_installed("sandwich")
  fit <- local({
    gone <- sleepstudy
    gone$Reaction[5] <- NA
    lmm(Reaction ~ Days + (Days | Subject), gone, weights = rep(1:2, 90))
  })
  expect_equal(sandwich::vcovCL(fit, cluster = ~Subject), robust(fit, "CR1"))
  expect_equal(sandwich::vcovCL(fit, cluster = sleepstudy$Subject), robust(fit, "CR1"))
})

test_that("crossed factors need a cluster, and can have two", {
  skip_if_not_installed("sandwich")
  skip_if_not_installed("lme4")
  fit <- lmm(diameter ~ 1 + (1 | plate) + (1 | sample), lme4::Penicillin)
  expect_error(sandwich::sandwich(fit), class = "partialpool_error_argument")
  expect_error(sandwich::vcovCL(fit), class = "partialpool_error_argument")
  one <- function(cluster) sandwich::vcovCL(fit, cluster = cluster)
  expect_equal(one(~sample), robust(fit, "CR1", cluster = "sample"))
  rows <- interaction(lme4::Penicillin$sample, lme4::Penicillin$plate)
  expect_equal(one(~ sample + plate), one(~sample) + one(~plate) - one(rows))
})

test_that("generalised models: the whole sandwich, brought to the coefficients", {
  skip_if_not_installed("sandwich")
  fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
  expect_equal(sandwich::sandwich(fit), robust(fit, "CR0"))
  expect_equal(sandwich::vcovCL(fit, cluster = ~herd), robust(fit, "CR1"))
  expect_equal(sandwich::vcovCL(fit, type = "HC1"), robust(fit, "CR1S"))
  expect_error(sandwich::vcovCL(fit, cluster = ~period), class = "partialpool_error_argument")
  expect_error(sandwich::vcovCL(fit, cluster = ~ herd + period),
               class = "partialpool_error_argument")
  skip_if_not_installed("lmtest")
  table <- lmtest::coeftest(fit, vcov. = sandwich::vcovCL, cluster = ~herd)
  expect_equal(table[, "Std. Error"], sqrt(diag(robust(fit, "CR1"))))
})

test_that("what takes rows as independent is refused", {
  skip_if_not_installed("sandwich")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy)
  refused <- function(code) expect_error(code, class = "partialpool_error_argument")
  refused(sandwich::vcovHC(fit))
  refused(sandwich::vcovHAC(fit))
  refused(sandwich::vcovBS(fit))
  refused(sandwich::NeweyWest(fit))
  refused(sandwich::vcovPL(fit, cluster = ~Subject))
  refused(sandwich::vcovOPG(fit))
  refused(sandwich::meatHC(fit))
  refused(sandwich::vcovCL(fit, cluster = ~Subject, type = "HC3"))
  K <- exp(-as.matrix(stats::dist(1:20)) / 5)
  refused(sandwich::sandwich(quietly(kernel_lmm(sin(1:20), NULL, K))))
})

test_that("without random effects the numbers are lm()'s", {
  skip_if_not_installed("sandwich")
  ours <- quietly(lmm(Reaction ~ Days, sleepstudy))
  theirs <- stats::lm(Reaction ~ Days, sleepstudy)
  for (type in c("HC0", "HC1")) {
    expect_equal(sandwich::vcovHC(ours, type), sandwich::vcovHC(theirs, type))
    expect_equal(sandwich::vcovCL(ours, ~Subject, type), sandwich::vcovCL(theirs, ~Subject, type))
  }
  expect_equal(sandwich::NeweyWest(ours), sandwich::NeweyWest(theirs))
})

test_that("generalised models without random effects have glm()'s numbers", {
  skip_if_not_installed("sandwich")
  formula <- cbind(incidence, size - incidence) ~ period
  ours <- quietly(glmm(formula, cbpp, binomial()))
  theirs <- stats::glm(formula, cbpp, family = stats::binomial())
  # glm() stops its iterations at eight digits of the deviance, four of the estimates.
  expect_equal(sandwich::sandwich(ours), sandwich::sandwich(theirs), tolerance = 1e-4)
  expect_equal(sandwich::vcovCL(ours, ~herd), sandwich::vcovCL(theirs, ~herd), tolerance = 1e-4)
  expect_error(sandwich::vcovHC(ours), class = "partialpool_error_argument")
})
