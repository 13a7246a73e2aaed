test_that("vcovCR() and its tests are those of lme4's fit", {
  skip_if_not_installed("clubSandwich")
  skip_if_not_installed("lme4")
  formula <- Reaction ~ Days + I(Days^2) + (Days | Subject)
  fit <- lmm(formula, sleepstudy)
  reference <- lme4::lmer(formula, sleepstudy)
  for (type in c("CR0", "CR1", "CR1S", "CR2", "CR3")) {
    ours <- as.matrix(clubSandwich::vcovCR(fit, type = type))
    theirs <- as.matrix(clubSandwich::vcovCR(reference, type = type))
    expect_equal(ours, theirs, tolerance = 1e-4, ignore_attr = TRUE)
    expect_equal(ours, vcov(fit, type = "sandwich", correction = type), ignore_attr = TRUE)
  }
  test <- function(fit) as.data.frame(clubSandwich::coef_test(fit, vcov = "CR2"))[, 2:6]
  expect_equal(test(fit), test(reference), tolerance = 1e-4, ignore_attr = TRUE)
  joint <- function(fit) {
    clubSandwich::Wald_test(fit, clubSandwich::constrain_zero(2:3), vcov = "CR2")
  }
  expect_equal(joint(fit), joint(reference), tolerance = 1e-4)
})

test_that("clusters by position, with weights; others are refused", {
  skip_if_not_installed("clubSandwich")
  fit <- lmm(Reaction ~ Days + (1 | Subject), sleepstudy, weights = rep(1:2, 90))
  ours <- clubSandwich::vcovCR(fit, sleepstudy$Subject, "CR2")
  expect_equal(as.matrix(ours), vcov(fit, type = "sandwich", correction = "CR2"),
               ignore_attr = TRUE)
  expect_error(clubSandwich::vcovCR(fit, sleepstudy$Days, "CR2"),
               class = "partialpool_error_argument")
  counts <- glmm(incidence ~ period + (1 | herd), cbpp, poisson())
  expect_error(clubSandwich::vcovCR(counts, type = "CR2"), class = "partialpool_error_argument")
})
